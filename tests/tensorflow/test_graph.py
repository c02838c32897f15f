"""Eager = graph = XLA, what a graph returns, and what it does with values it only sees when it runs."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import roformer_tensorflow
from roformer_numpy import InputError, InputTypeError

from .samples import HEADS, MODELS, call_of, config_of, ids_of


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("head", HEADS)
def test_a_graph_computes_what_an_eager_call_computes(head: str, jit_compile: bool) -> None:
    """Every output, losses of unknown length among them, up to float64 rounding (LIFE-5)."""
    config = config_of(output_hidden_states=True, output_attentions=True)
    model = MODELS[head](config, dtype="float64")
    call = {name: tf.constant(value) for name, value in call_of(head, config).items()}
    eager = model(**call)
    graph = tf.function(model, jit_compile=jit_compile)(**call)
    assert type(graph) is roformer_tensorflow.TFModelOutput
    assert list(graph) == list(eager)
    for name in eager:
        for got, expected in zip(tf.nest.flatten(graph[name]), tf.nest.flatten(eager[name]), strict=True):
            assert got.shape == expected.shape
            assert np.allclose(got, expected, rtol=0, atol=1e-13), name


def test_one_graph_serves_all_lengths() -> None:
    """Sequence length and batch may be unknown while tracing."""
    model = MODELS["causal_lm"](config_of(), dtype="float64")
    signature = tf.TensorSpec((None, None), tf.int64)
    graph = tf.function(lambda ids: model(ids, labels=ids), input_signature=[signature])
    for seq_len in (1, 3, 7):
        ids = ids_of("causal_lm", model.config)[:, :seq_len]
        got, expected = graph(ids), model(ids, labels=ids)
        assert got.loss.shape == expected.loss.shape == (4 * (seq_len - 1),)
        assert np.allclose(got.logits, expected.logits, rtol=0, atol=1e-13)


def test_the_configuration_decides_what_a_graph_returns() -> None:
    """As documented: the call's switches count eagerly only; a differing one is named in one warning (IN-9)."""
    model = MODELS["base"](config_of(output_attentions=True))
    ids = tf.constant(ids_of("base", model.config))
    graph = tf.function(lambda: model(ids, output_hidden_states=True, output_attentions=True, return_dict=False))
    with pytest.warns(UserWarning, match="output_hidden_states=True, return_dict=False has no effect") as heard:
        output = graph()
    assert len(heard) == 1
    assert list(output) == ["last_hidden_state", "pooler_output", "attentions"]


def test_honour_call_flags_follows_the_call(tmp_path) -> None:
    """The switch that gives the word to the call is saved with the model."""
    MODELS["base"](config_of(output_attentions=True), honour_call_flags=True).save_pretrained(tmp_path)
    model = MODELS["base"].from_pretrained(tmp_path)
    ids = tf.constant(ids_of("base", model.config))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        output = tf.function(lambda: model(ids, output_hidden_states=True, output_attentions=False))()
        plain = tf.function(lambda: model(ids, return_dict=False))()
    assert list(output) == ["last_hidden_state", "pooler_output", "hidden_states"]
    assert type(plain) is tuple


BAD_VALUES: dict[str, tuple[str, dict[str, Any]]] = {
    "input_ids": ("base", {"input_ids": [[1, 29]]}),
    "token_type_ids": ("base", {"input_ids": [[1, 2]], "token_type_ids": [[0, 5]]}),
    "attention_mask": ("base", {"input_ids": [[1, 2]], "attention_mask": [[1, 2]]}),
    "labels": ("masked_lm", {"input_ids": [[1, 2]], "labels": [[-1, 2]]}),
    "start_positions": (
        "question_answering",
        {"input_ids": [[1, 2]], "start_positions": [-1], "end_positions": [0]},
    ),
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_a_graph_refuses_wrong_values_when_it_runs(name: str) -> None:
    """An assertion names the argument and what is allowed."""
    head, call = BAD_VALUES[name]
    model = MODELS[head](config_of())
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name} holds a value other than"):
        tf.function(model)(**{key: tf.constant(value, tf.int64) for key, value in call.items()})


@pytest.mark.parametrize("name", BAD_VALUES)
def test_xla_turns_wrong_values_into_nan(name: str) -> None:
    """XLA knows no assertions and would clamp an index: the result must not look like one."""
    head, call = BAD_VALUES[name]
    model = MODELS[head](config_of())
    output = tf.function(model, jit_compile=True)(**{key: tf.constant(value, tf.int64) for key, value in call.items()})
    assert np.all(np.isnan(output[0]))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ({}, InputError, "neither was given"),
        ({"input_ids": np.ones((1, 2), np.float32)}, InputTypeError, "input_ids has dtype float32"),
        ({"input_ids": np.ones((2,), np.int64)}, InputError, "expected rank 2"),
        (
            {"input_ids": np.ones((2, 3), np.int64), "attention_mask": np.ones((1, 3), np.int64)},
            InputError,
            r"attention_mask has shape \(1, 3\), expected \(2, 3\)",
        ),
        ({"input_ids": np.ones((1, 20), np.int64)}, InputError, "seq_len 20"),
        ({"input_ids": np.ones((1, 2), np.int64), "attention_masks": 1}, InputTypeError, "attention_mask"),
    ],
)
def test_a_graph_refuses_wrong_shapes_while_tracing(call, error: type[Exception], words: str) -> None:
    """What can be seen without values is refused before anything runs."""
    model = MODELS["base"](config_of())
    tensors = {name: tf.constant(value) for name, value in call.items()}
    with pytest.raises(error, match=words):
        tf.function(model)(**tensors)


@pytest.mark.parametrize("name", ["attention_mask", "token_type_ids"])
def test_a_graph_of_unknown_shapes_broadcasts_nothing(name: str) -> None:
    """One row for two sequences is refused when the graph runs, not silently used for both."""
    model = MODELS["base"](config_of())
    spec = tf.TensorSpec((None, None), tf.int64)
    graph = tf.function(lambda ids, other: model(ids, **{name: other}), input_signature=[spec, spec])
    with pytest.raises(tf.errors.InvalidArgumentError):
        graph(tf.ones((2, 3), tf.int64), tf.ones((1, 3), tf.int64))


@pytest.mark.parametrize("form", ["one", "list", "dict"])
def test_the_functional_api_gathers_inputs_as_documented(form: str) -> None:
    """One tensor, a list in the documented order, or a dict, inside somebody's own Keras model."""
    model = MODELS["sequence_classification"](config_of())
    ids = keras.Input((None,), dtype="int32", name="input_ids")
    mask = keras.Input((None,), dtype="int32", name="attention_mask")
    gathered = {"one": ids, "list": [ids, mask], "dict": {"input_ids": ids, "attention_mask": mask}}[form]
    outer = keras.Model(ids if form == "one" else [ids, mask], keras.ops.softmax(model(gathered).logits))
    values = ids_of("base", model.config)
    ones = np.ones_like(values)
    got = outer(values if form == "one" else [values, ones])
    assert np.allclose(got, tf.nn.softmax(model(values).logits), atol=1e-6)
