"""Which known mistake a difference looks like: the correlation of got − oracle with mistaken oracle − oracle."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..budget import row_weight
from ..protocol import Array, Outputs
from .calls import Comparison
from .variants import CATALOGUE, Variant

# A difference that correlates less with a known mistake, or keeps more than this part of itself, is something else.
ALIKE, KEPT = 0.98, 0.3
# Mistakes that explain a difference equally well, up to this part of it, are named together.
_TIED = 1e-3


@dataclass(frozen=True)
class Likeness:
    """How well one known mistake explains what was got."""

    variant: Variant
    correlation: float  # of the two differences at the earliest output that fails, the smallest of all calls
    first: float  # what is left of the difference there, as a part of it; 0 is all explained
    unexplained: float  # the same at all outputs that fail


def looks_like(
    comparisons: Sequence[Comparison], others: Sequence[Comparison] = (), seconds: float = 2.0
) -> list[Likeness]:
    """The known mistakes that explain best what was got, all of them that do so equally well; none if none does.

    Args:
        comparisons: calls whose result lies beyond its budget.
        others: calls that decide between mistakes which explain `comparisons` equally well.
        seconds: mistakes that are not tried within this time are not named.
    """
    ends = time.perf_counter() + seconds
    found = []
    for variant in CATALOGUE:
        if time.perf_counter() > ends:
            break
        likeness = _likeness(variant, comparisons)
        if likeness is not None and likeness.correlation >= ALIKE and likeness.first <= KEPT:
            found.append(likeness)
    best = _best(found)
    for other in others:
        if len(best) > 1 and other.first is not None:
            deciding = {id(item): _likeness(item.variant, [other]) for item in best}
            kept = {id(item.variant) for item in _best([item for item in deciding.values() if item is not None])}
            best = [item for item in best if id(item.variant) in kept]
    return best


def _best(found: Sequence[Likeness]) -> list[Likeness]:
    least = min((likeness.unexplained for likeness in found), default=0.0)
    return [likeness for likeness in found if likeness.unexplained <= least + _TIED]


def _likeness(variant: Variant, comparisons: Sequence[Comparison]) -> Likeness | None:
    correlations, first, unexplained = [], [], []
    for comparison in comparisons:
        try:
            with np.errstate(all="ignore"):
                mistaken = variant.of(comparison)
        except Exception:  # this mistake cannot be made on this call
            return None
        taps = [verdict.tap for verdict in comparison.verdicts if not verdict.passed]
        pairs = [_differences(comparison, mistaken, tap) for tap in taps]
        left = [_left(got, wrong) for got, wrong in pairs]
        correlations.append(_correlation(*pairs[0]))
        first.append(left[0])
        unexplained.append(max(left))
    return Likeness(variant, min(correlations), max(first), max(unexplained))


def _differences(comparison: Comparison, mistaken: Outputs, tap: str) -> tuple[Array, Array]:
    """got − oracle and mistaken oracle − oracle as vectors, where something counts."""
    got, right, wrong = comparison.got[tap], comparison.expected[tap], mistaken.get(tap)
    if wrong is None or wrong.shape != got.shape:
        return np.ones(1), np.zeros(1)
    if got.shape != right.shape:  # that the shape is wrong in the same way is half of the likeness
        return np.append(got.ravel(), 1.0), np.append(wrong.ravel(), 1.0)
    counts = row_weight(tap, right, comparison.rows)
    return _marked(got, right, counts), _marked(wrong, right, counts)


def _marked(values: Array, right: Array, counts: Array) -> Array:
    """The differences, and beside them marks where NaN or an infinity has come or gone."""
    with np.errstate(all="ignore"):
        difference = (values.astype(np.float64) - right) * counts
    special = np.nan_to_num(np.where(np.isfinite(values), 0.0, values), nan=1.0, posinf=2.0, neginf=-2.0)
    right_special = np.nan_to_num(np.where(np.isfinite(right), 0.0, right), nan=1.0, posinf=2.0, neginf=-2.0)
    finite = np.where(np.isfinite(difference), difference, 0.0)
    return np.concatenate([finite.ravel(), (special - right_special).ravel()])


def _correlation(got: Array, wrong: Array) -> float:
    size = float(np.linalg.norm(got) * np.linalg.norm(wrong))
    return float(got @ wrong) / size if size > 0.0 else 0.0


def _left(got: Array, wrong: Array) -> float:
    size = float(np.linalg.norm(got))
    return float(np.linalg.norm(got - wrong)) / size if size > 0.0 else 0.0
