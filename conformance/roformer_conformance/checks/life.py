"""LIFE: saving, loading, and what a loaded model depends on."""

from __future__ import annotations

import dataclasses
import socket
from typing import Any
from unittest import mock

import numpy as np

from ..precision import is_half
from ..protocol import Array
from ..registry import LANGUAGE_HEADS, LOSS_HEADS, check
from ..strategies import Case
from ..trial import TRACES, Trial, Violation, expect, heard_warnings, without_warnings

LABELLED = ("sequence_classification", "token_classification")


@check("LIFE-4.1", "save-and-load", heads="all", effort=0.3, needs=("saving",), every_type=True)
def save_and_load_are_exact(trial: Trial, case: Case) -> None:
    """A model that is saved and loaded again gives the same outputs, bit for bit."""
    model, inputs = trial.load(case), {**case.inputs(), **case.labels()}
    expected = trial.call(model, inputs, **TRACES)
    trial.equals("after save and load", trial.call(trial.reload(case, model), inputs, **TRACES), expected)


@check("LIFE-4.1", "untied", heads=LANGUAGE_HEADS, effort=0.5, needs=("saving",), tie_word_embeddings=False)
def untied_heads_survive(trial: Trial, case: Case) -> None:
    """A model whose head is not tied to the word embeddings keeps its own matrix through save and load."""
    model, inputs = trial.load(case), case.inputs()
    expected = trial.call(model, inputs)
    trial.equals("untied, after save and load", trial.call(trial.reload(case, model), inputs), expected)


@check("LIFE-4.1", "saving-changes-nothing", effort=0.5, needs=("saving",))
def saving_changes_nothing(trial: Trial, case: Case) -> None:
    """The model in memory gives the same outputs after it was saved, bit for bit."""
    model, inputs = trial.load(case), case.inputs()
    expected = trial.call(model, inputs, **TRACES)
    trial.reload(case, model)
    trial.equals("the model in memory after saving", trial.call(model, inputs, **TRACES), expected)


@check("LIFE-6.1", "missing", heads="all", effort=0.3)
def missing_tensors_are_refused(trial: Trial, case: Case) -> None:
    """Missing tensors of the backbone are an error that names every one of them."""
    weights = trial.weights(case)
    names = _some_of_the_backbone(case, weights)
    rest = {name: array for name, array in weights.items() if name not in names}
    short = [name.removeprefix("roformer.") for name in names]
    with without_warnings():
        trial.refuses(lambda: trial.load(case, rest), short[0], *short[1:])


@check("LIFE-6.1", "misshapen", heads="all", effort=0.3)
def misshapen_tensors_are_refused(trial: Trial, case: Case) -> None:
    """Tensors of the backbone of another shape are an error that names every one of them."""
    weights = trial.weights(case)
    names = _some_of_the_backbone(case, weights)
    wrong = {name: np.concatenate([array, array]) if name in names else array for name, array in weights.items()}
    short = [name.removeprefix("roformer.") for name in names]
    with without_warnings():
        trial.refuses(lambda: trial.load(case, wrong), short[0], *short[1:])


@check("LIFE-6.1", "nearly-fitting", heads="all", effort=0.3)
def tensors_that_nearly_fit_are_refused(trial: Trial, case: Case) -> None:
    """A word more or less than vocab_size, or a kernel that is transposed, is an error that names the tensor."""
    weights = trial.weights(case)
    words = next(name for name in weights if name.endswith("word_embeddings.weight"))
    kernel = next(name for name in weights if name.endswith("layer.0.intermediate.dense.weight"))
    more = np.concatenate([weights[words], weights[words][:1]])
    for name, wrong in ((words, more), (words, weights[words][:-1]), (kernel, weights[kernel].T)):
        given = {**weights, name: np.ascontiguousarray(wrong)}
        with without_warnings():
            trial.refuses(lambda given=given: trial.load(case, given), name.removeprefix("roformer."))  # type: ignore[misc]


@check("LIFE-6.2", "missing-head", heads=LOSS_HEADS, effort=0.5)
def a_missing_head_is_drawn_from_the_seed(trial: Trial, case: Case) -> None:
    """Without the head's tensors a model still loads; its head is the same at each load, and finite."""
    weights = {name: array for name, array in trial.weights(case).items() if name.startswith("roformer.")}
    inputs = case.inputs()
    with without_warnings():
        try:
            got, again = (trial.call(trial.load(case, weights), inputs) for _ in range(2))
        except ValueError as error:
            raise Violation(f"logits: the model does not load without its head's tensors: {error}") from error
    trial.equals("a missing head, loaded twice", got, again)
    for name, array in got.items():
        expect(bool(np.isfinite(array).all()), f"{name} of a model with a fresh head holds values that are not finite")


@check("LIFE-6.2", "warning", heads=LOSS_HEADS, effort=0.2, needs=("warnings",))
def a_missing_head_is_warned_about(trial: Trial, case: Case) -> None:
    """Without the head's tensors, or without one of them, one warning names every one that is missing."""
    weights = trial.weights(case)
    head = [name for name in weights if not name.startswith("roformer.")]
    for lost in (head, head[-1:]):
        with heard_warnings() as heard:
            trial.load(case, {name: array for name, array in weights.items() if name not in lost})
        naming = [text for text in heard if all(name in text for name in lost)]
        expect(len(naming) == 1, f"{len(naming)} warnings name {', '.join(lost)}, expected one; heard: {heard}")


@check("LIFE-6.3", "num-labels", heads=LABELLED, effort=0.4, needs=("saving", "overrides"), problem_type=None)
def another_number_of_labels_draws_a_new_head(trial: Trial, case: Case) -> None:
    """num_labels= at load overrides the saved one: the head is drawn anew, the encoder stays as it was."""
    model, inputs, labels = trial.load(case), case.inputs(), case.config["num_labels"] + 1
    with without_warnings():
        try:
            other = trial.reload(case, model, num_labels=labels)
        except ValueError as error:
            raise Violation(f"num_labels={labels} instead of {labels - 1} at load is refused: {error}") from error
    got, expected = trial.call(other, inputs, **TRACES), trial.call(model, inputs, **TRACES)
    shape = (*expected["logits"].shape[:-1], labels)
    expect(
        got["logits"].shape == shape, f"logits has shape {got['logits'].shape} with num_labels={labels}: not {shape}"
    )
    states = [tap for tap in expected if tap != "logits"]
    trial.equals(f"the encoder, loaded with num_labels={labels}", got, expected, states)


@check("LIFE-6.4", "stored-sinusoids", heads="all", effort=0.4)
def the_sinusoid_table_is_computed(trial: Trial, case: Case) -> None:
    """A stored sinusoid table is not used: with any numbers in it the outputs are the same, bit for bit."""
    weights, inputs, config = trial.weights(case), case.inputs(), case.config
    shape = (config["max_position_embeddings"], config["hidden_size"] // config["num_attention_heads"])
    prefix = "" if case.head == "base" else "roformer."
    bent = {**weights, f"{prefix}encoder.embed_positions.weight": case.generator("table").standard_normal(shape)}
    with without_warnings():
        got = trial.call(trial.load(case, bent), inputs, **TRACES)
    trial.equals("with another stored table of sinusoids", got, trial.call(trial.load(case), inputs, **TRACES))


@check("LIFE-6.4", "warning", effort=0.3, needs=("warnings",))
def a_bent_sinusoid_table_is_warned_about(trial: Trial, case: Case) -> None:
    """A stored sinusoid table that differs is named by a warning; the right one is not."""
    weights, config = trial.weights(case), case.config
    name = f"{'' if case.head == 'base' else 'roformer.'}encoder.embed_positions.weight"
    right = _sinusoids(config["max_position_embeddings"], config["hidden_size"] // config["num_attention_heads"])
    # of half precision's numbers, which travel as float32, nobody can tell that they are as right as they could be
    tables = ((right + 0.5, 1),) if is_half(trial.dtype) else ((right, 0), (right + 0.5, 1))
    for table, count in tables:
        with heard_warnings() as heard:
            trial.load(case, {**weights, name: table})
        naming = [text for text in heard if "embed_positions" in text]
        what = f"{len(naming)} warnings name embed_positions where it is {'wrong' if count else 'right'}"
        expect(len(naming) == count, f"{what}, expected {count}; heard: {heard}")


@check("LIFE-6.5", "longer", effort=0.5)
def a_longer_model_can_be_loaded(trial: Trial, case: Case) -> None:
    """A larger max_position_embeddings at load changes no output and allows sequences as long."""
    inputs, longer = case.inputs(), case.with_config(max_position_embeddings=64)
    try:
        model = trial.load(longer, trial.weights(case))
    except ValueError as error:
        raise Violation(f"max_position_embeddings=64 cannot be loaded: {error}") from error
    got, expected = trial.call(model, inputs, **TRACES), trial.call(trial.load(case), inputs, **TRACES)
    trial.equals("max_position_embeddings=64", got, expected)
    ids = {"input_ids": dataclasses.replace(longer, batch=1, seq_len=60).inputs()["input_ids"]}
    trial.agrees(longer, ids, trial.call(model, ids))


@check("LIFE-6.6", "hub-name", effort=0.2, needs=("saving",))
def a_hub_name_is_refused(trial: Trial, case: Case) -> None:
    """A name where a folder is expected is an error that repeats it and says how to download the model first."""
    adapter: Any = trial.adapter
    name = "somebody/roformer-base"
    trial.refuses(lambda: adapter.load_saved(case.head, name, trial.dtype), name, ("download", "fetch"))


@check("LIFE-6.7", "no-network", effort=0.2, needs=("python_values",))
def nothing_touches_the_network(trial: Trial, case: Case) -> None:
    """Loading and running a model opens no network connection."""
    tried: list[Any] = []

    def refuse(self: Any, address: Any) -> None:
        tried.append(address)
        raise OSError("no network here")

    with mock.patch.object(socket.socket, "connect", refuse), mock.patch.object(socket.socket, "connect_ex", refuse):
        try:
            trial.call(trial.load(case), case.inputs())
        finally:
            expect(not tried, f"load or call tried to connect to {', '.join(map(str, tried))}")


def _sinusoids(positions: int, head_dim: int) -> Array:
    """The table as checkpoints store it: sines of all angles, then cosines."""
    angles = np.arange(positions)[:, None] * 10000.0 ** (-np.arange(0, head_dim, 2) / head_dim)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def _some_of_the_backbone(case: Case, weights: dict[str, Array]) -> list[str]:
    """Three tensors that every model of the case needs, in the order of the weights."""
    names = [name for name in weights if name.removeprefix("roformer.").startswith(("embeddings", "encoder"))]
    chosen = case.generator("tensors").choice(len(names), 3, replace=False)
    return [names[number] for number in sorted(chosen)]
