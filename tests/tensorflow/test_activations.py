"""Activations far from zero, where a formula that is right on paper can lose everything."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from roformer_tensorflow.activations import gelu, gelu_10

FAR = [-1000.0, -90.0, -14.0, -6.0, 0.0, 3.0, 6.0, 90.0, 1000.0]


MODES = ["eager", "graph", "xla"]


def computed(function: Callable[[tf.Tensor], tf.Tensor], mode: str, dtype: str) -> np.ndarray:
    """The function at FAR, executed in that way."""
    run = function if mode == "eager" else tf.function(function, jit_compile=mode == "xla")
    return run(tf.constant(FAR, dtype)).numpy()


def by_hand(x: float) -> float:
    """x · erfc(−x/√2)/2 with Python's erfc: 0 at −1000 and x at 1000."""
    return 0.5 * x * math.erfc(-x * math.sqrt(0.5))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", MODES)
def test_gelu_is_right_far_out_up_to_the_rounding_of_its_argument(mode: str, dtype: str) -> None:
    """Within two units in the last place of x: XLA's erf, 1.8e-7 short of 1, costs one of them."""
    error = np.abs(computed(gelu, mode, dtype) - [by_hand(x) for x in FAR])
    assert (error <= 2 * np.finfo(dtype).eps * np.abs(FAR)).all(), error


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", MODES)
def test_clipped_gelu_is_exact_far_out(mode: str, dtype: str) -> None:
    """0 at −1000 and 10 at 1000, compiled by XLA as well: no argument is large beside the bounds any more."""
    expected = [min(by_hand(x), 10.0) for x in FAR]
    spacing = np.finfo(dtype).eps
    np.testing.assert_allclose(computed(gelu_10, mode, dtype), expected, rtol=spacing, atol=4 * spacing)


@pytest.mark.parametrize("function", [gelu, gelu_10])
@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_slopes_far_out_are_zero_or_one(function: Callable[[tf.Tensor], tf.Tensor], mode: str) -> None:
    """Φ(x) + x · φ(x) has gone to 0 at −90 and to 1 at 9: no NaN comes out of a branch that is not taken."""

    @tf.function(jit_compile=mode == "xla")
    def slope(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)

    np.testing.assert_allclose(slope(tf.constant([-1000.0, -90.0, 9.0])).numpy(), [0, 0, 1], rtol=0, atol=2e-7)
