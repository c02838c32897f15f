"""The errors that this package raises on purpose; every message names what, where, what was got and what is allowed."""

from operator import index
from reprlib import Repr
from typing import Any

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def shown(value: object) -> str:
    """The repr of a refused value, cut to what fits into a message."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python refuses to write an integer of thousands of digits
        return f"<{type(value).__name__} of too many digits>"


class RoFormerError(Exception):
    """Everything that this package refuses; catch this to catch all of it."""


class ConfigError(RoFormerError, ValueError):
    """A configuration field has a value, or a name, that is not allowed."""


class InputError(RoFormerError, ValueError):
    """An argument of a call has a value or a shape that is not allowed."""


class InputTypeError(RoFormerError, TypeError):
    """An argument of a call has a type that is not allowed, or a name that does not exist."""


class WeightsError(RoFormerError, ValueError):
    """Weights do not fit the configuration."""


class CheckpointError(RoFormerError, ValueError):
    """A model folder, or a file in it, cannot be read as a RoFormer."""


class TrainingError(RoFormerError, ArithmeticError):
    """A training run cannot go on: its numbers have left the range of numbers."""


def integer(name: str, value: Any) -> int:
    """The integer that the argument called `name` must be; a bool is none.

    Raises:
        InputTypeError: it is something else.
    """
    try:
        if not isinstance(value, bool):
            return index(value)  # NumPy's bool has none
    except TypeError:
        pass
    raise InputTypeError(f"{name} is {shown(value)}, expected an integer")
