"""NUM: agreement with the float64 oracle at every output, earliest first."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..oracle import trained_config
from ..precision import is_half
from ..protocol import Array, is_unsupported
from ..registry import check
from ..strategies import ANY_ACTIVATION, Case
from ..trial import TRACES, Trial, without_warnings
from ..weights import TRAINED


@check("NUM-1.1", "parity", heads="all", also=("NUM-1.2",), hidden_act=ANY_ACTIVATION)
def agrees_with_the_oracle(trial: Trial, case: Case) -> None:
    """Every output of every head lies within the budget of the float64 oracle."""
    expect_agreement(trial, case)


@check("DEC-1.2", "parity", heads=("sequence_classification", "multiple_choice"), effort=0.3, is_decoder=True,
       num_hidden_layers=1, max_batch=2, also=("HEAD-2", "HEAD-5.1"))  # fmt: skip
def decoders_agree_with_the_oracle(trial: Trial, case: Case) -> None:
    """With is_decoder True heads read what they always read: a sequence is classified by its first token."""
    expect_agreement(trial, case)


@check("NUM-1.1", "parity-initial-weights", heads="all", effort=0.4, profiles=("hf_init",))
def agrees_on_initial_weights(trial: Trial, case: Case) -> None:
    """Freshly initialised weights, as the transformers library draws them, give the oracle's outputs."""
    inputs = case.inputs()
    trial.agrees(case, inputs, trial.call(trial.load(case), inputs, **TRACES), TRACES)


@check(
    "NUM-1.1", "parity-large-scores", effort=0.4, profiles=("high_score",), masks=("irregular", "blind_row"),
    also=("MASK-1",),
)  # fmt: skip
def agrees_on_large_scores(trial: Trial, case: Case) -> None:
    """Attention scores in the hundreds, in half precision in the tens, give the oracle's outputs."""
    case = dataclasses.replace(case, profile="raised_score") if is_half(trial.dtype) else case
    inputs = case.inputs()
    trial.agrees(case, inputs, trial.call(trial.load(case), inputs, **TRACES), TRACES)


@check(
    "NUM-1.1", "parity-trained-weights", heads=("masked_lm",), effort=0.1, profiles=(TRAINED,),
    masks=("right", "irregular"), min_batch=2, max_batch=2, min_seq_len=6, max_seq_len=9, **trained_config(),
)  # fmt: skip
def agrees_on_trained_weights(trial: Trial, case: Case) -> None:
    """A trained model, whose attention is sharp in some rows and spread in others, gives the oracle's outputs."""
    inputs = case.inputs()  # without labels: the shape of a loss is asked for elsewhere (LOSS)
    trial.agrees(case, inputs, trial.call(trial.load(case), inputs, **TRACES), TRACES)


@check(
    "NUM-1.1", "parity-long", effort=0.2, max_batch=2, min_seq_len=150, max_seq_len=170, max_position_embeddings=192
)  # fmt: skip
def agrees_on_long_sequences(trial: Trial, case: Case) -> None:
    """A sequence of more than a hundred tokens gives the oracle's outputs: angles stay exact at large positions."""
    inputs = case.inputs()
    trial.agrees(case, inputs, trial.call(trial.load(case), inputs, **TRACES), TRACES)


@check("NUM-1.3", "nan-pattern", effort=0.4, masks=("none", "right"), min_batch=2)
def nan_stands_where_the_oracle_has_it(trial: Trial, case: Case) -> None:
    """NaN in one embedding gives NaN exactly where the oracle has it, and finite numbers everywhere else."""
    embeddings = case.embeddings()
    embeddings[0, 0, 0] = np.nan
    inputs = {**case.inputs(), "inputs_embeds": embeddings}
    del inputs["input_ids"]
    model = trial.load(case)
    with without_warnings():
        got = trial.call(model, inputs, **TRACES)
    for tap in (tap for tap in got if tap.startswith("attentions")):
        got[tap] = _broken_rows(got[tap], case.visible())
    trial.agrees(case, inputs, got, TRACES)


def _broken_rows(weights: Array, visible: Array) -> Array:
    """Attention weights with NaN for the masked keys of rows that hold NaN: their weight may as well be 0 (MASK-1)."""
    broken = np.isnan(weights).any(axis=-1, keepdims=True)
    return np.where(broken & ~visible & (weights == 0), np.nan, weights).astype(weights.dtype)


def expect_agreement(trial: Trial, case: Case) -> None:
    """Every output of a call with labels, or without where there is no loss, is the oracle's."""
    model, inputs = trial.load(case), {**case.inputs(), **case.labels()}
    try:
        got = trial.call(model, inputs, **TRACES)
    except Exception as error:
        if not is_unsupported(error):
            raise
        # an exported file seldom has a loss; what it has is judged all the same
        inputs = case.inputs()
        got = trial.call(model, inputs, **TRACES)
    trial.agrees(case, inputs, got, TRACES)
