"""From rows of text to examples: which labels there are, which rows are held out, and the tokens of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config import RoFormerConfig
from ..equations.losses import IGNORED
from ..errors import InputError, RoFormerError, shown
from .batches import Example
from .randomness import Purpose, generator_for
from .rows import Row

if TYPE_CHECKING:
    from ..tokenization import RoFormerTokenizer


@dataclass(frozen=True)
class Encoded:
    """Examples in the rows' order, and how many of them are shorter than their texts."""

    examples: tuple[Example, ...]
    cut: int


def label_names(rows: Sequence[Row], config: RoFormerConfig) -> tuple[str, ...]:
    """The labels of a run by number: the model's own where it knows all of the rows', else the rows' in order.

    Raises:
        InputError: the rows have one label only, which leaves nothing to learn.
    """
    found = {label for row in rows for label in _labels_of(row)}
    if len(found) < 2:
        raise InputError(f"all rows have the label {', '.join(found)}, expected two labels or more")
    if found <= config.label2id.keys():
        return tuple(config.id2label[number] for number in range(config.num_labels))
    numbered = all(re.fullmatch(r"-?[0-9]{1,18}", label) for label in found)
    return tuple(sorted(found, key=int if numbered else None))


def held_out_of(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on and rows to judge by, drawn from the seed; equal texts stay on one side.

    Of the different texts that share is judged by, one at least; less where no other text would have a label of theirs.

    Raises:
        InputError: one of the sides would be empty.
    """
    texts = list(dict.fromkeys(row.text for row in rows))
    count = max(1, round(share * len(texts)))
    drawn = generator_for(seed, Purpose.SPLIT).permutation(len(texts))[:count]
    chosen = {texts[number] for number in drawn}
    trained = {label for row in rows if row.text not in chosen for label in _labels_of(row)}
    chosen -= {row.text for row in rows if not trained.issuperset(_labels_of(row))}
    sides = ([row for row in rows if row.text not in chosen], [row for row in rows if row.text in chosen])
    if not all(sides):
        raise InputError(
            f"a share of {share:g} held out of {len(texts)} different texts leaves one side empty, or a label "
            "without a text to train on; 0 holds out none"
        )
    return sides


def encode(
    rows: Sequence[Row], tokenizer: RoFormerTokenizer, max_length: int, labels: Mapping[str, int] | None
) -> Encoded:
    """The rows as tokens between [CLS] and [SEP], cut to `max_length`.

    A token of a row is tokenized by itself, as the library does with words that are split already; its label belongs to
    its first piece, the others are not asked for.

    Args:
        rows: of one kind.
        tokenizer: of the model's vocabulary.
        max_length: tokens of an example, special tokens included.
        labels: name to number; None where rows have none.

    Raises:
        InputError: a label that `labels` does not know, or a text that is none.
    """
    examples, cut = [], 0
    for row in rows:
        ids, pieces = _tokens(row, tokenizer)
        known = _numbered(row, pieces, labels or {})
        cut += len(ids) + 2 > max_length
        ids = [tokenizer.cls_token_id, *ids[: max_length - 2], tokenizer.sep_token_id]
        if isinstance(known, list):
            examples.append(Example(tuple(ids), (IGNORED, *known[: max_length - 2], IGNORED)))
        else:
            examples.append(Example(tuple(ids), known))
    return Encoded(tuple(examples), cut)


def _tokens(row: Row, tokenizer: RoFormerTokenizer) -> tuple[list[int], list[int]]:
    """The ids of a row, and for a row of tokens how many ids each has."""
    try:
        found = tokenizer(row.text if isinstance(row.text, str) else list(row.text), add_special_tokens=False)
    except RoFormerError as error:
        raise InputError(f"{row.place}: {error}") from error
    if isinstance(row.text, str):
        return list(found["input_ids"]), []
    parts = [part or [tokenizer.unk_token_id] for part in found["input_ids"]]
    return [index for part in parts for index in part], list(map(len, parts))


def _numbered(row: Row, pieces: list[int], numbers: Mapping[str, int]) -> int | list[int] | None:
    for label in _labels_of(row):
        if label not in numbers:
            raise InputError(f"{row.place}: the label {shown(label)} is none of those trained on: {', '.join(numbers)}")
    if row.labels is None or isinstance(row.labels, str):
        return None if row.labels is None else numbers[row.labels]
    pairs = zip(row.labels, pieces, strict=True)
    return [number for label, count in pairs for number in (numbers[label], *[IGNORED] * (count - 1))]


def _labels_of(row: Row) -> tuple[str, ...]:
    if row.labels is None:
        return ()
    return (row.labels,) if isinstance(row.labels, str) else row.labels
