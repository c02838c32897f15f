"""What the documentation of the TensorFlow RoFormers promises, and its code in transformers 4.37 did not keep.

Nineteen points, numbered as in the twin of this module for the reference: a test each, which shows that the promise is
kept by the Keras models, or, where the text itself is wrong, what stands in its place. Weights are strong and in
float64, so that what should differ does.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from roformer_numpy import InputError

from ..support import BATCH, HEADS, LANGUAGE_MODELS, SEQ_LEN, SIZES, config_of, good_call, sinusoids, strong_weights
from .samples import MODELS

H, E, N, L, V, C, T = (
    SIZES[name]
    for name in (
        *("hidden_size", "embedding_size", "num_attention_heads", "num_hidden_layers"),
        *("vocab_size", "num_labels", "type_vocab_size"),
    )
)
OTHERS = [head for head in HEADS if head != "base"]


def build(head: str, **changes: Any) -> Any:
    """A float64 model with strong weights and a small configuration."""
    config = config_of(**changes)
    return MODELS[head].from_weights(config, strong_weights(config, head), dtype="float64")


shared = cache(build)  # for tests that change nothing


def same(first: Any, second: Any) -> bool:
    """Whether two outputs are equal bit for bit: the same fields, shapes and values."""
    keras.tree.assert_same_structure(first, second)
    pairs = zip(keras.tree.flatten(first), keras.tree.flatten(second), strict=True)
    return all(one.dtype == two.dtype and np.array_equal(one, two) for one, two in pairs)


def test_promise_1_the_base_model_returns_a_pooler_output() -> None:
    """pooler_output (batch, hidden_size): the first position through Dense and tanh; 4.37 has none."""
    model = shared("base")
    output = model(good_call("base", model.config)["input_ids"])
    weights = model.to_weights()
    first = output.last_hidden_state.numpy()[:, 0]
    pooled = np.tanh(first @ weights["pooler.dense.weight"].T + weights["pooler.dense.bias"])
    assert list(output) == ["last_hidden_state", "pooler_output"]
    np.testing.assert_allclose(output.pooler_output, pooled, rtol=1e-12)


@pytest.mark.parametrize("head", HEADS)
def test_promise_2_head_mask_silences_heads(head: str) -> None:
    """head_mask of shape (heads,) or (layers, heads): 1 keeps a head, 0 silences it; 4.37 raises."""
    model = shared(head)
    call = good_call(head, model.config)
    assert same(model(**call, head_mask=np.ones(N)), model(**call))
    some = np.array([1.0, 0.0, 1.0])
    masked = model(**call, head_mask=some, output_attentions=True)
    assert same(masked, model(**call, head_mask=tf.constant(np.tile(some, (L, 1))), output_attentions=True))
    for probs in masked.attentions:
        assert np.all(probs[:, 1] == 0)
        np.testing.assert_allclose(tf.reduce_sum(probs, -1)[:, ::2], 1.0, rtol=1e-12)
    assert np.abs(masked[0] - model(**call)[0]).max() > 1e-6


@pytest.mark.parametrize("head", HEADS)
def test_promise_3_heads_can_be_pruned(head: str) -> None:
    """prune_heads takes heads out, with the effect of masking them; 4.37 raises."""
    model, cut = shared(head), build(head)
    cut.prune_heads({0: [1], 1: [0, 2]})
    width = H // N
    gone = 3 * (3 * (H + 1) * width + width * H)  # three heads: query, key, value with bias, rows of the output
    assert cut.count_params() == model.count_params() - gone
    call = good_call(head, model.config)
    masked = model(**call, head_mask=[[1, 0, 1], [0, 1, 0]])
    for name, value in cut(**call).items():
        np.testing.assert_allclose(value, masked[name], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("head", ["base", "multiple_choice"])
def test_promise_4_inputs_embeds_have_the_width_of_the_embeddings(head: str) -> None:
    """Put right: the text says hidden_size; it is embedding_size, which equals it by default."""
    differing, equal = shared(head), shared(head, embedding_size=H)
    lead = good_call(head, equal.config)["input_ids"].shape
    vectors = np.random.default_rng(0).normal(size=(*lead, H))
    assert equal(inputs_embeds=vectors)[0].shape == equal(np.zeros(lead, int))[0].shape
    assert differing(inputs_embeds=vectors[..., :E])[0].shape == equal(inputs_embeds=vectors)[0].shape
    with pytest.raises(InputError, match=rf"inputs_embeds has shape .*{H}\), expected .*{E}\)"):
        differing(inputs_embeds=vectors)


@pytest.mark.parametrize("head", HEADS)
def test_promise_5_keywords_alone_are_a_call(head: str) -> None:
    """All inputs as keyword arguments, input_ids not among them; 4.37 refuses."""
    model = shared(head)
    call = good_call(head, model.config)
    lead = call.pop("input_ids").shape
    vectors = tf.constant(np.random.default_rng(1).normal(size=(*lead, E)))
    assert same(model(inputs_embeds=vectors, **call), model({"inputs_embeds": vectors, **call}))


@pytest.mark.parametrize("head", LANGUAGE_MODELS)
def test_promise_6_a_language_model_loss_has_one_number_for_each_label(head: str) -> None:
    """loss (n,), n the number of labels that are not masked; 4.37 gives (1,)."""
    model = shared(head)
    call = good_call(head, model.config)
    call["labels"][:, ::2] = -100
    loss, counted = model(**call).loss, call["labels"][:, (1 if head == "causal_lm" else 0) :] != -100
    assert loss.shape == (counted.sum(),) == (BATCH * (SEQ_LEN // 2),)


@pytest.mark.parametrize("head", LANGUAGE_MODELS)
@pytest.mark.parametrize("label", [-1, V, -99])
def test_promise_7_labels_are_ids_of_the_vocabulary_or_minus_100(head: str, label: int) -> None:
    """Put right: the text allows the label vocab_size, which names no token; 4.37 trains −1 as class 0."""
    model = shared(head)
    call = good_call(head, model.config)
    call["labels"][1, 2] = label
    with pytest.raises(InputError, match=rf"labels\[1, 2\] is {label}, allowed are 0 to {V - 1}, or -100"):
        model(**call)


TASKS: dict[str, tuple[dict[str, Any], np.ndarray]] = {
    "classes": ({}, np.array([0, 1, 2, C - 1])),
    "one number": ({"num_labels": 1}, np.array([0.5, 1.5, -2.0, 0.0])),
    "numbers": ({"problem_type": "regression"}, np.ones((BATCH, C)) / 2),
    "several classes": ({"problem_type": "multi_label_classification"}, np.eye(BATCH, C)),
}


def loss_by_hand(task: str, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The textbook's formulas, a number a row."""
    if task == "classes":
        return np.log(np.exp(logits).sum(-1)) - logits[np.arange(BATCH), labels]
    if task == "several classes":
        probability = 1 / (1 + np.exp(-logits))
        return -np.where(labels == 1, np.log(probability), np.log(1 - probability)).mean(-1)
    return ((logits - labels.reshape(BATCH, -1)) ** 2).mean(-1)


@pytest.mark.parametrize("task", TASKS)
def test_promise_8_a_sequence_loss_has_one_number_for_each_row(task: str) -> None:
    """(batch,), from NumPy, tensors and lists; 4.37 fails on NumPy's regression labels, ignores problem_type."""
    changes, labels = TASKS[task]
    model = shared("sequence_classification", **changes)
    ids = good_call("sequence_classification", model.config)["input_ids"]
    output = model(ids, labels=labels)
    np.testing.assert_allclose(output.loss, loss_by_hand(task, output.logits.numpy(), labels), rtol=1e-12)
    for held in (labels.tolist(), tf.constant(labels)):
        assert same(model(ids, labels=held), output)


@pytest.mark.parametrize("is_decoder", [False, True])
def test_promise_9_a_causal_model_does_not_see_what_it_predicts(is_decoder: bool) -> None:
    """Next-token prediction, with and without is_decoder: no weight on a later token; 4.37 is bidirectional."""
    model = shared("causal_lm", is_decoder=is_decoder)
    ids = good_call("causal_lm", model.config)["input_ids"]
    output = model(ids, output_attentions=True)
    for probs in output.attentions:
        assert np.all(np.triu(probs, 1) == 0)
        assert np.all(np.diagonal(probs, axis1=-2, axis2=-1) > 0)
    changed = ids.copy()
    changed[:, -1] = (changed[:, -1] + 1) % V
    np.testing.assert_allclose(model(changed).logits[:, :-1], output.logits[:, :-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("flags", [{}, {"output_attentions": True}, {"output_hidden_states": True},
                                   {"output_attentions": True, "output_hidden_states": True}])  # fmt: skip
def test_promise_10_the_tuple_loses_nothing(head: str, flags: dict[str, bool]) -> None:
    """return_dict=False holds the elements of the object, in its order; 4.37 loses hidden states or attentions."""
    model = shared(head)
    call = good_call(head, model.config)
    plain, output = model(**call, **flags, return_dict=False), model(**call, **flags)
    assert same(plain, output.to_tuple())
    assert len(plain) == len(model(**call)) + len(flags)


def test_promise_11_the_configuration_decides_what_a_graph_returns() -> None:
    """output_attentions and output_hidden_states count eagerly; a graph warns and follows the configuration."""
    model = build("base", output_attentions=True)
    ids = tf.constant(good_call("base", model.config)["input_ids"])
    asked = {"output_attentions": False, "output_hidden_states": True}
    assert list(model(ids, **asked)) == ["last_hidden_state", "pooler_output", "hidden_states"]
    graph = tf.function(lambda given: model(given, **asked))
    with pytest.warns(UserWarning, match="output_attentions=False, output_hidden_states=True has no effect"):
        output = graph(ids)
    assert list(output) == ["last_hidden_state", "pooler_output", "attentions"]
    follows = MODELS["base"](model.config, honour_call_flags=True)
    assert list(tf.function(lambda given: follows(given, **asked))(ids)) == list(model(ids, **asked))


def test_promise_12_a_graph_returns_no_plain_tuple() -> None:
    """return_dict is always True in a graph; the argument, and the configuration, count eagerly."""
    model, told = build("base"), build("base", return_dict=False)
    ids = tf.constant(good_call("base", model.config)["input_ids"])
    assert type(model(ids, return_dict=False)) is type(told(ids)) is tuple
    with pytest.warns(UserWarning, match="return_dict=False has no effect"):
        output = tf.function(lambda given: model(given, return_dict=False))(ids)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet = tf.function(told)(ids)
    assert list(output) == list(quiet) == ["last_hidden_state", "pooler_output"]


@pytest.mark.parametrize("head", HEADS)
def test_promise_13_nested_lists_single_arrays_and_lists_of_inputs_are_calls(head: str) -> None:
    """One array, nested Python lists, lists of inputs; lists of labels give the loss of arrays, which 4.37's do not."""
    model = shared(head)
    call = good_call(head, model.config)
    ids, mask, types = (call[name] for name in ("input_ids", "attention_mask", "token_type_ids"))
    assert same(model(ids.tolist()), model(ids))
    expected = model(input_ids=ids, attention_mask=mask, token_type_ids=types)
    assert same(model([ids, mask, types]), expected)
    assert same(model([ids.tolist(), mask.tolist(), types.tolist()]), expected)
    assert same(model({name: value.tolist() for name, value in call.items()}), model(**call))


def test_promise_14_the_functional_api_gathers_lists_by_position_and_dicts_by_name() -> None:
    """Put right: a list is never reordered by the tensors' names; a dict is read by name, in any order."""
    model = shared("base")
    call = good_call("base", model.config)
    ids = keras.Input((SEQ_LEN,), dtype="int64", name="input_ids")
    second = keras.Input((SEQ_LEN,), dtype="int64", name="token_type_ids")
    by_position = keras.Model([ids, second], model([ids, second]).last_hidden_state)
    by_name = keras.Model([ids, second], model({"token_type_ids": second, "input_ids": ids}).last_hidden_state)
    values = [call["input_ids"], call["attention_mask"]]  # allowed as a mask and as types
    masked, typed = model(values[0], attention_mask=values[1]), model(values[0], token_type_ids=values[1])
    np.testing.assert_allclose(by_position(values), masked.last_hidden_state, rtol=0, atol=1e-12)
    np.testing.assert_allclose(by_name(values), typed.last_hidden_state, rtol=0, atol=1e-12)
    assert np.abs(masked.last_hidden_state - typed.last_hidden_state).max() > 1e-6


@pytest.mark.parametrize("head", LANGUAGE_MODELS)
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_promise_15_untied_embeddings_are_untied(head: str, tied: bool) -> None:
    """tie_word_embeddings=False gives the decoder a table of its own, True shares the embeddings; 4.37 always shares.

    logits − bias lie in the span of the table that they were made with, and, with fewer columns than rows, in no other.
    """
    model = shared(head, tie_word_embeddings=tied)
    weights = model.to_weights()
    assert ("cls.predictions.decoder.weight" in weights) == (not tied)
    names = ["roformer.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"]
    logits = model(good_call(head, model.config)["input_ids"]).logits.numpy()
    explained = (logits - weights["cls.predictions.bias"]).reshape(-1, V).T
    for name, right in zip(names, (tied, not tied), strict=True):
        table = weights.get(name, strong_weights(config_of(tie_word_embeddings=False), head)[name])
        rest = table @ np.linalg.lstsq(table, explained, rcond=None)[0] - explained
        assert (np.abs(rest).max() < 1e-10) == right


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras reading its variables
def test_promise_16_positions_are_constants() -> None:
    """Sinusoids are no variable, and heavy training leaves them what they are; in 4.37 they drift under SGD."""
    model = build("masked_lm")
    assert not any("position" in variable.path or "angle" in variable.path for variable in model.variables)
    call, name = good_call("masked_lm", model.config), "roformer.encoder.embed_positions.weight"
    table = sinusoids(SIZES["max_position_embeddings"], H // N)
    before = model.to_weights()
    model.compile(optimizer=keras.optimizers.SGD(1.0), run_eagerly=True)
    model.fit(call, verbose=0)
    after = model.to_weights()
    np.testing.assert_allclose(after[name], table, rtol=0, atol=1e-13)
    np.testing.assert_allclose(np.concatenate(model.angles[::-1], axis=1), table, rtol=0, atol=1e-13)
    assert all(np.any(after[other] != before[other]) for other in before if other != name)


def test_promise_17_max_position_embeddings_can_be_raised_at_load(tmp_path) -> None:
    """ "Something large just in case" needs no new weights: the positions are computed; 4.37 cannot load so."""
    model = shared("base")
    model.save_pretrained(tmp_path)
    longer = type(model).from_pretrained(tmp_path, max_position_embeddings=512, dtype="float64")
    ids = np.random.default_rng(0).integers(0, V, (1, 512))
    assert np.all(np.isfinite(longer(ids).last_hidden_state))
    assert same(longer(ids[:, :10]), model(ids[:, :10]))
    with pytest.raises(InputError, match="512"):
        model(ids)


def test_promise_18_token_types_reach_from_0_to_type_vocab_size_minus_1() -> None:
    """Put right: the text says 0 or 1; every type that the configuration has is allowed, and counts."""
    model = shared("base")
    ids = good_call("base", model.config)["input_ids"]
    results = [model(ids, token_type_ids=np.full_like(ids, number))[0] for number in range(T)]
    assert all(np.abs(one - results[0]).max() > 1e-6 for one in results[1:])
    with pytest.raises(InputError, match=f"is {T}, allowed are 0 to {T - 1}"):
        model(ids, token_type_ids=np.full_like(ids, T))


@pytest.mark.parametrize("head", OTHERS)
def test_promise_19_selu_is_an_activation(head: str) -> None:
    """hidden_act="selu" works and is none of the others; 4.37 raises KeyError."""
    selu, relu = shared(head, hidden_act="selu"), shared(head, hidden_act="relu")
    call = good_call(head, selu.config)
    outputs = selu(**call).to_tuple(), relu(**call).to_tuple()
    assert all(np.all(np.isfinite(value)) for value in outputs[0])
    assert not same(*outputs)
