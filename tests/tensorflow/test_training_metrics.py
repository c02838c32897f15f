"""Metrics of the heads that label tokens, against the share of labels that argmax gets right, counted in NumPy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from .samples import MODELS, call_of, config_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STILL: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
PER_TOKEN = ("masked_lm", "causal_lm", "token_classification")


def compiled(head: str, loss: Any = None, **options: Any) -> Any:
    """A small model with metrics, weighted and not; in float32, which TensorFlow's top-k wants."""
    model = MODELS[head](config_of(**STILL, num_hidden_layers=1, initializer_range=0.3))
    model.compile(
        optimizer=keras.optimizers.SGD(0.0),
        loss=loss,
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(3, name="best_three"),
                 keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="entropy")],
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="weighed")],
        **{"run_eagerly": True, **options},
    )  # fmt: skip
    return model


def counted(model: Any, call: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels side by side, flat: a causal model's position with the label of the next one."""
    logits = model(call["input_ids"], call["attention_mask"]).logits.numpy()
    labels = call["labels"]
    if model.head == "causal_lm":
        logits, labels = logits[:, :-1], labels[:, 1:]
    return logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)


def partly_right(model: Any) -> dict[str, np.ndarray]:
    """A call with labels of −100, right ones and wrong ones."""
    call = call_of(model.head, model.config)
    best = np.argmax(model(call["input_ids"], call["attention_mask"]).logits, -1)
    best = np.roll(best, 1, axis=1) if model.head == "causal_lm" else best
    right = np.random.default_rng(1).random(best.shape) < 0.6
    return {**call, "labels": np.where((call["labels"] != -100) & right, best, call["labels"])}


def by_hand(model: Any, call: dict[str, np.ndarray], weights: np.ndarray) -> dict[str, float]:
    """The metrics over the labels that are not −100; `weights` (4, 7)."""
    logits, labels = counted(model, call)
    each = (weights[:, 1:] if model.head == "causal_lm" else weights).reshape(-1)
    logits, each, labels = logits[labels != -100], each[labels != -100], labels[labels != -100]
    ranks = (logits > logits[np.arange(len(labels)), labels][:, None]).sum(-1)
    entropy = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(labels)), labels]
    assert 0 < (ranks == 0).mean() < 1
    return {
        "accuracy": (ranks == 0).mean(),
        "best_three": (ranks < 3).mean(),
        "entropy": entropy.mean(),
        "weighed": (each * (ranks == 0)).sum() / each.sum(),
    }


def check(reported: dict[str, float], expected: dict[str, float]) -> None:
    """Up to float32, in which Keras keeps its sums."""
    for name, value in expected.items():
        assert np.isclose(reported[name], value, rtol=1e-5), name


@pytest.mark.parametrize("form", ["y", "inside x"])
@pytest.mark.parametrize("head", PER_TOKEN)
def test_metrics_count_the_labels_that_the_loss_counts(head: str, form: str) -> None:
    """−100 is neither right nor wrong, a causal model is held against the next token; over unequal batches."""
    model = compiled(head)
    call = partly_right(model)
    inputs = {name: call[name] for name in ("input_ids", "attention_mask")}
    data = (inputs, call["labels"]) if form == "y" else (call,)
    each = np.random.default_rng(2).uniform(0, 2, (4, 7))
    for weights, given in ((np.ones((4, 7)), None), (each, each), (np.tile(each[:, :1], 7), each[:, 0])):
        reported = model.evaluate(*data, sample_weight=given, batch_size=3, verbose=0, return_dict=True)
        check(reported, by_hand(model, call, weights))
    assert model.fit(*data, verbose=0).history["accuracy"][0] == reported["accuracy"]


@pytest.mark.parametrize("options", [{"jit_compile": False}, {"jit_compile": True}], ids=["graph", "xla"])
def test_metrics_are_the_same_compiled(options: dict[str, Any]) -> None:
    """How many labels count is known only when a graph runs."""
    model = compiled("causal_lm", run_eagerly=False, **options)
    call = partly_right(model)
    weights = np.random.default_rng(2).uniform(0, 2, (4, 7))
    check(model.evaluate(call, sample_weight=weights, verbose=0, return_dict=True), by_hand(model, call, weights))


@pytest.mark.parametrize("head", ["masked_lm", "causal_lm"])
@pytest.mark.parametrize("form", ["inside x", "named y"])
def test_labels_by_name_mean_the_same_beside_a_loss_of_the_callers_own(head: str, form: str) -> None:
    """The model's own loss and Keras' on the same labels are one number, and the metrics go with them."""
    model = compiled(head, loss="sparse_categorical_crossentropy")
    call = partly_right(model)
    inputs = {name: call[name] for name in ("input_ids", "attention_mask")}
    data = (call,) if form == "inside x" else (inputs, {"labels": call["labels"]})
    expected = by_hand(model, call, np.ones((4, 7)))
    weights = np.array([0.5, 2.0, 1.0, 0.0])
    reported = model.evaluate(*data, verbose=0, return_dict=True)
    check(reported, {**expected, "loss": expected["entropy"]})
    weighed = by_hand(model, call, np.tile(weights[:, None], 7))["weighed"]
    reported = model.evaluate(*data, sample_weight=weights, verbose=0, return_dict=True)
    own = compiled(head).evaluate(call, sample_weight=weights, verbose=0, return_dict=True)
    check(reported, {**expected, "weighed": weighed, "loss": own["loss"]})


def test_an_unnamed_y_beside_a_loss_of_the_callers_own_lies_beside_the_logits() -> None:
    """Keras' convention, also in a causal model: whoever shifts his labels himself gets what he asked for."""
    model = compiled("causal_lm", loss="sparse_categorical_crossentropy")
    call = partly_right(model)
    inputs = {name: call[name] for name in ("input_ids", "attention_mask")}
    shifted = np.full((4, 7), -100)
    shifted[:, :-1] = call["labels"][:, 1:]
    expected = by_hand(model, call, np.ones((4, 7)))
    for y in (shifted, {"logits": shifted}):
        reported = model.evaluate(inputs, y, verbose=0, return_dict=True)
        check(reported, {**expected, "loss": expected["entropy"]})


def test_no_label_that_counts_leaves_the_metrics_as_they_are() -> None:
    """A batch of −100 alone adds nothing."""
    model = compiled("masked_lm")
    call = partly_right(model)
    call["labels"][2:] = -100
    first = {name: value[:2] for name, value in call.items()}
    reported = model.evaluate(tf.data.Dataset.from_tensor_slices(call).batch(2), verbose=0, return_dict=True)
    alone = model.evaluate(first, verbose=0, return_dict=True)
    assert all(np.isclose(reported[name], alone[name]) for name in ("accuracy", "best_three", "entropy"))
