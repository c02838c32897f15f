"""The result of a tokenizer: a mapping with attribute access, padding, tensors (TOK-3)."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from ..errors import InputError
from .extras import import_extra
from .settings import Side, check_choice, check_length

Padding = bool | Literal["longest", "max_length"]
TensorKind = Literal["np", "tf"]
Features = dict[str, Any]


class BatchEncoding(MutableMapping[str, Any]):
    """What a model takes: `model(**encoding)`, `model(encoding)`, `encoding["input_ids"]`, `encoding.input_ids`.

    Args:
        features: name → value, in the order in which they are iterated.
    """

    def __init__(self, features: Mapping[str, Any]) -> None:
        self._features: Features = dict(features)

    def __getitem__(self, name: str) -> Any:
        if name not in self._features:
            raise KeyError(f"{name!r} is not in this encoding, it has {', '.join(self._features)}")
        return self._features[name]

    def __getattr__(self, name: str) -> Any:
        # Pickle and copy ask for names before there are features.
        features = self.__dict__.get("_features", {})
        if name not in features:
            raise AttributeError(f"{name!r} is neither an attribute nor a feature of this encoding: {list(features)}")
        return features[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._features[name] = value

    def __delitem__(self, name: str) -> None:
        del self._features[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)

    def __repr__(self) -> str:
        return f"BatchEncoding({self._features!r})"


def padded_length(
    lengths: Sequence[int], padding: Padding, max_length: int | None, multiple_of: int | None
) -> int | None:
    """The common length of a batch, None when nothing is padded.

    Args:
        lengths: the length of every row.
        padding: as the user gave it.
        max_length: the length of padding="max_length".
        multiple_of: rounds the result up.

    Raises:
        InputError: an unknown padding, or "max_length" without one.
    """
    check_choice("padding", padding, (False, True, *get_args(Literal["longest", "max_length"])))
    check_length("pad_to_multiple_of", multiple_of)
    if padding is False:
        return None
    if padding == "max_length" and max_length is None:
        raise InputError("padding='max_length' needs a length: pass max_length=… (no model_max_length is known)")
    longest = max(lengths, default=0)
    length = max_length if padding == "max_length" and max_length is not None else longest
    return -(-length // (multiple_of or 1)) * (multiple_of or 1)


def pad_rows(features: Features, length: int, fill: Mapping[str, Any], side: Side) -> Features:
    """Fill every row of the features named in `fill` up to `length`; other features stay as they are.

    Args:
        features: name → rows.
        length: the length to reach; a longer row is left alone.
        fill: name → the value of a padded position.
        side: where the padding goes.

    Returns:
        a new mapping; the given one is not changed.
    """
    return {
        name: [_pad_row(row, length, fill[name], side) for row in rows] if name in fill else rows
        for name, rows in features.items()
    }


def _pad_row(row: list[Any], length: int, value: Any, side: Side) -> list[Any]:
    padding = [value] * (length - len(row))
    return row + padding if side == "right" else padding + row


def to_tensors(features: Features, kind: TensorKind | None) -> Features:
    """Lists as arrays: like transformers, "np" gives int64 of NumPy and "tf" int32 of TensorFlow; None changes nothing.

    Raises:
        InputError: another kind, or rows of different length.
        ImportError: "tf" without TensorFlow.
    """
    check_choice("return_tensors", kind, (None, *get_args(TensorKind)))
    if kind is None:
        return features
    arrays = {name: _array(name, value) for name, value in features.items()}
    if kind == "np":
        return arrays
    tensorflow = import_extra("tensorflow")
    return {
        name: tensorflow.constant(array, "int32" if array.dtype == np.int64 else None) for name, array in arrays.items()
    }


def _array(name: str, value: Any) -> "np.ndarray[Any, Any]":
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(
            f"return_tensors: the rows of {name} have different lengths, {_lengths(value)}: pass padding=True (and"
            " truncation=True to limit them)"
        ) from error
    # An empty list would be float64.
    return array.astype(np.int64) if array.dtype.kind in "biu" or not array.size else array


def _lengths(rows: Any) -> str:
    lengths = [len(row) for row in rows if hasattr(row, "__len__")]
    return f"from {min(lengths)} to {max(lengths)}" if lengths else "not all of them lists"
