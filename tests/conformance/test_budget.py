"""The judge itself: what a budget allows, what it refuses, and that it cannot be inflated."""

import numpy as np
import pytest

from roformer_conformance.budget import FAILS_AT, judge, judge_carefully
from roformer_conformance.oracle import Oracle, schema
from roformer_conformance.weights import draw_weights

UNIT = float(np.finfo(np.float32).eps) / 2


def honest_runs(oracle: np.ndarray, size: float = UNIT, count: int = 8) -> list[np.ndarray]:
    """Runs whose every element is off by up to `size`, relatively."""
    draw = np.random.default_rng(0)
    return [oracle * (1 + size * draw.uniform(-1, 1, oracle.shape)) for _ in range(count)]


@pytest.fixture
def oracle() -> np.ndarray:
    """One output, (batch, seq_len, hidden)."""
    return np.random.default_rng(1).standard_normal((2, 3, 8))


def test_an_honest_result_gets_a_grade_around_one(oracle: np.ndarray) -> None:
    """Another run of the same sloppiness passes, with a grade near 1."""
    got = oracle * (1 + UNIT * np.random.default_rng(2).uniform(-1, 1, oracle.shape))
    verdict = judge("hidden_states.0", got.astype(np.float32), oracle, honest_runs(oracle), "float32")
    assert verdict.passed
    assert 0.1 < verdict.grade < 2


def test_one_wrong_element_among_many_fails(oracle: np.ndarray) -> None:
    """The worst element is judged too: a mean over many right ones does not hide it, and its place is named."""
    got = oracle.copy()
    got[1, 2, 5] += 1e-5
    verdict = judge("hidden_states.1", got, oracle, honest_runs(oracle), "float32")
    assert not verdict.passed
    assert verdict.index == (1, 2, 5)
    assert verdict.grade > FAILS_AT


def test_a_small_error_everywhere_fails(oracle: np.ndarray) -> None:
    """A bias of ten roundings in every element is no rounding."""
    verdict = judge("logits", oracle * (1 + 40 * UNIT), oracle, honest_runs(oracle), "float32")
    assert not verdict.passed


def test_rows_that_do_not_count_are_not_judged(oracle: np.ndarray) -> None:
    """What stands at padding positions is outside the comparison."""
    rows = np.ones(oracle.shape[:2], bool)
    rows[0, 1] = False
    got = oracle.copy()
    got[0, 1] = 99.0
    assert judge("last_hidden_state", got, oracle, honest_runs(oracle), "float32", rows).passed
    assert not judge("last_hidden_state", got, oracle, honest_runs(oracle), "float32").passed


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_fails_where_the_oracle_is(oracle: np.ndarray, special: float) -> None:
    """NaN is never masked away: it fails with its place."""
    got = oracle.copy()
    got[0, 2, 3] = special
    verdict = judge("logits", got, oracle, honest_runs(oracle), "float32")
    assert not verdict.passed
    assert verdict.index == (0, 2, 3)


def test_nan_where_the_oracle_has_nan_is_right(oracle: np.ndarray) -> None:
    """The pattern has to match, and then the rest is compared."""
    oracle[0, 0] = np.nan
    assert judge("logits", oracle.copy(), oracle, honest_runs(oracle), "float32").passed


def test_a_wrong_shape_fails_by_name(oracle: np.ndarray) -> None:
    """Nothing is broadcast into agreement."""
    verdict = judge("attentions.0", oracle[:, :1], oracle, honest_runs(oracle), "float32")
    assert not verdict.passed
    assert "(2, 1, 8)" in verdict.reason


def test_no_honest_runs_still_leaves_the_floor(oracle: np.ndarray) -> None:
    """Where arithmetic happens to be exact, a rounding of the type is still allowed and no more."""
    same = [oracle] * 8
    assert judge("logits", oracle * (1 + UNIT), oracle, same, "float32").passed
    assert not judge("logits", oracle * (1 + 20 * UNIT), oracle, same, "float32").passed


@pytest.mark.parametrize(
    ("off", "few", "asked", "passed"), [(10, 5, [8, 64], True), (60, 30, [8, 64], False), (200, 100, [8], False)]
)
def test_nobody_is_accused_by_a_few_runs(off: int, few: float, asked: list[int], passed: bool) -> None:
    """Where the few are alike by chance, many say what honest arithmetic costs; what is far beyond K needs none."""
    oracle, counts = np.ones(1), []

    def runs(count: int) -> list[np.ndarray]:
        counts.append(count)
        return [oracle * (1 + (10 if number % 10 == 9 else 1) * UNIT) for number in range(count)]

    got = oracle * (1 + off * UNIT)
    assert judge("logits", got, oracle, runs(8), "float32").grade == pytest.approx(few)
    assert judge_carefully("logits", got, oracle, runs, "float32").passed is passed
    assert counts[1:] == asked


# Relative root mean square errors of PyTorch 2.13 on the weights of the test below, as printed by
# benchmarks/error_growth.py: hidden_states 0 to 12, then the logits. In half precision a model is turned to the type.
PYTORCH_ERRORS = {  # in units of the first number
    ("strong", "float32"): (1e-7, "0.64 3.8 4.6 4.8 4.5 4.9 4.8 5.4 5.6 5.1 5.2 5.7 5.7 7.9"),
    ("hf_init", "float32"): (1e-7, "0.66 1.2 1.5 1.8 1.9 2.1 2.3 2.4 2.6 2.8 3.0 3.0 3.2 5.2"),
    ("strong", "bfloat16"): (1e-3, "2.4 5.2 6.3 6.3 6.7 6.6 6.3 6.3 6.4 6.5 6.7 6.6 6.8 11"),
    ("hf_init", "bfloat16"): (1e-3, "2.4 4.0 5.3 6.2 7.0 7.8 8.5 9.0 9.6 10 11 11 12 14"),
    ("strong", "float16"): (1e-4, "3.1 6.7 8.0 8.1 8.5 8.2 8.0 8.0 8.1 8.4 8.7 9.0 9.1 14"),
    ("hf_init", "float16"): (1e-4, "3.0 5.2 6.7 8.0 9.0 9.9 11 11 12 13 13 14 15 17"),
}


@pytest.mark.parametrize(("profile", "dtype"), PYTORCH_ERRORS)
def test_the_reference_cannot_inflate_its_own_budget(profile: str, dtype: str) -> None:
    """The spread of the legitimate runs is what PyTorch itself loses on the same weights, at every tap."""
    config = {
        "vocab_size": 200, "hidden_size": 384, "num_attention_heads": 6, "num_hidden_layers": 12,
        "intermediate_size": 1536, "hidden_act": "gelu_new", "max_position_embeddings": 64,
    }  # fmt: skip
    oracle = Oracle("masked_lm", config, draw_weights(schema(config, "masked_lm"), profile, 0, dtype))
    inputs = {"input_ids": np.random.default_rng(0).integers(0, 200, (1, 24))}
    options = {"output_hidden_states": True}
    exact, runs = oracle.run(inputs, options), oracle.legitimate_runs(inputs, options, dtype)
    taps = [f"hidden_states.{layer}" for layer in range(13)] + ["logits"]
    unit, digits = PYTORCH_ERRORS[profile, dtype]
    for tap, outside in zip(taps, (unit * float(one) for one in digits.split()), strict=True):
        errors = [np.sqrt(np.mean((run[tap] - exact[tap]) ** 2)) for run in runs]
        spread = float(np.quantile(errors, 0.95) / np.sqrt(np.mean(exact[tap] ** 2)))
        assert 0.8 * outside < spread < 1.5 * outside, tap
