"""What one call used, the next one uses again, and never two at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from roformer_numpy import RoFormerConfig, RoFormerModel
from roformer_numpy.kernels.engine import model as engine_model
from roformer_numpy.kernels.engine.machine import FLOAT_BYTES, HAS_BFLOAT16, INSTRUCTION_SET
from roformer_numpy.kernels.engine.scratch import LEAST_BYTES, MOST_BYTES, Scratch

narrow = pytest.mark.skipif(not HAS_BFLOAT16, reason="this processor has no AVX512-BF16")

LEAST, MOST = LEAST_BYTES // FLOAT_BYTES, MOST_BYTES // FLOAT_BYTES


def address_of(scratch: Scratch, count: int) -> int:
    """Where memory lies that is lent and given back at once."""
    _, lent = scratch.lend(0, count)
    return int(lent.ctypes.data)


def test_memory_is_lent_again_once_nobody_holds_it() -> None:
    """A helper may still read what a call has returned from."""
    scratch = Scratch()
    held = scratch.lend(LEAST, LEAST)[1]
    first = held.ctypes.data - FLOAT_BYTES * LEAST
    other = scratch.lend(0, LEAST)[1]
    assert not np.shares_memory(other, held)
    del other, held
    assert address_of(scratch, LEAST) == first


def test_what_begins_as_zeros_is_zeros_again() -> None:
    """And lies before the rest, in one piece with it."""
    scratch = Scratch()
    zeros, lent = scratch.lend(LEAST, LEAST)
    zeros[:], lent[:] = np.nan, np.nan
    place = zeros.ctypes.data
    del zeros, lent
    zeros, lent = scratch.lend(LEAST - 5, LEAST)
    assert zeros.ctypes.data == place
    assert lent.ctypes.data == zeros.ctypes.data + zeros.nbytes
    assert not zeros.any()
    assert (zeros.size, lent.size) == (LEAST - 5, LEAST)


def test_the_larger_piece_is_kept() -> None:
    """One at most, and a smaller call cuts what it needs from it."""
    scratch = Scratch()
    large = address_of(scratch, 3 * LEAST)
    assert address_of(scratch, LEAST) == large
    _, first = scratch.lend(0, 3 * LEAST)
    assert first.ctypes.data == large
    address_of(scratch, LEAST)  # kept, until the larger one comes back
    del first
    assert address_of(scratch, 3 * LEAST) == large


@pytest.mark.parametrize("count", [1, LEAST - 1, MOST + 1])
def test_small_and_very_large_pieces_go_back_to_the_allocator(count: int) -> None:
    """Of small ones it keeps enough by itself, and nobody wants a process that stays as large as its largest call."""
    scratch = Scratch()
    zeros, lent = scratch.lend(1, count - 1)
    assert (zeros.size, lent.size) == (1, count - 1)
    del zeros, lent
    assert not scratch._kept


def test_threads_never_share_a_piece() -> None:
    """Each writes its number all over what it was lent, and finds it again."""
    scratch = Scratch()

    def undisturbed(number: int) -> bool:
        _, lent = scratch.lend(0, LEAST)
        lent[:] = number
        return bool((lent == number).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(undisturbed, range(64)))


@pytest.mark.skipif(INSTRUCTION_SET is None, reason="this processor is not served by the engine")
@pytest.mark.parametrize("compute", ["float32", pytest.param("bfloat16", marks=narrow)])
def test_calls_whose_memory_is_used_again_give_the_same_bits(compute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads that call one model, between calls of another shape, against memory of each call's own."""
    monkeypatch.setenv("ROFORMER_NUM_THREADS", "2")
    config = RoFormerConfig(vocab_size=53, hidden_size=96, num_hidden_layers=2, num_attention_heads=3)
    model = RoFormerModel(config.replace(max_position_embeddings=512), seed=0)
    model.compute = compute
    draw = np.random.default_rng(0)
    calls = [draw.integers(0, 53, shape) for shape in [(6, 300), (2, 512), (40, 45), (5, 301)]]
    scratch = Scratch()
    monkeypatch.setattr(engine_model, "SCRATCH", scratch)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda ids: model(ids).last_hidden_state, 8 * calls))
    assert scratch._kept
    monkeypatch.setattr("roformer_numpy.kernels.engine.scratch.LEAST_BYTES", MOST_BYTES)
    expected = [model(ids).last_hidden_state for ids in calls]
    assert all(np.array_equal(states, expected[number % 4]) for number, states in enumerate(found))
