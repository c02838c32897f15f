"""exp, exp2, expm1, tanh, sigmoid and GELU in float32: a quarter of the time of `elementary`, in float64.

The coefficients are least-squares fits, weighted until the largest error is level over the interval; the errors named
are relative, before float32 rounds. NaN passes through all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import inlined
from .intrinsics import bits_of, float_of

_f = np.float32

Float32 = Any  # in compiled code; NumPy's scalar in `.py_func`

LOG2_E = _f(1.44269504)
# ln 2 in two parts: the first has 9 bits, so that its multiples are exact
LN2_HIGH = _f(0.693359375)
LN2_LOW = _f(-2.12194440e-4)
# Adding 1.5 · 2^23 rounds to an integer and leaves it in the low bits.
ROUNDER = _f(12582912.0)
ROUNDER_BITS = np.int32(0x4B400000)
MANTISSA_BITS = np.int32(23)
EXPONENT_BIAS = np.int32(127)

# e^−70 is 4e-31: smaller weights change no sum, and subnormal ones make a product many times slower.
SMALLEST = _f(-70.0)
LARGEST = _f(88.0)
SMALLEST_POWER = _f(-101.0)  # of two: the same, e^−70

# (exp(r) − 1 − r) / r² on |r| ≤ ln 2 / 2: error 5e-11 of exp(r)
EXP_0, EXP_1, EXP_2, EXP_3, EXP_4, EXP_5 = (
    _f(0.5000000078006062), _f(0.16666666855588375), _f(0.04166626972146109), _f(0.008333265467615411),
    _f(0.001394608449490367), _f(0.00019917803702167972),
)  # fmt: skip

# (2^r − 1) / r on |r| ≤ 1/2: error 2e-9 of 2^r
POWER_0, POWER_1, POWER_2, POWER_3, POWER_4, POWER_5 = (
    _f(0.6931472028550666), _f(0.24022647912628947), _f(0.05550332471125996), _f(0.00961843735766282),
    _f(0.0013398874414057363), _f(0.00015353361911124748),
)  # fmt: skip

# erf(x / √2) / x = P(x²) / Q(x²) up to the x where it rounds to 1: error 2e-8
WITHIN_RANGE = _f(5.419983)
P_0, P_1, P_2, P_3, P_4 = (
    _f(0.7978845441290169), _f(0.06548116094786434), _f(0.009007787588150407), _f(0.00030125446587528614),
    _f(1.012270956861362e-05),
)  # fmt: skip
Q_1, Q_2, Q_3, Q_4, Q_5, Q_6 = (
    _f(0.2487347892340827), _f(0.027746300500831038), _f(0.0017588125119487015), _f(6.362284022065565e-05),
    _f(7.358730131524062e-07), _f(-1.8424311043029786e-09),
)  # fmt: skip
ONE, TWO, HALF = _f(1.0), _f(2.0), _f(0.5)


@inlined
def exp(x: Float32) -> Float32:
    """e to the power of x ≤ 88; exactly 0 below −70."""
    fraction, power = _reduced(x)
    return _f(0.0) if x < SMALLEST else (ONE + fraction) * power


@inlined
def exp2(x: Float32) -> Float32:
    """2 to the power of x ≤ 127; exactly 0 below −101. A third less work than `exp`: its remainder is exact."""
    shifted = x + ROUNDER
    r = x - (shifted - ROUNDER)
    series = POWER_0 + r * (POWER_1 + r * (POWER_2 + r * (POWER_3 + r * (POWER_4 + r * POWER_5))))
    # what lies below is not moved into range: whatever comes of it is not chosen
    return _f(0.0) if x < SMALLEST_POWER else (ONE + r * series) * _power_of_two(shifted)


@inlined
def _power_of_two(shifted: Float32) -> Float32:
    """2 to the power of the integer n in n + ROUNDER."""
    return float_of(np.int32((bits_of(shifted) - ROUNDER_BITS + EXPONENT_BIAS) << MANTISSA_BITS))


@inlined
def expm1(x: Float32) -> Float32:
    """e to the power of x ≤ 88, minus 1: exact where the result is tiny."""
    fraction, power = _reduced(x)
    return power * fraction + (power - ONE)


@inlined
def tanh(x: Float32) -> Float32:
    """The hyperbolic tangent: 2σ(2x) − 1 would lose the digits of a small x."""
    grown = expm1(x + x)
    return grown / (grown + TWO)


@inlined
def _reduced(x: Float32) -> tuple[Float32, Float32]:
    """f and a power p of two with eˣ = (1 + f) · p, x moved into [−70, 88]."""
    bounded = SMALLEST if x < SMALLEST else x
    bounded = LARGEST if bounded > LARGEST else bounded
    shifted = bounded * LOG2_E + ROUNDER
    multiple = shifted - ROUNDER
    r = (bounded - multiple * LN2_HIGH) - multiple * LN2_LOW
    series = EXP_0 + r * (EXP_1 + r * (EXP_2 + r * (EXP_3 + r * (EXP_4 + r * EXP_5))))
    return r + r * r * series, _power_of_two(shifted)


@inlined
def within(x: Float32) -> Float32:
    """erf(x / √2): how much of a normal distribution lies within x deviations, negative for a negative x."""
    bounded = WITHIN_RANGE if x > WITHIN_RANGE else x
    bounded = -WITHIN_RANGE if bounded < -WITHIN_RANGE else bounded
    z = bounded * bounded
    above = P_0 + z * (P_1 + z * (P_2 + z * (P_3 + z * P_4)))
    below = ONE + z * (Q_1 + z * (Q_2 + z * (Q_3 + z * (Q_4 + z * (Q_5 + z * Q_6)))))
    return bounded * above / below


@inlined
def sigmoid(x: Float32) -> Float32:
    """1 / (1 + e⁻ˣ)."""
    return ONE / (ONE + exp(-x))


@inlined
def gelu(x: Float32) -> Float32:
    """x · Φ(x) = x / 2 + x / 2 · erf(x / √2)."""
    half = HALF * x
    return half + half * within(x)
