"""What docs/power.md says: how the usual tests are made, and that enough seeded faults are beyond them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from .compare_methods import difference, is_numerical, usual
from .faults import FAULTS
from .happened import HAPPENED

RIGHT = {"logits": np.ones((2, 3))}
# Some that the usual tests do not see, though a forward pass is wrong: the whole list takes minutes.
BEYOND = ("minus_ten_thousand", "value_bias_missing", "float32_frequencies", "tanh_gelu", "base_9999")


@pytest.mark.parametrize(
    ("got", "seen"),
    [
        ({"logits": np.ones((2, 3))}, ""),
        ({"logits": np.ones((3, 2))}, "shapes"),
        ({}, "shapes"),
        ({"logits": np.full((2, 3), np.nan)}, "shapes"),
        ({"logits": np.ones((2, 3)) + 2e-4}, "1e-04"),
        ({"logits": np.ones((2, 3)) + 2e-5}, "1e-05"),
        ({"logits": np.ones((2, 3)) + 2e-6}, ""),
    ],
)
def test_the_usual_tests_see_what_they_are_for(got: dict[str, np.ndarray], seen: str) -> None:
    """Shapes and what is not finite; then the largest difference."""
    assert difference(got, RIGHT) == seen


@pytest.mark.parametrize("name", BEYOND)
def test_the_usual_tests_miss_these(name: str) -> None:
    """Freshly initialised weights hide them from a tolerance of 1e-4."""
    assert usual(name) in ("", "1e-05")


def test_the_usual_tests_see_what_is_plain() -> None:
    """They are run at all: token types that are left out are seen."""
    assert usual("types_left_out") == "1e-04"


def test_thirty_faults_really_happened() -> None:
    """Each is a seeded fault and has a thread of its own."""
    assert len(HAPPENED) >= 30
    assert HAPPENED.keys() <= FAULTS.keys()
    assert len(set(HAPPENED.values())) == len(HAPPENED)
    pattern = r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+"
    assert all(re.fullmatch(pattern, link) for link in HAPPENED.values())


def test_faults_of_the_forward_pass_are_told_from_the_others() -> None:
    """By the checks that were written against them."""
    assert is_numerical("half_split_rotary")
    assert not is_numerical("bert_order")
