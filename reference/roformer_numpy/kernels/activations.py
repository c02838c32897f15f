"""The activations of equations.activations, as functions of one number and as loops over rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from ..equations.activations import GELU_FAST_ROOT, SELU_ALPHA, SELU_SCALE
from ..weights import Array
from .arrays import readable
from .elementary import clip, erf, exp, expm1, sigmoid, tanh
from .jit import inlined, kernel

Scalar = Callable[[float], float]
RowLoop = Callable[[Array, Array], None]

# Beyond this argument tanh(ln(1 + eˣ)) is 1 in float64; the square of eˣ would overflow later.
MISH_RANGE = 40.0

HALF_ROOT = math.sqrt(0.5)
GELU_NEW_ROOT = math.sqrt(2.0 / math.pi)


@inlined
def gelu(x: float) -> float:
    """Twin of equations.activations.gelu."""
    return 0.5 * x * (1.0 + erf(x * HALF_ROOT))


@inlined
def gelu_new(x: float) -> float:
    """Twin of equations.activations.gelu_new."""
    return 0.5 * x * (1.0 + tanh(GELU_NEW_ROOT * (x + 0.044715 * x * x * x)))


@inlined
def gelu_fast(x: float) -> float:
    """Twin of equations.activations.gelu_fast."""
    return 0.5 * x * (1.0 + tanh(GELU_FAST_ROOT * x * (1.0 + 0.044715 * x * x)))


@inlined
def quick_gelu(x: float) -> float:
    """Twin of equations.activations.quick_gelu."""
    return x * sigmoid(1.702 * x)


@inlined
def gelu_10(x: float) -> float:
    """Twin of equations.activations.gelu_10."""
    return clip(gelu(x), -10.0, 10.0)


@inlined
def relu(x: float) -> float:
    """Twin of equations.activations.relu."""
    return 0.0 if x < 0.0 else x


@inlined
def selu(x: float) -> float:
    """Twin of equations.activations.selu."""
    return SELU_SCALE * (x if x > 0.0 else SELU_ALPHA * expm1(0.0 if x > 0.0 else x))


@inlined
def silu(x: float) -> float:
    """Twin of equations.activations.silu."""
    return x * sigmoid(x)


@inlined
def mish(x: float) -> float:
    """Twin of equations.activations.mish: tanh(ln(1 + w)) = (w² + 2w) / (w² + 2w + 2) needs no logarithm."""
    grown = exp(MISH_RANGE if x > MISH_RANGE else x)
    part = grown * (grown + 2.0)
    return x * (part / (part + 2.0))


def _row_loop(name: str, function: Scalar) -> RowLoop:
    def loop(values: Array, bias: Array) -> None:
        for row in range(values.shape[0]):
            for column in range(values.shape[1]):
                values[row, column] = function(np.float64(values[row, column]) + np.float64(bias[column]))

    loop.__name__ = loop.__qualname__ = f"add_bias_then_{name}"
    return kernel(loop)


# values (rows, width) ← activation(values + bias), in place: another array would only add memory traffic
ACTIVATIONS: Mapping[str, RowLoop] = MappingProxyType(
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
        "sigmoid": _row_loop("sigmoid", sigmoid),
        "tanh": _row_loop("tanh", tanh),
    }
)


def activate(x: Array, name: str) -> Array:
    """Twin of equations.activations.activate."""
    values = np.array(x, order="C")
    add_bias_then_activate(values, np.zeros(x.shape[-1], x.dtype), name)
    return values


def add_bias_then_activate(values: Array, bias: Array, name: str) -> None:
    """values ← activation(values + bias) in place; values is contiguous, (…, width)."""
    if values.size:
        ACTIVATIONS[name](values.reshape(-1, values.shape[-1]), readable(bias, values.dtype))
