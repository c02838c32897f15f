"""From text to text: what a masked language model would write in the place of each [MASK].

from roformer_numpy import RoFormerForMaskedLM, RoFormerTokenizer
from roformer_numpy.pipelines import fill_mask
results = fill_mask(model, tokenizer, ["床前[MASK]月光"], top_k=5)
results[0].masks[0].predictions[0].token
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError, InputTypeError, integer, shown
from .models import RoFormerForMaskedLM
from .weights import Array

if TYPE_CHECKING:
    from .tokenization import RoFormerTokenizer


@dataclass(frozen=True)
class Prediction:
    """One token for one mask: its probability, and the text with this token in the mask's place."""

    token: str
    token_id: int
    probability: float
    filled: str


@dataclass(frozen=True)
class FilledMask:
    """The predictions for one mask, the likeliest first; `position` counts the text's tokens, [CLS] included."""

    position: int
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True)
class FilledText:
    """One text: its masks from left to right, and the pieces of it that the vocabulary does not know."""

    text: str
    masks: tuple[FilledMask, ...]
    unknown: tuple[str, ...]


def fill_mask(
    model: RoFormerForMaskedLM,
    tokenizer: RoFormerTokenizer,
    texts: str | Sequence[str],
    top_k: int = 5,
    *,
    targets: Sequence[str] | None = None,
    batch_size: int = 32,
    on_batch: Callable[[int], None] | None = None,
) -> list[FilledText]:
    """The likeliest tokens for every [MASK] of every text.

    Each mask is answered on its own, the others of its text left masked: the best tokens of two masks need not be the
    best pair. Probabilities are a softmax over the whole vocabulary, also with `targets`. Special tokens are never
    predicted. Texts are padded to the longest of their batch, which changes nothing (MASK-3).

    Args:
        model: with a masked language model's head.
        tokenizer: of the same vocabulary.
        texts: one text or many, each with a mask token or more.
        top_k: how many predictions a mask gets; fewer where there are fewer targets.
        targets: the only tokens to choose from.
        batch_size: texts computed at once.
        on_batch: called with the number of texts after each batch.

    Returns:
        one result a text, in order.

    Raises:
        InputError: a text without a mask or longer than the model, an unknown target, a number out of range.
        InputTypeError: a text that is no string, a model that has another head.
    """
    if not isinstance(model, RoFormerForMaskedLM):
        raise InputTypeError(f"model is a {type(model).__name__}, expected a RoFormerForMaskedLM")
    texts = _texts(texts)
    top_k, batch_size = _positive("top_k", top_k), _positive("batch_size", batch_size)
    rows = [_row(tokenizer, text, number, model) for number, text in enumerate(texts)]
    allowed = _allowed(tokenizer, targets, model.config.vocab_size)
    results = []
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        for row, logits in zip(batch, _logits(model, tokenizer, batch), strict=True):
            results.append(_filled(tokenizer, row, logits, allowed, top_k))
        if on_batch is not None:
            on_batch(len(batch))
    return results


@dataclass(frozen=True)
class _Row:
    """A text as tokens: ids, the span of each in the text, and which are masks."""

    text: str
    ids: list[int]
    spans: list[tuple[int, int]]
    masked: list[int]


def _texts(texts: Any) -> list[str]:
    listed = [texts] if isinstance(texts, str) else texts
    if not isinstance(listed, Iterable) or isinstance(listed, bytes):
        raise InputTypeError(f"texts is {shown(texts)}, expected a string or a list of strings")
    listed = list(listed)
    for number, text in enumerate(listed):
        if not isinstance(text, str):
            raise InputTypeError(f"texts[{number}] is {shown(text)}, expected a string")
    return listed


def _positive(name: str, value: Any) -> int:
    if (number := integer(name, value)) < 1:
        raise InputError(f"{name}={number} is not at least 1")
    return number


def _row(tokenizer: RoFormerTokenizer, text: str, number: int, model: RoFormerForMaskedLM) -> _Row:
    encoding = tokenizer(text, return_offsets_mapping=True)
    ids = [int(index) for index in encoding["input_ids"]]
    masked = [position for position, index in enumerate(ids) if index == tokenizer.mask_token_id]
    if not masked:
        raise InputError(f"texts[{number}] has no {tokenizer.mask_token}, nothing to fill in: {shown(text)}")
    if len(ids) > model.config.max_position_embeddings:
        raise InputError(
            f"texts[{number}] has {len(ids)} tokens, the model takes up to "
            f"{model.config.max_position_embeddings}: {shown(text)}"
        )
    return _Row(text, ids, [(int(start), int(end)) for start, end in encoding["offset_mapping"]], masked)


def _allowed(tokenizer: RoFormerTokenizer, targets: Sequence[str] | None, size: int) -> Array:
    """The ids to choose from."""
    special = set(tokenizer.all_special_ids)
    if targets is None:
        return np.array([index for index in range(min(len(tokenizer), size)) if index not in special])
    if isinstance(targets, str):
        raise InputTypeError(f"targets is the string {shown(targets)}, expected a list of tokens")
    ids = [tokenizer.convert_tokens_to_ids(target) for target in targets]
    unknown = [target for target, index in zip(targets, ids, strict=True) if index in special or index >= size]
    if unknown or not ids:
        raise InputError(f"targets: {', '.join(map(repr, unknown)) or 'none given'}: expected tokens of the vocabulary")
    return np.array(list(dict.fromkeys(ids)))


def _logits(model: RoFormerForMaskedLM, tokenizer: RoFormerTokenizer, batch: list[_Row]) -> Iterator[Array]:
    """The logits of each row's masks: (masks, vocab_size)."""
    width = max(len(row.ids) for row in batch)
    ids = np.full((len(batch), width), tokenizer.pad_token_id)
    mask = np.zeros((len(batch), width), np.int64)
    for number, row in enumerate(batch):
        ids[number, : len(row.ids)], mask[number, : len(row.ids)] = row.ids, 1
    logits = model(ids, attention_mask=mask, return_dict=True).logits
    return (logits[number, row.masked] for number, row in enumerate(batch))


def _filled(tokenizer: RoFormerTokenizer, row: _Row, logits: Array, allowed: Array, top_k: int) -> FilledText:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    probabilities = np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)
    masks = []
    for position, chances in zip(row.masked, probabilities, strict=True):
        best = allowed[np.argsort(-chances[allowed], kind="stable")[:top_k]]
        predictions = tuple(_prediction(tokenizer, row, position, int(index), float(chances[index])) for index in best)
        masks.append(FilledMask(position, predictions))
    unknown = [
        row.text[slice(*span)]
        for index, span in zip(row.ids, row.spans, strict=True)
        if index == tokenizer.unk_token_id
    ]
    return FilledText(row.text, tuple(masks), tuple(unknown))


def _prediction(tokenizer: RoFormerTokenizer, row: _Row, position: int, index: int, probability: float) -> Prediction:
    token = tokenizer.convert_ids_to_tokens(index)
    start, end = row.spans[position]
    filled = row.text[:start] + token.removeprefix("##") + row.text[end:]
    return Prediction(token, index, probability, filled)
