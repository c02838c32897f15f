"""From whatever a caller passed to a checked NumPy array; every refusal names argument, position, value and rule.

Checks run in NumPy before any kernel: a kernel that is handed an id out of range reads foreign memory.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import InputError, InputTypeError, shown
from ..weights import Array

Axes = tuple[str, ...]

BOOLS = frozenset({bool, np.bool_})
HIGHEST = np.iinfo(np.int64).max
INT64, UINT64 = np.dtype(np.int64), np.dtype(np.uint64)
PLAIN = (np.ndarray, np.generic, list, tuple, int, float)  # a union of them would be made anew for every look


def as_array(name: str, value: Any) -> Array:
    """`value` as an array: NumPy, a tensor of another library, a number, or nested lists of numbers.

    Raises:
        InputTypeError: it is none of these.
        InputError: nested lists of unequal lengths.
    """
    # asking for numpy.ma would import it, and who has not imported it has no masked array
    if "numpy.ma" in sys.modules and isinstance(value, np.ma.MaskedArray):
        raise InputTypeError(
            f"{name} is a masked array, whose mask would be lost; pass a plain array and attention_mask"
        )
    if not isinstance(value, PLAIN) and not hasattr(value, "__array__"):
        raise InputTypeError(
            f"{name} is a {type(value).__name__}, expected an array, a tensor or nested lists of numbers"
        )
    try:
        array = np.asarray(value)
    except OverflowError as error:
        raise InputError(f"{name} holds a number that no array can hold: {error}") from error
    except (ValueError, TypeError, RuntimeError, AttributeError, LookupError) as error:
        _refuse_lists(name, value, error)
    if array.dtype.kind in "OSUMm" or (array.dtype.kind == "V" and array.dtype.name != "bfloat16"):
        raise InputTypeError(f"{name} holds {_describe_foreign(array)}, expected numbers")
    return array


def integers(name: str, value: Any, low: int, high: int | None, also: int | None = None) -> NDArray[np.int64]:
    """Integers from `low` to `high` (both allowed; None: no end), or equal to `also`, as int64 of any shape."""
    if low == 0 and high is not None and _all_up_to(high, value):
        return value.astype(np.int64)
    array = as_array(name, value)
    if array.size == 0 and array.dtype.kind == "f" and isinstance(value, list | tuple):
        return array.astype(np.int64)  # an empty list has no type of its own
    if array.dtype.kind not in "iu":
        raise InputTypeError(f"{name} has dtype {array.dtype}, expected integers{_example(array)}")
    if isinstance(value, list | tuple):
        _refuse_bools(name, value)  # NumPy makes integers of those that stand beside integers
    fits = array >= low
    if high is not None:
        fits &= array <= high
    if also is not None:
        fits |= array == also
    top = "" if high is None else f" to {high}"
    extra = "" if also is None else f", or {also}"
    refuse_values(name, array, fits, f"{low}{top or ' and above'}{extra}")
    if array.dtype == np.uint64:
        array = np.minimum(array, np.uint64(HIGHEST))  # without an upper end a larger one would wrap to a negative
    return array.astype(np.int64)


def floats(name: str, value: Any, dtype: DTypeLike) -> Array:
    """Floating-point numbers of any shape, as `dtype`, which must be able to hold those that are finite."""
    array = as_array(name, value)
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        raise InputTypeError(f"{name} has dtype {array.dtype}, expected floating-point numbers")
    return _cast(name, array, dtype)


def reals(name: str, value: Any, dtype: DTypeLike, low: float | None = None, high: float | None = None) -> Array:
    """Finite numbers of any real type, between `low` and `high` where these are given, as `dtype`."""
    array = as_array(name, value)
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise InputTypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    fits = np.isfinite(array)
    if low is not None:
        fits &= (array >= low) & (array <= (np.inf if high is None else high))
    refuse_values(name, array, fits, "finite numbers" if low is None else f"{low} to {high}")
    return _cast(name, array, dtype)


def mask(name: str, value: Any) -> NDArray[np.bool_]:
    """Zeros and ones of any real type as bool (IN-5, ERR-7)."""
    if _all_up_to(1, value):
        return value.astype(bool)
    array = as_array(name, value)
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise InputTypeError(f"{name} has dtype {array.dtype}, expected 0 and 1 as integers, floats or bool")
    refuse_values(name, array, (array == 0) | (array == 1), "0 (masked) and 1 (attend)")
    return array.astype(bool)


def expect_shape(name: str, array: Array, shape: tuple[int, ...], axes: Axes) -> None:
    """Refuse an array of another shape; `axes` names what each length stands for."""
    if array.shape != shape:
        raise InputError(f"{name} has shape {array.shape}, expected {shape} = ({', '.join(axes)})")


def expect_rank(name: str, array: Array, axes: Axes) -> None:
    """Refuse an array of another rank."""
    if array.ndim != len(axes):
        raise InputError(
            f"{name} has shape {array.shape} of rank {array.ndim}, expected rank {len(axes)}: ({', '.join(axes)})"
        )


def refuse_values(name: str, array: Array, fits: Array, allowed: str) -> None:
    """Refuse the first value that does not fit, by position."""
    if np.count_nonzero(fits) == fits.size:  # a third of the time of all()
        return
    position = tuple(int(axis) for axis in np.argwhere(~np.atleast_1d(fits))[0])
    value = np.atleast_1d(array)[position].item()
    where = name if array.ndim == 0 else f"{name}[{', '.join(map(str, position))}]"
    more = int(fits.size - np.count_nonzero(fits)) - 1
    raise InputError(f"{where} is {value!r}, allowed are {allowed}" + (f" ({more} more do not fit)" if more else ""))


def _all_up_to(high: int, value: Any) -> bool:
    """Whether `value` is what most callers pass, an array of int64, and all of it is from 0 to `high`.

    One pass instead of four, and half the time for a few numbers: those below 0 are the largest without a sign.
    """
    plain = type(value) is np.ndarray and value.dtype == INT64 and value.size > 0
    return plain and bool(np.maximum.reduce(value.view(UINT64), axis=None) <= high)


def _cast(name: str, array: Array, dtype: DTypeLike) -> Array:
    with np.errstate(over="ignore"):
        result = array.astype(dtype)
    if not np.can_cast(array.dtype, dtype):
        held = np.isfinite(result) | ~np.isfinite(array)
        refuse_values(name, array, held, f"numbers that {np.dtype(dtype).name} can hold")
    return result


def _refuse_bools(name: str, value: list[Any] | tuple[Any, ...], position: tuple[int, ...] = ()) -> None:
    kinds = [type(item) for item in value]
    for number in range(len(value)) if not BOOLS.isdisjoint(kinds) else ():
        if kinds[number] in BOOLS:
            where = ", ".join(map(str, (*position, number)))
            raise InputTypeError(f"{name}[{where}] is {value[number]!r}, a bool, expected integers")
    for number, item in enumerate(value):
        if isinstance(item, list | tuple):
            _refuse_bools(name, item, (*position, number))


def _refuse_lists(name: str, value: Any, error: Exception) -> NoReturn:
    if not isinstance(value, list | tuple):
        raise InputTypeError(f"{name} is a {type(value).__name__} that gives no array: {error}") from error
    lengths = [_length(row) for row in value]
    raise InputError(f"{name} is a list of rows of unequal lengths {shown(lengths)}; pad them to one length") from error


def _length(row: Any) -> int | str:
    try:
        return len(row)
    except TypeError:
        return "no list"


def _describe_foreign(array: Array) -> str:
    """What an array of no numeric type holds: the first thing that is no number, or a number too large for int64."""
    for item in array.flat:
        if not isinstance(item, int | float):
            return f"a {type(item).__name__}, {item!r:.40}"
        if isinstance(item, int) and abs(item) >= 2**63:
            return f"{shown(item)}, too large for 64 bits"
    return f"dtype {array.dtype}"


def _example(array: Array) -> str:
    return f", got {array.flat[0]!r:.40}" if array.size else ""
