"""How many seeded faults the usual tests see, beside this suite: a table for docs/power.md.

    python -m tests.conformance.compare_methods docs/power.md

The usual tests are generous ones: every head, in float32, with padding, token types and labels, every hidden state,
attention weight, logit and loss. Weights are drawn as the library draws them before training: kernels and embeddings of
standard deviation 0.02, biases 0. `shapes` asks for the right shapes and finite values, and that no call is an error;
`1e-4` and `1e-5` compare with the oracle by that absolute tolerance, besides.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from roformer_conformance.oracle import Oracle, schema
from roformer_conformance.protocol import HEADS, flatten
from roformer_conformance.strategies import Case
from roformer_conformance.trial import TRACES
from roformer_conformance.weights import draw_weights

from .faults import FAULTS
from .happened import HAPPENED
from .test_checks_bite import BITTEN_BY, complaints

TOLERANCES = (1e-4, 1e-5)
BEGIN, END = "<!-- compared by tests/conformance/compare_methods.py -->", "<!-- end of the comparison -->"
# Families whose faults change what a forward pass returns; the others are about calls, files, text and training.
NUMERICAL = ("EMB", "ROT", "ATT", "FFN", "MASK", "HEAD", "DEC", "LOSS", "NUM", "OUT")
CONFIG: Mapping[str, Any] = {
    "vocab_size": 97, "embedding_size": 64, "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 3,
    "intermediate_size": 128, "type_vocab_size": 2, "num_labels": 5, "max_position_embeddings": 64,
}  # fmt: skip


def main() -> None:
    """Write the table between the two marks of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    file = parser.parse_args().file
    seen = {name: usual(name) for name in track(FAULTS, "usual tests", disable=not sys.stdout.isatty())}
    ours = {name for name in track(FAULTS, "this suite", disable=not sys.stdout.isatty()) if found_by_ours(name)}
    text = file.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    file.write_text(f"{before}{BEGIN}\n{table(seen, ours)}\n{END}{after}", encoding="utf-8")


def usual(name: str) -> str:
    """The mildest of the usual tests that sees the fault: "shapes", "1e-04", "1e-05", or "" for none."""
    found = [seen_by(name, head) for head in HEADS]
    return next((test for test in ("shapes", *(f"{one:.0e}" for one in TOLERANCES)) if test in found), "")


def seen_by(name: str, head: str) -> str:
    """The same on one head."""
    case = Case(head, {**CONFIG, "is_decoder": head == "causal_lm"}, "hf_init", 3, 13, "right", 11)
    weights = draw_weights(schema(case.config, head), "hf_init", 11, "float32")
    inputs = {**case.inputs(), **case.labels()}
    expected = Oracle(head, case.config, weights).run(inputs, TRACES)
    given = {key: array.astype("float32") for key, array in weights.items()}
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            model = FAULTS[name]().load(head, dict(case.config), given, "float32")
            got = flatten(model(inputs, style="keywords", options=dict(TRACES)))
    except Exception:  # an error is seen by any test
        return "shapes"
    return difference(got, expected)


def difference(got: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """What sees that outputs are not those that are expected."""
    if got.keys() != expected.keys() or any(got[tap].shape != expected[tap].shape for tap in expected):
        return "shapes"
    if not all(np.isfinite(np.asarray(got[tap], float)).all() for tap in expected):
        return "shapes"
    worst = max((float(np.abs(got[tap] - expected[tap]).max(initial=0.0)) for tap in expected), default=0.0)
    return next((f"{one:.0e}" for one in TOLERANCES if worst > one), "")


def found_by_ours(name: str) -> bool:
    """Whether one of the checks that were written against the fault fails on it."""
    checks = [identifier for identifier, (faults, _) in BITTEN_BY.items() if name in faults.split()]
    return any(next(complaints(identifier, name, "smoke", "default"), "") for identifier in checks)


def is_numerical(name: str) -> bool:
    """Whether a check of the arithmetic was written against it."""
    checks = [identifier for identifier, (faults, _) in BITTEN_BY.items() if name in faults.split()]
    return any(identifier.startswith(NUMERICAL) for identifier in checks)


def table(seen: Mapping[str, str], ours: set[str]) -> str:
    """The comparison in Markdown."""
    numerical = [name for name in seen if is_numerical(name)]
    real = [name for name in seen if name in HAPPENED]
    rows = [("seeded faults", *(str(len(names)) for names in (seen, numerical, real)))]
    tests = ("shapes", *(f"{one:.0e}" for one in TOLERANCES))
    for number, test in enumerate(tests):
        killed = [sum(seen[name] in tests[: number + 1] for name in names) for names in (seen, numerical, real)]
        label = "shapes, finite, no error" if test == "shapes" else f"and every output within {test}"
        rows.append((label, *map(str, killed)))
    rows.append(("this suite", *(str(sum(name in ours for name in names)) for names in (seen, numerical, real))))
    survive = sum(seen[name] in ("", "1e-05") for name in seen)
    lines = ["| killed by | all | of the forward pass | really happened |", "|---|---:|---:|---:|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + f"\n\n{survive} faults survive shape checks and the comparison by 1e-4."


if __name__ == "__main__":
    main()
