"""What the engine does with one row between two products, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from roformer_numpy.kernels.engine import rows, sums
from roformer_numpy.kernels.engine.machine import INSTRUCTION_SET
from roformer_numpy.kernels.engine.sums import WIDE
from roformer_numpy.kernels.jit import kernel
from roformer_numpy.weights import Array

pytestmark = pytest.mark.skipif(INSTRUCTION_SET is None, reason="the engine needs AVX2")

EPS = 1e-12


@kernel
def _normalize(x: Array, bias: Array, residual: Array, gamma: Array, beta: Array, eps: float, result: Array) -> None:
    for row in range(x.shape[0]):
        rows.add_normalize(
            x[row].ctypes.data, bias.ctypes.data, residual[row].ctypes.data, gamma.ctypes.data, beta.ctypes.data,
            eps, result[row].ctypes.data, x.shape[1],
        )  # fmt: skip


def _expected(x: Array, bias: Array, residual: Array, gamma: Array, beta: Array) -> Array:
    """The definition, of the sum as float32 rounds it."""
    total = ((x + bias) + residual).astype(np.float64)
    centred = total - total.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPS) * gamma + beta


@pytest.mark.parametrize("width", [1, 7, 16, 48, 250, 768])
@pytest.mark.parametrize("mean", [0.0, 1.0, 1e3, -1e5])
def test_a_row_is_normalized_to_the_last_bit_whatever_its_mean(width: int, mean: float) -> None:
    """Half a unit in the last place of float32, however far from zero, and with a first number far from all others."""
    generator = np.random.default_rng(width)
    x, residual = (generator.standard_normal((6, width)).astype(np.float32) for _ in range(2))
    bias, gamma, beta = (generator.standard_normal(width).astype(np.float32) for _ in range(3))
    x += np.float32(mean)
    x[3:, 0] += np.float32(1e4)
    expected, result = _expected(x, bias, residual, gamma, beta), np.empty_like(x)
    _normalize(x, bias, residual, gamma, beta, EPS, result)
    allowed = 0.5 * np.spacing(np.abs(expected).astype(np.float32)) + 1e-9 * np.abs(expected - beta)
    assert (np.abs(result - expected) <= allowed).all()


@pytest.mark.parametrize("eps", [EPS, 1e-5])
@pytest.mark.parametrize("number", [0.1, 12345.678, 1e8, -1.7e20, 3e38])
def test_a_row_of_equal_numbers_is_normalized_to_beta(number: float, eps: float) -> None:
    """Its variance is 0, not what rounding left of it, and no remainder of what cancels is left, whatever its size."""
    x, nothing = np.full((1, 768), number, np.float32), np.zeros(768, np.float32)
    beta, result = np.random.default_rng(0).standard_normal(768).astype(np.float32), np.empty_like(x)
    _normalize(x, nothing, nothing[None], np.ones(768, np.float32), beta, eps, result)
    assert np.array_equal(result[0], beta)


@kernel
def _hide_and_clear(x: Array, seen: int, whole: int) -> None:
    sums.hide_after(x.ctypes.data, seen, whole)
    sums.clear(x.ctypes.data + 4 * whole, x.shape[0] - whole - 1)


def test_scores_that_are_not_seen_are_hidden_and_nothing_else() -> None:
    """Up to the end of their vectors by −∞; the rest is cleared, but for a last number that is not asked for."""
    for seen in range(1, 3 * WIDE + 1):
        whole = -(-seen // WIDE) * WIDE
        x = np.ones(4 * WIDE + 5, np.float32)
        _hide_and_clear(x, seen, whole)
        expected = np.ones_like(x)
        expected[seen:whole], expected[whole:-1] = -np.inf, 0.0
        assert np.array_equal(x, expected)
