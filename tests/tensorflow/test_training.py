"""Keras' own life of a model: compile, fit, evaluate, predict, and its ways of saving (TRAIN-3, IN-8, LIFE-5)."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from roformer_numpy import InputError

from .samples import HEADS, MODELS, call_of, config_of, ids_of

# Keras reads its variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TRAINED = tuple(head for head in HEADS if head != "base")
STILL: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def by_name(call: dict[str, np.ndarray]) -> dict[str, Any]:
    """Labels inside the mapping of inputs."""
    return {"x": call}


def apart(call: dict[str, np.ndarray]) -> dict[str, Any]:
    """Labels as y."""
    inputs = {name: value for name, value in call.items() if name in ("input_ids", "attention_mask")}
    labels = [value for name, value in call.items() if name not in inputs]
    return {"x": inputs, "y": labels[0] if len(labels) == 1 else tuple(labels)}


def as_dataset(call: dict[str, np.ndarray]) -> dict[str, Any]:
    """A tf.data pipeline of mappings."""
    return {"x": tf.data.Dataset.from_tensor_slices(call)}


def loss_after_fit(head: str, form: Any, jit_compile: bool) -> tuple[float, float, float]:
    """What fit reports of its one step, the model's own loss before it, and after it."""
    config = config_of(**STILL)
    model, call = MODELS[head](config, dtype="float64"), call_of(head, config)
    before = float(tf.reduce_mean(model(**call).loss))
    model.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=jit_compile)
    data = form(call)
    if isinstance(data["x"], tf.data.Dataset):
        data["x"] = data["x"].batch(4)
    reported = model.fit(**data, shuffle=False, verbose=0)
    after = model.evaluate(**data, verbose=0)
    assert np.isclose(after, float(tf.reduce_mean(model(**call).loss)))
    return reported.history["loss"][0], before, after


@pytest.mark.parametrize(
    ("head", "form"),
    [*((head, apart) for head in TRAINED), ("masked_lm", by_name), ("question_answering", by_name)],
    ids=[*(f"{head} as y" for head in TRAINED), "masked_lm by name", "question_answering by name"],
)
def test_fit_trains_on_the_models_own_loss(head: str, form: Any) -> None:
    """compile without a loss: what fit reports is the direct call's loss, and it goes down (IN-8)."""
    reported, before, after = loss_after_fit(head, form, jit_compile=False)
    assert np.isclose(reported, before)
    assert after < before


@pytest.mark.parametrize("head", ["masked_lm", "causal_lm", "sequence_classification"])
def test_fit_is_the_same_under_xla(head: str) -> None:
    """jit_compile=True trains the same numbers, losses of unknown length included."""
    assert np.allclose(loss_after_fit(head, apart, True), loss_after_fit(head, apart, False), rtol=1e-9)


def test_fit_reads_a_dataset() -> None:
    """tf.data gives what arrays give."""
    assert np.allclose(
        loss_after_fit("masked_lm", as_dataset, False), loss_after_fit("masked_lm", by_name, False), rtol=1e-9
    )


def test_predict_returns_every_output() -> None:
    """Batches are put together again, field by field."""
    model = MODELS["masked_lm"](config_of(output_hidden_states=True))
    ids = ids_of("masked_lm", model.config)
    output = model.predict(ids, batch_size=3, verbose=0)
    expected = model(ids)
    assert list(output) == list(expected)
    assert np.allclose(output.logits, expected.logits, atol=1e-6)
    assert len(output.hidden_states) == 3


def test_a_loss_and_metrics_of_the_callers_own_see_the_logits() -> None:
    """compile(loss=…, metrics=…) works as for any Keras classifier."""
    model = MODELS["sequence_classification"](config_of(**STILL), dtype="float64")
    ids = ids_of("sequence_classification", model.config)
    labels = np.arange(4)
    expected = float(tf.reduce_mean(model(ids, labels=labels).loss))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="sgd", loss=loss, metrics=["accuracy"], jit_compile=False)
    reported = model.fit(ids, labels, verbose=0).history
    assert np.isclose(reported["loss"][0], expected)
    assert "accuracy" in reported


def test_fit_refuses_to_train_without_labels() -> None:
    """There is nothing to train on."""
    model = MODELS["masked_lm"](config_of())
    model.compile(optimizer="sgd", jit_compile=False)
    with pytest.raises(InputError, match="no labels"):
        model.fit(ids_of("masked_lm", model.config), verbose=0)


@pytest.mark.parametrize("head", ["base", "causal_lm"])
def test_keras_saves_and_loads_the_whole_model(head: str, tmp_path) -> None:
    """The .keras file, pickle and deepcopy give the same numbers back."""
    model = MODELS[head](config_of(tie_word_embeddings=False), seed=4, honour_call_flags=True)
    ids = ids_of(head, model.config)
    expected = model(ids)[0].numpy()
    model.save(tmp_path / "model.keras")
    for again in (
        keras.models.load_model(tmp_path / "model.keras"),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
    ):
        assert type(again) is type(model)
        assert again.config == model.config
        assert np.array_equal(again(ids)[0].numpy(), expected)


def test_keras_saves_weights_alone(tmp_path) -> None:
    """save_weights and load_weights, into a model that was never called."""
    model, other = (MODELS["base"](config_of(), seed=seed) for seed in (1, 2))
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    ids = ids_of("base", model.config)
    assert np.array_equal(model(ids)[0].numpy(), other(ids)[0].numpy())


def test_the_table_of_angles_does_not_train() -> None:
    """Training changes the weights and nothing else (ROT-2.9)."""
    model = MODELS["masked_lm"](config_of())
    before = [part.copy() for part in model.angles]
    model.compile(optimizer=keras.optimizers.SGD(1.0), jit_compile=False)
    ids = ids_of("masked_lm", model.config)
    model.fit(ids, ids, verbose=0)
    assert all(np.array_equal(part, was) for part, was in zip(model.angles, before, strict=True))
    assert not any("angle" in variable.path for variable in model.variables)


def test_an_exported_model_serves_its_logits(tmp_path) -> None:
    """A SavedModel of any length, without this package when it is loaded."""
    model = MODELS["masked_lm"](config_of())
    spec = tf.TensorSpec((None, None), tf.int64)
    signature = [{"input_ids": spec, "attention_mask": spec}]
    model.export(tmp_path / "served", input_signature=signature, verbose=False)
    ids = ids_of("masked_lm", model.config)
    loaded = tf.saved_model.load(tmp_path / "served")
    served = loaded.serve({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert np.allclose(served["logits"], model(ids).logits, atol=1e-6)
