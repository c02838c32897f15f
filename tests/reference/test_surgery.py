"""Heads taken out and vocabularies resized, against masks, zeroed weights and kept rows (HEAD-6 to HEAD-8)."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roformer_numpy import ConfigError, InputTypeError, RoFormerError

from ..support import HEADS, LANGUAGE_MODELS, SIZES, good_call, same
from .conftest import Build

N, L, H, V = (SIZES[name] for name in ("num_attention_heads", "num_hidden_layers", "hidden_size", "vocab_size"))
D = H // N
CLOSE = {"rtol": 1e-11, "atol": 1e-12}


def head_mask_of(pruned: dict[int, list[int]]) -> np.ndarray:
    """The head mask that silences the pruned heads."""
    mask = np.ones((L, N))
    for layer, heads in pruned.items():
        mask[layer, heads] = 0
    return mask


def assert_close(first: Any, second: Any) -> None:
    """Two outputs agree field by field."""
    assert list(first) == list(second)
    for name in first:
        np.testing.assert_allclose(first[name], second[name], **CLOSE)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("pruned", [{0: [1]}, {1: [0, 2]}, {0: [2], 1: [0]}])
def test_a_pruned_head_a_masked_head_and_a_zeroed_projection_are_one(
    build: Build, head: str, pruned: dict[int, list[int]]
) -> None:
    """head_mask 0 = its rows of the output projection zeroed = the head taken out."""
    model, cut = build(head), build(head)
    cut.prune_heads(pruned)
    call = good_call(head, model.config)
    masked = model(**call, head_mask=head_mask_of(pruned))
    weights = model.to_weights()
    for layer, heads in pruned.items():
        name = f"{'' if head == 'base' else 'roformer.'}encoder.layer.{layer}.attention.output.dense.weight"
        weights[name] = weights[name].copy()
        for number in heads:
            weights[name][:, number * D : (number + 1) * D] = 0
    zeroed = type(model).from_weights(model.config, weights, dtype="float64", components=model.components)
    assert_close(cut(**call), masked)
    assert_close(zeroed(**call), masked)
    assert np.abs(masked[0] - model(**call)[0]).max() > 1e-6


def test_pruned_weights_have_the_kept_heads_and_no_others(build: Build) -> None:
    """query, key and value lose the head's rows, the output projection its columns; nothing else changes."""
    model = build("base")
    before = model.to_weights()
    model.prune_heads({1: [1]})
    after = model.to_weights()
    kept = np.r_[0:D, 2 * D : 3 * D]
    for name, tensor in before.items():
        expected = tensor
        if "layer.1.attention.self" in name:
            expected = tensor[kept]
        if "layer.1.attention.output.dense.weight" in name:
            expected = tensor[:, kept]
        assert np.array_equal(after[name], expected), name
    assert list(after) == list(before)


def test_pruning_twice_is_pruning_once_and_numbers_stay_the_original_ones(build: Build) -> None:
    """{0: [0]} then {0: [0, 2]} leaves head 1, as {0: [2, 0]} at once does."""
    steps, once = build("base"), build("base")
    steps.prune_heads({0: [0]})
    steps.prune_heads({0: [0, 2]})
    steps.prune_heads({0: [2]})
    once.prune_heads({0: [2, 0]})
    assert steps.config == once.config
    assert steps.config.pruned_heads == {0: [0, 2]}
    for name, tensor in once.to_weights().items():
        assert np.array_equal(steps.to_weights()[name], tensor), name


def test_head_mask_keeps_the_numbers_of_the_unpruned_model(build: Build) -> None:
    """After pruning head 0, entry 2 of head_mask still silences head 2."""
    model, cut = build("base"), build("base")
    cut.prune_heads({0: [0], 1: [1]})
    ids = good_call("base", model.config)["input_ids"]
    for second in ([1, 1, 0.5], [1, 0.25, 1], [0, 1, 0]):
        mask = np.array([[1, 0.5, 0.0], second])
        both = head_mask_of({0: [0], 1: [1]}) * mask
        assert_close(cut(ids, head_mask=mask), model(ids, head_mask=both))


def test_attentions_of_a_pruned_layer_show_the_kept_heads(build: Build) -> None:
    """The kept heads' weights stand in ascending order, unchanged in the first layer."""
    model, cut = build("base"), build("base")
    cut.prune_heads({0: [1]})
    ids = good_call("base", model.config)["input_ids"]
    whole, left = model(ids, output_attentions=True), cut(ids, output_attentions=True)
    assert [probs.shape[1] for probs in left.attentions] == [N - 1, N]
    np.testing.assert_allclose(left.attentions[0], whole.attentions[0][:, [0, 2]], **CLOSE)


@pytest.mark.parametrize("head", ["base", "causal_lm"])
def test_a_pruned_decoder_caches_the_kept_heads(build: Build, head: str) -> None:
    """The cache of a pruned layer is as narrow as the layer, and continues it."""
    model = build(head, is_decoder=True, pruned_heads={0: [0, 2]})
    ids = good_call(head, model.config)["input_ids"]
    whole = model(ids)[0]
    first = model(ids[:, :3], use_cache=True)
    assert [layer[0].shape[1] for layer in first.past_key_values] == [1, N]
    second = model(ids[:, 3:], past_key_values=first.past_key_values)
    np.testing.assert_allclose(second[0], whole[:, 3:], **CLOSE)


def test_pruning_leaves_cross_attention_whole(build: Build) -> None:
    """Heads of cross-attention are not numbered by prune_heads."""
    model = build("base", is_decoder=True, add_cross_attention=True, pruned_heads={0: [1]})
    ids = good_call("base", model.config)["input_ids"]
    states = np.random.default_rng(0).normal(size=(len(ids), 5, H))
    output = model(ids, encoder_hidden_states=states, output_attentions=True)
    assert [probs.shape[1] for probs in output.attentions] == [N - 1, N]
    assert [probs.shape[1] for probs in output.cross_attentions] == [N, N]


@pytest.mark.parametrize("head", HEADS)
def test_pruning_is_kept_through_save_and_load(build: Build, head: str, arithmetic: str, tmp_path: Path) -> None:
    """The folder says which heads are gone, and loads to the same bits."""
    model = build(head)
    model.prune_heads({0: [1], 1: [0, 2]})
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path, dtype="float64", components=arithmetic)
    assert loaded.config.pruned_heads == {0: [1], 1: [0, 2]}
    call = good_call(head, model.config)
    assert same(loaded(**call), model(**call))


@pytest.mark.parametrize("heads", [{}, {0: []}])
def test_pruning_nothing_changes_nothing(build: Build, heads: dict[int, list[int]]) -> None:
    """An empty request leaves configuration and weights alone."""
    model = build("base")
    config, weights = model.config, model.to_weights()
    model.prune_heads(heads)
    assert model.config == config
    assert all(np.array_equal(tensor, weights[name]) for name, tensor in model.to_weights().items())


def test_heads_to_prune_may_be_any_integers_in_any_collection(build: Build) -> None:
    """NumPy integers, sets and ranges name heads as lists do, and duplicates count once."""
    expected = build("base", pruned_heads={0: [0, 1]})
    for heads in ({np.int64(0): np.array([1, 0])}, {0: {0, 1}}, {0: range(2)}, {0: (1, 0, 1)}):
        model = build("base")
        model.prune_heads(heads)
        assert model.config == expected.config


BAD_PRUNING: dict[str, tuple[Any, type[Exception], str]] = {
    "all heads of a layer": ({0: [0, 1, 2]}, ConfigError, r"pruned_heads\[0\].*no head"),
    "a layer that is not there": ({L: [0]}, ConfigError, f"layer {L}, allowed are 0 to {L - 1}"),
    "a negative layer": ({-1: [0]}, ConfigError, "layer -1, allowed are 0"),
    "a head that is not there": ({0: [N]}, ConfigError, rf"pruned_heads\[0\].*\[{N}\], allowed are 0 to {N - 1}"),
    "a negative head": ({1: [-1]}, ConfigError, r"pruned_heads\[1\].*\[-1\], allowed are 0"),
    "a list": ([0, 1], InputTypeError, "list"),
    "a number for heads": ({0: 1}, InputTypeError, "integers"),
    "words": ({0: "ab"}, InputTypeError, "integers"),
    "a layer in words": ({"first": [0]}, InputTypeError, "integers"),
    "fractions": ({0: [0.5]}, InputTypeError, "integers"),
}


@pytest.mark.parametrize("name", BAD_PRUNING)
def test_impossible_pruning_is_refused_and_leaves_the_model_whole(build: Build, name: str) -> None:
    """The message names layer or head and what is allowed; nothing is half done."""
    heads, error, text = BAD_PRUNING[name]
    model = build("base")
    weights, config = model.weights, model.config
    with pytest.raises(error, match=text) as caught:
        model.prune_heads(heads)
    assert isinstance(caught.value, RoFormerError)
    assert model.weights is weights
    assert model.config is config


def test_the_last_head_cannot_be_pruned_in_two_steps_either(build: Build) -> None:
    """Heads pruned before count."""
    model = build("base", pruned_heads={0: [0, 1]})
    with pytest.raises(ConfigError, match="no head"):
        model.prune_heads({0: [2]})


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("size", [V + 6, V - 6, V])
def test_resizing_keeps_every_row_that_stays(build: Build, head: str, size: int) -> None:
    """Old ids give the old results; the vocabulary is exactly as large as asked."""
    model, resized = build(head), build(head)
    resized.resize_token_embeddings(size)
    assert resized.config.vocab_size == size
    call = good_call(head, model.config)
    call["input_ids"] %= V - 6
    if head in LANGUAGE_MODELS:
        call["labels"] %= V - 6
    before, after = model(**call), resized(**call)
    if head in LANGUAGE_MODELS:
        kept = min(size, V)
        assert after.logits.shape[-1] == size
        np.testing.assert_allclose(after.logits[..., :kept], before.logits[..., :kept], **CLOSE)
    else:
        assert_close(after, before)
    largest = np.full_like(call["input_ids"], size - 1)
    assert np.isfinite(resized(largest)[0]).all()
    with pytest.raises(RoFormerError, match=f"0 to {size - 1}"):
        resized(largest + 1)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("size", [V + 6, V - 6])
def test_a_language_models_bias_and_decoder_are_resized_with_it(build: Build, tied: bool, size: int) -> None:
    """Kept entries stay, a new bias is 0, an untied decoder grows rows of its own, a tied one stays tied."""
    model = build("masked_lm", tie_word_embeddings=tied)
    before = model.to_weights()
    model.resize_token_embeddings(size)
    after, kept = model.to_weights(), min(size, V)
    names = ["roformer.embeddings.word_embeddings.weight", "cls.predictions.bias"]
    names += [] if tied else ["cls.predictions.decoder.weight", "cls.predictions.decoder.bias"]
    assert [name for name in before if before[name].shape != after[name].shape] == sorted(names, key=list(before).index)
    for name in names:
        assert len(after[name]) == size
        assert np.array_equal(after[name][:kept], before[name][:kept])
    assert np.array_equal(after["cls.predictions.bias"][V:], np.zeros(max(size - V, 0)))
    new = after["roformer.embeddings.word_embeddings.weight"][V:]
    if size > V:
        assert 0 < np.abs(new).max() < 0.2
        assert len(np.unique(new)) == new.size
        if not tied:
            assert not np.array_equal(after["cls.predictions.decoder.weight"][V:], new)


def test_new_rows_come_from_the_seed(build: Build) -> None:
    """One seed, one set of new rows; another seed, others; the dtype stays."""
    model = build("base", dtype="float32")
    rows = []
    for seed in (0, 0, 1):
        again = copy.copy(model)
        again.seed = seed
        again.resize_token_embeddings(V + 4)
        rows.append(again.to_weights()["embeddings.word_embeddings.weight"][V:])
    assert rows[0].dtype == np.float32
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])


def test_growing_and_cutting_back_is_where_one_began(build: Build) -> None:
    """V → V + 6 → V leaves every weight as it was."""
    model = build("causal_lm")
    before = model.to_weights()
    model.resize_token_embeddings(V + 6)
    model.resize_token_embeddings(V)
    assert all(np.array_equal(tensor, before[name]) for name, tensor in model.to_weights().items())


def test_a_resized_model_is_saved_and_loaded(build: Build, arithmetic: str, tmp_path: Path) -> None:
    """The folder holds the new size."""
    model = build("masked_lm")
    model.resize_token_embeddings(V + 6)
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path, dtype="float64", components=arithmetic)
    call = good_call("masked_lm", model.config)
    assert loaded.config.vocab_size == V + 6
    assert same(loaded(**call), model(**call))


@pytest.mark.parametrize(
    ("size", "error", "text"),
    [
        (0, ConfigError, "vocab_size=0"),
        (-5, ConfigError, "vocab_size=-5"),
        (3.5, InputTypeError, "3.5"),
        ("30", InputTypeError, "'30'"),
        (True, InputTypeError, "True"),
        (None, InputTypeError, "None"),
        (4, ConfigError, "eos_token_id"),
    ],
)
def test_an_impossible_size_is_refused_and_leaves_the_model_whole(
    build: Build, size: Any, error: type[Exception], text: str
) -> None:
    """Sizes below 1, below a special token, or of no integer type are refused by value."""
    model = build("masked_lm", eos_token_id=7)
    weights, config = model.weights, model.config
    with pytest.raises(error, match=text):
        model.resize_token_embeddings(size)
    assert model.weights is weights
    assert model.config is config


def test_a_resized_vocabulary_of_fresh_weights_keeps_the_pad_row_zero(build: Build, arithmetic: str) -> None:
    """Growing does not touch the pad token's row."""
    plain = build("base")
    model = type(plain)(plain.config, components=arithmetic)
    model.resize_token_embeddings(V + 3)
    table = model.to_weights()["embeddings.word_embeddings.weight"]
    assert np.array_equal(table[0], np.zeros(SIZES["embedding_size"]))
    assert (np.abs(table[1:]).max(axis=1) > 0).all()
