"""Rows that are written on: what is computed column after column is what one call computes."""

from __future__ import annotations

import numpy as np
import pytest

from roformer_numpy import RoFormerConfig, RoFormerForCausalLM
from roformer_numpy.kernels.engine.machine import INSTRUCTION_SET
from roformer_numpy.weights import Array

pytestmark = pytest.mark.skipif(INSTRUCTION_SET is None, reason="this processor is not served by the engine")

CONFIG = RoFormerConfig(
    vocab_size=53, hidden_size=24, num_hidden_layers=3, num_attention_heads=3, intermediate_size=40, is_decoder=True
)


def left_padded(rows: int, columns: int) -> tuple[Array, Array]:
    """Ids, and a mask that hides the beginning of every row but the first, and one token in the middle of the last."""
    generator = np.random.default_rng([rows, columns])
    mask = np.arange(columns) >= generator.integers(0, columns, rows)[:, None]
    mask[0], mask[-1, columns // 2], mask[:, -1] = True, False, True
    return generator.integers(0, 53, (rows, columns)), mask


@pytest.mark.parametrize("rotary_value", [False, True])
@pytest.mark.parametrize(("rows", "steps"), [(1, [1, 1, 1]), (3, [5, 1, 1, 60, 1]), (2, [130, 1, 30, 1])])
def test_a_continuation_computes_what_calls_compute(rows: int, steps: list[int], rotary_value: bool) -> None:
    """Bit for bit, over the ends of panels, with few tokens and with many, hidden ones among them."""
    model = RoFormerForCausalLM(CONFIG.replace(rotary_value=rotary_value))
    ids, mask = left_padded(rows, sum(steps))
    engine = model._engine()
    assert engine is not None
    continuation = engine.continuation(rows, sum(steps) + 7)
    for columns in np.cumsum(steps):
        seen = mask[:, :columns] | (np.arange(columns) == columns - 1)
        found = continuation.last_states(ids[:, :columns], seen)
        called = model(ids[:, :columns], seen, output_hidden_states=True).hidden_states[-1]
        assert np.array_equal(found[:, 0], called[:, -1])
        mask[:, :columns] = seen


@pytest.mark.parametrize("threads", ["1", "2", "7"])
def test_the_number_of_threads_changes_no_token(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does who comes late to a step."""
    model = RoFormerForCausalLM(CONFIG)
    ids, mask = left_padded(4, 50)
    expected = model.generate(ids, mask, max_new_tokens=30)
    monkeypatch.setenv("ROFORMER_NUM_THREADS", threads)
    monkeypatch.setattr("roformer_numpy.engine.SERIAL_WORK", 0)
    assert np.array_equal(model.generate(ids, mask, max_new_tokens=30), expected)


def test_pruned_layers_are_written_on() -> None:
    """Layers of unlike numbers of heads share one memory."""
    model = RoFormerForCausalLM(CONFIG)
    model.prune_heads({0: [1], 2: [0, 2]})
    ids, mask = left_padded(2, 12)
    assert np.array_equal(
        model.generate(ids, mask, max_new_tokens=9), model.generate(ids, mask, max_new_tokens=9, use_cache=False)
    )


def test_two_generations_at_once_do_not_meet() -> None:
    """Memory is a generation's own."""
    model, (ids, mask) = RoFormerForCausalLM(CONFIG), left_padded(2, 6)
    engine = model._engine()
    assert engine is not None
    first, second = engine.continuation(2, 20), engine.continuation(2, 20)
    first.last_states(ids, mask)
    second.last_states(ids[::-1], mask[::-1])
    longer, shown = np.concatenate([ids, ids[:, :1]], axis=1), np.concatenate([mask, np.ones((2, 1), bool)], axis=1)
    assert np.array_equal(first.last_states(longer, shown)[::-1], second.last_states(longer[::-1], shown[::-1]))
