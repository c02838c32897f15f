"""EMB: from ids to the first hidden state."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..formulas import Weights, dense, edited, layer_norm, part
from ..precision import rounded
from ..protocol import Array
from ..registry import check
from ..strategies import Case, OneOf
from ..trial import TRACES, Trial, expect

FIRST = "hidden_states.0"
EPSILONS = OneOf((1e-12, 1e-9, 1e-7, 1e-5))


@check("EMB-1.1", "sum-and-norm", projected=False, also=("EMB-1.4",))
def first_state_is_the_normalised_sum(trial: Trial, case: Case) -> None:
    """hidden_states[0] is LayerNorm(W[ids] + Types[types]) when E = H."""
    _expect_formula(trial, case)


@check("EMB-1.2", "projection", projected=True, also=("EMB-1.4",))
def projection_follows_the_norm(trial: Trial, case: Case) -> None:
    """When E differs from H, hidden_states[0] is LayerNorm(W[ids] + Types[types]) over E through a Dense with bias."""
    _expect_formula(trial, case)


@check("FFN-4.4", "embedding-eps", profiles=("low_variance",), layer_norm_eps=EPSILONS, also=("EMB-1.1", "FFN-4.3"))
def eps_shows_in_small_embeddings(trial: Trial, case: Case) -> None:
    """Embeddings whose variance is near layer_norm_eps are divided by √(variance + eps), eps inside the root."""
    _expect_formula(trial, case)


@check("EMB-1.1", "large-mean", also=("FFN-4.3", "EMB-1.2"))
def a_large_mean_is_taken_away_first(trial: Trial, case: Case) -> None:
    """Embeddings with a mean of 64 are normalised as exactly as others: the variance is that around their mean."""
    raised = edited(
        trial.weights(case),
        {r"word_embeddings\.weight$": lambda table: rounded(table + 64.0, trial.dtype)},
    )
    _expect_formula(trial, case, raised)


@check("EMB-1.1", "scale-is-normalised-away", layer_norm_eps=1e-30)
def scale_of_embeddings_is_irrelevant(trial: Trial, case: Case) -> None:
    """Embeddings and token types 1024 times as large give the same hidden states, because LayerNorm follows the sum."""
    inputs, weights = case.inputs(), trial.weights(case)
    grown = edited(weights, {r"(word|token_type)_embeddings\.weight$": lambda table: table * 1024.0})
    got = trial.call(trial.load(case, grown), inputs, **TRACES)
    trial.close("embeddings times 1024", got[FIRST], _first(trial, case, weights), case, inputs, FIRST, options=TRACES)


@check("EMB-1.1", "own-rows", also=("EMB-1.4",))
def each_id_reads_its_own_row(trial: Trial, case: Case) -> None:
    """Another row of W, or of Types, changes hidden_states[0] at the positions that name it and nowhere else."""
    inputs, weights = case.inputs(), trial.weights(case)
    before = _first(trial, case, weights)
    for argument, table in (
        ("input_ids", "word_embeddings.weight"),
        ("token_type_ids", "token_type_embeddings.weight"),
    ):
        row = int(inputs[argument].flat[0])
        after = _first(trial, case, edited(weights, {rf"{table}$": partial(_with_noise, row=row, case=case)}))
        named = inputs[argument].reshape(before.shape[:2]) == row
        moved = (before != after).any(axis=-1)
        wrong = np.argwhere(moved != named)
        expect(
            not len(wrong),
            f"row {row} of {table} changed: hidden_states.0 at {wrong[:1].tolist()} "
            f"{'moved' if len(wrong) and moved[tuple(wrong[0])] else 'did not move'}, where {argument} is not "
            f"{'' if len(wrong) and moved[tuple(wrong[0])] else 'other than '}{row}",
        )


@check("EMB-1.3", "no-position", masks=("none",), min_seq_len=2)
def place_does_not_enter(trial: Trial, case: Case) -> None:
    """The same token and token type give the same row of hidden_states[0] wherever they stand."""
    inputs = {name: np.broadcast_to(array[..., :1], array.shape).copy() for name, array in case.inputs().items()}
    got = trial.call(trial.load(case), inputs, **TRACES)[FIRST]
    same = np.broadcast_to(got[:, :1], got.shape)
    trial.close("one token at every position", got, same, case, inputs, FIRST, options=TRACES)


@check("EMB-1.1", "every-tensor-matters", projected=True, also=("EMB-1.2",))
def every_embedding_tensor_is_live(trial: Trial, case: Case) -> None:
    """Each tensor of the embeddings, the projection's bias among them, moves hidden_states[0]."""
    weights = trial.weights(case)
    before = _first(trial, case, weights)
    for name in weights:
        if "embeddings" in name:
            after = _first(
                trial, case, {**weights, name: weights[name] + case.generator(name).normal(size=weights[name].shape)}
            )
            expect(not np.array_equal(before, after), f"{name} was changed, and hidden_states.0 stayed as it was")


def _expect_formula(trial: Trial, case: Case, weights: Weights | None = None) -> None:
    inputs, weights = case.inputs(), trial.weights(case) if weights is None else weights
    got = _first(trial, case, weights)
    words = part(weights, "word_embeddings.weight")[inputs["input_ids"]]
    types = part(weights, "token_type_embeddings.weight")[inputs["token_type_ids"]]
    expected = layer_norm(words + types, weights, "embeddings.LayerNorm", case.config.get("layer_norm_eps", 1e-12))
    if case.config["embedding_size"] != case.config["hidden_size"]:
        expected = dense(expected, weights, "embeddings_project")
    trial.close("by hand", got, expected.reshape(got.shape), case, inputs, FIRST, options=TRACES, weights=weights)


def _first(trial: Trial, case: Case, weights: Weights) -> Array:
    return trial.call(trial.load(case, weights), case.inputs(), **TRACES)[FIRST]


def _with_noise(table: Array, row: int, case: Case) -> Array:
    changed = table.copy()
    changed[row] += case.generator("noise").standard_normal(table.shape[1])
    return changed
