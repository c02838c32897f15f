"""The activations a configuration may name (CFG-2), in TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import tensorflow as tf

SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717

# √(2/π) with the ten digits that gelu_fast was published with
ROOT_OF_TEN_DIGITS = 0.7978845608


def gelu(x: tf.Tensor) -> tf.Tensor:
    """x · Φ(x), Φ the normal distribution function, by erf.

    Written so that TensorFlow fuses it with the product before it. XLA's erf stops 1.8e-7 short of −1: compiled, the
    result for a large negative x is not 0 but −9e-8 · |x|, the rounding of x itself.
    """
    return 0.5 * x * (1.0 + tf.math.erf(x * math.sqrt(0.5)))


def gelu_new(x: tf.Tensor) -> tf.Tensor:
    """x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))."""
    return _half_of_one_plus_tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)) * x


def gelu_fast(x: tf.Tensor) -> tf.Tensor:
    """x/2 · (1 + tanh(0.7978845608 · x · (1 + 0.044715 x²)))."""
    return _half_of_one_plus_tanh(ROOT_OF_TEN_DIGITS * x * (1.0 + 0.044715 * x * x)) * x


def _half_of_one_plus_tanh(x: tf.Tensor) -> tf.Tensor:
    """(1 + tanh x) / 2 = σ(2x): where tanh is near −1, neither this nor its gradient loses digits."""
    return tf.sigmoid(2.0 * x)


def quick_gelu(x: tf.Tensor) -> tf.Tensor:
    """x · sigmoid(1.702 x)."""
    return x * tf.sigmoid(1.702 * x)


def gelu_10(x: tf.Tensor) -> tf.Tensor:
    """The exact gelu, clipped to [−10, 10]: beside numbers so small, what XLA's erf leaves of −1000 would be seen."""
    return tf.clip_by_value(0.5 * x * (1.0 + _erf(x * math.sqrt(0.5))), -10.0, 10.0)


def _erf(x: tf.Tensor) -> tf.Tensor:
    """erf, exactly ±1 where it rounds to that."""
    rounds_to_one = 6.0 if x.dtype == tf.float64 else 4.0
    return tf.where(tf.abs(x) < rounds_to_one, tf.math.erf(x), tf.sign(x))


def selu(x: tf.Tensor) -> tf.Tensor:
    """λ · x for x > 0, λ · α · (eˣ − 1) elsewhere."""
    return SELU_SCALE * tf.where(x > 0, x, SELU_ALPHA * tf.math.expm1(tf.minimum(x, 0.0)))


def silu(x: tf.Tensor) -> tf.Tensor:
    """x · sigmoid(x), also called swish."""
    return x * tf.sigmoid(x)


def mish(x: tf.Tensor) -> tf.Tensor:
    """x · tanh(ln(1 + eˣ))."""
    return x * tf.tanh(tf.math.softplus(x))


ACTIVATIONS: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = MappingProxyType(
    {
        "gelu": gelu,
        "gelu_new": gelu_new,
        "gelu_fast": gelu_fast,
        "quick_gelu": quick_gelu,
        "gelu_10": gelu_10,
        "relu": tf.nn.relu,
        "selu": selu,
        "silu": silu,
        "swish": silu,
        "mish": mish,
        "sigmoid": tf.sigmoid,
        "tanh": tf.tanh,
    }
)
