"""Packing: every number of a kernel stands where the micro-kernel looks for it, and nowhere else stands anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from roformer_numpy.kernels.engine.machine import INSTRUCTION_SET, PANEL
from roformer_numpy.kernels.engine.panels import SERIAL, empty_panels, pack_columns, packed

pytestmark = pytest.mark.skipif(INSTRUCTION_SET is None, reason="the engine is written for AVX2 and AVX-512")

MEMORY = {
    "row by row": np.ascontiguousarray,
    "column by column": np.asfortranarray,
    "every other row and column": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)[::2, ::2],
    "reversed": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
}


def unpacked(panels: Any) -> Any:
    """(panels, depth, PANEL) as (depth, panels · PANEL)."""
    return panels.transpose(1, 0, 2).reshape(panels.shape[1], -1)


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize(("depth", "width"), [(1, 1), (17, PANEL), (768, 2 * PANEL + 5), (33, 40 * PANEL - 1)])
@pytest.mark.parametrize("threads", [1, 3])
def test_panels_hold_the_columns_one_after_the_other(memory: str, depth: int, width: int, threads: int) -> None:
    """However the kernel lies in memory, and whoever takes part; what fills up the last panel is zero."""
    kernel = np.random.default_rng(0).standard_normal((depth, width)).astype(np.float32)
    panels = packed(MEMORY[memory](kernel), None, threads)
    assert panels.ctypes.data % 64 == 0
    assert np.array_equal(unpacked(panels)[:, :width], kernel)
    assert not unpacked(panels)[:, width:].any()


def test_columns_are_chosen_scaled_and_put_beside_each_other() -> None:
    """Two sources that share a panel: order, factor and place of each, as NumPy has them."""
    generator = np.random.default_rng(0)
    first, second = generator.standard_normal((2, 9, PANEL + 7)).astype(np.float32)
    order, factor = generator.permutation(PANEL + 7), np.float32(1 / 3)
    panels = empty_panels(9, 2 * PANEL + 14)
    pack_columns(first, order, factor, panels, 0, 1)
    pack_columns(second, order[::-1].copy(), np.float32(1.0), panels, PANEL + 7, 2)
    expected = np.concatenate([first[:, order] * factor, second[:, order[::-1]]], axis=1)
    assert np.array_equal(unpacked(panels)[:, : 2 * PANEL + 14], expected)


def test_every_column_is_let_go_of_once() -> None:
    """A kernel that is packed in several stretches names each of its columns, in order."""
    kernel = np.arange(SERIAL * 60, dtype=np.float32).reshape(1000, -1, order="F")
    seen: list[Any] = []
    panels = packed(kernel, seen.append, 2)
    assert len(seen) > 1
    assert np.array_equal(np.concatenate(seen, axis=1), kernel)
    assert np.array_equal(unpacked(panels)[:, : kernel.shape[1]], kernel)
