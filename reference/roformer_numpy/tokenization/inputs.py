"""What a caller hands in: texts and ids, checked and brought into one form."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, InputTypeError
from .encoding import Padding
from .windows import Truncation

Text = str | Sequence[str]
Pairs = list[tuple[str, str | None]]


def batch_of_texts(text: Text, text_pair: Text | None) -> Pairs:
    """One text or many, with or without a second one each, as a list of pairs.

    Raises:
        InputTypeError: something else than a string or a list of strings.
        InputError: an empty list, or two lists of different length.
    """
    if isinstance(text, str) and (text_pair is None or isinstance(text_pair, str)):
        return [(text, text_pair)]
    if isinstance(text, str) or isinstance(text_pair, str):
        raise InputTypeError("text and text_pair must both be one string or both be lists, got one of each")
    texts = _texts("text", text)
    if text_pair is None:
        return [(first, None) for first in texts]
    seconds = _texts("text_pair", text_pair)
    if len(texts) != len(seconds):
        raise InputError(f"text and text_pair must be equally many, got {len(texts)} and {len(seconds)}")
    return list(zip(texts, seconds, strict=True))


def _texts(name: str, texts: Any) -> list[str]:
    if not isinstance(texts, (list, tuple)):
        raise InputTypeError(f"{name} must be a string or a list of strings, got {type(texts).__name__}: {texts!r:.80}")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            hint = "; pass the second texts as text_pair=[…]" if isinstance(text, (list, tuple)) else ""
            raise InputTypeError(f"{name}[{position}] must be a string, got {type(text).__name__}: {text!r:.80}{hint}")
    if not texts:
        raise InputError(f"{name} is an empty list: expected at least one string")
    return list(texts)


def check_characters(text: str, error: Exception) -> None:
    """Refuse half a surrogate pair, which Python keeps in a string and which no other program reads.

    Raises:
        InputError: names the position; its cause is `error`.
    """
    for position, character in enumerate(text):
        if "\ud800" <= character <= "\udfff":
            raise InputError(
                f"text has a lone surrogate {character!r} at position {position}, which is no character: decode the"
                " bytes again, or use text.encode(errors='replace').decode()"
            ) from error


def check_max_length_is_used(max_length: int | None, padding: Padding, truncation: Truncation) -> None:
    """Refuse a max_length that would have no effect.

    Raises:
        InputError: nothing is truncated to it or padded up to it.
    """
    if max_length is not None and truncation is False and padding != "max_length":
        raise InputError(
            f"max_length={max_length} has no effect with truncation=False and padding={padding!r}: add truncation=True"
            " or padding='max_length'"
        )


def id_list(ids: Any, size: int) -> list[int]:
    """One id, a list or an array of rank 1 as a list of ints.

    Args:
        ids: what the user passed; a tensor of any framework that NumPy can read.
        size: the number of tokens.

    Raises:
        InputTypeError: not integers.
        InputError: rank 2 or more, or an id outside [0, size).
    """
    array = np.atleast_1d(np.asarray(ids)) if not _is_empty(ids) else np.zeros(0, np.int64)
    if array.dtype.kind not in "iu":
        raise InputTypeError(f"ids must be integers, got {array.dtype}: {ids!r:.80}")
    if array.ndim != 1:
        raise InputError(f"ids must be one sequence, got shape {array.shape}: use batch_decode for many")
    wrong = np.flatnonzero((array < 0) | (array >= size))
    if wrong.size:
        raise InputError(f"ids[{wrong[0]}] is {array[wrong[0]]}, outside the vocabulary: expected 0 to {size - 1}")
    return [int(index) for index in array]


def _is_empty(ids: Any) -> bool:
    return hasattr(ids, "__len__") and len(ids) == 0


def rows_of(encoded_inputs: Any) -> tuple[dict[str, list[Any]], bool]:
    """Encodings to be padded, as name → rows.

    Args:
        encoded_inputs: one encoding, a batch of them (name → rows), or a list of single ones.

    Returns:
        the rows, and whether it was one encoding alone.

    Raises:
        InputTypeError: something else.
        InputError: no input_ids, an empty list, or encodings with different names.
    """
    if isinstance(encoded_inputs, Mapping):
        return _rows_of_mapping(encoded_inputs)
    if not isinstance(encoded_inputs, (list, tuple)) or not all(isinstance(item, Mapping) for item in encoded_inputs):
        raise InputTypeError(f"pad: expected an encoding or a list of them, got {type(encoded_inputs).__name__}")
    names = {tuple(sorted(item)) for item in encoded_inputs}
    if len(names) != 1:
        raise InputError(f"pad: expected encodings with the same features, got {sorted(names) or 'an empty list'}")
    batch = {name: [_as_list(item[name]) for item in encoded_inputs] for name in encoded_inputs[0]}
    return _rows_of_mapping(batch)


def _rows_of_mapping(features: Mapping[str, Any]) -> tuple[dict[str, list[Any]], bool]:
    if "input_ids" not in features:
        raise InputError(f"pad: expected input_ids among the features, got {', '.join(features) or 'none'}")
    rows = {name: _as_list(value) for name, value in features.items()}
    single = not rows["input_ids"] or not isinstance(rows["input_ids"][0], list)
    return ({name: [value] for name, value in rows.items()} if single else rows), single


def _as_list(value: Any) -> Any:
    """Arrays and tensors, also inside a list, as lists."""
    if isinstance(value, (list, tuple)):
        return [_as_list(item) if hasattr(item, "__array__") else item for item in value]
    return np.asarray(value).tolist() if hasattr(value, "__array__") else value
