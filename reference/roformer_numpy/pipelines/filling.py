"""What a masked language model would write in the place of each [MASK]."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError, InputTypeError, shown
from ..models import RoFormerForMaskedLM
from ..weights import Array
from .texts import Tokens, check_length, padded, positive, texts_of, tokens_of

if TYPE_CHECKING:
    from ..tokenization import RoFormerTokenizer


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
    listed = texts_of(texts)
    top_k, batch_size = positive("top_k", top_k), positive("batch_size", batch_size)
    rows = [_row(tokenizer, text, number, model) for number, text in enumerate(listed)]
    allowed = _allowed(tokenizer, targets, model.config.vocab_size)
    results = []
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        for row, logits in zip(batch, _logits(model, tokenizer, batch), strict=True):
            results.append(_filled(tokenizer, row, logits, allowed, top_k))
        if on_batch is not None:
            on_batch(len(batch))
    return results


def _row(tokenizer: RoFormerTokenizer, text: str, number: int, model: RoFormerForMaskedLM) -> Tokens:
    tokens = tokens_of(tokenizer, text)
    if tokenizer.mask_token_id not in tokens.ids:
        raise InputError(f"texts[{number}] has no {tokenizer.mask_token}, nothing to fill in: {shown(text)}")
    check_length(number, tokens, model.config)
    return tokens


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


def _logits(model: RoFormerForMaskedLM, tokenizer: RoFormerTokenizer, batch: list[Tokens]) -> Iterator[Array]:
    """The logits of each row's masks: (masks, vocab_size)."""
    ids, mask = padded([row.ids for row in batch], tokenizer.pad_token_id)
    logits = model(ids, attention_mask=mask, return_dict=True).logits
    return (logits[number, _masked(tokenizer, row)] for number, row in enumerate(batch))


def _masked(tokenizer: RoFormerTokenizer, row: Tokens) -> list[int]:
    """The positions of the masks."""
    return [position for position, index in enumerate(row.ids) if index == tokenizer.mask_token_id]


def _filled(tokenizer: RoFormerTokenizer, row: Tokens, logits: Array, allowed: Array, top_k: int) -> FilledText:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    probabilities = np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)
    masks = []
    for position, chances in zip(_masked(tokenizer, row), probabilities, strict=True):
        best = allowed[np.argsort(-chances[allowed], kind="stable")[:top_k]]
        predictions = tuple(_prediction(tokenizer, row, position, int(index), float(chances[index])) for index in best)
        masks.append(FilledMask(position, predictions))
    return FilledText(row.text, tuple(masks), row.unknown(tokenizer))


def _prediction(tokenizer: RoFormerTokenizer, row: Tokens, position: int, index: int, probability: float) -> Prediction:
    token = tokenizer.convert_ids_to_tokens(index)
    start, end = row.spans[position]
    filled = row.text[:start] + token.removeprefix("##") + row.text[end:]
    return Prediction(token, index, probability, filled)
