"""Which of the two schedules a call takes, and that the result does not tell."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from roformer_numpy import RoFormerConfig, RoFormerModel
from roformer_numpy.kernels.engine import model as engine_model
from roformer_numpy.kernels.engine.factors import FLOAT32
from roformer_numpy.kernels.engine.machine import INSTRUCTION_SET
from roformer_numpy.kernels.engine.model import COLUMN_TOKENS, WIDE, WIDE_COLUMN_TOKENS, _size, _widths
from roformer_numpy.kernels.engine.panels import panels_for
from roformer_numpy.weights import Array

# Blocks of it take little time, and there are many layers at which one may come too soon.
DEEP = RoFormerConfig(
    vocab_size=53, hidden_size=48, num_hidden_layers=8, num_attention_heads=3, intermediate_size=8,
    max_position_embeddings=960,
)  # fmt: skip

pytestmark = pytest.mark.skipif(INSTRUCTION_SET is None, reason="this processor is not served by the engine")


@pytest.mark.parametrize(
    ("hidden", "threads", "most"),
    [(WIDE, 2, WIDE_COLUMN_TOKENS), (WIDE, 1, COLUMN_TOKENS), (WIDE // 2, 2, COLUMN_TOKENS)],
)
def test_threads_share_columns_of_more_tokens_where_a_model_is_wide(hidden: int, threads: int, most: int) -> None:
    """One copy of key and value says that they do."""
    widths = _widths(hidden, 64, hidden, 4 * hidden, FLOAT32)
    copies = [_size(widths, 2, hidden, n, n, panels_for(n), threads, True).copies for n in (most, most + 1)]
    assert copies == [1, 2]


@pytest.mark.parametrize("length", [41, 56, 80])
@pytest.mark.parametrize("causal", [False, True])
def test_either_schedule_gives_the_same_bits(length: int, causal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows of which one has padding, so a choice by width and threads is nobody's business."""
    monkeypatch.setenv("ROFORMER_NUM_THREADS", "2")
    monkeypatch.setattr("roformer_numpy.engine.SERIAL_WORK", 0)
    config = RoFormerConfig(vocab_size=53, hidden_size=48, num_hidden_layers=2, num_attention_heads=3)
    model = RoFormerModel(config.replace(is_decoder=causal), seed=0)
    ids = np.random.default_rng(0).integers(0, 53, (2, length))
    mask = np.arange(length) < np.array([[length], [length - 7]])
    found = []
    for most in (1, 2 * length):
        monkeypatch.setattr(engine_model, "COLUMN_TOKENS", most)
        _size.cache_clear()
        found.append(model(ids, attention_mask=mask).last_hidden_state)
    _size.cache_clear()
    assert np.array_equal(*found)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [(960,), (480, 480), (70, 400, 1, 1, 488), (8,) * 120, (1,) * 960], ids=str)
def test_a_block_waits_for_the_keys_of_its_sequences(
    lengths: tuple[int, ...], causal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And for those who still read the last ones."""
    model, draw = RoFormerModel(DEEP.replace(is_decoder=causal), seed=0), np.random.default_rng(0)
    sequences = [draw.integers(0, 53, length) for length in lengths]
    assert_threads_change_nothing(lambda: np.concatenate(model.encode(sequences)), monkeypatch)


WAITED_FOR = """
from types import SimpleNamespace
import numpy as np
from roformer_numpy.kernels.engine import by_rows
waited = []
by_rows.wait = lambda counters, block, phase: waited.append(block)
draw = np.random.default_rng(0)
for case in range(300):
    tokens = int(draw.integers(9, 200))
    sequence_of = np.sort(draw.integers(0, draw.integers(1, 40), tokens))
    p = SimpleNamespace(
        sequence_of=sequence_of, states=np.empty((1, tokens, 1)), past=np.empty((4, 0)), counters=None,
        row_blocks=int(draw.integers(1, (tokens + 7) // 8 + 1)),
    )
    ends = [by_rows._first_row(p, block) for block in range(p.row_blocks + 1)]
    assert (ends[0], ends[-1]) == (0, tokens)
    held = [set(sequence_of[first:last]) for first, last in zip(ends, ends[1:])]
    for block in range(p.row_blocks):
        waited.clear()
        by_rows._wait_for_keys(p, block, 1)
        print(waited == [other for other in range(p.row_blocks) if held[other] & held[block]])
"""


def test_a_block_waits_for_all_blocks_that_share_a_sequence_with_it_and_no_others() -> None:
    """The schedule's own lines, not compiled, so that it can be seen what they ask for."""
    command, environment = [sys.executable, "-c", WAITED_FOR], {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()
    assert len(found) > 1000
    assert set(found) == {"True"}


def test_a_block_waits_for_the_keys_of_earlier_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks share in laying them out: here those of the second row do for the first, which shows many more."""
    model, ids = (
        RoFormerModel(DEEP.replace(is_decoder=True), seed=0),
        np.random.default_rng(0).integers(0, 53, (2, 600)),
    )
    mask = (np.arange(600) >= np.array([[0], [500]])) | (np.arange(600) == 0)
    past = model(ids[:, :500], mask[:, :500], use_cache=True).past_key_values
    assert_threads_change_nothing(
        lambda: model(ids[:, 500:], mask, past_key_values=past).last_hidden_state, monkeypatch
    )


def assert_threads_change_nothing(call: Callable[[], Array], monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare the bits of one thread's with those of more threads than there are cores, which soon overtake."""
    monkeypatch.setattr("roformer_numpy.engine.SERIAL_WORK", 0)
    monkeypatch.setattr(engine_model, "BLOCK_ROWS", 8)
    found = []
    for threads in ("1", *["5"] * 6):
        monkeypatch.setenv("ROFORMER_NUM_THREADS", threads)
        _size.cache_clear()
        found.append(call())
    _size.cache_clear()
    assert all(np.array_equal(states, found[0]) for states in found)


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize(("length", "at"), [(9, 8), (30, 20), (100, 60), (420, 383), (420, 384), (420, 390)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_comes_later_never_reaches_a_causal_token(
    value: float, length: int, at: int, threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weight is 0, and 0 times NaN would be NaN, in tiles that depend on the threads: within one, and beyond."""
    monkeypatch.setenv("ROFORMER_NUM_THREADS", threads)
    monkeypatch.setattr("roformer_numpy.engine.SERIAL_WORK", 0)
    config = RoFormerConfig(vocab_size=53, hidden_size=48, num_hidden_layers=2, num_attention_heads=3, is_decoder=True)
    model, embeds = RoFormerModel(config, seed=0), np.random.default_rng(0).standard_normal((2, length, 48), np.float32)
    expected = model(inputs_embeds=embeds).last_hidden_state
    embeds[1, at, 5] = value
    found = model(inputs_embeds=embeds).last_hidden_state
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1, :at], expected[1, :at])
    assert np.isnan(found[1, at:]).all()
