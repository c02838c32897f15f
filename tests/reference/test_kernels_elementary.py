"""The vectorised exp, expm1, tanh, sigmoid and erf against the C library's, over the whole range of both types."""

from __future__ import annotations

import math
from collections.abc import Callable

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from roformer_numpy.kernels import elementary

EDGES = [0.0, 5e-324, 1e-310, 2.3e-308, 1e-300, 1e-45, 1e-38, 1e-20, 1e-8, 0.34657359, 0.34657360, 1.0, 6.0, 19.0, 30.0]
EDGES += [88.72, 103.97, 708.39, 709.78, 709.79, 745.13, 745.14, 800.0, 1e4, 1e38, 1e300, 1.7e308, math.inf]


def loop_over(function: Callable[[float], float]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """The function over an array, compiled as the kernels compile it."""

    @numba.njit(error_model="numpy", fastmath={"contract"})
    def loop(x: NDArray[np.float64], out: NDArray[np.float64]) -> None:
        for index in range(x.shape[0]):
            out[index] = function(np.float64(x[index]))

    def call(x: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.empty_like(x)
        loop(x, out)
        return out

    return call


def stable_sigmoid(x: float) -> float:
    """The same rounding error at both ends."""
    decayed = math.exp(-abs(x))
    return (decayed if x < 0 else 1.0) / (1.0 + decayed)


def overflowing(function: Callable[[float], float]) -> Callable[[float], float]:
    """The function with infinity in place of OverflowError."""

    def call(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return math.inf

    return call


def arguments(dtype: type, highest: float) -> NDArray[np.float64]:
    """Edges and 40,000 arguments of all sizes, of both signs, representable in the type."""
    generator = np.random.default_rng(0)
    spread = np.concatenate([generator.uniform(-110, 110, 20_000), np.exp(generator.uniform(-700, 6.7, 20_000))])
    with np.errstate(over="ignore"):
        x = np.concatenate([EDGES, spread]).astype(dtype)
    return np.concatenate([x, -x])[np.concatenate([x, -x]) <= highest]


CASES = {
    "exp": (math.exp, math.inf, 2),
    "expm1": (math.expm1, 700.0, 3),
    "tanh": (math.tanh, math.inf, 4),
    "sigmoid": (stable_sigmoid, math.inf, 4),
    "erf": (math.erf, math.inf, 3),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elementary_functions_are_within_a_few_units_in_the_last_place(name: str, dtype: type) -> None:
    """float64 to the stated number of units; float32 is the true value rounded once: half a unit."""
    exact, highest, units = CASES[name]
    x = arguments(dtype, highest)
    expected = np.array([overflowing(exact)(float(value)) for value in x])
    allowed = units if dtype == np.float64 else 0.5001
    with np.errstate(over="ignore"):
        got = loop_over(getattr(elementary, name))(x.astype(np.float64)).astype(dtype)
        rounded = expected.astype(dtype)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    error = np.abs(got[finite] - expected[finite]) / np.spacing(np.abs(rounded[finite])).astype(np.float64)
    assert error.max() <= allowed, f"{name} is {error.max():.3f} units off at x = {x[finite][error.argmax()]!r}"


@pytest.mark.parametrize("name", CASES)
def test_elementary_functions_hand_nan_on(name: str) -> None:
    """NaN of either sign in, NaN out."""
    assert np.isnan(loop_over(getattr(elementary, name))(np.array([np.nan, -np.nan] * 9))).all()


@pytest.mark.parametrize("name", CASES)
def test_the_undecorated_function_is_the_compiled_one(name: str) -> None:
    """The loop without numba gives the same numbers, a fused multiply-add aside."""
    function = getattr(elementary, name)
    for value in (-800.0, -3.3, -0.2, -1e-12, 0.0, 1e-12, 0.7, 1.0, 2.5, 30.0):
        assert function.py_func(np.float64(value)) == pytest.approx(function(value), rel=1e-15, abs=5e-324)


@pytest.mark.parametrize("compiled", [False, True])
def test_sort_keys_sort_as_the_numbers_do(compiled: bool) -> None:
    """Zeros, subnormals and infinities included; the way back gives the same bits; NaN is outermost."""
    to_key, to_number = elementary.sort_key, elementary.from_sort_key
    if not compiled:
        to_key, to_number = to_key.py_func, to_number.py_func
    x = np.array([-np.inf, -1e300, -2.0, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1e-3, 1.0, np.inf])
    keys = [int(to_key(value)) for value in (-np.nan, *x, np.nan)]
    assert keys == sorted(set(keys))
    assert [to_number(np.int64(key)) for key in keys[1:-1]] == x.tolist()
    assert np.isnan(to_number(np.int64(keys[0])))
