"""What a training run is told, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from ..errors import InputError, InputTypeError, integer, shown

# name: (least, greatest)
_RANGES: dict[str, tuple[float, float]] = {
    "learning_rate": (0.0, 1e3),
    "weight_decay": (0.0, 1e3),
    "beta1": (0.0, 1.0),
    "beta2": (0.0, 1.0),
    "epsilon": (0.0, 1.0),
    "clip": (0.0, math.inf),
}
_COUNTS = {"batch_size": 1, "accumulate": 1, "seed": 0}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How long, how fast and from which seed a model is trained.

    Raises:
        InputError, InputTypeError: naming the setting, its value and what is allowed.
    """

    epochs: int | None = None  # passes over the rows; either this
    steps: int | None = None  # or how often the weights are updated
    batch_size: int = 16  # rows of one update
    accumulate: int = 1  # the parts that a batch is computed in, for want of memory
    learning_rate: float = 1e-4  # the highest
    warm_up: float = 0.1  # steps from 0 to the highest rate; below 1 a share of all steps
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip: float | None = 1.0  # the norm of all gradients together is cut to this; None leaves it
    seed: int = 0  # of order, masks and dropout

    def __post_init__(self) -> None:
        """Check every setting, and that the run has one length."""
        for name, least in _COUNTS.items():
            _expect(name, integer(name, getattr(self, name)), least, math.inf)
        for name, (low, high) in _RANGES.items():
            if getattr(self, name) is not None or name != "clip":
                _expect(name, getattr(self, name), low, high)
        _expect("warm_up", self.warm_up, 0.0, math.inf)
        if (self.epochs is None) == (self.steps is None):
            raise InputError(f"epochs={self.epochs}, steps={self.steps}: give one of the two, the length of the run")
        name = "steps" if self.epochs is None else "epochs"
        _expect(name, integer(name, getattr(self, name)), 1, math.inf)
        if self.clip == 0.0:
            raise InputError("clip=0 would cut every gradient to nothing; None cuts none")

    def steps_of(self, rows: int) -> int:
        """How many updates a run over `rows` rows makes."""
        if self.steps is not None:
            return self.steps
        return (self.epochs or 0) * self.steps_of_epoch(rows)

    def steps_of_epoch(self, rows: int) -> int:
        """How many updates one pass over `rows` rows makes; the last batch may be smaller."""
        return -(-rows // self.batch_size)

    def to_dict(self) -> dict[str, Any]:
        """Every setting by its name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


def _expect(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputTypeError(f"{name} is {shown(value)}, expected a number")
    if not low <= value <= high or not math.isfinite(value) or (name.startswith("beta") and value == high):
        allowed = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise InputError(f"{name}={shown(value)} is not allowed: expected a number {allowed}{_open_end(name)}")


def _open_end(name: str) -> str:
    return ", 1 itself not included" if name.startswith("beta") else ""
