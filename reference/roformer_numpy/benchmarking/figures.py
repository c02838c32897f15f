"""The arithmetic of timings: medians, quartiles and ratios."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True)
class Spread:
    """A median with the quartiles on both its sides."""

    low: float
    middle: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles, the ends counted in; of one value three times itself.

    Raises:
        InputError: there is no value.
    """
    if not values:
        raise InputError("values is empty; a median needs at least one")
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    return Spread(*statistics.quantiles(values, n=4, method="inclusive"))


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> Spread:
    """How many times longer theirs took: median over median, and the quartiles of the ratios round by round.

    What disturbs a machine for a while disturbs both sides of a round, so its ratio is steadier than either time.
    Where one side was asked in fewer rounds, the first rounds are those that both have.
    """
    rounds = spread([a / b for a, b in zip(theirs, ours, strict=False)])
    middle = statistics.median(theirs) / statistics.median(ours)
    return Spread(min(rounds.low, middle), middle, max(rounds.high, middle))


def calls_in_a_turn(seconds: float, wanted: float = 0.05, most: int = 100) -> int:
    """How many calls of `seconds` each fill `wanted` seconds: one call of a tenth of a millisecond is mostly noise."""
    return max(1, min(most, int(wanted / max(seconds, 1e-9))))
