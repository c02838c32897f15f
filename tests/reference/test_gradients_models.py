"""The gradients of whole models: central differences for every tensor, and what has to be exactly 0."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from roformer_numpy.adapter import NumpyAdapter
from roformer_numpy.backward.tape import Tape, recording
from roformer_numpy.components import EQUATIONS
from roformer_numpy.equations.activations import ACTIVATIONS
from roformer_numpy.errors import InputError, InputTypeError

from ..support import BATCH, HEADS, LANGUAGE_MODELS, MODELS, SEQ_LEN, SIZES, config_of, good_call, strong_weights

ALLOWED = 1e-7  # relative to the derivative, or to 0.1
STEP = 1e-5  # along a direction of length 1: truncation near 1e-10, rounding near 1e-10
HIDDEN, EMBEDDING, LAYERS, NUM_HEADS = (
    SIZES[name] for name in ("hidden_size", "embedding_size", "num_hidden_layers", "num_attention_heads")
)
LOSS_HEADS = tuple(head for head in HEADS if head != "base")

# What is differentiated: the configuration's fields and what is added to a good call.
DROPOUT = {"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.2}
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({"embedding_size": HIDDEN}, {}),
    "projected": ({}, {}),
    "rotary_value": ({"rotary_value": True}, {}),
    "two_features_a_head": ({"hidden_size": 6, "num_attention_heads": 3}, {}),
    "single_head": ({"num_attention_heads": 1}, {}),
    "dropout": (DROPOUT, {"training": True, "generator": 5}),
    "everything_dropped": ({"hidden_dropout_prob": 1.0}, {"training": True, "generator": 5}),
    "head_mask": ({}, {"head_mask": np.random.default_rng(3).random((LAYERS, NUM_HEADS))}),
    "pruned": ({"pruned_heads": {0: [1], 1: [0, 2]}}, {}),
    "decoder": ({"is_decoder": True}, {"use_cache": False}),
}


def normal(*shape: int, seed: int = 0) -> Any:
    """Normal numbers."""
    return np.random.default_rng(seed).normal(size=shape)


def upstream_of(head: str, config: Any, seq_len: int = SEQ_LEN) -> dict[str, Any]:
    """For the base model, which has no loss, a weight for each of its outputs."""
    if head != "base":
        return {}
    hidden = config.hidden_size
    weights = {"last_hidden_state": normal(BATCH, seq_len, hidden), "pooler_output": normal(BATCH, hidden, seed=1)}
    return {"upstream": weights}


def case_of(head: str, changes: dict[str, Any], more: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A float64 model by the equations, and a call with labels, −100 among them."""
    config = config_of(**changes)
    whole = config.replace(pruned_heads={})
    model = MODELS[head].from_weights(whole, strong_weights(whole, head), dtype="float64", components="equations")
    model.prune_heads(config.pruned_heads)
    call = good_call(head, config, seed=1) | more | upstream_of(head, config)
    if head in (*LANGUAGE_MODELS, "token_classification"):
        call["labels"][:, -2:] = -100
    if head not in ("base", "causal_lm"):
        call.pop("use_cache", None)
    return model, call


def expect_derivatives(model: Any, call: dict[str, Any]) -> None:
    """Along one random direction in every tensor the loss changes as the gradient says."""
    found, weights = model.gradients(**call), model.to_weights()
    inputs = {name: call[name] for name in ("inputs_embeds", "encoder_hidden_states") if name in call}
    gradients = {**found.to_weights(), **{name: getattr(found, name) for name in inputs}}
    assert gradients.keys() == {n for n in weights if "embed_positions" not in n and "decoder.bias" not in n} | set(
        inputs
    )

    def loss(name: str, array: Any) -> float:
        given = {**weights, name: array} if name in weights else weights
        if name == "cls.predictions.bias" and "cls.predictions.decoder.bias" in weights:
            given["cls.predictions.decoder.bias"] = array
        moved = type(model).from_weights(model.config, given, dtype="float64", components="equations")
        return float(moved.gradients(**{**call, name: array} if name in inputs else call).loss)

    for number, (name, gradient) in enumerate(gradients.items()):
        start, along = {**weights, **inputs}[name], normal(*gradient.shape, seed=number)
        along /= np.linalg.norm(along)
        assert gradient.shape == start.shape, name
        expected = (loss(name, start + STEP * along) - loss(name, start - STEP * along)) / (2 * STEP)
        got = float((gradient * along).sum())
        assert abs(got - expected) <= ALLOWED * max(0.1, abs(expected)), f"{name}: {got} instead of {expected}"


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_agree_with_central_differences(head: str, variant: str) -> None:
    """Every tensor of every head: masks, choices, dropout, head_mask, pruned heads, d = 2, N = 1, decoders."""
    expect_derivatives(*case_of(head, *VARIANTS[variant]))


@pytest.mark.parametrize("head", LANGUAGE_MODELS)
def test_untied_heads_have_a_matrix_of_their_own(head: str) -> None:
    """The decoder's matrix and the word embeddings get each their own gradient."""
    expect_derivatives(*case_of(head, {"tie_word_embeddings": False}, {}))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_differentiated(name: str) -> None:
    """In the layers and in the head that shares the activation."""
    expect_derivatives(*case_of("masked_lm", {"hidden_act": name}, {}))


@pytest.mark.parametrize("head", HEADS)
def test_inputs_embeds_have_a_gradient_of_their_shape(head: str) -> None:
    """In place of the word embeddings, whose gradient is 0 but for a tied head's share."""
    model, call = case_of(head, {}, {})
    call["inputs_embeds"] = normal(*call.pop("input_ids").shape, EMBEDDING)
    expect_derivatives(model, call)
    words = model.gradients(**call).weights.embeddings.word
    assert words.any() == (head in LANGUAGE_MODELS)


@pytest.mark.parametrize("head", ["base", "causal_lm"])
@pytest.mark.parametrize("masked", [False, True])
def test_cross_attention_moves_the_encoders_states(head: str, masked: bool) -> None:
    """Weights and encoder_hidden_states, whose masked positions get exactly 0."""
    states = {"encoder_hidden_states": normal(BATCH, 5, HIDDEN)}
    if masked:
        mask = np.array([[1, 1, 1, 0, 0], [1] * 5, [0, 1, 0, 1, 1], [0] * 5])
        states["encoder_attention_mask"] = mask
    model, call = case_of(head, {"is_decoder": True, "add_cross_attention": True}, {"use_cache": False, **states})
    expect_derivatives(model, call)
    if masked:
        assert not model.gradients(**call).encoder_hidden_states[:3][mask[:3] == 0].any()


@pytest.mark.parametrize("head", ["base", "causal_lm"])
@pytest.mark.parametrize("crossed", [False, True])
def test_a_cache_is_constant(head: str, crossed: bool) -> None:
    """What the cache brought in moves nothing; what this call computes moves by the same weights."""
    model, call = case_of(head, {"is_decoder": True, "add_cross_attention": crossed}, {"use_cache": False})
    states: dict[str, Any] = {"encoder_hidden_states": normal(BATCH, 5, HIDDEN)} if crossed else {}
    first = {name: call[name][:, :3] for name in ("input_ids", "attention_mask", "token_type_ids")}
    past = model(**first, **states, use_cache=True).past_key_values
    rest: dict[str, Any] = {
        name: call[name][:, 3:] for name in ("input_ids", "token_type_ids", "labels") if name in call
    }
    upstream = upstream_of(head, model.config, SEQ_LEN - 3)
    masked = {"attention_mask": call["attention_mask"], "past_key_values": past, "use_cache": False}
    expect_derivatives(model, {**rest, **masked, **upstream})


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("causal", [False, True])
def test_rows_that_see_nothing_have_gradients_too(head: str, causal: bool) -> None:
    """Their weights are constants: the gradient stays finite and is that of the function."""
    model, call = case_of(head, {"is_decoder": causal}, {"use_cache": False})
    call["attention_mask"] = call["attention_mask"].copy()
    call["attention_mask"][1] = 0
    call["attention_mask"][2, ..., :2] = 0
    expect_derivatives(model, call)


@pytest.mark.parametrize("summary", ["first", "last", "mean"])
def test_every_summary_of_a_choice_is_differentiated(summary: str) -> None:
    """First, last and mean."""
    expect_derivatives(*case_of("multiple_choice", {"summary_type": summary}, {}))


@pytest.mark.parametrize("problem", ["regression", "single_label_classification", "multi_label_classification"])
def test_every_problem_type_is_differentiated(problem: str) -> None:
    """Squared error, cross-entropy and binary cross-entropy."""
    model, call = case_of("sequence_classification", {"problem_type": problem}, {})
    if problem != "single_label_classification":
        call["labels"] = np.random.default_rng(0).random((BATCH, SIZES["num_labels"]))
    expect_derivatives(model, call)


def test_spans_beyond_the_sequence_move_nothing() -> None:
    """A position that is ignored counts 0 in gradients as in the loss (LOSS-6.3)."""
    model, call = case_of("question_answering", {}, {})
    call["start_positions"] = np.array([0, SEQ_LEN, 2, SEQ_LEN + 4])
    call["end_positions"] = np.array([3, SEQ_LEN, SEQ_LEN, 1])
    expect_derivatives(model, call)


@pytest.mark.parametrize("head", LOSS_HEADS)
@pytest.mark.parametrize("training", [False, True])
def test_the_loss_is_the_mean_of_the_calls_losses(head: str, training: bool) -> None:
    """With the same seed the tape's forward pass drops what the call drops."""
    model, call = case_of(head, DROPOUT, {"training": training, "generator": 7})
    assert float(model.gradients(**call).loss) == pytest.approx(float(model(**call).loss.mean()), rel=1e-15)


@pytest.mark.parametrize("head", LOSS_HEADS)
def test_upstream_says_which_number_is_differentiated(head: str) -> None:
    """Mean, sum, weights and the weighted outputs are one linear map, whatever loss_reduction says."""
    model, call = case_of(head, {"loss_reduction": "mean"}, {})
    count = case_of(head, {}, {})[0](**call).loss.size
    mean = model.gradients(**call).to_weights()
    for upstream, factor in (
        ("sum", count),
        (np.full(count, 3.0), 3 * count),
        ({"loss": np.full(count, 0.5)}, 0.5 * count),
    ):
        for name, gradient in model.gradients(**call, upstream=upstream).to_weights().items():
            np.testing.assert_allclose(gradient, factor * mean[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("head", HEADS)
def test_outputs_of_every_head_can_be_weighed(head: str) -> None:
    """A mapping of outputs gives the gradients of their weighted sum, no labels needed, alone or beside the loss."""
    model, call = case_of(head, {}, {})
    output = model(**{name: value for name, value in call.items() if name != "upstream"})
    call["upstream"] = {
        name: normal(*output[name].shape, seed=number)
        for number, name in enumerate(output)
        if name.endswith(("logits", "_state", "pooler_output", "loss"))
    }
    expect_derivatives(model, call)
    for name in ("labels", "start_positions", "end_positions"):
        call.pop(name, None)
    call["upstream"].pop("loss", None)
    expect_derivatives(model, call)


@pytest.mark.parametrize("head", [*LANGUAGE_MODELS, "token_classification"])
def test_nothing_to_predict_gives_zeros(head: str) -> None:
    """With −100 alone the loss is 0 and every gradient exactly 0 (LOSS-7.2)."""
    model, call = case_of(head, {}, {})
    call["labels"][:] = -100
    found = model.gradients(**call)
    assert float(found.loss) == 0.0
    assert not any(gradient.any() for gradient in found.to_weights().values())


@pytest.mark.parametrize("head", HEADS)
def test_no_rows_give_zeros(head: str) -> None:
    """An empty batch has a loss of 0 and gradients of 0, in the shapes of the weights (ERR-11.2)."""
    model, call = case_of(head, {}, {})
    empty = {name: value[:0] for name, value in call.items() if name != "upstream"}
    if head == "base":
        empty["upstream"] = {name: array[:0] for name, array in call["upstream"].items()}
    found = model.gradients(**empty)
    assert float(found.loss) == 0.0
    assert not any(gradient.any() for gradient in found.to_weights().values())


@pytest.mark.parametrize("head", [head for head in LOSS_HEADS if head != "question_answering"])
def test_unused_rows_and_padding_get_exactly_nothing(head: str) -> None:
    """Types and words that nobody names, and masked positions without a label; the loss of a span reads them all."""
    model, call = case_of(head, {"tie_word_embeddings": False, "summary_type": "first"}, {})
    masked = np.zeros(call["input_ids"].shape, bool)
    masked[..., -2:] = True
    call["attention_mask"] = (~masked).astype(np.int64)
    call["token_type_ids"][:] = 1
    call["input_ids"] %= 20
    if head in (*LANGUAGE_MODELS, "token_classification"):
        call["labels"] = np.where(masked, -100, call["labels"])
    found = model.gradients(**call).weights.embeddings
    assert not np.delete(found.word, np.unique(call["input_ids"]), axis=0).any()
    assert found.token_type[1].any()
    assert not np.delete(found.token_type, 1, axis=0).any()
    call["inputs_embeds"] = normal(*call.pop("input_ids").shape, EMBEDDING)
    by_inputs = model.gradients(**call).inputs_embeds
    assert not by_inputs[masked].any()
    assert by_inputs[~masked].any(axis=-1).any()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_forward_give_the_same_gradients(head: str, dtype: str) -> None:
    """The tape of the kernels' forward pass means the same as that of the equations, and keeps the model's type."""
    _, call = case_of(head, DROPOUT, {"training": True, "generator": 1})
    config = config_of(**DROPOUT)
    found = {}
    for components in ("equations", "kernels"):
        weights = strong_weights(config, head)
        model = MODELS[head].from_weights(config, weights, dtype=dtype, components=components)
        found[components] = model.gradients(**call).to_weights()
    allowed = 1e-3 if dtype == "float32" else 1e-11
    for name, expected in found["equations"].items():
        got = found["kernels"][name]
        assert got.dtype == expected.dtype == dtype
        largest = max(float(np.abs(expected).max()), 1e-2)
        assert float(np.abs(got - expected).max()) <= allowed * largest, name


def test_wrong_uses_are_refused_by_name() -> None:
    """No labels, no upstream for the base model, an upstream that names or weighs nothing."""
    model, call = case_of("masked_lm", {}, {})
    unlabelled = {name: value for name, value in call.items() if name != "labels"}
    base, inputs = case_of("base", {}, {})
    spans, span_call = case_of("question_answering", {}, {})
    del inputs["upstream"], span_call["start_positions"], span_call["end_positions"]
    for refused, given, words in (
        (model, unlabelled, "labels"),
        (base, inputs, "upstream"),
        (spans, span_call, "start_positions"),
        (model, {**call, "upstream": "median"}, "median"),
        (model, {**call, "upstream": np.ones(3)}, "shape"),
        (model, {**call, "upstream": {"pooler_output": np.ones(3)}}, "pooler_output"),
    ):
        with pytest.raises(InputError, match=words):
            refused.gradients(**given)
    with pytest.raises(InputTypeError, match="upstream"):
        model.gradients(**call, upstream=np.ones(call["labels"].size, int))
    with pytest.raises(InputTypeError, match="lables"):
        model.gradients(**unlabelled, lables=call["labels"])


def test_a_tape_that_does_not_fit_is_noticed() -> None:
    """A backward pass that takes back another call than it expects stops instead of giving wrong numbers."""
    tape = Tape()
    recording(EQUATIONS, tape).activate(np.ones(3), "tanh")
    with pytest.raises(AssertionError, match="activate where the backward pass expects dense"):
        tape.last("dense")


@pytest.mark.parametrize("head", HEADS)
def test_the_tape_is_used_up(head: str) -> None:
    """The backward pass takes back every call that the forward pass made."""
    tapes: list[Tape] = []
    model, call = case_of(head, {}, {})

    def noting(components: Any, tape: Tape) -> Any:
        tapes.append(tape)
        return recording(components, tape)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("roformer_numpy.backward.gradients.recording", noting)
        model.gradients(**call)
    assert [tape.calls for tape in tapes] == [[]]


def test_the_adapter_names_gradients_as_the_weights_were_named() -> None:
    """Loss, flat names, and inputs_embeds where it was given; a seed is dropout's."""
    for head, seed in itertools.product(LOSS_HEADS, (None, 3)):
        config = config_of(**DROPOUT)
        weights = strong_weights(config, head)
        model = NumpyAdapter("equations").load(head, config.to_dict(), weights, "float64")
        call = good_call(head, config)
        call["inputs_embeds"] = normal(*call.pop("input_ids").shape, EMBEDDING)
        found = model.gradients(call, {} if seed is None else {"training": True, "seed": seed})
        trained = {name for name in weights if "embed_positions" not in name and "decoder.bias" not in name}
        assert found.keys() == {"loss", "inputs_embeds", *trained}
        assert {name: found[name].shape for name in trained} == {name: weights[name].shape for name in trained}
        assert found["inputs_embeds"].shape == call["inputs_embeds"].shape
