"""RaggedTensors, and batches of differing lengths: what they give is what the padded call gives (IN-4, MASK-3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from roformer_numpy import InputError, InputTypeError

from .samples import HEADS, MODELS, config_of, ids_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STILL: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
LENGTHS = (3, 7, 1, 5)
MASK = np.arange(7) < np.array(LENGTHS)[:, None]


def build(head: str, **changes: Any) -> Any:
    """A small float64 model whose padding is no 0."""
    return MODELS[head](config_of(**STILL, num_hidden_layers=1, pad_token_id=9, **changes), dtype="float64")


def ragged(array: np.ndarray) -> tf.RaggedTensor:
    """(4, 7, …) cut to LENGTHS; choices are as many in each row."""
    if array.ndim == 3 and array.shape[1] == 6:
        rows = tf.RaggedTensor.from_row_lengths(array[np.repeat(MASK[:, None], 6, axis=1)], np.repeat(LENGTHS, 6))
        return tf.RaggedTensor.from_uniform_row_length(rows, 6)
    return tf.RaggedTensor.from_row_lengths(array[MASK], LENGTHS)


def calls_of(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """One call, ragged and padded by hand."""
    ids = ids_of(model.head, model.config)
    mask = np.broadcast_to(MASK[:, None] if ids.ndim == 3 else MASK, ids.shape)
    types = np.random.default_rng(1).integers(0, 5, ids.shape)
    cut = {"input_ids": ragged(ids), "token_type_ids": ragged(types)}
    whole = {"input_ids": np.where(mask, ids, 9), "token_type_ids": types * mask, "attention_mask": mask.astype(int)}
    if model.head in ("masked_lm", "causal_lm", "token_classification"):
        cut["labels"], whole["labels"] = ragged(ids % 8), np.where(mask, ids % 8, -100)
    return cut, whole


@pytest.mark.parametrize("head", HEADS)
def test_a_ragged_call_is_the_padded_call(head: str) -> None:
    """Bit for bit: padded with pad_token_id, masked where it was padded, labels there −100; in a graph too."""
    model = build(head)
    cut, whole = calls_of(model)
    expected = model(**whole)
    for output in (model(**cut), model(cut), model.as_function()(**cut)):
        assert list(output) == list(expected)
        for name in expected:
            np.testing.assert_allclose(output[name], expected[name], rtol=0, atol=1e-13)
    assert np.array_equal(model(**cut)[0], expected[0])


def test_a_ragged_call_inside_a_graph_and_a_functional_model() -> None:
    """Lengths that are known only when the graph runs; XLA is reached through as_function, which pads first."""
    model = build("masked_lm")
    cut, whole = calls_of(model)
    expected = model(**whole)
    np.testing.assert_allclose(tf.function(model)(**cut).loss, expected.loss, rtol=0, atol=1e-13)
    np.testing.assert_allclose(model.as_function(jit_compile=True)(**cut).loss, expected.loss, rtol=0, atol=1e-12)
    given = keras.Input((None,), dtype="int64", ragged=True)
    outer = keras.Model(given, model(given).logits)
    expected = model(whole["input_ids"], attention_mask=whole["attention_mask"]).logits
    np.testing.assert_allclose(outer(cut["input_ids"]), expected, rtol=0, atol=1e-13)


def test_ragged_embeddings_and_masks_are_padded_too() -> None:
    """inputs_embeds of rows of differing lengths, with a mask of the caller's own."""
    model = build("base")
    vectors, own = np.random.default_rng(0).normal(size=(4, 7, 10)), np.arange(7) != 2
    whole = model(inputs_embeds=vectors * MASK[..., None], attention_mask=(MASK & own).astype(int))
    cut = tf.RaggedTensor.from_row_lengths(vectors[MASK], LENGTHS)
    output = model(inputs_embeds=cut, attention_mask=ragged(np.tile(own.astype(int), (4, 1))))
    assert np.array_equal(output.last_hidden_state, whole.last_hidden_state)


OTHER = tf.ragged.constant([[1, 2, 3], [1] * 7, [1, 2], [1] * 4])
WRONG: dict[str, tuple[str, dict[str, Any], type[Exception], str]] = {
    "other lengths": ("base", {"token_type_ids": OTHER}, InputError, r"token_type_ids has rows of other lengths than "
                      r"input_ids: \[3, 7, 2, 4\], expected \[3, 7, 1, 5\]"),
    "dense beside ragged": ("base", {"attention_mask": np.ones((4, 7))}, InputError, "attention_mask is not ragged "
                            r"but input_ids is: give both ragged, or pad both with to_tensor\(\)"),
    "labels of rows": ("sequence_classification", {"labels": OTHER}, InputTypeError, "labels is a RaggedTensor; of"),
    "choices": ("multiple_choice", {}, InputError, "input_ids has ragged_rank 1, expected 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_ragged_alike_is_refused(name: str) -> None:
    """By argument, with what to do."""
    head, others, error, words = WRONG[name]
    ids = ragged(ids_of("base", config_of()))
    with pytest.raises(error, match=words):
        build(head)(input_ids=ids, **others)


def test_lengths_that_differ_inside_a_graph_fail_when_it_runs() -> None:
    """The same complaint from an assertion."""
    model = build("base")
    with pytest.raises(tf.errors.InvalidArgumentError, match="token_type_ids has rows of other lengths"):
        tf.function(model)(ragged(ids_of("base", model.config)), token_type_ids=tf.cast(OTHER, tf.int64))


def batches(cut: dict[str, Any], form: str) -> Any:
    """The rows of a ragged call in batches of three and one, as Keras' methods take them."""
    labels = {name: cut[name] for name in ("input_ids", "labels")}
    if form == "arrays":
        return {"x": {"input_ids": cut["input_ids"]}, "y": cut["labels"], "batch_size": 3}
    if form == "labels inside":
        return {"x": labels, "batch_size": 3}
    if form == "generator":
        return {"x": (({"input_ids": cut["input_ids"][part]}, cut["labels"][part]) for part in (slice(3), slice(3, 4)))}

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(4):
            yield {name: value[number] for name, value in labels.items()}

    spec = {name: tf.TensorSpec((None,), tf.int64) for name in labels}
    dataset = tf.data.Dataset.from_generator(rows, output_signature=spec)
    dataset = dataset.ragged_batch(3).apply(tf.data.experimental.assert_cardinality(2))
    return {"x": dataset.map(lambda row: ({"input_ids": row["input_ids"]}, row["labels"]))}


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras cannot know how long a generator is
@pytest.mark.parametrize("form", ["arrays", "labels inside", "ragged_batch", "generator"])
def test_keras_methods_take_ragged_data(form: str) -> None:
    """evaluate, fit and metrics of ragged rows: the numbers of the padded rows."""
    model = build("masked_lm")
    model.compile(keras.optimizers.SGD(0.0), metrics=["accuracy"], run_eagerly=True)
    cut, whole = calls_of(model)
    cut["labels"], whole["labels"] = (tf.cast(labels, tf.int64) for labels in (cut["labels"], whole["labels"]))
    x = {name: whole[name] for name in ("input_ids", "attention_mask")}
    expected = model.evaluate(x, whole["labels"], batch_size=3, verbose=0, return_dict=True)
    reported = model.evaluate(**batches(cut, form), verbose=0, return_dict=True)
    history = model.fit(**batches(cut, form), shuffle=False, verbose=0).history
    for name, value in expected.items():
        assert np.isclose(reported[name], value, rtol=1e-6)
        assert np.isclose(history[name][0], value, rtol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
def test_compiled_methods_take_ragged_batches(jit_compile: bool) -> None:
    """They are padded before XLA, which has no ragged tensors; predict gives rows of each batch's own length."""
    model = build("masked_lm")
    model.compile(keras.optimizers.SGD(0.0), jit_compile=jit_compile)
    cut, whole = calls_of(model)
    cut["labels"] = tf.cast(cut["labels"], tf.int64)
    x = {name: whole[name] for name in ("input_ids", "attention_mask")}
    losses = model(**x, labels=whole["labels"]).loss.numpy()
    expected = (losses[:11].mean() * 3 + losses[11:].mean()) / 4
    history = model.fit(**batches(cut, "ragged_batch"), shuffle=False, verbose=0).history
    assert np.isclose(history["loss"][0], expected, rtol=1e-6)
    predicted = model.predict(**batches(cut, "ragged_batch"), verbose=0).logits
    assert predicted.row_lengths().numpy().tolist() == [7, 7, 7, 5]
    logits = model(**x).logits.numpy()
    np.testing.assert_allclose(predicted.values, [*logits[:3].reshape(21, -1), *logits[3, :5]], rtol=0, atol=1e-12)


def test_batches_that_were_padded_to_lengths_of_their_own_are_predicted() -> None:
    """padded_batch: outputs of rows are one array, outputs of tokens a RaggedTensor of the batches' lengths."""
    texts = [np.arange(1, length + 1) for length in LENGTHS]
    spec = tf.TensorSpec((None,), tf.int64)
    dataset = tf.data.Dataset.from_generator(lambda: iter(texts), output_signature=spec).padded_batch(2)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(2))
    for head, field in (("sequence_classification", "logits"), ("question_answering", "end_logits")):
        model = build(head)
        output = model.predict(dataset, verbose=0)[field]
        assert isinstance(output, tf.RaggedTensor) == (field == "end_logits")
        rows = [row for batch in dataset for row in model(batch)[field].numpy()]
        for got, expected in zip(output, rows, strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
