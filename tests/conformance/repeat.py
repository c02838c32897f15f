"""Whether a run says the same when it is repeated: N runs of a command line, each in a process of its own, compared.

python -m tests.conformance.repeat numpy --times 20
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.progress import track

TIMES = ("seconds", "preparation_seconds")


def main() -> None:
    """Print how many runs there were, and the first that differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("implementation")
    parser.add_argument("--level", default="smoke")
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    runs = range(options.times)
    shown = track(runs, disable=not sys.stdout.isatty())
    results = [result(options.implementation, options.level) for _ in shown]
    differing = [number for number in runs if results[number] != results[0]]
    told = f"run {differing[0]} differs from run 0" if differing else "identical but for times"
    records = len(results[0]["records"])
    print(f"{options.implementation}, {options.level}: {options.times} runs of {records} records: {told}")
    raise SystemExit(bool(differing))


def result(implementation: str, level: str) -> Any:
    """What one run says, without what it took."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "result.json")
        command = [sys.executable, "-m", "roformer_conformance", "check", implementation]
        subprocess.run([*command, "--level", level, "--json", str(file)], check=True, stdout=subprocess.DEVNULL)
        return timeless(json.loads(file.read_text(encoding="utf-8")))


def timeless(value: Any) -> Any:
    """A document without its times."""
    if isinstance(value, dict):
        return {name: timeless(item) for name, item in value.items() if name not in TIMES}
    return [timeless(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
