"""What is kept between calls, so that a small model's time is not spent on finding it out again; and what is not."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest

from roformer_numpy import InputTypeError, RoFormerConfig, RoFormerModel
from roformer_numpy.equations.normalization import layer_norm
from roformer_numpy.equations.rotary import rotary_table
from roformer_numpy.kernels.engine.embedding import embed
from roformer_numpy.kernels.engine.machine import INSTRUCTION_SET
from roformer_numpy.kernels.engine.tokens import (
    KEPT,
    KEPT_SHORT,
    KEPT_TOKENS,
    SHORT_TOKENS,
    Tokens,
    _of_full,
    _of_short,
)
from roformer_numpy.weights import Array

pytestmark = pytest.mark.skipif(INSTRUCTION_SET is None, reason="this processor is not served by the engine")

CONFIG = RoFormerConfig(vocab_size=53, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40)


def test_what_hides_nothing_is_found_out_once() -> None:
    """By the number of rows, keys and computed positions and by causality; a mask with a gap never."""
    full, gap = np.ones((2, 5), bool), np.array([[True] * 5, [True, False, True, True, True]])
    assert Tokens.of(full, True, 5) is Tokens.of(full.copy(), True, 5)
    others = [Tokens.of(full, False, 5), Tokens.of(full, True, 3), Tokens.of(full.reshape(1, 10), True, 5)]
    assert len({id(tokens) for tokens in [*others, Tokens.of(full, True, 5)]}) == 4
    assert Tokens.of(gap, True, 5) is not Tokens.of(gap, True, 5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("seq_len", [1, 5])
def test_what_is_kept_is_what_is_found_out(causal: bool, seq_len: int) -> None:
    """Array by array."""
    mask = np.ones((2, 5), bool)
    for kept, found in zip(
        dataclasses.astuple(Tokens.of(mask, causal, seq_len)), dataclasses.astuple(Tokens._of(mask, causal, seq_len)),
        strict=True,
    ):  # fmt: skip
        assert np.array_equal(kept, found)


def test_what_is_kept_is_bounded() -> None:
    """Neither many shapes nor large ones fill the memory."""
    for length in range(1, SHORT_TOKENS + 3 * KEPT):
        for seq_len in range(1, min(4, length)):
            Tokens.of(np.ones((1, length), bool), False, seq_len)
    large = np.ones((1, KEPT_TOKENS + 1), bool)
    assert Tokens.of(large, False, 1) is not Tokens.of(large, False, 1)
    assert _of_full.cache_info().currsize <= KEPT
    assert _of_short.cache_info().currsize <= KEPT_SHORT


def test_every_short_length_is_found_out_once() -> None:
    """Who computes sequences of all lengths by turns finds each as it was."""
    lengths = range(1, SHORT_TOKENS + 1)
    first = [Tokens.of(np.ones((1, length), bool), False, length) for length in lengths]
    again = [Tokens.of(np.ones((1, length), bool), False, length) for length in lengths]
    assert all(tokens is kept for tokens, kept in zip(first, again, strict=True))


def test_a_call_leaves_no_trace_in_the_next_one() -> None:
    """Outputs are the caller's: overwriting them changes no later result, and shapes do not meet."""
    model, ids = RoFormerModel(CONFIG), np.arange(12).reshape(2, 6)
    expected = model(ids).last_hidden_state.copy()
    model(ids).last_hidden_state[:] = 7.0
    model(np.arange(50)[None] % 53)
    assert np.array_equal(model(ids).last_hidden_state, expected)


def test_rotary_tables_begin_alike_however_long_they_are() -> None:
    """So the engine may read the beginning of a longer one."""
    cos, sin = rotary_table(np.arange(300), 26, "float32")
    for length in (1, 2, 7, 63, 64, 65, 299):
        shorter = rotary_table(np.arange(length), 26, "float32")
        assert np.array_equal(cos[:length], shorter[0])
        assert np.array_equal(sin[:length], shorter[1])


def tables(order: Literal["C", "F"]) -> tuple[Array, Array, tuple[Array, Array, float]]:
    """Words (53, 24) in an order of memory, types (2, 24), and a normalization."""
    generator = np.random.default_rng(0)
    words, types = np.asarray(generator.normal(size=(53, 24)), np.float32, order=order), generator.normal(size=(2, 24))
    gamma, beta = generator.normal(size=(2, 24)).astype(np.float32)
    return words, types.astype(np.float32), (gamma, beta, 1e-12)


@pytest.mark.parametrize("order", ["C", "F"])
def test_embeddings_are_added_and_normalized(order: Literal["C", "F"]) -> None:
    """Against the equation in float64, however the vocabulary lies in memory."""
    words, types, (gamma, beta, eps) = tables(order)
    ids, type_ids = np.array([[3, 52, 0], [7, 7, 1]]), np.array([[0, 1, 0], [1, 1, 0]])
    expected = layer_norm((words.astype(float)[ids] + types[type_ids]), gamma.astype(float), beta.astype(float), eps)
    got = embed(words, ids, types, type_ids, (gamma, beta, eps))
    assert np.abs(got - expected.reshape(6, 24)).max() < 2e-6


@pytest.mark.parametrize(("word", "type_id"), [(53, 0), (-1, 0), (0, 2), (0, -1)])
def test_ids_beyond_a_table_read_no_foreign_memory(word: int, type_id: int) -> None:
    """Weights may be exchanged for smaller ones, which the configuration does not tell."""
    words, types, norm = tables("C")
    with pytest.raises(IndexError, match=f"id {word} or token type {type_id} lies beyond tables of 53 and 2 rows"):
        embed(words, np.array([[1, word]]), types, np.array([[0, type_id]]), norm)


def test_a_generator_is_checked_even_where_nothing_is_drawn() -> None:
    """No randomness is asked of the system without need, and no mistake is overlooked for that."""
    with pytest.raises(InputTypeError, match="generator is 'dice'"):
        RoFormerModel(CONFIG)([[1, 2]], generator="dice")
