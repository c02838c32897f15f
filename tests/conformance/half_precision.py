"""How many seeded faults of the forward pass are still seen in half precision: a table for docs/power.md.

    python -m tests.conformance.half_precision docs/power.md

Each fault computes as `arithmetics.once` does: every component rounds what it returns to the type. It is tried by the
checks that were written against it and by the comparison with the oracle. The faults that survive the usual tests, see
`compare_methods`, are counted apart: a budget that is merely wide would let them through.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from rich.progress import track

from roformer_conformance.planning import plan
from roformer_conformance.protocol import Capabilities
from roformer_conformance.registry import all_checks
from roformer_conformance.running import run_job

from .arithmetics import HalfAdapter, once
from .compare_methods import NUMERICAL, usual
from .faults import FAULTS
from .test_checks_bite import BITTEN_BY

BEGIN, END = "<!-- counted by tests/conformance/half_precision.py -->", "<!-- end of the count -->"
DTYPES = ("bfloat16", "float16")
PARITY = "NUM-1.1/parity"
LEVELS = ("smoke", "default")


def main() -> None:
    """Write the table between the two marks of the file, and print which faults are not seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--dtype", action="append", choices=DTYPES)
    options = parser.parse_args()
    names = [name for name in FAULTS if is_of_the_forward_pass(name)]
    hidden = {name for name in track(names, "usual tests", disable=not sys.stdout.isatty()) if survives(name)}
    killed = {}
    for dtype in options.dtype or DTYPES:
        shown = track(names, dtype, disable=not sys.stdout.isatty())
        killed[dtype] = {name for name in shown if is_killed(name, dtype)}
        print(f"{dtype}: not seen are {', '.join(sorted(set(names) - killed[dtype])) or 'none'}", flush=True)
    text = options.file.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    options.file.write_text(f"{before}{BEGIN}\n{table(names, hidden, killed)}\n{END}{after}", encoding="utf-8")


def is_of_the_forward_pass(name: str) -> bool:
    """Whether a check of the arithmetic was written against it that is about values, not gradients or warnings."""
    checks = [all_checks()[identifier] for identifier, (faults, _) in BITTEN_BY.items() if name in faults.split()]
    return any(one.id.startswith(NUMERICAL) and not {"gradients", "warnings"} & {*one.needs} for one in checks)


def survives(name: str) -> bool:
    """Whether the usual tests, with an absolute tolerance of 1e-4, do not see the fault."""
    return usual(name) in ("", "1e-05")


def is_killed(name: str, dtype: str) -> bool:
    """Whether a check that was written against the fault, or the comparison with the oracle, fails in the type."""
    checks = [identifier for identifier, (faults, _) in BITTEN_BY.items() if name in faults.split()]
    return any(fails(identifier, name, dtype, level) for level in LEVELS for identifier in (PARITY, *checks))


def fails(identifier: str, name: str, dtype: str, level: str) -> bool:
    """Whether the check fails on the fault, computed in the type, on some head."""
    fault = FAULTS[name]()
    adapter = HalfAdapter("faulty", dtype, once, fault)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        jobs = plan([all_checks()[identifier]], Capabilities.of(adapter), level)
        return any(run_job(adapter, job, level, seed=0, shrink=False).status == "failed" for job in jobs)


def table(names: Iterable[str], hidden: set[str], killed: Mapping[str, set[str]]) -> str:
    """The count in Markdown."""
    every = set(names)
    lines = ["| killed by this suite in | faults of the forward pass | of those that survive the usual tests |"]
    lines += ["|---|---:|---:|"]
    for dtype, found in killed.items():
        lines.append(f"| {dtype} | {len(found)} of {len(every)} | {len(found & hidden)} of {len(hidden)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
