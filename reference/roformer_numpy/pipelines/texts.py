"""What every pipeline does with the texts that it is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import RoFormerConfig
from ..errors import InputError, InputTypeError, integer, shown
from ..weights import Array

if TYPE_CHECKING:
    from ..tokenization import RoFormerTokenizer


@dataclass(frozen=True)
class Tokens:
    """A text as tokens: the ids, and the span of each in the text, (0, 0) for special tokens."""

    text: str
    ids: list[int]
    spans: list[tuple[int, int]]

    def unknown(self, tokenizer: RoFormerTokenizer) -> tuple[str, ...]:
        """The pieces of the text that the vocabulary does not know."""
        return tuple(
            self.text[slice(*span)]
            for index, span in zip(self.ids, self.spans, strict=True)
            if index == tokenizer.unk_token_id
        )


def texts_of(texts: Any) -> list[str]:
    """One text or many as a list.

    Raises:
        InputTypeError: something that is no string.
    """
    listed = [texts] if isinstance(texts, str) else texts
    if not isinstance(listed, Iterable) or isinstance(listed, bytes):
        raise InputTypeError(f"texts is {shown(texts)}, expected a string or a list of strings")
    listed = list(listed)
    for number, text in enumerate(listed):
        if not isinstance(text, str):
            raise InputTypeError(f"texts[{number}] is {shown(text)}, expected a string")
    return listed


def positive(name: str, value: Any) -> int:
    """A number of 1 or above.

    Raises:
        InputError, InputTypeError: it is another.
    """
    if (number := integer(name, value)) < 1:
        raise InputError(f"{name}={number} is not at least 1")
    return number


def tokens_of(tokenizer: RoFormerTokenizer, text: str) -> Tokens:
    """`[CLS] text [SEP]`."""
    encoding = tokenizer(text, return_offsets_mapping=True)
    ids = [int(index) for index in encoding["input_ids"]]
    return Tokens(text, ids, [(int(start), int(end)) for start, end in encoding["offset_mapping"]])


def check_length(number: int, tokens: Tokens, config: RoFormerConfig) -> None:
    """Refuse a text that is longer than the model.

    Raises:
        InputError: naming the text.
    """
    if len(tokens.ids) > config.max_position_embeddings:
        raise InputError(
            f"texts[{number}] has {len(tokens.ids)} tokens, the model takes up to "
            f"{config.max_position_embeddings}: {shown(tokens.text)}"
        )


def padded(rows: Sequence[list[int]], pad: int, *, left: bool = False) -> tuple[Array, Array]:
    """Rows of ids as one array, and the attention mask that hides the padding: both (rows, longest row)."""
    width = max(len(row) for row in rows)
    ids, mask = np.full((len(rows), width), pad), np.zeros((len(rows), width), np.int64)
    for number, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[number, place], mask[number, place] = row, 1
    return ids, mask
