"""Activations far from zero, where a formula that is right on paper can lose everything."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from roformer_tensorflow.activations import gelu

FAR = [-1000.0, -90.0, -14.0, -6.0, 0.0, 3.0, 6.0, 90.0, 1000.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_gelu_is_exact_where_the_error_function_is_one(mode: str, dtype: str) -> None:
    """x · erfc(−x/√2)/2, worked out with Python's erfc: 0 at −1000 and x at 1000, compiled by XLA as well."""
    run = gelu if mode == "eager" else tf.function(gelu, jit_compile=mode == "xla")
    expected = [0.5 * x * math.erfc(-x * math.sqrt(0.5)) for x in FAR]
    spacing = np.finfo(dtype).eps
    np.testing.assert_allclose(run(tf.constant(FAR, dtype)).numpy(), expected, rtol=spacing, atol=4 * spacing)


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_the_slope_of_gelu_is_zero_or_one_far_out(mode: str) -> None:
    """Φ(x) + x · φ(x) has gone to 0 at −90 and to 1 at 90: no NaN comes out of the branch that is not taken."""

    @tf.function(jit_compile=mode == "xla")
    def slope(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = gelu(x)
        return tape.gradient(y, x)

    np.testing.assert_array_equal(slope(tf.constant([-1000.0, -90.0, 90.0, 1000.0])).numpy(), [0, 0, 1, 1])
