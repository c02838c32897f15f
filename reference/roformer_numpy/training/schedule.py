"""The learning rate of a step: up in a line, then down in a line."""

from __future__ import annotations


def warm_up_steps(warm_up: float, steps: int) -> int:
    """How many of `steps` the warm-up takes: a share of them where it is below 1, else a number of steps."""
    return min(steps, round(warm_up * steps) if warm_up < 1 else round(warm_up))


def learning_rate(step: int, steps: int, peak: float, warm_up: float) -> float:
    """The rate of an update.

    With w steps of warm-up: peak · (step + 1) / w up to the w-th, then peak · (steps − step) / (steps − w). The first
    update moves already and so does the last.

    Args:
        step: which update, from 0 to steps − 1.
        steps: how many there are.
        peak: the highest rate.
        warm_up: see `warm_up_steps`.
    """
    rising = warm_up_steps(warm_up, steps)
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (steps - step) / (steps - rising)
