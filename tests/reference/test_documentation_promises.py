"""What the documentation of the TensorFlow RoFormers promises, and its code in transformers 4.37 did not keep.

Each test shows that the promise is kept here, or, where the text itself is wrong, what stands in its place.
"""

from __future__ import annotations

import numpy as np
import pytest

from roformer_numpy import InputError

from ..support import BATCH, HEADS, LANGUAGE_MODELS, SEQ_LEN, SIZES, good_call, same
from .conftest import Build

H, E, N, L, V, C, T = (
    SIZES[name]
    for name in (
        *("hidden_size", "embedding_size", "num_attention_heads", "num_hidden_layers"),
        *("vocab_size", "num_labels", "type_vocab_size"),
    )
)
OTHERS = [head for head in HEADS if head != "base"]


def test_the_base_model_returns_a_pooler_output(build: Build) -> None:
    """Promise 1: pooler_output (batch, hidden_size), the first position through Dense and tanh."""
    model = build("base")
    output = model(good_call("base", model.config)["input_ids"])
    weights = model.to_weights()
    pooled = np.tanh(output.last_hidden_state[:, 0] @ weights["pooler.dense.weight"].T + weights["pooler.dense.bias"])
    assert list(output) == ["last_hidden_state", "pooler_output"]
    np.testing.assert_allclose(output.pooler_output, pooled, rtol=1e-12)


@pytest.mark.parametrize("head", HEADS)
def test_head_mask_silences_heads(build: Build, head: str) -> None:
    """Promise 2: head_mask of shape (heads,) or (layers, heads); 1 keeps a head, 0 silences it."""
    model = build(head)
    call = good_call(head, model.config)
    ones, some = np.ones(N), np.array([1.0, 0.0, 1.0])
    assert same(model(**call, head_mask=ones), model(**call))
    masked = model(**call, head_mask=some, output_attentions=True)
    assert same(masked, model(**call, head_mask=np.tile(some, (L, 1)), output_attentions=True))
    assert all((probs[:, 1] == 0).all() and (probs[:, 0].sum(-1) > 0.99).all() for probs in masked.attentions)
    assert np.abs(masked[0] - model(**call)[0]).max() > 1e-6


@pytest.mark.parametrize("head", HEADS)
def test_heads_can_be_pruned(build: Build, head: str) -> None:
    """Promise 3: prune_heads takes heads out, with the effect of masking them."""
    model, cut = build(head), build(head)
    cut.prune_heads({0: [1], 1: [0, 2]})
    call = good_call(head, model.config)
    masked = model(**call, head_mask=[[1, 0, 1], [0, 1, 0]])
    for name, value in cut(**call).items():
        np.testing.assert_allclose(value, masked[name], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("head", HEADS)
def test_inputs_embeds_have_the_width_of_the_embeddings(build: Build, head: str) -> None:
    """Promise 4, put right: the text says hidden_size; it is embedding_size, which equals it by default."""
    differing, equal = build(head), build(head, embedding_size=H)
    lead = good_call(head, equal.config)["input_ids"].shape
    vectors = np.random.default_rng(0).normal(size=(*lead, H))
    assert equal(inputs_embeds=vectors)[0].shape == equal(np.zeros(lead, int))[0].shape
    assert differing(inputs_embeds=vectors[..., :E])[0].shape == equal(inputs_embeds=vectors)[0].shape
    with pytest.raises(InputError, match=rf"inputs_embeds has shape .*{H}\), expected .*{E}\)"):
        differing(inputs_embeds=vectors)


@pytest.mark.parametrize("head", HEADS)
def test_keywords_alone_are_a_call(build: Build, head: str) -> None:
    """Promise 5: all inputs as keyword arguments, input_ids not among them."""
    model = build(head)
    call = good_call(head, model.config)
    lead = call.pop("input_ids").shape
    vectors = np.random.default_rng(1).normal(size=(*lead, E))
    assert same(model(inputs_embeds=vectors, **call), model({"inputs_embeds": vectors, **call}))


@pytest.mark.parametrize("head", LANGUAGE_MODELS)
def test_a_language_model_loss_has_one_number_for_each_label(build: Build, head: str) -> None:
    """Promise 6: loss of shape (n,), n the number of labels that are not masked."""
    model = build(head)
    call = good_call(head, model.config)
    call["labels"][:, ::2] = -100
    loss, counted = model(**call).loss, call["labels"][:, (1 if head == "causal_lm" else 0) :] != -100
    assert loss.shape == (counted.sum(),) == (BATCH * (SEQ_LEN // 2),)


@pytest.mark.parametrize("head", LANGUAGE_MODELS)
@pytest.mark.parametrize("label", [-1, V, -99])
def test_labels_are_ids_of_the_vocabulary_or_minus_100(build: Build, head: str, label: int) -> None:
    """Promise 7, put right: the text allows the label vocab_size; it names no token and is an error, as −1 is."""
    model = build(head)
    call = good_call(head, model.config)
    call["labels"][1, 2] = label
    with pytest.raises(InputError, match=rf"labels\[1, 2\] is {label}, allowed are 0 to {V - 1}, or -100"):
        model(**call)


def test_a_sequence_loss_has_one_number_for_each_row_whatever_the_labels_are_held_in(build: Build) -> None:
    """Promise 8: shape (batch,), from NumPy, from lists; regression and problem_type are honoured."""
    for changes, labels in (
        ({}, np.array([0, 1, 2, C - 1])),
        ({"num_labels": 1}, np.array([0.5, 1.5, -2.0, 0.0])),
        ({"problem_type": "regression"}, np.ones((BATCH, C)) / 2),
        ({"problem_type": "multi_label_classification"}, np.eye(BATCH, C)),
    ):
        model = build("sequence_classification", **changes)
        ids = good_call("sequence_classification", model.config)["input_ids"]
        loss = model(ids, labels=labels).loss
        assert loss.shape == (BATCH,)
        assert np.array_equal(model(ids, labels=labels.tolist()).loss, loss)
    classes, targets = (
        build("sequence_classification", problem_type=kind) for kind in (None, "multi_label_classification")
    )
    ones = np.eye(BATCH, C)
    assert not np.allclose(targets(ids, labels=ones).loss, classes(ids, labels=ones.argmax(1)).loss)


@pytest.mark.parametrize("is_decoder", [False, True])
def test_a_causal_model_does_not_see_what_it_predicts(build: Build, is_decoder: bool) -> None:
    """Promise 9: next-token prediction, with and without is_decoder; no weight falls on a later token."""
    model = build("causal_lm", is_decoder=is_decoder)
    call = good_call("causal_lm", model.config)
    output = model(call["input_ids"], output_attentions=True)
    for probs in output.attentions:
        assert (np.triu(probs, 1) == 0).all()
        assert (np.tril(probs)[..., -1, :] > 0).all()
    changed = call["input_ids"].copy()
    changed[:, -1] = (changed[:, -1] + 1) % V
    np.testing.assert_allclose(model(changed).logits[:, :-1], output.logits[:, :-1], rtol=1e-12)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("flags", [{}, {"output_attentions": True}, {"output_hidden_states": True},
                                   {"output_attentions": True, "output_hidden_states": True}])  # fmt: skip
def test_the_tuple_loses_nothing(build: Build, head: str, flags: dict[str, bool]) -> None:
    """Promise 10: return_dict=False holds the elements of the object, in its order."""
    model = build(head)
    call = good_call(head, model.config)
    assert same(model(**call, **flags, return_dict=False), model(**call, **flags).to_tuple())
    assert len(model(**call, **flags, return_dict=False)) == len(model(**call)) + len(flags)


@pytest.mark.parametrize("head", HEADS)
def test_nested_lists_single_arrays_and_lists_of_inputs_are_calls(build: Build, head: str) -> None:
    """Promise 13: one array, nested Python lists, and a list of inputs; lists of labels give the loss of arrays."""
    model = build(head)
    call = good_call(head, model.config)
    ids, mask, types = (call[name] for name in ("input_ids", "attention_mask", "token_type_ids"))
    assert same(model(ids.tolist()), model(ids))
    expected = model(input_ids=ids, attention_mask=mask, token_type_ids=types)
    assert same(model([ids, mask, types]), expected)
    assert same(model([ids.tolist(), mask.tolist(), types.tolist()]), expected)
    assert same(model({name: value.tolist() for name, value in call.items()}), model(**call))


@pytest.mark.parametrize("head", LANGUAGE_MODELS)
def test_untied_embeddings_are_untied(build: Build, head: str) -> None:
    """Promise 15: tie_word_embeddings=False gives the decoder a table of its own; True shares the embeddings."""
    ids = good_call(head, build(head).config)["input_ids"]
    for tied in (True, False):
        model = build(head, tie_word_embeddings=tied)
        weights = model.to_weights()
        assert ("cls.predictions.decoder.weight" in weights) == (not tied)
        output = model(ids, output_hidden_states=True)
        table = weights["roformer.embeddings.word_embeddings.weight" if tied else "cls.predictions.decoder.weight"]
        # the logits of tokens with equal rows are equal up to their biases, so the right table explains them exactly
        centred = output.logits - weights["cls.predictions.bias"]
        solution = np.linalg.lstsq(table, centred.reshape(-1, V).T, rcond=None)[0]
        np.testing.assert_allclose(table @ solution, centred.reshape(-1, V).T, rtol=0, atol=1e-10)


def test_max_position_embeddings_can_be_raised_at_load(build: Build, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Promise 17: "something large just in case" needs no new weights: the positions are computed."""
    folder = tmp_path_factory.mktemp("model")
    model = build("base")
    model.save_pretrained(folder)
    longer = type(model).from_pretrained(
        folder, max_position_embeddings=512, dtype="float64", components=model.components
    )
    ids = np.random.default_rng(0).integers(0, V, (1, 512))
    assert np.isfinite(longer(ids).last_hidden_state).all()
    assert same(longer(ids[:, :10]), model(ids[:, :10]))


@pytest.mark.parametrize("head", HEADS)
def test_token_types_reach_from_0_to_type_vocab_size_minus_1(build: Build, head: str) -> None:
    """Promise 18, put right: the text says 0 or 1; every type that the configuration has is allowed, and counts."""
    model = build(head)
    ids = good_call(head, model.config)["input_ids"]
    results = [model(ids, token_type_ids=np.full_like(ids, number))[0] for number in range(T)]
    assert all(np.abs(one - results[0]).max() > 1e-6 for one in results[1:])
    with pytest.raises(InputError, match=f"is {T}, allowed are 0 to {T - 1}"):
        model(ids, token_type_ids=np.full_like(ids, T))


@pytest.mark.parametrize("head", OTHERS)
def test_selu_is_an_activation(build: Build, head: str) -> None:
    """Promise 19: hidden_act="selu" works, and is not another one of the documented activations."""
    selu, relu = build(head, hidden_act="selu"), build(head, hidden_act="relu")
    call = good_call(head, selu.config)
    assert all(np.isfinite(value).all() for value in selu(**call).to_tuple())
    assert not same(selu(**call), relu(**call))
