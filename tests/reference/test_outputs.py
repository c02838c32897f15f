"""What a call returns: shapes, order, access, and extras that change nothing (OUT)."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest

from ..support import BATCH, CHOICES, HEADS, LANGUAGE_MODELS, SEQ_LEN, SIZES, good_call, same
from .conftest import Build

N, L, H, V, C = (
    SIZES[name] for name in ("num_attention_heads", "num_hidden_layers", "hidden_size", "vocab_size", "num_labels")
)
ORDER = (
    "loss",
    "last_hidden_state",
    "pooler_output",
    "logits",
    "start_logits",
    "end_logits",
    "past_key_values",
    "hidden_states",
    "attentions",
    "cross_attentions",
)
RESULTS: dict[str, dict[str, tuple[int, ...]]] = {
    "base": {"last_hidden_state": (BATCH, SEQ_LEN, H), "pooler_output": (BATCH, H)},
    "masked_lm": {"logits": (BATCH, SEQ_LEN, V)},
    "causal_lm": {"logits": (BATCH, SEQ_LEN, V)},
    "sequence_classification": {"logits": (BATCH, C)},
    "token_classification": {"logits": (BATCH, SEQ_LEN, C)},
    "multiple_choice": {"logits": (BATCH, CHOICES)},
    "question_answering": {"start_logits": (BATCH, SEQ_LEN), "end_logits": (BATCH, SEQ_LEN)},
}
LOSSES = {
    "masked_lm": (BATCH * SEQ_LEN,),
    "causal_lm": (BATCH * (SEQ_LEN - 1),),
    "sequence_classification": (BATCH,),
    "token_classification": (BATCH * SEQ_LEN,),
    "multiple_choice": (BATCH,),
    "question_answering": (BATCH,),
}
FLAGS = list(itertools.product([False, True], repeat=3))


def rows_of(head: str) -> int:
    """How many sequences a good call holds."""
    return BATCH * CHOICES if head == "multiple_choice" else BATCH


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shapes_types_and_order_are_the_documented_ones(build: Build, head: str, dtype: str) -> None:
    """Every field has its documented shape, the model's type, and its documented place."""
    model = build(head, dtype=dtype)
    output = model(**good_call(head, model.config), output_hidden_states=True, output_attentions=True)
    expected = {**({"loss": LOSSES[head]} if head in LOSSES else {}), **RESULTS[head]}
    assert list(output) == [*expected, "hidden_states", "attentions"]
    assert {name: output[name].shape for name in expected} == expected
    assert [state.shape for state in output.hidden_states] == [(rows_of(head), SEQ_LEN, H)] * (L + 1)
    assert [probs.shape for probs in output.attentions] == [(rows_of(head), N, SEQ_LEN, SEQ_LEN)] * L
    for array in (*(output[name] for name in expected), *output.hidden_states, *output.attentions):
        assert array.dtype == dtype
        assert np.isfinite(array).all()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize(("attentions", "hidden_states", "ignored"), FLAGS)
def test_the_tuple_holds_what_the_object_holds(
    build: Build, head: str, labelled: bool, attentions: bool, hidden_states: bool, ignored: bool
) -> None:
    """For every combination of flags return_dict=False gives the same elements in the same order, None dropped."""
    model = build(head)
    call = good_call(head, model.config)
    if not labelled:
        call = {name: call[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    flags = {"output_attentions": attentions, "output_hidden_states": hidden_states, "training": False}
    output = model(**call, **flags, return_dict=True if ignored else None)
    plain = model(**call, **flags, return_dict=False)
    assert type(plain) is tuple
    assert same(plain, output.to_tuple())
    wanted = [
        *(["loss"] if labelled and head != "base" else []),
        *RESULTS[head],
        *(["hidden_states"] if hidden_states else []),
        *(["attentions"] if attentions else []),
    ]
    assert list(output) == wanted
    assert len(plain) == len(wanted)


@pytest.mark.parametrize("head", HEADS)
def test_extras_change_nothing(build: Build, head: str) -> None:
    """Asking for hidden states and attentions leaves every other output as it was."""
    model = build(head)
    call = good_call(head, model.config)
    bare = model(**call)
    rich = model(**call, output_hidden_states=True, output_attentions=True)
    for name in bare:
        np.testing.assert_allclose(rich[name], bare[name], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("head", HEADS)
def test_extras_alone_are_the_extras_together(build: Build, head: str) -> None:
    """Each extra is the same whether or not the other one was asked for."""
    model = build(head)
    call = good_call(head, model.config)
    both = model(**call, output_hidden_states=True, output_attentions=True)
    assert same(model(**call, output_hidden_states=True).hidden_states, both.hidden_states)
    assert same(model(**call, output_attentions=True).attentions, both.attentions)


def test_the_last_hidden_state_is_the_last_of_the_hidden_states(build: Build) -> None:
    """hidden_states ends with last_hidden_state, bit for bit."""
    model = build("base")
    output = model(**good_call("base", model.config), output_hidden_states=True)
    assert same(output.hidden_states[-1], output.last_hidden_state)


@pytest.mark.parametrize("head", HEADS)
def test_attention_weights_are_a_distribution_over_the_keys(build: Build, head: str) -> None:
    """Weights are at least 0, sum to 1 over the keys, and are exactly 0 where the mask is."""
    model = build(head)
    call = good_call(head, model.config)
    mask = call["attention_mask"].reshape(-1, SEQ_LEN).astype(bool)
    for probs in model(**call, output_attentions=True).attentions:
        assert (probs >= 0).all()
        np.testing.assert_allclose(probs.sum(axis=-1), 1.0, rtol=0, atol=1e-14)
        assert (probs[np.broadcast_to(~mask[:, None, None, :], probs.shape)] == 0).all()


def test_attentions_are_returned_after_the_head_mask(build: Build) -> None:
    """A row sums to its head's mask, since what is returned is what multiplies the values."""
    model = build("base")
    head_mask = np.array([[0.0, 0.5, 1.0], [1.0, 0.0, 0.25]])
    output = model(**good_call("base", model.config), head_mask=head_mask, output_attentions=True)
    for probs, heads in zip(output.attentions, head_mask, strict=True):
        sums = np.broadcast_to(heads[None, :, None], probs.shape[:3])
        np.testing.assert_allclose(probs.sum(axis=-1), sums, rtol=0, atol=1e-14)


def test_the_pooler_is_a_tanh_of_the_first_position(build: Build) -> None:
    """pooler_output = tanh(W · last[:, 0] + b), computed here number by number."""
    model = build("base")
    output, weights = model(**good_call("base", model.config)), model.to_weights()
    kernel, bias = weights["pooler.dense.weight"], weights["pooler.dense.bias"]
    for row in range(BATCH):
        for unit in range(H):
            terms = (kernel[unit, i] * output.last_hidden_state[row, 0, i] for i in range(H))
            assert output.pooler_output[row, unit] == pytest.approx(math.tanh(sum(terms) + bias[unit]), abs=1e-13)


def test_a_model_without_pooler_has_no_pooler_output(build: Build) -> None:
    """add_pooling_layer=False leaves last_hidden_state alone in the output."""
    model = build("base", add_pooling_layer=False)
    output = model(**good_call("base", model.config))
    assert list(output) == ["last_hidden_state"]
    assert output.pooler_output is None


@pytest.mark.parametrize("head", HEADS)
def test_fields_are_reached_by_attribute_key_index_and_iteration(build: Build, head: str) -> None:
    """out.x, out["x"], out[i], out[i:j], iteration, length and membership agree about the present fields."""
    model = build(head)
    output = model(**good_call(head, model.config), output_attentions=True)
    names = list(output)
    assert tuple(output.keys()) == tuple(names)
    assert len(output) == len(names) == len(output.to_tuple())
    for position, name in enumerate(names):
        assert output[name] is getattr(output, name)
        assert output[position] is output[name]
        assert output[position - len(names)] is output[name]
        assert name in output
    assert same(output[:2], output.to_tuple()[:2])
    assert [value is output[name] for name, value in output.items()] == [True] * len(names)
    assert dict(output).keys() == set(names)


@pytest.mark.parametrize("head", HEADS)
def test_an_absent_field_is_none_as_attribute_and_a_key_error_by_name(build: Build, head: str) -> None:
    """Fields that were not asked for are None, are not among the keys, and the KeyError lists what is there."""
    model = build(head)
    output = model(good_call(head, model.config)["input_ids"])
    for name in ORDER:
        if name not in RESULTS[head]:
            assert getattr(output, name) is None
            assert name not in output
            with pytest.raises(KeyError, match=next(iter(RESULTS[head]))):
                output[name]
    with pytest.raises(IndexError):
        output[len(output)]
    with pytest.raises(AttributeError):
        output.logit  # noqa: B018  (the access is the test)


def test_an_output_cannot_be_changed_by_accident(build: Build) -> None:
    """Fields of an output are fixed."""
    model = build("masked_lm")
    output = model(good_call("masked_lm", model.config)["input_ids"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        output.logits = None


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ["output_attentions", "output_hidden_states"])
def test_the_configuration_gives_the_flags_their_defaults(build: Build, head: str, name: str) -> None:
    """A flag of the configuration holds where the call says nothing, and the call's word wins."""
    field = {"output_attentions": "attentions", "output_hidden_states": "hidden_states"}[name]
    off, on = build(head), build(head, **{name: True})
    ids = good_call(head, off.config)["input_ids"]
    assert field not in off(ids)
    assert field in on(ids)
    assert field in on(ids, **{name: None})
    assert field not in on(ids, **{name: False})
    assert field in off(ids, **{name: True})


@pytest.mark.parametrize("head", HEADS)
def test_the_configuration_can_ask_for_tuples(build: Build, head: str) -> None:
    """return_dict=False in the configuration gives tuples, and the call's word wins."""
    model = build(head, return_dict=False)
    ids = good_call(head, model.config)["input_ids"]
    assert type(model(ids)) is tuple
    assert not isinstance(model(ids, return_dict=True), tuple)
    assert same(model(ids), model(ids, return_dict=True).to_tuple())


@pytest.mark.parametrize("head", ["base", "causal_lm"])
def test_a_decoder_returns_cache_states_and_both_attentions_in_order(build: Build, head: str) -> None:
    """past_key_values stand before hidden_states, cross_attentions after attentions; the cache has its shapes."""
    model = build(head, is_decoder=True, add_cross_attention=True)
    states = np.random.default_rng(3).normal(size=(BATCH, 5, H))
    call = {name: good_call(head, model.config)[name] for name in ("input_ids", "attention_mask")}
    flags = {"output_hidden_states": True, "output_attentions": True, "use_cache": True}
    output = model(**call, encoder_hidden_states=states, **flags)
    assert list(output) == [*RESULTS[head], "past_key_values", "hidden_states", "attentions", "cross_attentions"]
    assert same(model(**call, encoder_hidden_states=states, **flags, return_dict=False), output.to_tuple())
    assert [probs.shape for probs in output.cross_attentions] == [(BATCH, N, SEQ_LEN, 5)] * L
    pairs = [(BATCH, N, SEQ_LEN, H // N)] * 2 + [(BATCH, N, 5, H // N)] * 2
    assert [[array.shape for array in layer] for layer in output.past_key_values] == [pairs] * L


def test_a_decoder_caches_by_default_and_an_encoder_does_not(build: Build) -> None:
    """use_cache of the configuration counts for decoders only."""
    ids = good_call("base", build("base").config)["input_ids"]
    assert "past_key_values" not in build("base")(ids)
    assert "past_key_values" in build("base", is_decoder=True)(ids)
    assert "past_key_values" not in build("base", is_decoder=True, use_cache=False)(ids)
    assert "past_key_values" not in build("base", is_decoder=True)(ids, use_cache=False)
    assert "past_key_values" in build("causal_lm")(ids, use_cache=True)


@pytest.mark.parametrize("head", HEADS)
def test_a_call_leaves_no_trace_in_the_model(build: Build, head: str) -> None:
    """The same call twice, with another one between, gives the same bits."""
    model = build(head)
    call = good_call(head, model.config)
    first = model(**call)
    model(**good_call(head, model.config, seed=9, batch=2, seq_len=3), training=True, generator=4)
    assert same(model(**call), first)


@pytest.mark.parametrize("head", HEADS)
def test_training_draws_dropout_from_the_generator_alone(build: Build, head: str) -> None:
    """Equal seeds give equal outputs, other seeds others, and a Generator moves on from call to call."""
    model = build(head)
    call = good_call(head, model.config)
    drawn = model(**call, training=True, generator=7)
    assert same(model(**call, training=True, generator=7), drawn)
    assert same(model(**call, training=True, generator=np.random.default_rng(7)), drawn)
    assert not same(model(**call, training=True, generator=8), drawn)
    assert not same(model(**call), drawn)
    generator = np.random.default_rng(7)
    assert not same(
        model(**call, training=True, generator=generator), model(**call, training=True, generator=generator)
    )


@pytest.mark.parametrize("head", HEADS)
def test_training_without_dropout_is_inference(build: Build, head: str) -> None:
    """With both probabilities 0, training changes no bit, and without training a generator draws nothing."""
    model = build(head, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    call = good_call(head, model.config)
    assert same(model(**call, training=True, generator=3), model(**call))
    generator = np.random.default_rng(3)
    dropping = build(head)
    assert same(dropping(**call, generator=generator), model(**call))
    assert generator.bit_generator.state == np.random.default_rng(3).bit_generator.state


@pytest.mark.parametrize("name", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
def test_each_dropout_probability_acts_on_its_own_place(build: Build, name: str) -> None:
    """The one for attention zeroes attention weights, the one for hidden states zeroes none of them."""
    other = ({"hidden_dropout_prob", "attention_probs_dropout_prob"} - {name}).pop()
    model = build("base", **{name: 0.5, other: 0.0})
    ids = good_call("base", model.config)["input_ids"]
    output = model(ids, training=True, generator=1, output_attentions=True, output_hidden_states=True)
    zeros = sum(int((probs == 0).sum()) for probs in output.attentions)
    assert (zeros > 0) == (name == "attention_probs_dropout_prob")
    quiet = model(ids, output_hidden_states=True)
    assert same(output.hidden_states[0], quiet.hidden_states[0]) == (name == "attention_probs_dropout_prob")


@pytest.mark.parametrize("head", LANGUAGE_MODELS)
def test_the_language_model_head_by_hand(build: Build, head: str) -> None:
    """Dense H→E, the activation, LayerNorm over E, times the word embeddings, plus bias."""
    model = build(head, hidden_act="relu")
    output = model(good_call(head, model.config)["input_ids"], output_hidden_states=True)
    weights = {name.removeprefix("cls.predictions."): value for name, value in model.to_weights().items()}
    x = np.einsum("bsh,eh->bse", output.hidden_states[-1], weights["transform.dense.weight"])
    x = np.maximum(x + weights["transform.dense.bias"], 0)
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
    x = x * weights["transform.LayerNorm.weight"] + weights["transform.LayerNorm.bias"]
    table = weights["roformer.embeddings.word_embeddings.weight"]
    expected = np.einsum("bse,ve->bsv", x, table) + weights["bias"]
    np.testing.assert_allclose(output.logits, expected, rtol=1e-11, atol=1e-12)


def test_an_untied_decoder_has_its_own_table(build: Build) -> None:
    """tie_word_embeddings=False multiplies by decoder.weight instead of the word embeddings."""
    model = build("masked_lm", tie_word_embeddings=False)
    call = {"input_ids": good_call("masked_lm", model.config)["input_ids"]}
    weights = model.to_weights()
    before = model(**call).logits
    weights["cls.predictions.decoder.weight"] = weights["cls.predictions.decoder.weight"] * 2
    doubled = type(model).from_weights(model.config, weights, dtype="float64", components=model.components)
    bias = weights["cls.predictions.bias"]
    np.testing.assert_allclose(doubled(**call).logits - bias, 2 * (before - bias), rtol=1e-11, atol=1e-12)


def test_the_sequence_head_by_hand(build: Build) -> None:
    """The first position: Dense, hidden_act (not tanh), Dense."""
    model = build("sequence_classification", hidden_act="relu")
    output = model(good_call("sequence_classification", model.config)["input_ids"], output_hidden_states=True)
    w = model.to_weights()
    x = output.hidden_states[-1][:, 0] @ w["classifier.dense.weight"].T + w["classifier.dense.bias"]
    expected = np.maximum(x, 0) @ w["classifier.out_proj.weight"].T + w["classifier.out_proj.bias"]
    np.testing.assert_allclose(output.logits, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("head", ["token_classification", "question_answering"])
def test_heads_of_every_position_are_one_dense_layer(build: Build, head: str) -> None:
    """Token logits and both span logits are a product with the last hidden state."""
    model = build(head)
    output = model(good_call(head, model.config)["input_ids"], output_hidden_states=True)
    name = "classifier" if head == "token_classification" else "qa_outputs"
    kernel, bias = (model.to_weights()[f"{name}.{part}"] for part in ("weight", "bias"))
    expected = np.einsum("bsh,ch->bsc", output.hidden_states[-1], kernel) + bias
    got = output.logits if head == "token_classification" else np.stack([output.start_logits, output.end_logits], -1)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("summary_type", ["last", "first", "mean"])
def test_the_choice_head_summarizes_as_configured(build: Build, summary_type: str) -> None:
    """The last, the first or the mean of all positions, padding or not, then Dense → 1 for each choice."""
    model = build("multiple_choice", summary_type=summary_type)
    call = good_call("multiple_choice", model.config)
    call["attention_mask"][..., -2:] = 0
    output = model(call["input_ids"], call["attention_mask"], output_hidden_states=True)
    states = output.hidden_states[-1]
    picked: Any = {"last": states[:, -1], "first": states[:, 0], "mean": states.sum(axis=1) / SEQ_LEN}[summary_type]
    weights = model.to_weights()
    expected = (picked @ weights["classifier.weight"][0] + weights["classifier.bias"]).reshape(BATCH, CHOICES)
    np.testing.assert_allclose(output.logits, expected, rtol=1e-12, atol=1e-13)


def test_choices_are_rows_of_a_batch(build: Build) -> None:
    """A choice's logit does not depend on which choices stand beside it."""
    model = build("multiple_choice")
    call = good_call("multiple_choice", model.config)
    inputs = {name: call[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    some = model(**{name: value[:, [4, 1]] for name, value in inputs.items()})
    np.testing.assert_allclose(some.logits, model(**inputs).logits[:, [4, 1]], rtol=1e-12, atol=1e-13)
