"""One competitor, alone in its process, answers requests: a JSON object a line on the input, one on the output.

    python serve.py MODULE KIND FOLDER HEAD THREADS

MODULE lies beside this file. It has `imports()` and `load(kind, folder, head, threads) -> (version, prepare)`;
`prepare(batches, mode)` makes the inputs ready and returns what computes them once. The first line of the answers says
that the model is loaded, and how many bytes the process had before, with everything imported.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    """Load, then answer until the input ends."""
    module, kind, folder, head, threads = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer

    def answer(**fields: Any) -> None:
        print(json.dumps(fields), file=answers, flush=True)

    try:
        side = importlib.import_module(module)
        side.imports()
        imported = resident()
        version, prepare = side.load(kind, folder, head, int(threads))
    except Exception as error:
        answer(error=said(error))
        return
    answer(version=version, imported=imported)
    server = Server(prepare)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer(**getattr(server, request.pop("do"))(**request))
        except Exception as error:
            answer(error=said(error))


def said(error: Exception) -> str:
    """The error in one short line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:400]


class Server:
    """What can be asked; each answer is a mapping of plain values."""

    def __init__(self, prepare: Any) -> None:
        self.prepare, self.made = prepare, {}  # type: tuple[Any, dict[tuple[str, str], Any]]

    def outputs(self, work: str, mode: str, to: str) -> dict[str, Any]:
        """Compute the work and write what comes out, an array a batch (or a sequence, as the mode has it)."""
        started = time.perf_counter()
        parts: dict[str, Any] = {f"o{i}": np.asarray(part) for i, part in enumerate(self._run(work, mode)())}
        np.savez(to, **parts)
        return {"seconds": time.perf_counter() - started}

    def time(self, work: str, mode: str, calls: int, before: int) -> dict[str, Any]:
        """The seconds of each of some calls, after others that do not count."""
        run, seconds = self._run(work, mode), []
        for number in range(before + calls):
            started = time.perf_counter()
            run()
            if number >= before:
                seconds.append(time.perf_counter() - started)
        return {"seconds": seconds, "note": getattr(run, "note", "")}

    def memory(self, work: str, mode: str) -> dict[str, Any]:
        """Bytes of its own that a process has before a call and at its peak, and the peak of all since it began.

        A page of a file that is looked into brings its neighbours, which the system takes back as it likes, so files
        are no memory of a call.
        """
        run, ever = self._run(work, mode), status("VmHWM")
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = resident() - status("RssFile")
        run()
        peak = status("VmHWM")
        return {"before": before, "peak": peak - status("RssFile"), "ever": max(ever, peak)}

    def _run(self, work: str, mode: str) -> Any:
        """What computes the work; made again after other work, for packed weights of all would not fit."""
        if (work, mode) not in self.made:
            self.made.clear()
            with np.load(work) as parts:
                batches = [(parts[f"i{i}"], parts[f"m{i}"]) for i in range(len(parts.files) // 2)]
            self.made[work, mode] = self.prepare(batches, mode)
        return self.made[work, mode]


def resident() -> int:
    """Bytes in memory now; 0 where this system does not say."""
    return status("VmRSS") if Path("/proc/self/status").exists() else 0


def status(field: str) -> int:
    """Bytes of this process, as Linux counts them."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status says no {field}")


if __name__ == "__main__":
    main()
