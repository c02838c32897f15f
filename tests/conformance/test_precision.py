"""Rounding to types that NumPy lacks, or has, as ml_dtypes and NumPy itself do it."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from roformer_conformance.precision import PRECISIONS, carried, rounded
from roformer_conformance.protocol import DTYPES, flatten

HARD = [0.0, -0.0, 1.0, 1.00390625, 1.01171875, -3.0e38, 3.4e38, 1e-40, 65504.0, 65520.0, 6e-8, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize(("name", "kind"), [("bfloat16", ml_dtypes.bfloat16), ("float16", np.float16)])
def test_values_are_rounded_to_the_nearest_as_by_others(name: str, kind: type) -> None:
    """Ties to even, infinity beyond the largest, NaN stays: a hundred thousand values of all sizes."""
    draw = np.random.default_rng(0)
    values = np.concatenate([HARD, draw.standard_normal(100_000) * 10.0 ** draw.uniform(-9, 6, 100_000)])
    single = values.astype(np.float32)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(rounded(single, name), single.astype(kind).astype(np.float32))
        assert rounded(values, name).dtype == np.float64
        np.testing.assert_array_equal(rounded(rounded(values, name), name), rounded(values, name))


@pytest.mark.parametrize("name", PRECISIONS)
def test_the_unit_is_half_of_what_lies_between_one_and_the_next(name: str) -> None:
    """1 + 2u is held, and 1 + u is rounded to 1."""
    unit = PRECISIONS[name].unit
    assert list(rounded(np.array([1 + 2 * unit, 1 + unit]), name)) == [1 + 2 * unit, 1.0]


def test_every_type_that_may_be_claimed_is_known() -> None:
    """In the protocol's order."""
    assert tuple(PRECISIONS) == DTYPES


def test_bfloat16_travels_as_float32() -> None:
    """To an implementation, and from one that has a type for it; float16 travels as itself."""
    array = np.array([[1.003, 2.0]])
    assert carried(array, "bfloat16").dtype == np.float32
    assert carried(array, "float16").dtype == np.float16
    returned = flatten({"logits": array.astype(ml_dtypes.bfloat16)})["logits"]
    assert returned.dtype == np.float32
    assert returned.tolist() == [[1.0, 2.0]]
