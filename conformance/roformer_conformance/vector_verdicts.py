"""What is judged of a call that a golden vector recorded: every output, and the claims that a difference is about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

from .budget import Verdict, judge_carefully
from .oracle import Oracle
from .partial import Seen, present
from .protocol import Array, Outputs, Unsupported
from .shortening import values
from .trial import of_tap, tap_position

if TYPE_CHECKING:
    from .vectors import Vector

# Outputs that stand on top of all others, and the claims that they alone are about.
_CLAIMS_OF = {"loss": "LOSS-", "pooler_output": "OUT-4."}
# What stands in a message between what was seen and what the vector is there for.
GUARDS = "; guards against: "


def verdicts_on(vector: Vector, got: Outputs, dtype: str, k: float) -> list[Verdict]:
    """A verdict on each recorded output that the implementation claims to have, earliest first.

    Args:
        vector: the recorded call.
        got: what the implementation returned for it.
        dtype: float64 is judged by the vector's relative tolerance, any other type by the oracle's budget.
        k: the grade at which an output fails by the budget.

    Raises:
        Unsupported: it claims none of these outputs.
    """
    expected, rows = vector.expected(), vector.rows()
    if isinstance(got, Seen):
        expected = present(expected, got.lacking)
        if not expected:
            raise Unsupported(", ".join(sorted(got.lacking)))
    taps = sorted(expected, key=tap_position)
    missing = [Verdict(tap, np.inf, False, "is missing among the outputs") for tap in taps if tap not in got]
    there = [tap for tap in taps if tap in got]
    if dtype == "float64":
        allowed = vector.described["tolerance"]["relative"]
        return missing + [_relative(tap, got[tap], expected[tap], allowed, rows) for tap in there]
    oracle = Oracle(vector.head, vector.described["config"], vector.weights())
    runs = cache(lambda count: oracle.legitimate_runs(vector.inputs(), vector.described["options"], dtype, count))
    honest = {tap: partial(of_tap, tap, runs) for tap in there}
    return missing + [judge_carefully(tap, got[tap], expected[tap], honest[tap], dtype, rows, k) for tap in there]


def concerned(clauses: tuple[str, ...], verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """The claims of a vector that its verdicts say something about.

    Where one output on top, such as the loss, is missing or wrong and all others are right, these are that output's
    claims alone: what the vector says of the others was neither kept nor broken.
    """
    wrong = {verdict.tap for verdict in verdicts if not verdict.passed}
    prefix = _CLAIMS_OF.get(next(iter(wrong)), "") if len(wrong) == 1 else ""
    about = tuple(clause for clause in clauses if clause.startswith(prefix))
    return about if about[:1] == clauses[:1] else clauses


def message_of(vector: Vector, verdicts: Sequence[Verdict]) -> str:
    """What the first verdict that did not pass says; "" where all passed."""
    verdict = next((verdict for verdict in verdicts if not verdict.passed), None)
    if verdict is None:
        return ""
    where = f"{verdict.tap}{list(verdict.index)}" if verdict.index else verdict.tap
    told = f": {values(verdict.got, verdict.expected)}" if verdict.index else ""
    return f"{where} {verdict.reason}{told}{GUARDS}{vector.described['guards_against']}"


def _relative(tap: str, got: Array, expected: Array, allowed: float, rows: Array | None) -> Verdict:
    """|got − expected| / max |expected| over what is judged; the grade is that error itself."""
    if got.shape != expected.shape:
        return Verdict(tap, np.inf, False, f"has shape {got.shape}, expected {expected.shape}")
    if expected.size == 0:
        return Verdict(tap, 0.0, True, "")
    error = np.abs(got - expected)
    if rows is not None and expected.ndim > 1:
        axis = 2 if tap.startswith(("attentions", "cross_attentions", "past_key_values")) else 1
        if expected.shape[axis] == rows.shape[1]:
            shape = [rows.shape[0], *(1,) * (expected.ndim - 1)]
            shape[axis] = rows.shape[1]
            error = np.where(rows.reshape(shape), error, 0.0)
    index = tuple(int(axis) for axis in np.unravel_index(int(error.argmax()), error.shape))
    largest = float(error.max() / (np.abs(expected).max() or 1.0))
    passed = largest <= allowed  # False for NaN too
    reason = "" if passed else f"is off by {largest:.2g} of the largest value, allowed are {allowed:g}"
    return Verdict(tap, largest, passed, reason, index, float(got[index]), float(expected[index]))
