"""Every activation in float32, and none, as eight loops over the columns of one panel; each adds the bias first.

Most activations are a line times a sigmoid of a cubic polynomial, (m·x + c) · σ(x · (a + b·x²)) + s:

| hidden_act | m | c | a | b | s | because |
|---|---|---|---|---|---|---|
| silu, swish | 1 | 0 | 1 | 0 | 0 | definition |
| quick_gelu | 1 | 0 | 1.702 | 0 | 0 | definition |
| gelu_new, gelu_fast | 1 | 0 | 2·√(2/π) | 0.044715 · a | 0 | (1 + tanh u) / 2 = σ(2u) |

sigmoid has no line, which at infinity would be 0 · ∞, and tanh by a sigmoid loses the digits of small x: each has a
loop.
gelu and gelu_10 are one loop with bounds.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...equations.activations import GELU_FAST_ROOT, SELU_ALPHA, SELU_SCALE
from ...weights import Array
from ..jit import part
from .intrinsics import floats_at
from .machine import FLOAT_BYTES, PANEL
from .single import exp, expm1, gelu, sigmoid, tanh

BY_GELU, BY_SIGMOID, BY_ITSELF, BY_TANH, BY_SLOPES, BY_MISH, BY_SIGN, BY_NOTHING = range(8)
GELU_NEW_ROOT = math.sqrt(2.0 / math.pi)
CUBIC = 0.044715
# Beyond this argument tanh(ln(1 + eˣ)) rounds to 1.
MISH_RANGE = np.float32(20.0)
TWO = np.float32(2.0)


class Activation(NamedTuple):
    """Which loop, and its five numbers: see the table above, and each loop."""

    loop: int
    numbers: tuple[Any, ...]  # five float32


def _activation(loop: int, *numbers: float) -> Activation:
    a, b, c, d, e = (np.float32(number) for number in (*numbers, *[0.0] * (5 - len(numbers))))
    return Activation(loop, (a, b, c, d, e))


ACTIVATIONS = {
    "gelu": _activation(BY_GELU, -np.inf, np.inf),
    "gelu_10": _activation(BY_GELU, -10.0, 10.0),
    "silu": _activation(BY_SIGMOID, 1.0, 0.0, 1.0),
    "swish": _activation(BY_SIGMOID, 1.0, 0.0, 1.0),
    "quick_gelu": _activation(BY_SIGMOID, 1.0, 0.0, 1.702),
    "gelu_new": _activation(BY_SIGMOID, 1.0, 0.0, 2.0 * GELU_NEW_ROOT, 2.0 * GELU_NEW_ROOT * CUBIC),
    "gelu_fast": _activation(BY_SIGMOID, 1.0, 0.0, 2.0 * GELU_FAST_ROOT, 2.0 * GELU_FAST_ROOT * CUBIC),
    "sigmoid": _activation(BY_ITSELF),
    "tanh": _activation(BY_TANH),
    "relu": _activation(BY_SIGN),
    "selu": _activation(BY_SLOPES, SELU_SCALE, SELU_SCALE * SELU_ALPHA),
    "mish": _activation(BY_MISH),
    "": _activation(BY_NOTHING),
}

# As compiled code is handed them: of a tuple with names, numba looks up each element's type in Python.
PLAIN_ACTIVATIONS = {name: tuple(activation) for name, activation in ACTIVATIONS.items()}


@part
def activate(activation: Activation, values: Array, rows: int, first: int, bias: Array) -> None:
    """values[:rows, first : first + PANEL] ← activation(values + bias)."""
    numbers, leading = activation.numbers, values.shape[1]
    x, shift = values.ctypes.data + FLOAT_BYTES * first, bias.ctypes.data + FLOAT_BYTES * first
    if activation.loop == BY_GELU:
        _by_gelu(x, leading, rows, shift, numbers[0], numbers[1])
    elif activation.loop == BY_SIGMOID:
        _by_sigmoid(x, leading, rows, shift, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4])
    elif activation.loop == BY_ITSELF:
        _by_itself(x, leading, rows, shift)
    elif activation.loop == BY_TANH:
        _by_tanh(x, leading, rows, shift)
    elif activation.loop == BY_SLOPES:
        _by_slopes(x, leading, rows, shift, numbers[0], numbers[1])
    elif activation.loop == BY_MISH:
        _by_mish(x, leading, rows, shift)
    elif activation.loop == BY_SIGN:
        _by_sign(x, leading, rows, shift)
    else:
        _by_nothing(x, leading, rows, shift)


@part
def _by_nothing(x: int, leading: int, rows: int, bias: int) -> None:
    shift = floats_at(bias, (PANEL,))
    for row in range(rows):
        y = floats_at(x + FLOAT_BYTES * row * leading, (PANEL,))
        for column in range(PANEL):
            y[column] += shift[column]


@part
def _by_gelu(x: int, leading: int, rows: int, bias: int, lowest: float, highest: float) -> None:
    shift = floats_at(bias, (PANEL,))
    for row in range(rows):
        y = floats_at(x + FLOAT_BYTES * row * leading, (PANEL,))
        for column in range(PANEL):
            value = gelu(y[column] + shift[column])
            value = lowest if value < lowest else value
            y[column] = highest if value > highest else value


@part
def _by_sigmoid(x: int, leading: int, rows: int, bias: int, m: float, c: float, a: float, b: float, s: float) -> None:
    shift = floats_at(bias, (PANEL,))
    for row in range(rows):
        y = floats_at(x + FLOAT_BYTES * row * leading, (PANEL,))
        for column in range(PANEL):
            value = y[column] + shift[column]
            y[column] = (m * value + c) * sigmoid(value * (a + b * value * value)) + s


@part
def _by_itself(x: int, leading: int, rows: int, bias: int) -> None:
    """σ(x), which is finite at infinity."""
    shift = floats_at(bias, (PANEL,))
    for row in range(rows):
        y = floats_at(x + FLOAT_BYTES * row * leading, (PANEL,))
        for column in range(PANEL):
            y[column] = sigmoid(y[column] + shift[column])


@part
def _by_tanh(x: int, leading: int, rows: int, bias: int) -> None:
    shift = floats_at(bias, (PANEL,))
    for row in range(rows):
        y = floats_at(x + FLOAT_BYTES * row * leading, (PANEL,))
        for column in range(PANEL):
            y[column] = tanh(y[column] + shift[column])


@part
def _by_slopes(x: int, leading: int, rows: int, bias: int, above: float, below: float) -> None:
    """above · x for x > 0, below · (eˣ − 1) for the rest."""
    shift = floats_at(bias, (PANEL,))
    for row in range(rows):
        y = floats_at(x + FLOAT_BYTES * row * leading, (PANEL,))
        for column in range(PANEL):
            value = y[column] + shift[column]
            negative = below * expm1(np.float32(0.0) if value > np.float32(0.0) else value)
            y[column] = above * value if value > np.float32(0.0) else negative


@part
def _by_sign(x: int, leading: int, rows: int, bias: int) -> None:
    """0 instead of what is negative; NaN stays."""
    shift = floats_at(bias, (PANEL,))
    for row in range(rows):
        y = floats_at(x + FLOAT_BYTES * row * leading, (PANEL,))
        for column in range(PANEL):
            value = y[column] + shift[column]
            y[column] = np.float32(0.0) if value < np.float32(0.0) else value


@part
def _by_mish(x: int, leading: int, rows: int, bias: int) -> None:
    """x · tanh(ln(1 + w)) with w = eˣ, which is x · (w² + 2w) / (w² + 2w + 2)."""
    shift = floats_at(bias, (PANEL,))
    for row in range(rows):
        y = floats_at(x + FLOAT_BYTES * row * leading, (PANEL,))
        for column in range(PANEL):
            value = y[column] + shift[column]
            grown = exp(MISH_RANGE if value > MISH_RANGE else value)
            share = grown * (grown + TWO)
            y[column] = value * (share / (share + TWO))
