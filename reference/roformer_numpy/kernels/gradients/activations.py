"""The slopes of equations.gradients.activations, as functions of one number and as loops over rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from ...equations.activations import GELU_FAST_ROOT, SELU_ALPHA, SELU_SCALE
from ...weights import Array
from ..activations import GELU_NEW_ROOT, HALF_ROOT, MISH_RANGE
from ..arrays import readable_rows
from ..elementary import erf, exp, sigmoid, tanh
from ..jit import inlined, kernel

Scalar = Callable[[float], float]
RowLoop = Callable[[Array, Array], None]

DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


@inlined
def gelu(x: float) -> float:
    """Twin of gelu_derivative."""
    return 0.5 * (1.0 + erf(x * HALF_ROOT)) + x * DENSITY * exp(-0.5 * x * x)


@inlined
def gelu_new(x: float) -> float:
    """Twin of gelu_new_derivative."""
    grown = tanh(GELU_NEW_ROOT * (x + 0.044715 * x * x * x))
    return 0.5 * (1.0 + grown) + 0.5 * x * (1.0 - grown * grown) * GELU_NEW_ROOT * (1.0 + 3.0 * 0.044715 * x * x)


@inlined
def gelu_fast(x: float) -> float:
    """Twin of gelu_fast_derivative."""
    grown = tanh(GELU_FAST_ROOT * (x + 0.044715 * x * x * x))
    return 0.5 * (1.0 + grown) + 0.5 * x * (1.0 - grown * grown) * GELU_FAST_ROOT * (1.0 + 3.0 * 0.044715 * x * x)


@inlined
def quick_gelu(x: float) -> float:
    """Twin of quick_gelu_derivative."""
    return sigmoid(1.702 * x) * (1.0 + 1.702 * x * sigmoid(-1.702 * x))


@inlined
def gelu_10(x: float) -> float:
    """Twin of gelu_10_derivative."""
    value = 0.5 * x * (1.0 + erf(x * HALF_ROOT))
    return 0.0 if abs(value) > 10.0 else gelu(x)


@inlined
def relu(x: float) -> float:
    """Twin of relu_derivative."""
    return 1.0 if x > 0.0 else 0.0


@inlined
def selu(x: float) -> float:
    """Twin of selu_derivative."""
    return SELU_SCALE * (1.0 if x > 0.0 else SELU_ALPHA * exp(0.0 if x > 0.0 else x))


@inlined
def silu(x: float) -> float:
    """Twin of silu_derivative."""
    return sigmoid(x) * (1.0 + x * sigmoid(-x))


@inlined
def mish(x: float) -> float:
    """Twin of mish_derivative, without a logarithm as the activation itself."""
    grown = exp(MISH_RANGE if x > MISH_RANGE else x)
    part = grown * (grown + 2.0)
    ratio = part / (part + 2.0)
    return ratio + x * (1.0 - ratio * ratio) * sigmoid(x)


@inlined
def logistic(x: float) -> float:
    """Twin of sigmoid_derivative."""
    return sigmoid(x) * sigmoid(-x)


@inlined
def hyperbolic(x: float) -> float:
    """Twin of tanh_derivative."""
    grown = tanh(x)
    return 1.0 - grown * grown


def _row_loop(name: str, slope: Scalar) -> RowLoop:
    def loop(gradient: Array, x: Array) -> None:
        for row in range(x.shape[0]):
            for column in range(x.shape[1]):
                gradient[row, column] = np.float64(gradient[row, column]) * slope(np.float64(x[row, column]))

    loop.__name__ = loop.__qualname__ = f"times_slope_of_{name}"
    return kernel(loop)


# gradient (rows, width) ← gradient · act′(x), in place
SLOPES: Mapping[str, RowLoop] = MappingProxyType(
    {
        "gelu": _row_loop("gelu", gelu),
        "gelu_new": _row_loop("gelu_new", gelu_new),
        "gelu_fast": _row_loop("gelu_fast", gelu_fast),
        "quick_gelu": _row_loop("quick_gelu", quick_gelu),
        "gelu_10": _row_loop("gelu_10", gelu_10),
        "relu": _row_loop("relu", relu),
        "selu": _row_loop("selu", selu),
        "silu": (silu_loop := _row_loop("silu", silu)),
        "swish": silu_loop,
        "mish": _row_loop("mish", mish),
        "sigmoid": _row_loop("sigmoid", logistic),
        "tanh": _row_loop("tanh", hyperbolic),
    }
)


def activate_vjp(upstream: Array, x: Array, name: str) -> Array:
    """Twin of equations.gradients.activations.activate_vjp."""
    gradient = np.array(upstream, x.dtype, order="C")
    if gradient.size:
        SLOPES[name](gradient.reshape(-1, x.shape[-1]), readable_rows(x, x.dtype))
    return gradient
