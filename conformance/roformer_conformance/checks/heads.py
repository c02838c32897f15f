"""HEAD: what stands on top of the encoder (HEAD-1 to HEAD-5); `surgery` has the rest of the family."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..formulas import Weights, activation, dense, edited, layer_norm, part
from ..protocol import Array
from ..registry import LANGUAGE_HEADS, check
from ..strategies import ANY_ACTIVATION, Case, OneOf
from ..trial import TRACES, Trial, expect
from .numerical import expect_agreement

LABELLING = ("sequence_classification", "token_classification")


@check(
    "HEAD-1.1", "by-hand", heads=LANGUAGE_HEADS, also=("HEAD-1.2",), tie_word_embeddings=OneOf((False, True)),
    hidden_act=ANY_ACTIVATION,
)  # fmt: skip
def language_model_by_hand(trial: Trial, case: Case) -> None:
    """Logits are LayerNorm(hidden_act(Dense(last state))) times the transposed word embeddings, plus bias."""
    inputs, weights = case.inputs(), trial.weights(case)
    got = trial.call(trial.load(case), inputs, **TRACES)
    x = activation(case.config["hidden_act"], dense(got[case.last], weights, "predictions.transform.dense"))
    x = layer_norm(x, weights, "predictions.transform.LayerNorm", case.config.get("layer_norm_eps", 1e-12))
    tied = case.config["tie_word_embeddings"]
    table = part(weights, "word_embeddings.weight" if tied else "predictions.decoder.weight")
    expected = np.einsum("bse,ve->bsv", x, table) + part(weights, "predictions.bias")
    trial.close("by hand", got["logits"], expected, case, inputs, "logits", options=TRACES)


@check("HEAD-1.2", "bias-is-added", heads=LANGUAGE_HEADS)
def language_model_bias_is_added(trial: Trial, case: Case) -> None:
    """What is added to the language model's bias is added to the logits, token by token."""
    inputs, weights = case.inputs(), trial.weights(case)
    more = case.generator("bias").integers(-4, 5, case.config["vocab_size"]).astype(np.float64)
    expected = trial.call(trial.load(case), inputs)["logits"].astype(np.float64) + more
    got = trial.call(trial.load(case, edited(weights, {r"predictions\.bias": more.__add__})), inputs)["logits"]
    trial.close("bias raised", got, expected, case, inputs, "logits")


@check("HEAD-1.2", "vocabulary-order", heads=LANGUAGE_HEADS, also=("EMB-1.1", "HEAD-1.3"))
def vocabulary_has_no_order(trial: Trial, case: Case) -> None:
    """A vocabulary in another order, in ids, word embeddings and bias, gives logits in that order."""
    inputs, weights = case.inputs(), trial.weights(case)
    order = case.generator("order").permutation(case.config["vocab_size"])
    renamed = edited(weights, {r"word_embeddings\.weight|predictions\.bias": lambda rows: rows[order]})
    expected = trial.call(trial.load(case), inputs)["logits"]
    got = trial.call(trial.load(case, renamed), {**inputs, "input_ids": np.argsort(order)[inputs["input_ids"]]})
    back = {"logits": got["logits"][..., np.argsort(order)]}
    trial.match("vocabulary in another order", back, {"logits": expected}, case, inputs)


@check("HEAD-1.3", "tied", heads=LANGUAGE_HEADS)
def tied_embeddings_score(trial: Trial, case: Case) -> None:
    """Another embedding of a word that is not in the input moves this word's logits and no others."""
    _expect_one_column(trial, case, "word_embeddings.weight", moves=True)


@check("HEAD-1.4", "untied-matrix", heads=LANGUAGE_HEADS, tie_word_embeddings=False)
def an_untied_matrix_scores(trial: Trial, case: Case) -> None:
    """With tie_word_embeddings False another row of the head's own matrix moves this word's logits and no others."""
    _expect_one_column(trial, case, "predictions.decoder.weight", moves=True)


@check("HEAD-1.4", "untied-embeddings", heads=LANGUAGE_HEADS, tie_word_embeddings=False)
def untied_embeddings_do_not_score(trial: Trial, case: Case) -> None:
    """With tie_word_embeddings False the embedding of a word that is not in the input moves no logit."""
    _expect_one_column(trial, case, "word_embeddings.weight", moves=False)


@check("HEAD-2", "by-hand", heads=("sequence_classification",), hidden_act=ANY_ACTIVATION)
def sequence_head_by_hand(trial: Trial, case: Case) -> None:
    """Logits of a sequence are Dense(hidden_act(Dense(last state of the first token))), for every hidden_act."""
    inputs, weights = case.inputs(), trial.weights(case)
    got = trial.call(trial.load(case), inputs, **TRACES)
    inner = activation(case.config["hidden_act"], dense(got[case.last][:, 0], weights, "classifier.dense"))
    expected = dense(inner, weights, "classifier.out_proj")
    trial.close("by hand", got["logits"], expected, case, inputs, "logits", options=TRACES)


@check("HEAD-3", "by-hand", heads=("token_classification",))
def token_head_by_hand(trial: Trial, case: Case) -> None:
    """Logits of a token are one Dense layer on its last state."""
    inputs, weights = case.inputs(), trial.weights(case)
    got = trial.call(trial.load(case), inputs, **TRACES)
    expected = dense(got[case.last], weights, "classifier")
    trial.close("by hand", got["logits"], expected, case, inputs, "logits", options=TRACES)


@check("HEAD-3", "label-order", heads=LABELLING, effort=0.6, also=("HEAD-2",))
def labels_have_no_order(trial: Trial, case: Case) -> None:
    """Labels in another order, in the last kernel and bias, give logits in that order."""
    inputs, weights = case.inputs(), trial.weights(case)
    order = case.generator("order").permutation(case.config["num_labels"])
    last = r"classifier\.(out_proj\.)?(weight|bias)$"
    expected = {"logits": trial.call(trial.load(case), inputs)["logits"][..., order]}
    got = trial.call(trial.load(case, edited(weights, {last: lambda rows: rows[order]})), inputs)
    trial.match("labels in another order", got, expected, case, inputs, lambda logits: logits[..., order])


@check("HEAD-4", "by-hand", heads=("question_answering",))
def span_head_by_hand(trial: Trial, case: Case) -> None:
    """start_logits are the first and end_logits the second output of one Dense layer, whatever num_labels says."""
    inputs, weights = case.inputs(), trial.weights(case)
    got = trial.call(trial.load(case), inputs, **TRACES)
    spans = dense(got[case.last], weights, "qa_outputs")
    expected = {"start_logits": spans[..., 0], "end_logits": spans[..., 1]}
    trial.match("by hand", got, expected, case, inputs, options=TRACES)


def _summary_by_hand(trial: Trial, case: Case) -> None:
    inputs, weights = case.inputs(), trial.weights(case)
    got = trial.call(trial.load(case), inputs, **TRACES)
    states, kind = got[case.last].astype(np.float64), case.config["summary_type"]
    summary = {"last": states[:, -1], "first": states[:, 0], "mean": states.sum(axis=1) / case.seq_len}[kind]
    expected = dense(summary, weights, "classifier")[:, 0].reshape(case.batch, case.choices)
    trial.close(f"by hand, summary_type {kind}", got["logits"], expected, case, inputs, "logits", options=TRACES)


@check("HEAD-5.1", "last-state", heads=("multiple_choice",), summary_type="last", min_seq_len=2)
def choices_are_summed_up_by_their_last_state(trial: Trial, case: Case) -> None:
    """With summary_type last a choice is scored by its state at index −1, padding or not."""
    _summary_by_hand(trial, case)


@check("HEAD-5.2", "first-state", heads=("multiple_choice",), summary_type="first", min_seq_len=2)
def choices_are_summed_up_by_their_first_state(trial: Trial, case: Case) -> None:
    """With summary_type first a choice is scored by its state at index 0."""
    _summary_by_hand(trial, case)


@check("HEAD-5.3", "mean-state", heads=("multiple_choice",), summary_type="mean", min_seq_len=2)
def choices_are_summed_up_by_their_mean_state(trial: Trial, case: Case) -> None:
    """With summary_type mean a choice is scored by the mean over all positions, masked ones included."""
    _summary_by_hand(trial, case)


@check("HEAD-5.4", "choices-stay-together", heads=("multiple_choice",), min_batch=2)
def choices_stay_with_their_example(trial: Trial, case: Case) -> None:
    """Choices of one example in another order give its logits in that order and leave other examples alone."""
    inputs, row = case.inputs(), case.seed % case.batch
    order = np.roll(np.arange(case.choices), 1)

    def moved(array: Array) -> Array:
        array = array.copy()
        array[row] = array[row][order]
        return array

    model = trial.load(case)
    expected = {"logits": moved(trial.call(model, inputs)["logits"])}
    got = trial.call(model, {name: moved(array) for name, array in inputs.items()})
    trial.match(f"choices of example {row} in another order", got, expected, case, inputs, moved)


@check(
    "HEAD-1.1", "every-tensor-matters", heads=LANGUAGE_HEADS, effort=0.5, hidden_act="gelu", tie_word_embeddings=False
)
def every_language_model_tensor_is_live(trial: Trial, case: Case) -> None:
    """Every tensor of the language model's head moves the logits."""
    _expect_live(trial, case, "cls.")


@check(
    "HEAD-2", "every-tensor-matters", effort=0.5, hidden_act="gelu", also=("HEAD-3", "HEAD-4", "HEAD-5.4"),
    heads=("sequence_classification", "token_classification", "multiple_choice", "question_answering"),
)  # fmt: skip
def every_head_tensor_is_live(trial: Trial, case: Case) -> None:
    """Every tensor of a head for sequences, tokens, choices or spans moves the logits."""
    _expect_live(trial, case, "qa_outputs" if case.head == "question_answering" else "classifier")


def _expect_one_column(trial: Trial, case: Case, table: str, *, moves: bool) -> None:
    inputs, weights = case.inputs(), trial.weights(case)
    word = case.seed % case.config["vocab_size"]
    inputs["input_ids"] = np.where(
        inputs["input_ids"] == word, (word + 1) % case.config["vocab_size"], inputs["input_ids"]
    )

    def with_another_row(rows: Array) -> Array:
        rows = rows.copy()
        rows[word] += case.generator("row").standard_normal(rows.shape[1])
        return rows

    before = trial.call(trial.load(case), inputs)["logits"]
    after = trial.call(trial.load(case, edited(weights, {rf"{table}$": with_another_row})), inputs)["logits"]
    changed = np.flatnonzero((before != after).any(axis=(0, 1))).tolist()
    expected = [word] if moves else []
    expect(
        changed == expected, f"row {word} of {table} changed: logits of the words {changed} moved, expected {expected}"
    )


def _expect_live(trial: Trial, case: Case, prefix: str) -> None:
    weights: Weights = trial.weights(case)
    inputs = case.inputs()
    before = trial.call(trial.load(case), inputs)
    for name, array in weights.items():
        if name.startswith(prefix):
            noise = case.generator(name).normal(size=array.shape)
            after = trial.call(trial.load(case, {**weights, name: array + noise}), inputs)
            same = [tap for tap in before if "logits" in tap and np.array_equal(before[tap], after[tap])]
            expect(not same, f"{name} was changed, and {', '.join(same)} stayed as it was")


@check("HEAD-5.4", "any-number-of-choices", heads=("multiple_choice",), effort=0.4, num_hidden_layers=1, max_batch=2,
       max_seq_len=6, also=("LOSS-6.1", "IN-7"))  # fmt: skip
def any_number_of_choices_is_scored(trial: Trial, case: Case) -> None:
    """One choice, and five, give the oracle's logits and losses: their number is that of the call."""
    for choices in (1, 5):
        expect_agreement(trial, dataclasses.replace(case, choices=choices))
