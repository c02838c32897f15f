"""Implementations in bfloat16 and float16 are judged: the right ones pass with a grade, wrong ones fail."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from roformer_conformance import check_implementation
from roformer_conformance.budget import judge
from roformer_conformance.precision import rounded
from roformer_conformance.report.terminal import print_result
from roformer_conformance.runner import attempts
from roformer_conformance.vectors import load_vectors
from roformer_numpy.adapter import NumpyAdapter

from . import half_precision
from .arithmetics import HalfAdapter, every_time, once
from .half_precision import table

HALF = ("bfloat16", "float16")
CLAIMS = ("NUM-1.1/parity", "NUM-1.1/parity-large-scores", "MASK-1/weight-is-zero", "MASK-6.3/blind-row-is-finite",
          "DEC-5.2/masked-encoder-states", "LOSS-1.1/constant", "TRAIN-2.1/inputs-embeds", "LIFE-4.1/save-and-load",
          "HEAD-8.2/language-model", "OUT-1.6/no-softmax")  # fmt: skip


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("style", [once, every_time])
def test_correct_half_precision_passes(dtype: str, style: object) -> None:
    """Rounded after every component or after every operation; what is compared with the oracle has a grade."""
    adapter = HalfAdapter(style.__name__, dtype, style)  # type: ignore[arg-type,attr-defined]
    result = check_implementation(adapter, level="smoke", clauses=CLAIMS, seed=3)
    asked = [record for record in result.records if record.status != "not_claimed"]
    assert {record.id for record in asked} == set(CLAIMS)
    assert [record.message for record in asked if record.status != "passed"] == []
    grades = [record.grade or 0.0 for record in asked if record.id.startswith("NUM")]
    assert all(0.1 < grade < 2.0 for grade in grades)
    with (shown := Console(width=120)).capture() as printed:
        print_result(result, shown)
    assert f"{max(grades):.2f}" in printed.get()


def test_float32_passes_for_half_precision_and_half_precision_not_for_float32() -> None:
    """More digits are no fault, fewer are."""
    single = NumpyAdapter("equations")
    single.capabilities = {**single.capabilities, "dtypes": ("float32", "bfloat16")}
    fine = NumpyAdapter.load
    single.load = lambda head, config, weights, dtype: fine(single, head, config, weights, "float32")  # type: ignore
    result = check_implementation(single, level="smoke", clauses=["NUM-1.1/parity"])
    assert {record.dtype for record in result.records} == {"float32", "bfloat16"}
    assert result.conforms
    coarse = HalfAdapter("once", "bfloat16", once)
    coarse.capabilities = {**coarse.capabilities, "dtypes": ("float32",)}
    assert not check_implementation(coarse, level="smoke", clauses=["NUM-1.1/parity"]).conforms


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("fault", ["half_split_rotary", "scale_missing", "value_bias_missing", "minus_ten_thousand"])
def test_faults_are_seen_in_half_precision(dtype: str, fault: str) -> None:
    """Some that the usual tests miss in float32."""
    assert half_precision.is_killed(fault, dtype)


def test_a_result_rounded_once_more_than_it_has_to_be_is_no_fault() -> None:
    """A grade near 1 for storing to bfloat16, beyond 4 for a type with three digits fewer."""
    oracle = np.random.default_rng(0).standard_normal((2, 3, 64))
    stored = rounded(oracle, "bfloat16")
    runs = [rounded(stored * (1 + 2.0**-9 * np.random.default_rng(n).uniform(-1, 1, oracle.shape)), "bfloat16")
            for n in range(8)]  # fmt: skip
    assert judge("logits", stored, oracle, runs, "bfloat16").grade < 1.0
    coarse = np.round(oracle * 4) / 4
    assert judge("logits", coarse, oracle, runs, "bfloat16").grade > 4.0


def test_golden_vectors_are_left_to_types_that_hold_their_weights() -> None:
    """An implementation in float32 and bfloat16 is asked for them in float32 alone."""
    adapter = NumpyAdapter("equations")
    adapter.capabilities = {**adapter.capabilities, "dtypes": ("float32", "bfloat16")}
    vectors = load_vectors()
    for level in ("smoke", "default"):
        asked = attempts(adapter, (), vectors, level, 0, 4.0, "numpy")
        assert [attempt.lost.dtype for attempt in asked] == ["float32"] * len(vectors)


def test_the_count_says_how_many_of_those_that_hide() -> None:
    """Of all faults, and of those that survive the usual tests."""
    told = table(["a", "b", "c"], {"b", "c"}, {"bfloat16": {"a", "b"}})
    assert told.splitlines()[-1] == "| bfloat16 | 2 of 3 | 1 of 2 |"
