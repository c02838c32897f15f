"""One vector for each text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError, InputTypeError, shown
from ..models import RoFormerModel
from ..weights import Array
from .texts import check_length, padded, positive, texts_of, tokens_of

if TYPE_CHECKING:
    from ..tokenization import RoFormerTokenizer

POOLINGS = ("mean", "first", "pooler")


def embed(
    model: RoFormerModel,
    tokenizer: RoFormerTokenizer,
    texts: str | Sequence[str],
    pooling: str = "mean",
    *,
    batch_size: int = 32,
    on_batch: Callable[[int], None] | None = None,
    on_unknown: Callable[[str, tuple[str, ...]], None] | None = None,
) -> Array:
    """A vector for every text, from the encoder's last hidden states.

        mean    Σ h_t / n over the text's n tokens, [CLS] and [SEP] among them, padding not
        first   h_0, the state of [CLS]
        pooler  tanh(W h_0 + b), where the weights hold a pooler

    Texts are padded to the longest of their batch, which changes nothing (MASK-3).

    Args:
        model: the encoder.
        tokenizer: of the same vocabulary.
        texts: one text or many.
        pooling: "mean", "first" or "pooler".
        batch_size: texts computed at once.
        on_batch: called with the number of texts after each batch.
        on_unknown: called before all of them with every text that is read as [UNK] in places, and these pieces.

    Returns:
        (texts, hidden_size), of the model's type.

    Raises:
        InputError: another pooling, a pooler that is not there, a text longer than the model.
        InputTypeError: a text that is no string, a model that has a head.

    Source: OUT-4, MASK-3.
    """
    _check(model, pooling)
    rows = [tokens_of(tokenizer, text) for text in texts_of(texts)]
    for number, row in enumerate(rows):
        check_length(number, row, model.config)
        if on_unknown is not None and (unknown := row.unknown(tokenizer)):
            on_unknown(row.text, unknown)
    vectors = np.empty((len(rows), model.config.hidden_size), model.dtype)
    for start in range(0, len(rows), positive("batch_size", batch_size)):
        batch = [row.ids for row in rows[start : start + batch_size]]
        vectors[start : start + len(batch)] = _pooled(model, *padded(batch, tokenizer.pad_token_id), pooling)
        if on_batch is not None:
            on_batch(len(batch))
    return vectors


def _check(model: RoFormerModel, pooling: str) -> None:
    if not isinstance(model, RoFormerModel):
        raise InputTypeError(f"model is a {type(model).__name__}, expected a RoFormerModel")
    if pooling not in POOLINGS:
        raise InputError(f"pooling={shown(pooling)} is not one of {', '.join(POOLINGS)}")
    if pooling == "pooler" and model.weights.pooler is None:
        raise InputError("pooling='pooler': these weights hold no pooler, allowed are mean and first")


def _pooled(model: RoFormerModel, ids: Array, mask: Array, pooling: str) -> Array:
    output = model(ids, attention_mask=mask, return_dict=True)
    if pooling == "pooler":
        return output.pooler_output
    if pooling == "first":
        return output.last_hidden_state[:, 0]
    seen = mask[:, :, None].astype(model.dtype)
    return (output.last_hidden_state * seen).sum(axis=1) / seen.sum(axis=1)
