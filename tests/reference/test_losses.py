"""Every loss by hand: which terms, which shape, what is ignored (LOSS)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from roformer_numpy.arithmetic import components_named

from ..support import BATCH, CHOICES, LANGUAGE_MODELS, SEQ_LEN, SIZES, good_call
from .conftest import Build

V, C = SIZES["vocab_size"], SIZES["num_labels"]
TOKEN_HEADS = (*LANGUAGE_MODELS, "token_classification")
CLOSE = {"rtol": 1e-12, "atol": 1e-13}


def surprise(logits: Any, label: int) -> float:
    """−ln of the softmax of `logits` at `label`, with the math module alone."""
    numbers = [float(number) for number in logits]
    top = max(numbers)
    return top + math.log(math.fsum(math.exp(number - top) for number in numbers)) - numbers[label]


def token_surprises(logits: np.ndarray, labels: np.ndarray, shift: int) -> list[float]:
    """The surprise of every label that is not −100, row by row, the logits of `shift` positions before it."""
    return [
        surprise(logits[row, column - shift], labels[row, column])
        for row in range(labels.shape[0])
        for column in range(shift, labels.shape[1])
        if labels[row, column] != -100
    ]


def shift_of(head: str) -> int:
    """How many positions before its label a prediction stands."""
    return 1 if head == "causal_lm" else 0


@pytest.mark.parametrize("head", TOKEN_HEADS)
def test_a_token_loss_has_one_number_for_each_label(build: Build, head: str) -> None:
    """Shape (n,), row-major, −ln softmax at each label ≠ −100; a causal model predicts the next token."""
    model = build(head)
    call = good_call(head, model.config)
    call["labels"][[0, 0, 2, 3], [1, 4, 0, 6]] = -100
    output = model(**call)
    expected = token_surprises(output.logits, call["labels"], shift_of(head))
    assert output.loss.shape == (len(expected),)
    np.testing.assert_allclose(output.loss, expected, **CLOSE)


@pytest.mark.parametrize("head", TOKEN_HEADS)
def test_the_mean_is_over_active_labels_only(build: Build, head: str) -> None:
    """loss_reduction="mean" gives a scalar: the sum divided by the number of labels that count."""
    model = build(head, loss_reduction="mean")
    call = good_call(head, model.config)
    call["labels"][1:] = -100
    output = model(**call)
    terms = token_surprises(output.logits, call["labels"], shift_of(head))
    assert output.loss.shape == ()
    assert output.loss.dtype == np.float64
    assert float(output.loss) == pytest.approx(math.fsum(terms) / len(terms), rel=1e-12)


@pytest.mark.parametrize("head", TOKEN_HEADS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_labels_that_are_all_ignored_give_no_loss(build: Build, head: str, dtype: str) -> None:
    """All −100: shape (0,), and a mean of 0, never NaN."""
    call = good_call(head, build(head).config)
    call["labels"] = np.full_like(call["labels"], -100)
    loss = build(head, dtype=dtype)(**call).loss
    assert (loss.shape, loss.dtype) == ((0,), dtype)
    mean = build(head, dtype=dtype, loss_reduction="mean")(**call).loss
    assert (mean.shape, float(mean)) == ((), 0.0)


@pytest.mark.parametrize("head", TOKEN_HEADS)
def test_label_0_and_the_pad_token_count(build: Build, head: str) -> None:
    """Only −100 is ignored: label 0 counts, where the token is padding and where it is masked, too."""
    model = build(head)
    call = good_call(head, model.config)
    call["labels"] = np.zeros_like(call["labels"])
    call["input_ids"][:, -3:] = model.config.pad_token_id
    call["attention_mask"][:, -3:] = 0
    assert model(**call).loss.shape == (BATCH * (SEQ_LEN - shift_of(head)),)


@pytest.mark.parametrize("head", TOKEN_HEADS)
def test_an_ignored_label_moves_no_other_loss(build: Build, head: str) -> None:
    """Exchanging a label for −100 takes its number out and leaves the others in place."""
    model = build(head)
    call = good_call(head, model.config)
    whole = model(**call).loss
    call["labels"][2, 3] = -100
    width = SEQ_LEN - shift_of(head)
    gone = 2 * width + 3 - shift_of(head)
    assert np.array_equal(model(**call).loss, np.delete(whole, gone))


def test_the_first_label_of_a_causal_model_is_never_predicted(build: Build) -> None:
    """Nothing stands before the first token, so its label has no effect."""
    model = build("causal_lm")
    call = good_call("causal_lm", model.config)
    before = model(**call).loss
    call["labels"][:, 0] = (call["labels"][:, 0] + 5) % V
    assert np.array_equal(model(**call).loss, before)


def test_a_causal_model_of_one_token_has_nothing_to_predict(build: Build) -> None:
    """S = 1 gives a loss of shape (0,)."""
    model = build("causal_lm")
    assert model([[3], [4]], labels=[[3], [4]]).loss.shape == (0,)


@pytest.mark.parametrize("scale", [1e30, -1e30])
def test_logits_under_an_ignored_label_are_irrelevant(arithmetic: str, scale: float) -> None:
    """Any finite logits at a −100, huge ones included, leave the loss as it is."""
    loss_of = components_named(arithmetic).active_cross_entropy
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(3, 5, 7)), generator.integers(0, 7, (3, 5))
    labels[1, 2] = labels[2, 4] = -100
    before = loss_of(logits, labels)
    logits[1, 2] = logits[2, 4] = scale * generator.normal(size=7)
    assert np.array_equal(loss_of(logits, labels), before)


def test_uniform_logits_cost_the_logarithm_of_the_classes(arithmetic: str) -> None:
    """Equal logits give ln V for every label, and a constant added to them changes nothing."""
    loss_of = components_named(arithmetic).active_cross_entropy
    labels = np.arange(10).reshape(2, 5)
    np.testing.assert_allclose(loss_of(np.zeros((2, 5, 10)), labels), math.log(10), rtol=1e-15)
    np.testing.assert_allclose(loss_of(np.full((2, 5, 10), 700.0), labels), math.log(10), rtol=1e-15)


def test_a_hopeless_prediction_costs_its_distance_and_no_infinity(arithmetic: str) -> None:
    """A label 1e4 below the top costs 1e4: the exponentials never overflow nor vanish."""
    loss_of = components_named(arithmetic).active_cross_entropy
    logits = np.zeros((1, 2, 3))
    logits[0, :, 0] = 1e4
    assert loss_of(logits, np.array([[1, 0]])) == pytest.approx([1e4, 0.0], abs=1e-12)


def test_one_label_means_squared_error(build: Build) -> None:
    """num_labels=1: (logit − label)² for each row, shape (B,), and labels (B,) mean the same as (B, 1)."""
    model = build("sequence_classification", num_labels=1)
    call = good_call("sequence_classification", model.config)
    targets = [0.5, -2.0, 3.25, 0.0]
    flat = model(**{**call, "labels": targets})
    expected = [(float(flat.logits[row, 0]) - targets[row]) ** 2 for row in range(BATCH)]
    assert flat.loss.shape == (BATCH,)
    np.testing.assert_allclose(flat.loss, expected, **CLOSE)
    column = model(**{**call, "labels": np.array(targets)[:, None]})
    assert np.array_equal(column.loss, flat.loss)


@pytest.mark.parametrize("dtype", ["int64", "float32", "float16", "bool"])
def test_regression_targets_may_have_any_real_type(build: Build, dtype: str) -> None:
    """Integer, half precision and boolean targets mean their numbers."""
    model = build("sequence_classification", num_labels=1)
    call = good_call("sequence_classification", model.config)
    targets = np.array([1, 0, 1, 1])
    expected = model(**{**call, "labels": targets.astype(np.float64)}).loss
    assert np.array_equal(model(**{**call, "labels": targets.astype(dtype)}).loss, expected)


def test_several_regression_targets_are_averaged_in_their_row(build: Build) -> None:
    """problem_type="regression" with C > 1: the mean of the C squared errors, shape (B,)."""
    model = build("sequence_classification", problem_type="regression")
    call = good_call("sequence_classification", model.config)
    targets = np.random.default_rng(4).normal(size=(BATCH, C))
    output = model(**{**call, "labels": targets})
    expected = [math.fsum((output.logits[row] - targets[row]) ** 2) / C for row in range(BATCH)]
    assert output.loss.shape == (BATCH,)
    np.testing.assert_allclose(output.loss, expected, **CLOSE)


@pytest.mark.parametrize("problem_type", [None, "single_label_classification"])
def test_classes_cost_their_surprise_in_each_row(build: Build, problem_type: str | None) -> None:
    """C > 1: −ln softmax at the label, shape (B,)."""
    model = build("sequence_classification", problem_type=problem_type)
    call = good_call("sequence_classification", model.config)
    output = model(**call)
    expected = [surprise(output.logits[row], call["labels"][row]) for row in range(BATCH)]
    assert output.loss.shape == (BATCH,)
    np.testing.assert_allclose(output.loss, expected, **CLOSE)


def test_one_class_alone_costs_nothing(build: Build) -> None:
    """single_label_classification with one class: −ln 1 = 0, not a squared error."""
    model = build("sequence_classification", num_labels=1, problem_type="single_label_classification")
    call = good_call("sequence_classification", model.config)
    loss = model(**{**call, "labels": [0] * BATCH}).loss
    assert np.array_equal(loss, np.zeros(BATCH))


def test_several_labels_at_once_cost_their_binary_entropies(build: Build) -> None:
    """multi_label_classification: the mean over C of −y ln σ(x) − (1 − y) ln(1 − σ(x)), shape (B,)."""
    model = build("sequence_classification", problem_type="multi_label_classification")
    call = good_call("sequence_classification", model.config)
    targets = np.random.default_rng(5).integers(0, 2, (BATCH, C)).astype(np.float64)
    targets[0, 0] = 0.25
    output = model(**{**call, "labels": targets})
    expected = []
    for row in range(BATCH):
        sigmoids = [1 / (1 + math.exp(-float(x))) for x in output.logits[row]]
        pairs = zip(sigmoids, targets[row], strict=True)
        expected.append(-math.fsum(y * math.log(s) + (1 - y) * math.log(1 - s) for s, y in pairs) / C)
    assert output.loss.shape == (BATCH,)
    np.testing.assert_allclose(output.loss, expected, **CLOSE)


def test_a_binary_entropy_never_overflows(arithmetic: str) -> None:
    """Logits of ±1e4 cost 1e4 or 0."""
    loss_of = components_named(arithmetic).binary_cross_entropy
    loss = loss_of(np.array([[1e4, -1e4], [1e4, -1e4]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    np.testing.assert_allclose(loss, [0.0, 1e4], rtol=1e-15)


def test_a_choice_costs_its_surprise_among_the_choices(build: Build) -> None:
    """Multiple choice: −ln softmax over the choices, shape (B,)."""
    model = build("multiple_choice")
    call = good_call("multiple_choice", model.config)
    output = model(**call)
    assert output.logits.shape == (BATCH, CHOICES)
    expected = [surprise(output.logits[row], call["labels"][row]) for row in range(BATCH)]
    assert output.loss.shape == (BATCH,)
    np.testing.assert_allclose(output.loss, expected, **CLOSE)


def test_a_span_costs_half_the_surprises_of_its_ends(build: Build) -> None:
    """Question answering: (start + end) / 2 in each row, shape (B,)."""
    model = build("question_answering")
    call = good_call("question_answering", model.config)
    output = model(**call)
    expected = [
        (surprise(output.start_logits[row], start) + surprise(output.end_logits[row], end)) / 2
        for row, (start, end) in enumerate(zip(call["start_positions"], call["end_positions"], strict=True))
    ]
    assert output.loss.shape == (BATCH,)
    np.testing.assert_allclose(output.loss, expected, **CLOSE)


def test_an_end_beyond_the_sequence_costs_nothing_and_is_still_halved(build: Build) -> None:
    """A position ≥ S counts 0, the other one half; both beyond: 0, never NaN."""
    model = build("question_answering")
    call = good_call("question_answering", model.config)
    start = np.array([SEQ_LEN, 2, 10**9, 3])
    end = np.array([1, SEQ_LEN + 4, 2**62, 0])
    output = model(**{**call, "start_positions": start, "end_positions": end})
    expected = [
        surprise(output.end_logits[0], 1) / 2,
        surprise(output.start_logits[1], 2) / 2,
        0.0,
        (surprise(output.start_logits[3], 3) + surprise(output.end_logits[3], 0)) / 2,
    ]
    np.testing.assert_allclose(output.loss, expected, **CLOSE)


@pytest.mark.parametrize(
    ("head", "changes"),
    [
        ("sequence_classification", {}),
        ("sequence_classification", {"num_labels": 1}),
        ("multiple_choice", {}),
        ("question_answering", {}),
    ],
)
def test_the_mean_of_rows_is_their_arithmetic_mean(build: Build, head: str, changes: dict[str, Any]) -> None:
    """loss_reduction="mean" of a loss of shape (B,) is its sum over B."""
    call = good_call(head, build(head, **changes).config)
    rows = build(head, **changes)(**call).loss
    mean = build(head, **changes, loss_reduction="mean")(**call).loss
    assert mean.shape == ()
    assert float(mean) == pytest.approx(math.fsum(rows) / BATCH, rel=1e-14)


@pytest.mark.parametrize("head", [*TOKEN_HEADS, "sequence_classification", "multiple_choice", "question_answering"])
def test_any_container_of_labels_gives_the_same_loss(build: Build, head: str) -> None:
    """Lists, tuples and arrays of any integer type are the same labels."""
    model = build(head)
    call = good_call(head, model.config)
    expected = model(**call).loss
    for convert in (np.ndarray.tolist, lambda array: tuple(array.tolist()), lambda array: array.astype(np.int16)):
        labels = {name: value for name, value in call.items() if "labels" in name or "positions" in name}
        changed = {name: convert(value) for name, value in labels.items()}
        assert np.array_equal(model(**{**call, **changed}).loss, expected)


@pytest.mark.parametrize("head", ["sequence_classification", "multiple_choice", "question_answering"])
@pytest.mark.parametrize("convert", [int, np.int64, np.array], ids=["int", "np.int64", "0-d array"])
def test_one_row_takes_a_label_without_axes(build: Build, head: str, convert: Any) -> None:
    """For B = 1 a bare number is the label, as the documentation's examples write it."""
    model = build(head)
    call = good_call(head, model.config, batch=1)
    names = [name for name in call if "labels" in name or "positions" in name]
    expected = model(**call).loss
    assert np.array_equal(model(**{**call, **{name: convert(call[name][0]) for name in names}}).loss, expected)


@pytest.mark.parametrize("head", TOKEN_HEADS)
def test_without_labels_there_is_no_loss(build: Build, head: str) -> None:
    """No labels, no loss; and labels change no logits."""
    model = build(head)
    call = good_call(head, model.config)
    labelled = model(**call)
    call.pop("labels")
    bare = model(**call)
    assert "loss" not in bare
    assert np.array_equal(bare.logits, labelled.logits)
