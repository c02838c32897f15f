"""What is computed when nobody looks inside: calls that ask for neither attentions nor hidden states.

Many implementations have a second, faster path for such calls, which has no attention weights to return. Whatever is
seen of the other path says nothing about it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ..precision import is_half
from ..registry import check
from ..strategies import ANY_ACTIVATION, Case
from ..trial import Trial

FLAT: dict[str, Any] = {"num_hidden_layers": 1, "add_pooling_layer": False}


@check("NUM-1.1", "unobserved", heads="all", effort=0.5, hidden_act=ANY_ACTIVATION, add_pooling_layer=False)
def agrees_when_nothing_else_is_asked_for(trial: Trial, case: Case) -> None:
    """Without attentions and hidden states every output of every head is the oracle's, too."""
    _agrees(trial, case)  # without labels: the shape of a loss is asked for elsewhere (LOSS)


@check("NUM-1.1", "unobserved-large-scores", effort=0.3, profiles=("high_score",), masks=("irregular", "blind_row"),
       also=("MASK-1", "MASK-6.1"), add_pooling_layer=False)  # fmt: skip
def agrees_on_large_scores_unobserved(trial: Trial, case: Case) -> None:
    """Attention scores in the hundreds, in half precision in the tens, in a call that returns no attentions."""
    _agrees(trial, dataclasses.replace(case, profile="raised_score") if is_half(trial.dtype) else case)


@check("NUM-1.1", "unobserved-long", effort=0.1, max_batch=1, min_seq_len=390, max_seq_len=400,
       masks=("none", "right", "irregular"), max_position_embeddings=512, hidden_size=6, num_attention_heads=1,
       also=("ROT-2.1",), **FLAT)  # fmt: skip
def agrees_on_long_sequences_unobserved(trial: Trial, case: Case) -> None:
    """A sequence of some four hundred tokens, more than one tile of keys, in a call that returns no attentions."""
    _agrees(trial, case)


@check("NUM-1.1", "unobserved-many-rows", effort=0.2, min_batch=37, max_batch=45, max_seq_len=4, also=("MASK-4.1",),
       masks=("right", "irregular", "blind_row"), **FLAT)  # fmt: skip
def agrees_on_many_rows_unobserved(trial: Trial, case: Case) -> None:
    """Some forty rows of a few tokens, each with a mask of its own, in a call that returns no attentions."""
    _agrees(trial, case)


@check("NUM-1.1", "unobserved-wide", effort=0.1, max_batch=2, max_seq_len=5, hidden_size=130, num_attention_heads=13,
       embedding_size=133, intermediate_size=261, also=("ATT-3.3", "FFN-4.1", "EMB-1.2"), **FLAT)  # fmt: skip
def agrees_when_wide_unobserved(trial: Trial, case: Case) -> None:
    """13 heads, 130 features, 133 of an embedding and 261 inner units, in a call that returns no attentions."""
    _agrees(trial, case)


def _agrees(trial: Trial, case: Case) -> None:
    inputs = case.inputs()
    trial.agrees(case, inputs, trial.call(trial.load(case), inputs))
