"""The derivatives of the activations (CFG-2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from ...weights import Array
from ..activations import GELU_FAST_ROOT, SELU_ALPHA, SELU_SCALE, erf, gelu, sigmoid

GELU_NEW_ROOT = math.sqrt(2.0 / math.pi)


def gelu_derivative(x: Array) -> Array:
    """(x Φ(x))′ = Φ(x) + x φ(x) with the normal density φ(x) = e^(−x²/2) / √(2π)."""
    density = np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return 0.5 * (1.0 + erf(x / math.sqrt(2.0))) + x * density


def gelu_new_derivative(x: Array) -> Array:
    """As `_tanh_gelu_derivative` with √(2/π)."""
    return _tanh_gelu_derivative(x, GELU_NEW_ROOT)


def gelu_fast_derivative(x: Array) -> Array:
    """As `_tanh_gelu_derivative` with the ten digits that gelu_fast has for √(2/π)."""
    return _tanh_gelu_derivative(x, GELU_FAST_ROOT)


def quick_gelu_derivative(x: Array) -> Array:
    """(x σ(ax))′ = σ(ax) (1 + ax (1 − σ(ax))), a = 1.702."""
    return _swish_derivative(1.702 * x)


def gelu_10_derivative(x: Array) -> Array:
    """gelu's within the clip, 0 beyond it."""
    return np.where(np.abs(gelu(x)) <= 10.0, gelu_derivative(x), 0.0).astype(x.dtype)


def relu_derivative(x: Array) -> Array:
    """1 for x > 0, 0 elsewhere."""
    return (x > 0).astype(x.dtype)


def selu_derivative(x: Array) -> Array:
    """λ for x > 0, λ α eˣ elsewhere."""
    return SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(x, 0.0))).astype(x.dtype)


def silu_derivative(x: Array) -> Array:
    """(x σ(x))′ = σ(x) (1 + x (1 − σ(x)))."""
    return _swish_derivative(x)


def mish_derivative(x: Array) -> Array:
    """(x tanh ζ)′ = tanh ζ + x (1 − tanh² ζ) ζ′ with ζ(x) = ln(1 + eˣ), whose derivative is σ(x)."""
    grown = np.tanh(np.logaddexp(0.0, x))
    return grown + x * (1.0 - grown * grown) * sigmoid(x)


def sigmoid_derivative(x: Array) -> Array:
    """σ(x) (1 − σ(x)), written σ(x) σ(−x), which cancels nowhere."""
    return sigmoid(x) * sigmoid(-x)


def tanh_derivative(x: Array) -> Array:
    """1 − tanh² x."""
    grown = np.tanh(x)
    return 1.0 - grown * grown


DERIVATIVES: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {
        "gelu": gelu_derivative,
        "gelu_new": gelu_new_derivative,
        "gelu_fast": gelu_fast_derivative,
        "quick_gelu": quick_gelu_derivative,
        "gelu_10": gelu_10_derivative,
        "relu": relu_derivative,
        "selu": selu_derivative,
        "silu": silu_derivative,
        "swish": silu_derivative,
        "mish": mish_derivative,
        "sigmoid": sigmoid_derivative,
        "tanh": tanh_derivative,
    }
)


def activate_vjp(upstream: Array, x: Array, name: str) -> Array:
    """upstream · act′(x), element by element.

    Args:
        upstream: the shape of x.
        x: what entered the activation.
        name: of the activation.

    Returns:
        The shape of x.
    """
    return upstream * DERIVATIVES[name](x)


def _swish_derivative(x: Array) -> Array:
    """(x σ(x))′; also that of x σ(ax), taken at ax, since the factor a cancels."""
    grown = sigmoid(x)
    return grown * (1.0 + x * sigmoid(-x))


def _tanh_gelu_derivative(x: Array, root: float) -> Array:
    """(x/2 (1 + tanh u))′ = (1 + tanh u)/2 + x/2 (1 − tanh² u) u′ with u = r (x + c x³), u′ = r (1 + 3c x²)."""
    grown = np.tanh(root * (x + 0.044715 * x * x * x))
    slope = root * (1.0 + 3.0 * 0.044715 * x * x)
    return 0.5 * (1.0 + grown) + 0.5 * x * (1.0 - grown * grown) * slope
