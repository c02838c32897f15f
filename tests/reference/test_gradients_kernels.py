"""The gradients in numba beside their twins in the equations."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from roformer_numpy.backward.kernels import KERNELS
from roformer_numpy.backward.table import EQUATIONS, derivatives_for
from roformer_numpy.components import EQUATIONS as FORWARD
from roformer_numpy.equations.activations import ACTIVATIONS
from roformer_numpy.kernels import KERNELS as FORWARD_KERNELS
from roformer_numpy.kernels.gradients.activations import SLOPES
from roformer_numpy.weights import Dense

# Of the largest result. float32: kernels compute in float64 and round once, the equations' float64 is the measure.
ALLOWED = {"float32": 2e-7, "float64": 1e-14}


def normal(seed: int, *shape: int) -> Any:
    """Normal numbers that float32 can hold."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32).astype(np.float64)


def expect_twins(found: Any, expected: Any, dtype: str) -> None:
    """The same up to rounding, in the type that was asked for."""
    assert found.dtype == dtype
    assert np.abs(found - expected).max(initial=0.0) <= ALLOWED[dtype] * max(1.0, np.abs(expected).max(initial=0.0))


def test_kernels_go_with_kernels() -> None:
    """A table of components finds the gradients of its own arithmetic."""
    assert derivatives_for(FORWARD_KERNELS) is KERNELS
    assert derivatives_for(FORWARD) is EQUATIONS
    assert derivatives_for(dataclasses.replace(FORWARD, name="mine")) is EQUATIONS


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ALLOWED)
def test_slopes_are_those_of_the_equations(name: str, dtype: str) -> None:
    """From −40 to 40, and for strided arrays and none at all."""
    assert SLOPES.keys() == ACTIVATIONS.keys()
    x, upstream = (
        np.linspace(-40, 40, 4002).astype(np.float32).astype(np.float64).reshape(2, 3, -1),
        normal(0, 2, 3, 667),
    )
    expected = EQUATIONS.activate(upstream, x, name)
    given = upstream.astype(dtype), x.astype(dtype)
    before = given[0].copy()
    expect_twins(KERNELS.activate(*given, name), expected, dtype)
    expect_twins(KERNELS.activate(given[0][..., ::2], given[1][..., ::2], name), expected[..., ::2], dtype)
    assert np.array_equal(given[0], before)
    assert KERNELS.activate(given[0][:0], given[1][:0], name).shape == (0, 3, 667)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", ALLOWED)
def test_the_softmax_is_differentiated_alike(causal: bool, dtype: str) -> None:
    """Masked, causal, cached, with rows that see nothing."""
    mask = np.random.default_rng(0).random((4, 9)) < 0.6
    mask[1], mask[2, :4] = False, False
    probs = FORWARD.attention_probs(3 * normal(1, 4, 3, 7, 9), mask, causal)
    probs, upstream = probs.astype(dtype).astype(np.float64), normal(2, 4, 3, 7, 9)
    expected = EQUATIONS.attention_probs(upstream, probs, mask, causal)
    found = KERNELS.attention_probs(upstream.astype(dtype), probs.astype(dtype), mask, causal)
    expect_twins(found, expected, dtype)
    assert np.array_equal(found == 0, expected == 0)


def test_the_feed_forward_part_is_differentiated_alike() -> None:
    """By its input and both of its layers."""
    x, upstream = normal(0, 2, 5, 6), normal(1, 2, 5, 6)
    layers = Dense(normal(2, 6, 11), normal(3, 11)), Dense(normal(4, 11, 6), normal(5, 6))
    found = KERNELS.feed_forward(upstream, x, *layers, "gelu")
    expected = EQUATIONS.feed_forward(upstream, x, *layers, "gelu")
    expect_twins(found[0], expected[0], "float64")
    for got, true in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_allclose(got.kernel, true.kernel, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(got.bias, true.bias, rtol=1e-12, atol=1e-13)
