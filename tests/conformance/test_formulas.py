"""What checks expect by hand is right to the last digits itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from roformer_conformance.formulas import negative_log_likelihood


@pytest.mark.parametrize("gap", [2.0, 27.0, 33.0])
def test_a_small_loss_beside_logits_in_the_hundreds_keeps_its_digits(gap: float) -> None:
    """ln(1 + e⁻ᵍᵃᵖ), in a sum beside 1 rounded to 1e-16: the logits' own last digits, 1e-13, have no part in it."""
    loss = negative_log_likelihood(np.array([[700.0, 700.0 - gap]]), np.array([0]))
    assert loss[0] == pytest.approx(math.log1p(math.exp(-gap)), rel=0, abs=2e-16)


def test_a_large_loss_is_the_distance_from_the_largest_logit() -> None:
    """Whatever stands in between is too small to be seen."""
    assert negative_log_likelihood(np.array([[-300.0, 100.0, 450.0]]), np.array([0])) == 750.0
