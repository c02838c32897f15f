"""Writes the README's figures: runs the suite on our implementations, counts the witnesses of the golden vectors.

python benchmarks/readme_figures.py            print them
python benchmarks/readme_figures.py --write    put them between the markers in README.md
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
from collections import Counter
from pathlib import Path

from roformer_conformance import check_implementation
from roformer_conformance.protocol import find_adapter
from roformer_conformance.records import Result
from roformer_conformance.vectors import load_vectors

README = Path(__file__).parents[1] / "README.md"
MARKERS = re.compile(r"(<!-- figures: .*? -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write them into README.md")
    arguments = parser.parse_args()
    text = f"{conformance_table()}\n{witness_table()}\n{where_and_when()}\n"
    if arguments.write:
        README.write_text(MARKERS.sub(lambda found: found[1] + text + found[2], README.read_text(encoding="utf-8")))
    print(text)


def conformance_table() -> str:
    """One row for each implementation that the suite ran on."""
    lines = [
        "| implementation | claims run / applicable / total | passed | failed | largest grade R (4 fails) | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name, label in (
        ("numpy", "engine and numba kernels (`numpy`)"),
        ("numpy-engine", "the engine's numbers in every call, attentions apart (`numpy-engine`)"),
        ("numpy:bfloat16", "the same with products in bfloat16 (`numpy:bfloat16`)"),
        ("numpy-equations", "equations (`numpy-equations`)"),
    ):
        lines.append(conformance_row(label, check_implementation(find_adapter(name), level="default")))
    return "\n".join(lines) + "\n"


def conformance_row(label: str, result: Result) -> str:
    """What came of one run."""
    covered = result.coverage()
    applicable = len(covered.total) - len(covered.not_claimed) - len(covered.not_asked)
    grades = [record.grade for record in result.records if record.dtype != "float64" and record.grade is not None]
    claims = f"{len(covered.run)} / {applicable} / {len(covered.total)}"
    return (
        f"| {label} | {claims} | {len(result.passed)} | {len(result.failed)} | {max(grades):.2f} | "
        f"{result.seconds:.0f} |"
    )


def witness_table() -> str:
    """How the world's RoFormers answer the golden calls, as recorded in the vectors."""
    lines = [
        "| implementation | golden calls answered alike | cannot, or knowingly differs | compared in |",
        "|---|---|---|---|",
        f"| transformers 4.37.2, PyTorch | {len(load_vectors())}: the source of the vectors | | float64 |",
    ]
    alike: Counter[tuple[str, str]] = Counter()
    unable: Counter[tuple[str, str]] = Counter()
    types: dict[tuple[str, str], str] = {}
    for vector in load_vectors():
        for witness in vector.described["witnesses"]:
            key = (f"{witness['name']} {witness['version']}", witness["framework"])
            types[key] = witness["dtype"]
            (unable if "not_applicable" in witness else alike)[key] += 1
    for key, dtype in types.items():
        lines.append(f"| {', '.join(key)} | {alike[key]} | {unable[key]} | {dtype} |")
    return "\n".join(lines) + "\n"


def where_and_when() -> str:
    """Date and machine."""
    machine = f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return f"`benchmarks/readme_figures.py`, {datetime.date.today()}, {machine}."


if __name__ == "__main__":
    main()
