"""TRAIN-2 and what other clauses say of gradients: agreement, what moves, and what must not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..formulas import ATTENTION_OUTPUT, edited
from ..gradients import agree, expect_complete, expect_zero, gradients, slope, smooth
from ..oracle import Oracle
from ..protocol import Array
from ..registry import LANGUAGE_HEADS, LOSS_HEADS, check
from ..strategies import ANY_ACTIVATION, Case
from ..trial import Trial, Violation, expect
from ..wrong_slopes import scale

NEEDS = ("gradients",)
TOKENS = ("masked_lm", "causal_lm", "token_classification")
WORDS = "embeddings.word_embeddings.weight"
TYPES = "embeddings.token_type_embeddings.weight"
DECODER = "cls.predictions.decoder.weight"
IGNORED = -100

# What is added to every choice, or to every place where a span may begin or end, changes no loss over them. The last
# LayerNorm's bias adds the same to all of them, too: its gradient is whatever rounding leaves of 0.
MOVES_NOTHING = {"multiple_choice": "classifier.bias", "question_answering": "qa_outputs.bias"}
LAST_BIAS = "roformer.encoder.layer.{}.output.LayerNorm.bias"


@check("TRAIN-2.1", "parity", heads=LOSS_HEADS, needs=NEEDS, effort=0.5, also=("NUM-1.1",), hidden_act=ANY_ACTIVATION)
def gradients_agree_with_the_oracle(trial: Trial, case: Case) -> None:
    """The gradients by every weight lie within the budget of the float64 oracle's, and the loss is the mean loss."""
    case = smooth(case, trial.dtype)
    inputs = {**case.inputs(), **case.labels()}
    agree(trial, case, inputs, gradients(trial, trial.load(case), inputs))


@check("TRAIN-2.1", "inputs-embeds", heads=LOSS_HEADS, needs=NEEDS, effort=0.4)
def gradients_by_embeddings_agree_with_the_oracle(trial: Trial, case: Case) -> None:
    """With inputs_embeds their gradient, and all others, lie within the budget of the float64 oracle's."""
    inputs = _embedded(case)
    agree(trial, case, inputs, gradients(trial, trial.load(case), inputs))


@check("TRAIN-2.1", "head-mask", heads=LOSS_HEADS, needs=("gradients", "head_mask"), effort=0.3, min_heads=2)
def gradients_under_a_head_mask_agree_with_the_oracle(trial: Trial, case: Case) -> None:
    """Under a head_mask, too, the gradients are the oracle's; a head of weight 0 gets none."""
    layers, heads = case.config["num_hidden_layers"], case.config["num_attention_heads"]
    head_mask = case.generator("head mask").random((layers, heads)).astype(np.float32)
    head_mask[:, 0] = 0.0
    inputs = {**case.inputs(), **case.labels(), "head_mask": head_mask}
    got = gradients(trial, trial.load(case), inputs)
    agree(trial, case, inputs, got)
    dim = case.config["hidden_size"] // heads
    for name in (name for name in got if ".attention.self." in name):
        expect_zero(name, got[name], np.arange(len(got[name])) < dim, "the head's weights are multiplied by 0")


@check("TRAIN-2.2", "reference-slope", heads=LOSS_HEADS, effort=0.3, min_seq_len=3)
def the_loss_moves_as_the_reference_says(trial: Trial, case: Case) -> None:
    """Moving all weights a little way changes the loss by the reference's gradient times the way."""
    inputs = {**case.inputs(), **_all_labelled(case)}
    exact = Oracle(case.head, case.config, trial.weights(case)).gradients(inputs, {})
    _expect_slope(trial, case, inputs, exact, "reference")


@check("TRAIN-2.3", "every-weight", heads=LOSS_HEADS, needs=NEEDS, effort=0.5, masks=("none",), min_seq_len=3)
def every_weight_moves_the_loss(trial: Trial, case: Case) -> None:
    """Every weight tensor has a gradient of its own shape that is not 0; what is added to all that compete may."""
    inputs = {**case.inputs(), **_all_labelled(case)}
    got = gradients(trial, trial.load(case), inputs)
    expect_complete(case, inputs, got)
    idle = _idle(case)
    for name in got:
        live = bool(got[name].any()) or name in idle
        expect(live, f"the gradient by {name} is 0 in all of its elements, expected a weight that moves the loss")


def _idle(case: Case) -> tuple[str, ...]:
    """What need not have a gradient: what adds the same to all that compete, and the loss."""
    if case.head not in MOVES_NOTHING:
        return ("loss",)
    return "loss", MOVES_NOTHING[case.head], LAST_BIAS.format(case.config["num_hidden_layers"] - 1)


@check(
    "TRAIN-2.4", "unused-rows", heads=LOSS_HEADS, needs=NEEDS, effort=0.4, tie_word_embeddings=False, min_seq_len=2,
)  # fmt: skip
def unused_rows_are_not_moved(trial: Trial, case: Case) -> None:
    """Words and token types that no position names have a gradient of exactly 0, where no head shares the words."""
    inputs = {**case.inputs(), **case.labels()}
    inputs["input_ids"] = inputs["input_ids"] // 2
    inputs["token_type_ids"] = inputs["token_type_ids"] // 2
    got = gradients(trial, trial.load(case), inputs)
    for ending, ids in ((WORDS, inputs["input_ids"]), (TYPES, inputs["token_type_ids"])):
        name = _named(got, ending)
        unused = ~np.isin(np.arange(len(got[name])), ids)
        expect_zero(name, got[name], unused, "no position names this row")


@check(
    "TRAIN-2.4", "padding", heads=(*TOKENS, "sequence_classification"), needs=NEEDS, effort=0.4, masks=("right",),
    min_seq_len=4,
)  # fmt: skip
def padding_is_not_moved(trial: Trial, case: Case) -> None:
    """The gradient by inputs_embeds is exactly 0 where attention_mask is 0 and no loss reads the position."""
    inputs = _embedded(case)
    inputs["attention_mask"][:, -2:] = 0
    masked = inputs["attention_mask"] == 0
    if case.head in TOKENS:
        inputs["labels"] = np.where(masked, IGNORED, inputs["labels"])
    got = gradients(trial, trial.load(case), inputs)
    expect_zero("inputs_embeds", got["inputs_embeds"], masked, "the position is masked and has no label")


@check("TRAIN-2.5", "both-shares", heads=LANGUAGE_HEADS, needs=NEEDS, effort=0.4)
def a_tied_matrix_gets_both_shares(trial: Trial, case: Case) -> None:
    """The gradient by tied words is the sum of the two that the same numbers have apart, as words and as matrix."""
    inputs = {**case.inputs(), **_all_labelled(case)}
    weights = trial.weights(case)
    words = _named(weights, WORDS)
    apart = case.with_config(tie_word_embeddings=False)
    split = gradients(trial, trial.load(apart, {**weights, DECODER: weights[words]}), inputs)
    tied = gradients(trial, trial.load(case), inputs)
    shares = {name: array for name, array in split.items() if name != DECODER}
    shares[words] = split[words] + split[DECODER]
    agree(trial, case, inputs, tied, expected=shares, what="tied beside untied weights", factor=2.0)


@check("TRAIN-2.6", "differences", heads=LOSS_HEADS, needs=NEEDS, effort=0.4, min_seq_len=3)
def the_loss_moves_as_the_gradient_says(trial: Trial, case: Case) -> None:
    """Moving all weights a little way in any direction changes the loss by the gradient's product with the way."""
    inputs = {**case.inputs(), **_all_labelled(case)}
    _expect_slope(trial, case, inputs, gradients(trial, trial.load(case), inputs), "gradient")


@check(
    "TRAIN-2.7", "dropped-alike", heads=LOSS_HEADS, needs=("gradients", "training"), effort=0.4, min_seq_len=3,
    hidden_dropout_prob=0.4, attention_probs_dropout_prob=0.3,
)  # fmt: skip
def gradients_drop_what_the_loss_drops(trial: Trial, case: Case) -> None:
    """In training, gradients are those of the very loss that the same seed gives: they drop the same elements."""
    inputs, dropping = {**case.inputs(), **_all_labelled(case)}, {"training": True, "seed": case.seed}
    got = gradients(trial, trial.load(case), inputs, **dropping)
    _expect_slope(trial, case, inputs, got, "gradient", **dropping)


@check("LOSS-2.1", "gradients", heads=TOKENS, needs=NEEDS, effort=0.4, min_seq_len=3, masks=("none",))
def ignored_logits_do_not_matter_to_gradients(trial: Trial, case: Case) -> None:
    """With attention cut, other embeddings where the label is −100 change no gradient behind the first attention."""
    inputs, ignored = _ignoring(case)
    weights = edited(trial.weights(case), {ATTENTION_OUTPUT: np.zeros_like})
    model = trial.load(case, weights)
    other = {
        **inputs,
        "inputs_embeds": np.where(ignored[..., None], -30 * inputs["inputs_embeds"], inputs["inputs_embeds"]),
    }
    expected, got = gradients(trial, model, inputs), gradients(trial, model, other)
    for name in expected:
        # what the cut matrix multiplies is changed, and its gradient alone sees that
        same = name.endswith("attention.output.dense.weight") or np.array_equal(got[name], expected[name])
        expect(same, f"the gradient by {name} changes with the embeddings of positions whose label is −100")


@check("LOSS-2.2", "ignored", heads=TOKENS, needs=NEEDS, effort=0.4, min_seq_len=3, masks=("none",))
def ignored_positions_are_not_moved(trial: Trial, case: Case) -> None:
    """With attention cut, an embedding moves its own logits alone: where the label is −100 its gradient is 0."""
    inputs, ignored = _ignoring(case)
    weights = edited(trial.weights(case), {ATTENTION_OUTPUT: np.zeros_like})
    got = gradients(trial, trial.load(case, weights), inputs)["inputs_embeds"]
    expect_zero("inputs_embeds", got, ignored, "the label of the position is −100")
    lost = np.argwhere(~ignored & ~got.any(axis=-1))
    expect(not len(lost), f"the gradient by inputs_embeds{lost[:1].tolist()} is 0, expected one where a label counts")


@check("LOSS-7.2", "nothing-to-predict", heads=TOKENS, needs=NEEDS, effort=0.3)
def nothing_to_predict_moves_nothing(trial: Trial, case: Case) -> None:
    """With labels of −100 alone, the mean loss is 0.0 and every gradient exactly 0."""
    inputs = {**case.inputs(), "labels": np.full(case.lead, IGNORED)}
    got = gradients(trial, trial.load(case), inputs)
    expect_complete(case, inputs, got)
    for name, gradient in got.items():
        expect_zero(name, gradient, np.ones(gradient.shape, bool), "there is nothing to predict")


@check(
    "MASK-6.3", "gradients-are-finite", heads=LOSS_HEADS, needs=NEEDS, effort=0.3, masks=("blind_row",), min_seq_len=2
)
def gradients_of_blind_rows_are_finite(trial: Trial, case: Case) -> None:
    """A row that is masked as a whole gives finite gradients, its own and those of the weights."""
    inputs = _embedded(case)
    for name, gradient in gradients(trial, trial.load(case), inputs).items():
        expect(bool(np.isfinite(gradient).all()), f"the gradient by {name} is not finite where a row sees nothing")


@check("ROT-2.9", "no-gradient", needs=NEEDS, heads=LOSS_HEADS, effort=0.2)
def tables_of_positions_are_not_trained(trial: Trial, case: Case) -> None:
    """No gradient is by a table of positions: gradients are by the weights of the schema alone."""
    inputs = {**case.inputs(), **case.labels()}
    got = gradients(trial, trial.load(case), inputs)
    unknown = sorted(got.keys() - trial.weights(case).keys() - {"loss"})
    expect(not unknown, f"gradients by {', '.join(unknown)}, expected none but by the weights that were loaded")


def _expect_slope(
    trial: Trial, case: Case, inputs: Mapping[str, Any], by: Mapping[str, Array], who: str, **options: Any
) -> None:
    """The loss changes along a direction as the gradients `by` say.

    Where it bends so much that even the error of the difference is misjudged, a shorter step judges better.
    """
    along = _direction(trial, case)
    for share in (1.0, 0.5):
        change, uncertain, moved = slope(trial, case, inputs, along, share, **options)
        said = sum(float((by[name].astype(np.float64) * way).sum()) for name, way in moved.items())
        if abs(said - change) <= uncertain:
            return
    message = f"the loss changes by {change:.6g} ± {uncertain:.2g} along a direction, the {who} says {said:.6g}"
    # a change as small as its uncertainty has no ratio to anything
    named = who == "gradient" and abs(change) > 100 * uncertain
    raise Violation(message + (f": {scale(said / change, inputs)}" if named else ""))


def _direction(trial: Trial, case: Case) -> dict[str, Array]:
    draw = case.generator("direction")
    return {name: draw.standard_normal(array.shape) * _size(array) for name, array in trial.weights(case).items()}


def _size(array: Array) -> float:
    """The root mean square of a weight, spread over its elements: all weights together move by a small part."""
    return float(np.sqrt(np.mean(array**2))) / float(np.sqrt(array.size))


def _embedded(case: Case) -> dict[str, Array]:
    inputs = {**case.inputs(), **case.labels(), "inputs_embeds": case.embeddings()}
    del inputs["input_ids"]
    return inputs


def _all_labelled(case: Case) -> dict[str, Array]:
    return {name: np.where(labels == IGNORED, 0, labels) for name, labels in case.labels().items()}


def _ignoring(case: Case) -> tuple[dict[str, Array], Array]:
    """A call by inputs_embeds, every other label −100, and the positions whose logits no loss reads."""
    inputs = _embedded(case)
    labels = _all_labelled(case)["labels"]
    labels[:, 1::2] = IGNORED
    ignored = labels == IGNORED
    if case.head == "causal_lm":
        ignored = np.concatenate([ignored[:, 1:], np.ones_like(ignored[:, :1])], axis=1)
    return {**inputs, "labels": labels}, ignored


def _named(arrays: Any, ending: str) -> str:
    return next(name for name in arrays if name.endswith(ending))
