"""LOSS: what a loss is computed from, and its shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..formulas import edited, negative_log_likelihood
from ..protocol import Array, Outputs
from ..registry import LOSS_HEADS, check
from ..strategies import Case
from ..trial import Trial, expect

TOKENS = ("masked_lm", "causal_lm", "token_classification")
IGNORED = -100
# What a head's last layer is called; with 0 there every class is equally likely.
LAST_LAYERS = r"^(cls\.predictions\.(bias|transform\.LayerNorm\.)|classifier|qa_outputs)"


@check("LOSS-1.1", "by-hand", heads=("masked_lm",), also=("LOSS-1.2",))
def masked_language_model_by_hand(trial: Trial, case: Case) -> None:
    """The loss is −ln softmax(logits)[label] where the label is not −100, of shape (n,), in row-major order."""
    _expect_token_loss(trial, case, case.labels()["labels"])


@check("LOSS-3.1", "by-hand", heads=("causal_lm",), also=("LOSS-3.2", "LOSS-1.2"))
def next_tokens_by_hand(trial: Trial, case: Case) -> None:
    """The loss of a causal language model holds the logits of a position against the label of the next one."""
    _expect_token_loss(trial, case, case.labels()["labels"])


@check("LOSS-4", "by-hand", heads=("token_classification",), also=("LOSS-1.2",))
def token_classes_by_hand(trial: Trial, case: Case) -> None:
    """The loss of token classification is −ln softmax(logits)[label] over the classes, of shape (n,)."""
    _expect_token_loss(trial, case, case.labels()["labels"])


@check("LOSS-3.1", "first-label", heads=("causal_lm",))
def the_first_label_is_never_predicted(trial: Trial, case: Case) -> None:
    """The label of the first position, which no position comes before, changes nothing."""
    inputs, labels = case.inputs(), case.labels()["labels"]
    other = labels.copy()
    other[:, 0] = np.where(labels[:, 0] == IGNORED, 1, IGNORED)
    model = trial.load(case)
    expected = trial.call(model, {**inputs, "labels": labels})
    trial.equals("first label changed", trial.call(model, {**inputs, "labels": other}), expected, ("loss",))


@check(
    "LOSS-1.1",
    "every-position-counts",
    heads=TOKENS,
    masks=("right", "irregular"),
    effort=0.6,
    also=("LOSS-3.1", "LOSS-4"),
)
def masked_positions_may_be_labelled(trial: Trial, case: Case) -> None:
    """A label other than −100 counts under a 0 of attention_mask too: labels alone select positions."""
    labels = np.where(case.labels()["labels"] == IGNORED, 0, case.labels()["labels"])
    _expect_token_loss(trial, case, labels)


@check("LOSS-2.1", "ignored-content", heads=TOKENS, masks=("right", "irregular"), min_seq_len=3, effort=0.6)
def ignored_logits_do_not_matter(trial: Trial, case: Case) -> None:
    """Other tokens where attention is masked and the label −100 give other logits there and the same loss."""
    inputs, masked = case.inputs(), case.attention_mask() == 0
    # the position before a label predicts it in a causal model
    labels = np.where(masked | np.roll(masked, 1, axis=1), IGNORED, case.labels()["labels"])
    other = np.where(masked, (inputs["input_ids"] + 1) % case.config["vocab_size"], inputs["input_ids"])
    model = trial.load(case)
    expected = trial.call(model, {**inputs, "labels": labels})
    got = trial.call(model, {**inputs, "input_ids": other, "labels": labels})
    trial.equals("ignored tokens changed", got, expected, ("loss",))


@check("LOSS-2.3", "ignored-rows", heads=TOKENS, effort=0.6, also=("LOSS-1.3",))
def ignored_rows_are_not_counted(trial: Trial, case: Case) -> None:
    """Appending a row whose labels are all −100 changes neither the losses nor their mean."""
    for reduction in ("none", "mean"):
        reduced = case.with_config(loss_reduction=reduction)
        inputs = {**reduced.inputs(), **reduced.labels()}
        longer = {name: np.concatenate([array, array[:1]]) for name, array in inputs.items()}
        longer["labels"][-1] = IGNORED
        model = trial.load(reduced)
        expected = {"loss": trial.call(model, inputs)["loss"]}
        trial.match(f"a row ignored, loss_reduction {reduction}", trial.call(model, longer), expected, reduced, inputs)


@check("LOSS-2.4", "label-zero", heads=TOKENS, effort=0.6)
def label_zero_counts(trial: Trial, case: Case) -> None:
    """Label 0 is predicted like any other: with nothing but zeros n is the number of positions."""
    _expect_token_loss(trial, case, np.zeros(case.lead, np.int64))


@check("LOSS-2.4", "pad-label", heads=TOKENS, effort=0.6, pad_token_id=1)
def the_pad_label_counts(trial: Trial, case: Case) -> None:
    """A label equal to pad_token_id is predicted like any other: only −100 is ignored."""
    _expect_token_loss(trial, case, np.ones(case.lead, np.int64))


@check(
    "LOSS-1.1", "uniform", heads=LOSS_HEADS, effort=0.6,
    also=("LOSS-3.1", "LOSS-4", "LOSS-5.2", "LOSS-6.1", "LOSS-6.2"),
)  # fmt: skip
def equal_logits_give_the_logarithm_of_their_number(trial: Trial, case: Case) -> None:
    """A head whose last layer is 0 gives ln of the number of classes, words, choices or positions as every loss."""
    inputs = {**case.inputs(), **case.labels()}
    weights = edited(trial.weights(case), {LAST_LAYERS: np.zeros_like})
    got = trial.call(trial.load(case, weights), inputs)["loss"]
    among = {
        "question_answering": case.seq_len, "multiple_choice": case.choices,
        "masked_lm": case.config["vocab_size"], "causal_lm": case.config["vocab_size"],
    }.get(case.head, case.config["num_labels"])  # fmt: skip
    expected = np.full(got.shape, np.log(among))
    trial.close(f"all logits 0, among {among}", got, expected, case, inputs, "loss", weights=weights)


@check(
    "LOSS-1.1", "constant", heads=LOSS_HEADS, effort=0.6,
    also=("LOSS-3.1", "LOSS-4", "LOSS-5.2", "LOSS-6.1", "LOSS-6.2"),
)  # fmt: skip
def a_constant_changes_no_loss(trial: Trial, case: Case) -> None:
    """1024 added to every logit, through the last bias, changes no loss and overflows nowhere."""
    inputs, weights = {**case.inputs(), **case.labels()}, trial.weights(case)
    last = r"^(cls\.predictions|classifier|classifier\.out_proj|qa_outputs)\.bias$"
    raised = edited(weights, {last: lambda bias: bias + 1024.0})
    expected = trial.call(trial.load(case), inputs)["loss"]
    got = trial.call(trial.load(case, raised), inputs)["loss"]
    # the spread is that of the raised logits: adding the constant rounds them
    trial.close("logits raised by 1024", got, expected, case, inputs, "loss", weights=raised)


@check("LOSS-1.3", "mean", heads=LOSS_HEADS, effort=0.6, also=("LOSS-6.4",))
def mean_is_the_mean_of_the_losses(trial: Trial, case: Case) -> None:
    """loss_reduction mean gives a scalar, the mean of the values that none gives."""
    mean = case.with_config(loss_reduction="mean")
    inputs = {**case.inputs(), **case.labels()}
    if case.head == "question_answering":
        inputs["start_positions"][[0, -1]] = case.seq_len + 3  # a row half ignored counts as a row,
        inputs["end_positions"][-1] = case.seq_len  # and so does one that is ignored as a whole
    each = trial.call(trial.load(case), inputs)["loss"].astype(np.float64)
    got = trial.call(trial.load(mean), inputs)["loss"]
    trial.close("mean of the losses", got, np.asarray(each.sum() / max(each.size, 1)), mean, inputs, "loss")


@check("LOSS-5.2", "by-hand", heads=("sequence_classification",))
def sequence_classes_by_hand(trial: Trial, case: Case) -> None:
    """With several labels the loss of a row is −ln softmax(logits)[label], shape (B,)."""
    _expect_sequence_loss(trial, case, case.labels()["labels"], negative_log_likelihood)


@check("LOSS-5.3", "single-label", heads=("sequence_classification",), num_labels=1,
       problem_type="single_label_classification")  # fmt: skip
def problem_type_beats_one_label(trial: Trial, case: Case) -> None:
    """With problem_type single_label_classification even one label means cross-entropy, and its loss is 0."""
    _expect_sequence_loss(trial, case, np.zeros(case.batch, np.int64), negative_log_likelihood)


@check("LOSS-5.1", "by-hand", heads=("sequence_classification",), num_labels=1)
def regression_by_hand(trial: Trial, case: Case) -> None:
    """With one label the loss of a row is (logit − label)², shape (B,), fractions of labels included."""
    labels = _reals(case, (case.batch,))
    _expect_sequence_loss(trial, case, labels, lambda logits, labels: (logits[:, 0] - labels) ** 2)


@check("LOSS-5.1", "column-of-labels", heads=("sequence_classification",), num_labels=1)
def a_column_of_labels_is_a_row(trial: Trial, case: Case) -> None:
    """With one label, labels of shape (B,) and (B, 1) give the same loss."""
    inputs, labels, model = case.inputs(), _reals(case, (case.batch,)), trial.load(case)
    expected = trial.call(model, {**inputs, "labels": labels})
    trial.equals("labels (B, 1)", trial.call(model, {**inputs, "labels": labels[:, None]}), expected)


@check("LOSS-5.4", "by-hand", heads=("sequence_classification",), problem_type="regression", also=("LOSS-5.3",))
def regression_over_labels_by_hand(trial: Trial, case: Case) -> None:
    """With problem_type regression and several labels the loss of a row is the mean of its squared errors."""
    labels = _reals(case, (case.batch, case.config["num_labels"]))
    _expect_sequence_loss(trial, case, labels, lambda logits, labels: ((logits - labels) ** 2).mean(axis=1))


@check(
    "LOSS-5.5", "by-hand", heads=("sequence_classification",), problem_type="multi_label_classification",
    also=("LOSS-5.3",),
)  # fmt: skip
def several_labels_at_once_by_hand(trial: Trial, case: Case) -> None:
    """With problem_type multi_label_classification the loss of a row is the mean of its binary cross-entropies."""
    labels = case.generator("yes or no").integers(0, 2, (case.batch, case.config["num_labels"])).astype(np.float32)
    _expect_sequence_loss(trial, case, labels, _binary)


@check(
    "LOSS-5.5", "large-logits", heads=("sequence_classification",), problem_type="multi_label_classification",
)  # fmt: skip
def large_logits_do_not_overflow(trial: Trial, case: Case) -> None:
    """Logits near ±1000 give binary cross-entropies near 1000 or 0, and no infinity."""
    size = case.config["num_labels"]
    signs = case.generator("signs").choice([-1024.0, 1024.0], size)
    labels = case.generator("yes or no").integers(0, 2, (case.batch, size)).astype(np.float32)
    weights = edited(trial.weights(case), {r"classifier\.out_proj\.bias": lambda bias: bias + signs})
    _expect_sequence_loss(trial, case, labels, _binary, weights)


@check("LOSS-6.1", "by-hand", heads=("multiple_choice",))
def choices_by_hand(trial: Trial, case: Case) -> None:
    """The loss of an example is −ln softmax(logits)[label] over its own choices, shape (B,)."""
    _expect_sequence_loss(trial, case, case.labels()["labels"], negative_log_likelihood)


@check("LOSS-6.2", "by-hand", heads=("question_answering",))
def spans_by_hand(trial: Trial, case: Case) -> None:
    """The loss of a row is half the sum of the cross-entropies of start and end over all positions."""
    _expect_span_loss(trial, case, case.labels())


@check("LOSS-6.3", "beyond-the-sequence", heads=("question_answering",))
def positions_beyond_the_sequence_count_nothing(trial: Trial, case: Case) -> None:
    """A start or end at S or later, however far, counts 0, and the sum is still divided by 2."""
    labels = case.labels()
    for name, array in labels.items():
        beyond = case.generator(name).random(case.batch) < 0.5
        labels[name] = np.where(beyond, case.seq_len + array, array)
    labels["start_positions"][0], labels["end_positions"][-1] = case.seq_len, 1_000_000
    _expect_span_loss(trial, case, labels)


@check("LOSS-7.1", "nothing-to-predict", heads=TOKENS, effort=0.5)
def nothing_to_predict_is_no_loss(trial: Trial, case: Case) -> None:
    """When every label is −100 the loss has shape (0,), and its mean is 0."""
    inputs = {**case.inputs(), "labels": np.full(case.lead, IGNORED)}
    loss = trial.call(trial.load(case), inputs)["loss"]
    expect(loss.shape == (0,), f"loss has shape {loss.shape} when every label is −100, expected (0,)")
    mean = trial.call(trial.load(case.with_config(loss_reduction="mean")), inputs)["loss"]
    expect(
        mean.shape == () and float(mean) == 0.0,
        f"loss is {mean.tolist()!r} of shape {mean.shape} for the mean of no losses, expected 0.0",
    )


@check("LOSS-8", "python-lists", heads=LOSS_HEADS, needs=("python_values",), effort=0.6)
def lists_of_labels_are_labels(trial: Trial, case: Case) -> None:
    """Labels as Python lists give the loss that the same labels give as an array."""
    inputs, labels, model = case.inputs(), case.labels(), trial.load(case)
    expected = trial.call(model, {**inputs, **labels})
    got = trial.call(model, {**inputs, **{name: array.tolist() for name, array in labels.items()}})
    trial.equals("labels as lists", got, expected, ("loss",))


def _expect_token_loss(trial: Trial, case: Case, labels: Array) -> None:
    inputs = {**case.inputs(), "labels": labels}
    got = trial.call(trial.load(case), inputs)
    logits = got["logits"]
    if case.head == "causal_lm":
        logits, labels = logits[:, :-1], labels[:, 1:]
    counted = labels != IGNORED
    expected = negative_log_likelihood(logits[counted], labels[counted])
    trial.close("by hand", got["loss"], expected, case, inputs, "loss")


def _expect_sequence_loss(
    trial: Trial, case: Case, labels: Array, formula: Any, weights: dict[str, Array] | None = None
) -> None:
    inputs = {**case.inputs(), "labels": labels}
    got: Outputs = trial.call(trial.load(case, weights), inputs)
    expected = formula(got["logits"].astype(np.float64), labels)
    trial.close("by hand", got["loss"], expected, case, inputs, "loss", weights=weights)


def _expect_span_loss(trial: Trial, case: Case, labels: dict[str, Array]) -> None:
    inputs = {**case.inputs(), **labels}
    got = trial.call(trial.load(case), inputs)
    total = np.zeros(case.batch)
    for end in ("start", "end"):
        position = labels[f"{end}_positions"]
        inside = position < case.seq_len
        total += inside * negative_log_likelihood(got[f"{end}_logits"], np.where(inside, position, 0))
    trial.close("by hand", got["loss"], total / 2, case, inputs, "loss")


def _binary(logits: Array, labels: Array) -> Array:
    """The mean over a row of ln(1 + e^−x) where the label is 1 and ln(1 + eˣ) where it is 0."""
    signed = np.where(labels == 1, -logits, logits)
    return (np.maximum(signed, 0.0) + np.log1p(np.exp(-np.abs(signed)))).mean(axis=1)


def _reals(case: Case, shape: tuple[int, ...]) -> Array:
    """Labels of a regression, none of them whole."""
    return case.generator("reals").normal(0.0, 2.0, shape).astype(np.float32)
