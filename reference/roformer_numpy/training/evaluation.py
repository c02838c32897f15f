"""How good a model is on rows that it was not trained on, and how good somebody is who always says the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..equations.losses import IGNORED
from ..models import RoFormerBase
from ..weights import Array
from .batches import Batch, Example, collate, predictions_in
from .masking import Masking
from .randomness import Purpose, generator_for


@dataclass(frozen=True)
class Score:
    """Means over everything that was asked."""

    loss: float
    accuracy: float
    predictions: int


def held_out_batches(
    examples: Sequence[Example], batch_size: int, pad_token_id: int, masking: Masking | None, seed: int
) -> list[Batch]:
    """The rows in their order, batch by batch; a masked language model is asked the same at every evaluation."""
    return [
        collate(
            examples[at : at + batch_size],
            pad_token_id,
            masking,
            generator_for(seed, Purpose.HELD_OUT_MASKS, at // batch_size),
        )
        for at in range(0, len(examples), batch_size)
    ]


def evaluate(model: RoFormerBase, batches: Iterable[Batch]) -> Score:
    """Loss and accuracy of a model with labels of −100 or a class; NaN where nothing was asked."""
    loss, right, count = 0.0, 0, 0
    for batch in batches:
        asked = predictions_in(batch)
        if not asked:
            continue
        output = model(batch, return_dict=True)
        loss += float(output.loss.sum()) * (asked / output.loss.size)  # whatever loss_reduction says
        logits, labels = _facing(model.head, output.logits, batch["labels"])
        active = labels != IGNORED
        right += int(np.sum(logits[active].argmax(axis=-1) == labels[active]))
        count += asked
    return Score(loss / count, right / count, count) if count else Score(float("nan"), float("nan"), 0)


def _facing(head: str, logits: Array, labels: Array) -> tuple[Array, Array]:
    """Logits and the labels that they answer: a causal language model answers one position earlier (LOSS-3)."""
    return (logits[:, :-1], labels[:, 1:]) if head == "causal_lm" else (logits, labels)


def majority(examples: Sequence[Example], batches: Iterable[Batch], masking: Masking | None) -> float:
    """The accuracy on `batches` of always giving the answer that is most frequent in `examples`."""
    counts = Counter(_answers(examples, masking))
    for special in masking.special_ids if masking else (IGNORED,):
        counts.pop(special, None)
    asked: list[Array] = [batch["labels"][batch["labels"] != IGNORED] for batch in batches]
    if not counts or not any(map(len, asked)):
        return float("nan")
    return float(np.mean(np.concatenate(asked) == counts.most_common(1)[0][0]))


def _answers(examples: Sequence[Example], masking: Masking | None) -> Iterable[int]:
    first = 0 if masking else 1  # a causal language model is never asked for the first token
    for example in examples:
        labels = example.input_ids[first:] if example.labels is None else example.labels
        yield from labels if isinstance(labels, tuple) else (labels,)
