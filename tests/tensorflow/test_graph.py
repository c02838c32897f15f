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


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("head", ["sequence_classification", "multiple_choice", "question_answering"])
def test_a_batch_of_one_takes_one_number_in_a_graph(head: str, jit_compile: bool) -> None:
    """Labels and positions of rank 0 mean what those of shape (1,) mean, compiled as well (ERR-9.3)."""
    model = MODELS[head](config_of(), dtype="float64")
    call = {name: tf.constant(value)[:1] for name, value in call_of(head, model.config).items()}
    alone = {name: value[0] if value.shape.rank == 1 else value for name, value in call.items()}
    assert any(value.shape.rank == 0 for value in alone.values())
    got, expected = tf.function(model, jit_compile=jit_compile)(**alone), model(**call)
    assert np.allclose(got.loss, expected.loss, rtol=0, atol=1e-13)


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


TWO_ROWS = [[1, 2], [3, 4]]

# Calls of two rows whose second one holds one wrong value: argument, head, the arguments, how an error names the place.
BAD_VALUES: dict[str, tuple[str, dict[str, Any], str]] = {
    "input_ids": ("base", {"input_ids": [[1, 2], [29, 3]]}, "[[1 0]] [is] [29]"),
    "negative input_ids": ("base", {"input_ids": [[1, 2], [3, -1]]}, "[[1 1]] [is] [-1]"),
    "token_type_ids": ("base", {"token_type_ids": [[0, 1], [0, 5]]}, "[[1 1]] [is] [5]"),
    "attention_mask": ("base", {"attention_mask": [[1, 1], [2, 1]]}, "[[1 0]] [is] [2]"),
    "attention_mask of floats": ("base", {"attention_mask": [[1.0, 1.0], [0.5, 1.0]]}, "[[1 0]] [is] [0.5]"),
    "labels": ("masked_lm", {"labels": [[-100, 2], [-1, 2]]}, "[[1 0]] [is] [-1]"),
    "labels of tokens": ("token_classification", {"labels": [[-100, 2], [7, 8]]}, "[[1 1]] [is] [8]"),
    "labels of rows": ("sequence_classification", {"labels": [7, 8]}, "[[1]] [is] [8]"),
    "labels of choices": (
        "multiple_choice",
        {"input_ids": [[[1, 2], [3, 4], [5, 6]]] * 2, "labels": [2, 3]},
        "[[1]] [is] [3]",
    ),
    "start_positions": ("question_answering", {"start_positions": [0, -1], "end_positions": [0, 0]}, "[[1]] [is] [-1]"),
}


def bad_call(name: str, **changes: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """The model and the arguments of a call that is wrong in its second row."""
    head, call, _ = BAD_VALUES[name]
    model = MODELS[head](config_of(**changes))
    return model, {key: np.array(value) for key, value in {"input_ids": TWO_ROWS, **call}.items()}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_a_graph_refuses_wrong_values_when_it_runs(name: str) -> None:
    """An assertion names argument, position, value and what is allowed, as an eager call's error does."""
    model, call = bad_call(name)
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        tf.function(model)(**{key: tf.constant(value) for key, value in call.items()})
    assert f"[{name.split()[-3 if ' of ' in name else -1]} at position] {BAD_VALUES[name][2]} [allowed are" in str(
        raised.value
    )


@pytest.mark.parametrize("name", BAD_VALUES)
def test_xla_turns_the_row_of_a_wrong_value_into_nan(name: str) -> None:
    """XLA knows no assertions and would clamp an index: the row's results are NaN, those of the others are not."""
    model, call = bad_call(name, hidden_act="relu", loss_reduction="none")  # relu makes 0 of NaN on some machines
    output = tf.function(model, jit_compile=True)(**{key: tf.constant(value) for key, value in call.items()})
    for field in ("last_hidden_state", "pooler_output", "logits", "start_logits"):
        if field in output:
            assert np.all(np.isnan(output[field][1])), field
            assert np.all(np.isfinite(output[field][0])), field
    if "loss" in output:
        assert np.isnan(output.loss[-1])
        assert np.isfinite(output.loss[0])


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("name", BAD_VALUES)
def test_as_function_refuses_wrong_values_before_tracing(name: str, jit_compile: bool) -> None:
    """Concrete arguments give the eager call's own error, word for word, and nothing is traced."""
    model, call = bad_call(name)
    with pytest.raises(InputError) as eager:
        model(**call)
    with pytest.raises(InputError) as compiled:
        model.as_function(jit_compile=jit_compile)(**call)
    assert str(compiled.value) == str(eager.value)


def test_a_wrong_value_that_is_a_constant_is_refused_while_tracing() -> None:
    """Inside somebody's own graph too, what is concrete is checked by the rules of an eager call."""
    model = MODELS["base"](config_of())
    ids = np.array([[1, 29]])
    with pytest.raises(InputError, match=r"input_ids\[0, 1\] is 29, allowed are 0 to 28"):
        tf.function(lambda: model(ids), jit_compile=True)()


@pytest.mark.parametrize("dtype", [tf.int8, tf.uint8, tf.int16, tf.uint64])
def test_a_graph_reads_narrow_integers_of_a_large_vocabulary(dtype: tf.DType) -> None:
    """The limit does not wrap around in the type of the ids."""
    model = MODELS["base"](config_of(vocab_size=70_000))
    got = tf.function(model)(tf.constant([[1, 2]], dtype))
    assert np.allclose(got.last_hidden_state, model([[1, 2]]).last_hidden_state, atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
def test_an_empty_batch_has_empty_results(jit_compile: bool) -> None:
    """No rows hold no wrong value."""
    model = MODELS["base"](config_of())
    output = tf.function(model, jit_compile=jit_compile)(tf.zeros((0, 3), tf.int64))
    assert output.last_hidden_state.shape == (0, 3, 18)


@pytest.mark.parametrize("style", ["keywords", "list", "dict", "one"])
def test_as_function_takes_every_documented_format(style: str) -> None:
    """It is called as the model is, and gives what an eager call gives."""
    model = MODELS["masked_lm"](config_of(), dtype="float64")
    call = call_of("masked_lm", model.config)
    ids, mask = call["input_ids"], call["attention_mask"]
    fast = model.as_function()
    got = {
        "keywords": lambda: fast(**call),
        "list": lambda: fast([ids, mask], labels=call["labels"]),
        "dict": lambda: fast(call),
        "one": lambda: fast(ids.tolist(), attention_mask=mask, labels=call["labels"]),
    }[style]()
    expected = model(**call)
    assert np.allclose(got.loss, expected.loss, rtol=0, atol=1e-13)
    assert list(got) == list(expected)


def test_as_function_warns_once_of_switches_without_effect() -> None:
    """Not in every step; the switches that have one say nothing."""
    model = MODELS["base"](config_of(output_attentions=True))
    fast, ids = model.as_function(), [[1, 2, 3]]
    switches = {"output_hidden_states": True, "output_attentions": True, "return_dict": False}
    with pytest.warns(UserWarning, match="output_hidden_states=True, return_dict=False has no effect") as heard:
        output = [fast(ids, **switches) for _ in range(3)][-1]
    assert len(heard) == 1
    assert list(output) == ["last_hidden_state", "pooler_output", "attentions"]


def test_as_function_can_follow_the_call() -> None:
    """honour_call_flags=True gives the word to the call."""
    fast = MODELS["base"](config_of()).as_function(honour_call_flags=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert type(fast([[1, 2]], output_hidden_states=True, return_dict=False)) is tuple
        assert "hidden_states" in fast([[1, 2]], output_hidden_states=True)


def test_as_function_sees_changed_weights_and_shapes() -> None:
    """After new weights, pruning and resizing it computes with what the model has then."""
    model = MODELS["masked_lm"](config_of(initializer_range=0.5), dtype="float64")
    fast, ids = model.as_function(), [[1, 2, 3]]
    fast(ids)
    model.embeddings.word.assign(model.embeddings.word * 2.0)
    assert np.allclose(fast(ids).logits, model(ids).logits, rtol=0, atol=1e-13)
    model.prune_heads({0: [1]})
    assert np.allclose(fast(ids).logits, model(ids).logits, rtol=0, atol=1e-13)
    model.resize_token_embeddings(31)
    assert fast([[30, 2, 3]]).logits.shape == (1, 3, 31)


def test_as_function_inside_a_graph_is_the_model_itself() -> None:
    """Values that are not known yet are guarded when the graph runs."""
    model = MODELS["base"](config_of())
    fast = model.as_function()
    outer = tf.function(lambda ids: fast(ids).last_hidden_state)
    assert np.allclose(outer(tf.constant([[1, 2]])), model([[1, 2]]).last_hidden_state, atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="input_ids at position"):
        outer(tf.constant([[1, 29]]))


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
        (
            {"input_ids": np.ones((2, 3), np.int64), "labels": np.ones((1, 3), np.int64)},
            InputError,
            r"labels has shape \(1, 3\), expected \(2, 3\)",
        ),
        ({"inputs_embeds": np.ones((2, 3, 1), np.float32)}, InputError, "expected the last axis to be 10"),
        ({"inputs_embeds": np.ones((2, 3, 10), np.int64)}, InputTypeError, "inputs_embeds has dtype int64"),
        ({"input_ids": np.ones((1, 20), np.int64)}, InputError, "seq_len 20"),
        ({"input_ids": np.ones((1, 2), np.int64), "attention_masks": 1}, InputTypeError, "attention_mask"),
    ],
)
def test_a_graph_refuses_wrong_shapes_while_tracing(call, error: type[Exception], words: str) -> None:
    """What can be seen without values is refused before anything runs."""
    model = MODELS["masked_lm"](config_of())
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


@pytest.mark.parametrize("compiled", [False, True])
def test_a_variable_outside_a_graph_is_as_concrete_as_an_array(compiled: bool) -> None:
    """IN-2: the same errors, and the same switches."""
    model = MODELS["base"](config_of())
    call = model.as_function(honour_call_flags=True) if compiled else model
    good, wrong = tf.Variable([[1, 2, 3]]), tf.Variable([[1, 2, 29]])
    assert len(call(good, output_attentions=True).attentions) == 2
    with pytest.raises(ValueError, match="input_ids"):
        call(wrong)
