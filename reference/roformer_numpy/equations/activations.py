"""The activations a configuration may name (CFG-2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from ..weights import Array

SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717

# √(2/π) as the published gelu_fast rounds it: weights were trained with these ten digits
GELU_FAST_ROOT = 0.7978845608


def erf(x: Array) -> Array:
    """The error function, exact to the last bits of float64: NumPy has none, and SciPy is not needed for one."""
    return np.vectorize(math.erf, otypes=[np.float64])(x).astype(x.dtype)


def gelu(x: Array) -> Array:
    """x · Φ(x) with the normal distribution function Φ (Hendrycks and Gimpel 2016, arXiv:1606.08415)."""
    return 0.5 * x * (1.0 + erf(x / math.sqrt(2.0)))


def gelu_new(x: Array) -> Array:
    """The tanh approximation of gelu: x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))."""
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))


def gelu_fast(x: Array) -> Array:
    """gelu_new with √(2/π) rounded to ten digits: x/2 · (1 + tanh(0.7978845608 · x · (1 + 0.044715 x²)))."""
    return 0.5 * x * (1.0 + np.tanh(GELU_FAST_ROOT * x * (1.0 + 0.044715 * x * x)))


def quick_gelu(x: Array) -> Array:
    """x · sigmoid(1.702 x)."""
    return x * sigmoid(1.702 * x)


def gelu_10(x: Array) -> Array:
    """gelu clipped to [−10, 10]."""
    return np.clip(gelu(x), -10.0, 10.0)


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.maximum(x, 0.0)


def selu(x: Array) -> Array:
    """λ · x for x > 0, λ · α · (eˣ − 1) elsewhere (Klambauer et al. 2017, arXiv:1706.02515)."""
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0.0)))


def silu(x: Array) -> Array:
    """x · sigmoid(x), also called swish."""
    return x * sigmoid(x)


def mish(x: Array) -> Array:
    """x · tanh(ln(1 + eˣ)) (Misra 2019, arXiv:1908.08681)."""
    return x * np.tanh(np.logaddexp(0.0, x))


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ), in the form that never overflows."""
    return np.exp(-np.logaddexp(0.0, -x))


def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return np.tanh(x)


ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {
        "gelu": gelu,
        "gelu_new": gelu_new,
        "gelu_fast": gelu_fast,
        "quick_gelu": quick_gelu,
        "gelu_10": gelu_10,
        "relu": relu,
        "selu": selu,
        "silu": silu,
        "swish": silu,
        "mish": mish,
        "sigmoid": sigmoid,
        "tanh": tanh,
    }
)


def activate(x: Array, name: str) -> Array:
    """The activation called `name`, element by element."""
    return ACTIVATIONS[name](x)
