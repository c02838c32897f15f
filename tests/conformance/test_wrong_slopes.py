"""A wrong gradient is described in numbers: which tensor, and what happened to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from roformer_conformance.wrong_slopes import explain

DRAW = np.random.default_rng(0)
EXACT = {
    "loss": np.array(1.0),
    "words": DRAW.normal(size=(7, 4)),
    "query": DRAW.normal(size=(4, 4)),
    "bias": DRAW.normal(size=4),
}
INPUTS = {"input_ids": np.zeros((3, 5), int), "labels": np.array([[1, 2, -100, 4, -100]] * 3)}


def changed(names: str, change: Callable[[Any], Any]) -> dict[str, Any]:
    """The right gradients but for some."""
    return {name: change(array) if name in names.split() else array for name, array in EXACT.items()}


def without_rows(array: Any) -> Any:
    """Rows 2 and 5 lost."""
    left = array.copy()
    left[[2, 5]] = 0.0
    return left


@pytest.mark.parametrize(
    ("names", "change", "told"),
    [
        ("words query bias", lambda a: 3 * a, "every tensor is 3 times the right one: off by n = 3, the rows"),
        ("words query bias", lambda a: a / 9, "off by 1/n, n = 9, the labels that count; divided once too often"),
        ("words query bias", lambda a: -a, "every tensor is the right one with the sign turned"),
        ("query", lambda a: 0 * a, "1 of 3 tensors (query) are 0 throughout: cut off"),
        ("query", lambda a: a.T, "query is transposed"),
        ("words", without_rows, "words is 0 in 2 of 7 rows where it should not be, first in row 2"),
        ("bias", lambda a: a + np.arange(4), "bias has another direction"),
        ("bias", lambda a: a * np.nan, "bias holds 4 values that are not finite"),
        ("words bias", lambda a: 1.7 * a, "2 of 3 tensors (words, bias) are 1.7 times the right one"),
    ],
)
def test_what_happened_is_said(names: str, change: Callable[[Any], Any], told: str) -> None:
    """A factor with the count it is, a sign, zeros, a transpose, missing rows, another direction."""
    assert told in explain(changed(names, change), EXACT, INPUTS)


def test_a_small_difference_is_not_called_a_factor() -> None:
    """What points the right way is said to."""
    assert "small part" in explain(changed("words", lambda a: a * (1 + 1e-4)), EXACT, INPUTS)
