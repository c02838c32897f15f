"""How far a result may lie from the oracle: a budget measured for each output, never a tolerance from the air (NUM-1).

For an output with oracle value y and legitimate runs ŷ in the candidate's type:

    S = 95th percentile of ‖ŷ − y‖ over the runs            what honest arithmetic costs here
    B = K · max(S, c · u · ‖y‖)                             the budget; u is the type's unit roundoff
    R = ‖got − y‖ / max(S, c · u · ‖y‖)                     the grade: K = 4 fails, K = 2 is worth a look

Eight runs are enough to acquit. What honest arithmetic does once in ten times they miss in two of five cases, most of
all where an output is one number; so nobody is accused by a grade near K before S was measured on 64.
Two norms are judged: the root mean square, and the worst element in units of its row's own root mean square.
Attention weights are judged in absolute terms, a loss relative to max(1, |loss|). NaN and infinity must stand
exactly where the oracle has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .precision import PRECISIONS
from .protocol import Array

FAILS_AT = 4.0
WARNS_AT = 2.0
FLOOR_FACTOR = 2.0
QUANTILE = 0.95
FEW_RUNS, MANY_RUNS = 8, 64
BEYOND_DOUBT = 10.0  # times K, where more runs would change nothing


@dataclass(frozen=True)
class Verdict:
    """How one output compares with the oracle."""

    tap: str
    grade: float  # R, the larger of the two norms'
    passed: bool
    reason: str  # "" when passed
    index: tuple[int, ...] = ()
    got: float = 0.0
    expected: float = 0.0
    budget: float = 0.0  # how far the element at `index` may lie from `expected`
    mean_budget: float = (
        0.0  # what the root mean square of all differences may be; of a loss, relative to max(1, |loss|)
    )


@dataclass(frozen=True)
class Spread:
    """What honest arithmetic costs at one output, S of the budget, in both norms."""

    mean: float  # root mean square; of a loss in units of max(1, |loss|)
    worst: float  # the worst element, in units of its row


def judge(
    tap: str,
    got: Array,
    oracle: Array,
    runs: Sequence[Array],
    dtype: str,
    rows: Array | None = None,
    k: float = FAILS_AT,
) -> Verdict:
    """Compare one output with the oracle.

    Args:
        tap: the output's name, such as `hidden_states.2`.
        got: what the implementation returned.
        oracle: float64, the same shape.
        runs: the legitimate runs' values of this output.
        dtype: floating-point type of the implementation.
        rows: bool (batch, seq_len), the positions that count; None counts all.
        k: the grade at which it fails.
    """
    return judge_within(tap, got, oracle, lambda: spread(tap, oracle, runs, dtype, rows), dtype, rows, k)


def judge_carefully(
    tap: str,
    got: Array,
    oracle: Array,
    runs: Callable[[int], Sequence[Array]],
    dtype: str,
    rows: Array | None = None,
    k: float = FAILS_AT,
) -> Verdict:
    """`judge` by a few of the legitimate `runs(count)`, and by many of them before it says that a result failed."""
    verdict = judge(tap, got, oracle, runs(FEW_RUNS), dtype, rows, k)
    if k < verdict.grade <= BEYOND_DOUBT * k:
        return judge(tap, got, oracle, runs(MANY_RUNS), dtype, rows, k)
    return verdict


def judge_within(
    tap: str,
    got: Array,
    oracle: Array,
    honest: Callable[[], Spread],
    dtype: str,
    rows: Array | None = None,
    k: float = FAILS_AT,
) -> Verdict:
    """`judge` by a spread that was measured before, or is when it is needed."""
    if got.shape != oracle.shape:
        return Verdict(tap, np.inf, False, f"has shape {got.shape}, expected {oracle.shape}")
    if got.size == 0:
        return Verdict(tap, 0.0, True, "")
    if got.dtype.kind != "f":
        return Verdict(tap, np.inf, False, f"has dtype {got.dtype}, expected floating-point numbers")
    unequal = _same_special(got, oracle)
    if unequal is not None:
        return Verdict(
            tap, np.inf, False, "is not finite where the oracle is, or the other way round", unequal,
            float(got[unequal]), float(oracle[unequal]),
        )  # fmt: skip
    return _judge_finite(tap, got.astype(np.float64), oracle, honest(), dtype, rows, k)


def spread(tap: str, oracle: Array, runs: Sequence[Array], dtype: str, rows: Array | None = None) -> Spread:
    """What the legitimate `runs` are off by; at least the floor of one output's own rounding."""
    weight, unit = row_weight(tap, oracle, rows), _row_unit(tap, oracle)
    mean_unit = unit if tap.startswith("loss") else 1.0
    size = np.where(np.isfinite(oracle), np.abs(oracle), 0.0) * weight
    floor = FLOOR_FACTOR * PRECISIONS[dtype].unit
    honest = [_error(run.astype(np.float64), oracle, weight) for run in runs]
    return Spread(
        mean=max(_typical([_rms(run / mean_unit) for run in honest]), floor * _rms(size / mean_unit)),
        worst=max(_typical([_worst(run / unit) for run in honest]), floor * _worst(size / unit)),
    )


def _judge_finite(
    tap: str, got: Array, oracle: Array, honest: Spread, dtype: str, rows: Array | None, k: float
) -> Verdict:
    unit = _row_unit(tap, oracle)
    mean_unit = unit if tap.startswith("loss") else 1.0
    error = _error(got, oracle, row_weight(tap, oracle, rows))
    grade = max(_grade(_rms(error / mean_unit), honest.mean), _grade(_worst(error / unit), honest.worst))
    index = tuple(int(axis) for axis in np.unravel_index(int((error / unit).argmax()), got.shape))
    reason = "" if grade <= k else f"is {grade:.3g} times what honest {dtype} arithmetic costs, allowed are {k:g}"
    budget = k * honest.worst * float(unit[index])
    return Verdict(
        tap, grade, grade <= k, reason, index, float(got[index]), float(oracle[index]), budget, k * honest.mean
    )


def _grade(error: float, honest: float) -> float:
    return 0.0 if error == 0.0 else error / honest if honest > 0.0 else np.inf


def _typical(errors: Sequence[float]) -> float:
    """The quantile that S is, between the two errors next to it, as np.quantile has it but sooner; 0 of none."""
    if not errors or any(np.isnan(errors)):
        return np.nan if errors else 0.0
    ranked, place = sorted(errors), QUANTILE * (len(errors) - 1)
    low = min(int(place), len(errors) - 2) if len(errors) > 1 else 0
    high = min(low + 1, len(errors) - 1)
    return ranked[high] - (ranked[high] - ranked[low]) * (1.0 - (place - low))


def _error(got: Array, oracle: Array, weight: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(oracle), np.abs(got - oracle), 0.0) * weight


def row_weight(tap: str, oracle: Array, rows: Array | None) -> Array:
    """1 where an element counts: all of it, or the positions (queries, for attention weights) that `rows` names."""
    if rows is None or oracle.shape[:1] != rows.shape[:1]:
        return np.ones_like(oracle)
    if tap.startswith(("attentions", "cross_attentions")) and oracle.shape[2] == rows.shape[1]:
        return np.broadcast_to(rows[:, None, :, None], oracle.shape).astype(np.float64)
    if tap.startswith("past_key_values") and oracle.shape[2] == rows.shape[1]:
        return np.broadcast_to(rows[:, None, :, None], oracle.shape).astype(np.float64)
    if oracle.ndim >= 2 and oracle.shape[1] == rows.shape[1]:
        return np.broadcast_to(rows.reshape(rows.shape + (1,) * (oracle.ndim - 2)), oracle.shape).astype(np.float64)
    return np.ones_like(oracle)


def _row_unit(tap: str, oracle: Array) -> Array:
    """What the worst element is measured in: 1 for attention weights, max(1, |loss|), else the row's own size."""
    finite = np.where(np.isfinite(oracle), oracle, 0.0)
    if tap.startswith(("attentions", "cross_attentions")):
        return np.ones_like(oracle)
    if tap.startswith("loss"):
        return np.maximum(1.0, np.abs(finite))
    row = np.sqrt(np.mean(finite**2, axis=-1, keepdims=True)) if oracle.ndim else np.abs(finite)
    overall = _rms(finite) or 1.0
    return np.broadcast_to(np.where(row > 0.0, row, overall), oracle.shape)


def _same_special(got: Array, oracle: Array) -> tuple[int, ...] | None:
    """The first index where NaN or an infinity stands in one of the two only."""
    wide = got.astype(np.float64)
    special = ~(np.isfinite(wide) & np.isfinite(oracle))
    same = (np.isnan(wide) & np.isnan(oracle)) | (wide == oracle)
    wrong = np.argwhere(special & ~same)
    return tuple(int(axis) for axis in wrong[0]) if len(wrong) else None


def _worst(values: Array) -> float:
    return float(values.max(initial=0.0))


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0
