"""Heads over long sequences: what stands on top of the encoder may go wrong at a length of its own.

The encoder is tried at such lengths elsewhere, where no head stands on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..registry import LOSS_HEADS, check
from ..strategies import Case
from ..trial import Trial
from .losses import TOKENS

# Past the blocks of 64 and 128 that programs use, with as little below the head as there can be.
LONG: Mapping[str, Any] = {
    "effort": 0.1, "max_batch": 1, "min_seq_len": 131, "max_seq_len": 139, "max_position_embeddings": 160,
    "hidden_size": 6, "num_attention_heads": 1, "num_hidden_layers": 1, "masks": ("none", "right"),
}  # fmt: skip


@check("NUM-1.1", "heads-on-long-sequences", heads=LOSS_HEADS, **LONG,
       also=("HEAD-1.1", "HEAD-2", "HEAD-3", "HEAD-4", "HEAD-5.1"))  # fmt: skip
def heads_agree_on_long_sequences(trial: Trial, case: Case) -> None:
    """Over more than 128 tokens, and for 67 classes, the logits of every head are the oracle's."""
    # question answering has two outputs whatever num_labels says: a claim of its own (HEAD-4)
    labelled = case.with_config(num_labels=67 if "classification" in case.head else 2)
    _agrees(trial, labelled, case.inputs())


@check("LOSS-1.1", "long-sequences", heads=TOKENS, also=("LOSS-1.2", "LOSS-3.1", "LOSS-4"), num_labels=67, **LONG)
def losses_of_long_sequences(trial: Trial, case: Case) -> None:
    """The losses of more than 128 tokens are the oracle's, one for each label."""
    _agrees(trial, case, {**case.inputs(), **case.labels()})


@check("LOSS-6.2", "far-positions", heads=("question_answering",), also=("LOSS-6.3",), num_labels=2, **LONG)
def losses_of_far_positions(trial: Trial, case: Case) -> None:
    """A span that begins just before the last of more than 128 tokens, and ends there, has the oracle's loss."""
    places = {"start_positions": case.seq_len - 2, "end_positions": case.seq_len - 1}
    _agrees(trial, case, {**case.inputs(), **{name: np.full(case.batch, place) for name, place in places.items()}})


def _agrees(trial: Trial, case: Case, inputs: Mapping[str, Any]) -> None:
    """What the head makes is the oracle's, within twice the budget: mistakes of this kind are no small ones."""
    got = trial.call(trial.load(case), inputs)
    made = {tap: array for tap, array in trial.oracle(case).run(inputs, {}).items() if tap.endswith(("logits", "loss"))}
    trial.match(f"over {case.seq_len} tokens", got, made, case, inputs)
