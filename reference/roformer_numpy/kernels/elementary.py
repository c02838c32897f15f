"""exp, expm1, tanh, sigmoid, erf and an order of floats in a form that compilers turn into vector instructions.

All are computed in float64, for float32 data too: one set of polynomials serves both types, and a float32 result is
rounded once, at the end. None of them branches. The C library's functions are as exact but scalar.

The coefficients interpolate each function in Chebyshev nodes, computed with 50 digits; the errors named are the largest
in the interval that the polynomial is used on, before float64 rounds. The tests hold each function against the C
library's over the whole range.
"""

from __future__ import annotations

import numpy as np

from .jit import inlined, summation

LOG2_E = 1.4426950408889634
# ln 2 in two parts: the first has 32 bits, so that its multiples up to 2^20 are exact
LN2_HIGH = 0.6931471803691238
LN2_LOW = 1.9082149292705877e-10

# Adding 1.5 · 2^52 rounds to an integer and leaves that integer in the low bits.
ROUNDER = 6755399441055744.0
EXPONENT_BITS = 52
EXPONENT_BIAS = 1023
SIGN_BIT = 63
LARGEST_INTEGER = 2**63 - 1

# Beyond these arguments float64 results are 0, 1, −1 or infinite: they keep 2^n within what two factors can express.
EXP_RANGE = 800.0
EXPM1_LOWEST = -60.0
EXPM1_HIGHEST = 700.0
TANH_RANGE = 60.0
ERF_RANGE = 6.0

# (exp(r) − 1 − r) / r² on |r| ≤ ln 2 / 2: error 2e-17 of exp(r)
EXP_POLYNOMIAL = (
    0.5000000000000001, 0.16666666666666669, 0.04166666666662413, 0.008333333333330062, 0.0013888888917213717,
    0.00019841269863053618, 2.4801521295954376e-05, 2.7557268459997064e-06, 2.7620088445409746e-07,
    2.510038549551032e-08,
)  # fmt: skip

# erf(x) / x in x² on [0, 1]: error 7e-18
ERF_POLYNOMIAL = (
    1.1283791670955126, -0.37612638903183543, 0.11283791670945006, -0.02686617064323777, 0.0052239776071164225,
    -0.0008548325975389692, 0.00012055294904839707, -1.492473690741966e-05, 1.6447424703317362e-06,
    -1.6208483801871705e-07, 1.3720064546777686e-08, -7.795898827002142e-10,
)  # fmt: skip

# exp(x²) · erfc(x) in (x − 3) / (x + 3) for x in [1, 6]: error of erfc(x) 7e-17
ERFC_CENTRE = 3.0
ERFC_POLYNOMIAL = (
    0.17900115118138907, -0.32623356004299003, 0.24560380171289325, -0.1501159365078385, 0.07166583713850745,
    -0.02439249905225781, 0.004269138643318906, 0.0007077436205791401, -0.0005971019299440755, 4.523670628663236e-05,
    6.436074396760298e-05, -1.2383892608514314e-05, -8.668536150153648e-06,
)  # fmt: skip


@summation
def add(a: float, b: float) -> float:
    """a + b, where a loop of such sums may be taken in any order."""
    return a + b


@inlined
def sort_key(x: float) -> int:
    """An integer that sorts as x does: the maximum of floats is not vectorised, because NaN has no order.

    A NaN sorts beyond the infinity of its sign.
    """
    bits = np.float64(x).view(np.int64)
    return int(bits ^ ((bits >> SIGN_BIT) & LARGEST_INTEGER))


@inlined
def from_sort_key(key: int) -> float:
    """The number whose key this is."""
    return np.int64(key ^ ((key >> SIGN_BIT) & LARGEST_INTEGER)).view(np.float64)


@inlined
def clip(x: float, lowest: float, highest: float) -> float:
    """x moved into [lowest, highest]; NaN stays NaN."""
    x = lowest if x < lowest else x
    return highest if x > highest else x


@inlined
def exp(x: float) -> float:
    """e to the power of x."""
    multiple, fraction = _reduced(clip(x, -EXP_RANGE, EXP_RANGE))
    half = _rounded(0.5 * multiple)
    # two factors: 2^n alone overflows before the product does, and is 0 before the product is
    return (1.0 + fraction) * _power_of_two(half) * _power_of_two(multiple - half)


@inlined
def expm1(x: float) -> float:
    """e to the power of x, minus 1, for x up to 700: exact where the result is tiny."""
    multiple, fraction = _reduced(clip(x, EXPM1_LOWEST, EXPM1_HIGHEST))
    power = _power_of_two(multiple)
    return power * fraction + (power - 1.0)


@inlined
def tanh(x: float) -> float:
    """The hyperbolic tangent."""
    grown = expm1(clip(2.0 * x, -TANH_RANGE, TANH_RANGE))
    return grown / (grown + 2.0)


@inlined
def sigmoid(x: float) -> float:
    """1 / (1 + e⁻ˣ) without overflow."""
    decayed = exp(-abs(x))
    return (decayed if x < 0.0 else 1.0) / (1.0 + decayed)


@inlined
def erf(x: float) -> float:
    """The error function."""
    size = clip(abs(x), 0.0, ERF_RANGE)
    small = size * _erf_polynomial(clip(size * size, 0.0, 1.0))
    large = 1.0 - exp(-size * size) * _erfc_polynomial((size - ERFC_CENTRE) / (size + ERFC_CENTRE))
    magnitude = large if size > 1.0 else small
    return -magnitude if x < 0.0 else magnitude


@inlined
def _reduced(x: float) -> tuple[float, float]:
    """The integer n and exp(r) − 1 with x = n · ln 2 + r, |r| ≤ ln 2 / 2."""
    multiple = _rounded(x * LOG2_E)
    r = (x - multiple * LN2_HIGH) - multiple * LN2_LOW
    return multiple, r + r * r * _exp_polynomial(r)


@inlined
def _rounded(x: float) -> float:
    """The nearest integer, |x| < 2^51."""
    return (x + ROUNDER) - ROUNDER


@inlined
def _power_of_two(n: float) -> float:
    """2 to the power of an integer in [−1022, 1023], made from its bits."""
    bits = np.float64(n + (ROUNDER + EXPONENT_BIAS)).view(np.int64)
    return np.int64(bits << EXPONENT_BITS).view(np.float64)


@inlined
def _exp_polynomial(r: float) -> float:
    total = 0.0
    for index in range(len(EXP_POLYNOMIAL) - 1, -1, -1):
        total = total * r + EXP_POLYNOMIAL[index]
    return total


@inlined
def _erf_polynomial(square: float) -> float:
    total = 0.0
    for index in range(len(ERF_POLYNOMIAL) - 1, -1, -1):
        total = total * square + ERF_POLYNOMIAL[index]
    return total


@inlined
def _erfc_polynomial(t: float) -> float:
    total = 0.0
    for index in range(len(ERFC_POLYNOMIAL) - 1, -1, -1):
        total = total * t + ERFC_POLYNOMIAL[index]
    return total
