"""Losses of the caller's own, sample weights and class weights, held against Keras' own arithmetic and formulas."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from roformer_numpy import InputError

from .samples import HEADS, MODELS, call_of, config_of

# Keras reads its variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STILL: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
TRAINED = tuple(head for head in HEADS if head != "base")
PER_TOKEN = ("masked_lm", "causal_lm", "token_classification")
WEIGHTS = np.array([0.5, 0.0, 3.0, 1.25])


def split(call: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], Any]:
    """Inputs, and labels as y."""
    inputs = {name: value for name, value in call.items() if name in ("input_ids", "attention_mask")}
    labels = [value for name, value in call.items() if name not in inputs]
    return inputs, labels[0] if len(labels) == 1 else tuple(labels)


def compiled(head: str, loss: Any = None, **changes: Any) -> Any:
    """A small float64 model that trains one plain step at a time."""
    model = MODELS[head](config_of(**STILL, **changes), dtype="float64")
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss, run_eagerly=True)
    return model


def loss_of(model: Any, *data: Any, **options: Any) -> float:
    """What evaluate reports for all rows as one batch."""
    return model.evaluate(*data, batch_size=4, verbose=0, **options)


def weighted_by_hand(model: Any, call: dict[str, np.ndarray], weights: np.ndarray) -> float:
    """Σ w·l / n from the losses of a direct call; `weights` (4,) or (4, 7)."""
    losses = model(**call).loss.numpy()
    if model.head not in PER_TOKEN:
        return float((weights * losses).sum() / len(losses))
    labels = call["labels"]
    each = np.broadcast_to(weights[:, None] if weights.ndim == 1 else weights, labels.shape)
    labels, each = (labels[:, 1:], each[:, 1:]) if model.head == "causal_lm" else (labels, each)
    return float((each[labels != -100] * losses).sum() / len(losses))


@pytest.mark.parametrize("head", TRAINED)
def test_a_weight_a_row_weighs_its_losses(head: str) -> None:
    """Σ w·l / n, n the number of losses; labels as y or inside x, and in training as in evaluation."""
    model = compiled(head)
    call = call_of(head, model.config)
    expected = weighted_by_hand(model, call, WEIGHTS)
    assert np.isclose(loss_of(model, *split(call), sample_weight=WEIGHTS), expected, rtol=1e-6)
    assert np.isclose(loss_of(model, call, sample_weight=WEIGHTS[:, None]), expected, rtol=1e-6)
    dataset = tf.data.Dataset.from_tensors((*split(call), WEIGHTS))
    assert np.isclose(model.evaluate(dataset, verbose=0), expected, rtol=1e-6)
    assert np.isclose(model.train_on_batch(*split(call), sample_weight=WEIGHTS), expected, rtol=1e-6)


@pytest.mark.parametrize("head", PER_TOKEN)
def test_a_weight_a_token_goes_with_its_label(head: str) -> None:
    """sample_weight (batch, seq_len); that of a label −100 has no effect, nor in a causal model that of the first."""
    model = compiled(head)
    call = call_of(head, model.config)
    weights = np.random.default_rng(3).uniform(0, 2, (4, 7))
    expected = weighted_by_hand(model, call, weights)
    assert np.isclose(loss_of(model, *split(call), sample_weight=weights), expected, rtol=1e-6)
    weights[call["labels"] == -100] = 1e6
    assert np.isclose(loss_of(model, *split(call), sample_weight=weights), expected, rtol=1e-6)


def test_weights_weigh_as_keras_weighs() -> None:
    """The same numbers from Keras' own masked cross-entropy with the same sample_weight."""
    ours = compiled("token_classification")
    theirs = compiled("token_classification", loss="sparse_categorical_crossentropy")
    inputs, labels = split(call_of("token_classification", ours.config))
    weights = np.random.default_rng(4).uniform(0, 2, (4, 7))
    for sample_weight in (None, weights):
        expected = loss_of(theirs, inputs, labels, sample_weight=sample_weight)
        assert np.isclose(loss_of(ours, inputs, labels, sample_weight=sample_weight), expected, rtol=1e-6)


def test_starts_and_ends_can_be_weighed_apart() -> None:
    """A pair of weights, or a mapping: each goes with its half of the loss."""
    model = compiled("question_answering")
    inputs, (starts, ends) = split(call_of("question_answering", model.config))
    first = weighted_by_hand(model, {**inputs, "start_positions": starts, "end_positions": ends}, np.eye(4)[0] * 4)
    half = [loss_of(model, inputs, (starts, ends), sample_weight=pair) for pair in
            ((np.eye(4)[0] * 4, np.zeros(4)), (np.zeros(4), np.eye(4)[0] * 4))]  # fmt: skip
    assert min(half) > 0
    assert np.isclose(sum(half), first, rtol=1e-6)


def test_weights_of_zero_train_nothing() -> None:
    """A row without weight has no gradient: training on the others alone, with as many rows, is the same."""
    models = [compiled("sequence_classification") for _ in range(2)]
    inputs, labels = split(call_of("sequence_classification", models[0].config))
    models[0].fit(inputs, labels, sample_weight=np.array([1.0, 1.0, 0.0, 0.0]), verbose=0)
    rest = {name: value[:2] for name, value in inputs.items()}
    models[1].fit(rest, labels[:2], sample_weight=np.array([0.5, 0.5]), verbose=0)
    for one, two in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-12)


def test_class_weights_are_sample_weights_of_the_classes() -> None:
    """class_weight {class: w}: 1 where it says nothing; from arrays, a dataset, and in train_on_batch."""
    model = compiled("sequence_classification")
    call = call_of("sequence_classification", model.config)
    inputs, labels = split(call)
    weights = {int(labels[0]): 2.5, int(labels[1]): 0.25}
    expected = weighted_by_hand(model, call, np.array([weights.get(int(label), 1.0) for label in labels]))
    model.optimizer.learning_rate = 0.0
    dataset = tf.data.Dataset.from_tensors((inputs, labels))
    for reported in (
        model.fit(inputs, labels, class_weight=weights, verbose=0).history["loss"][0],
        model.fit(dataset, class_weight=weights, shuffle=False, verbose=0).history["loss"][0],
        model.fit(call, class_weight=weights, verbose=0).history["loss"][0],
        model.train_on_batch(inputs, labels, class_weight=weights),
    ):
        assert np.isclose(reported, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("head", "changes", "form", "words"),
    [
        ("token_classification", {}, "y", r"class_weight: .*\(head token_classification\) has no one class; give"),
        ("sequence_classification", {"num_labels": 1}, "y", "has no one class"),
        ("sequence_classification", {}, "dataset of x", "class_weight needs the labels as y"),
        ("sequence_classification", {"num_labels": 6}, "y", "class 6, allowed are 0 to 5"),
    ],
)
def test_class_weights_are_refused_where_no_row_has_a_class(head: str, changes: Any, form: str, words: str) -> None:
    """Keras would take the largest of a row of labels for its class, or look for classes in vain."""
    model = compiled(head, **changes)
    call = call_of(head, model.config)
    data = {"y": split(call), "dataset of x": (tf.data.Dataset.from_tensors(call),)}[form]
    with pytest.raises(InputError, match=words):
        model.fit(*data, class_weight={6: 2.0}, verbose=0)


@pytest.mark.parametrize(
    ("head", "weights", "allowed"),
    [
        ("sequence_classification", np.ones((4, 7)), r"allowed is \(batch,\)"),
        ("masked_lm", np.ones((4, 7, 1)), r"allowed is \(batch,\) or \(batch, seq_len\)"),
    ],
)
def test_weights_of_other_shapes_are_refused(head: str, weights: np.ndarray, allowed: str) -> None:
    """Nothing is broadcast that was not meant so."""
    model = compiled(head)
    with pytest.raises(InputError, match=rf"sample_weight has shape .*{allowed}"):
        model.fit(*split(call_of(head, model.config)), sample_weight=weights, verbose=0)


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        {"logits": "sparse_categorical_crossentropy"},
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        lambda labels, logits: tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int64), logits),
    ],
    ids=["name", "mapping", "object", "function"],
)
@pytest.mark.parametrize("form", ["y", "by name", "inside x"])
def test_a_loss_of_the_callers_own_is_computed_on_the_logits(loss: Any, form: str) -> None:
    """By name it means logits, which Keras' own reading would take for probabilities; wherever labels come from."""
    model = compiled("sequence_classification", loss=loss)
    call = call_of("sequence_classification", model.config)
    inputs, labels = split(call)
    data = {"y": (inputs, labels), "by name": (inputs, {"logits": labels}), "inside x": (call,)}[form]
    if form == "by name" and not isinstance(loss, dict):
        data = (inputs, {"labels": labels})
    expected = float(tf.reduce_mean(model(**call).loss))
    assert np.isclose(loss_of(model, *data), expected, rtol=1e-6)
    weighted = weighted_by_hand(model, call, WEIGHTS)
    if form != "by name":
        assert np.isclose(loss_of(model, *data, sample_weight=WEIGHTS), weighted, rtol=1e-6)


def test_a_loss_for_probabilities_is_warned_about() -> None:
    """The object's default would train on wrong numbers without a word."""
    with pytest.warns(UserWarning, match="this model returns logits"):
        compiled("sequence_classification", loss=keras.losses.SparseCategoricalCrossentropy())


def test_compiling_again_without_a_loss_returns_to_the_models_own() -> None:
    """Keras would keep the first one."""
    model = compiled("sequence_classification", loss="mse")
    call = call_of("sequence_classification", model.config)
    model.compile(optimizer="sgd", run_eagerly=True)
    assert np.isclose(loss_of(model, call), float(tf.reduce_mean(model(**call).loss)), rtol=1e-6)


@pytest.mark.parametrize("form", ["y", "inside x"])
def test_metrics_see_logits_and_labels(form: str) -> None:
    """metrics beside the model's own loss, wherever the labels come from: the share that argmax gets right."""
    model = MODELS["sequence_classification"](config_of(**STILL), dtype="float64")
    model.compile(optimizer="sgd", metrics=["accuracy"], weighted_metrics=["accuracy"], run_eagerly=True)
    call = call_of("sequence_classification", model.config)
    inputs, labels = split(call)
    hits = np.argmax(model(**inputs).logits, -1) == np.arange(4)
    wanted = np.where(np.arange(4) < 2, np.argmax(model(**inputs).logits, -1), (labels + 1) % 8)
    data = (inputs, wanted) if form == "y" else ({**inputs, "labels": wanted},)
    reported = model.evaluate(*data, sample_weight=WEIGHTS, verbose=0, return_dict=True)
    hits = np.argmax(model(**inputs).logits, -1) == wanted
    assert np.isclose(reported["accuracy"], hits.mean())
    assert np.isclose(reported["weighted_accuracy"], (hits * WEIGHTS).sum() / WEIGHTS.sum())
