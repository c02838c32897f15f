"""AdamW, clipping and the learning rate: by hand, and beside the numbers that PyTorch computed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from roformer_numpy.training import AdamW
from roformer_numpy.training.optimizer import UNDECAYED, clipped
from roformer_numpy.training.schedule import learning_rate
from roformer_numpy.weights import initialize, map_leaves, named_leaves

from ..adamw_case import CASE, PYTORCH
from ..support import HEADS, config_of


def updates(weights: Any, rule: AdamW, gradients: Any, rates: Any) -> list[Any]:
    """The trees after each update."""
    moments, trees = rule.start(weights), []
    for gradient, rate in zip(gradients, rates, strict=True):
        weights, moments = rule.update(weights, gradient, moments, rate)
        trees.append(weights)
    return trees


def tree_of(leaf: np.ndarray) -> Any:
    """A model's weights, and the name of one of them that has `leaf` in its place."""
    tree = initialize(config_of(), "base", 0, "float64")
    return map_leaves(lambda name, old: leaf if name == "embeddings.word" else old, tree)


def gradients_of(tree: Any, gradient: np.ndarray) -> dict[str, np.ndarray]:
    """Zeros, but for the one."""
    zeros = {name: np.zeros_like(leaf) for name, leaf in named_leaves(tree).items()}
    return zeros | {"embeddings.word": gradient}


def test_three_updates_are_those_of_pytorch() -> None:
    """Recorded numbers of torch.optim.AdamW: moments, bias correction, where ε stands, decay beside the gradient."""
    tree = tree_of(np.array(CASE["start"]))
    rule = AdamW(*CASE["betas"], epsilon=CASE["eps"], weight_decay=CASE["weight_decay"])
    gradients = [gradients_of(tree, np.array(gradient)) for gradient in CASE["gradients"]]
    trees = updates(tree, rule, gradients, CASE["rates"])
    found = [named_leaves(moved)["embeddings.word"] for moved in trees]
    np.testing.assert_allclose(found, PYTORCH, rtol=1e-14)


def test_the_first_update_by_hand() -> None:
    """m̂ = g and v̂ = g²: the weight moves by η g / (|g| + ε) after it has decayed by η λ."""
    tree = tree_of(np.array([2.0]))
    [moved] = updates(tree, AdamW(epsilon=0.5, weight_decay=0.25), [gradients_of(tree, np.array([1.5]))], [0.1])
    expected = 2.0 * (1 - 0.1 * 0.25) - 0.1 * 1.5 / (1.5 + 0.5)
    assert named_leaves(moved)["embeddings.word"][0] == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("head", HEADS)
def test_biases_and_layer_norms_do_not_decay(head: str) -> None:
    """Without a gradient kernels and embeddings shrink, vectors stay: every tensor of rank 2, and no other."""
    tree = initialize(config_of(tie_word_embeddings=False), head, 0, "float64")
    still = {name: np.zeros_like(leaf) for name, leaf in named_leaves(tree).items()}
    [moved] = updates(tree, AdamW(weight_decay=0.5), [still], [0.1])
    for name, leaf in named_leaves(tree).items():
        assert name.endswith(UNDECAYED) == (leaf.ndim == 1), name
        np.testing.assert_allclose(named_leaves(moved)[name], leaf * (0.95 if leaf.ndim == 2 else 1.0), rtol=1e-15)


def test_an_update_changes_nothing_that_it_was_given() -> None:
    """A run that is stopped in the middle of an update is where it was before."""
    tree = tree_of(np.array(CASE["start"]))
    rule, gradients = AdamW(), gradients_of(tree, np.array(CASE["gradients"][0]))
    weights, moments = rule.update(tree, gradients, rule.start(tree), 0.1)
    before = [array.copy() for array in (*named_leaves(weights).values(), *moments.first.values())]
    rule.update(weights, gradients, moments, 0.1)
    after = [*named_leaves(weights).values(), *moments.first.values()]
    assert all(np.array_equal(one, two) for one, two in zip(before, after, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_update_keeps_the_type(dtype: str) -> None:
    """Weights and moments stay what they were."""
    tree = initialize(config_of(), "base", 0, dtype)
    rule = AdamW()
    moved, moments = rule.update(tree, named_leaves(tree), rule.start(tree), 0.1)
    arrays = [*named_leaves(moved).values(), *moments.first.values(), *moments.second.values()]
    assert {array.dtype.name for array in arrays} == {dtype}


def test_gradients_are_clipped_together() -> None:
    """3, 4 and 12 are 13 long together: each is scaled by the same 6.5 / 13, and the 13 is told."""
    gradients = {"a": np.array([3.0, 4.0]), "b": np.array([[12.0]])}
    found, norm = clipped(gradients, 6.5)
    assert norm == 13.0
    np.testing.assert_allclose(found["a"], [1.5, 2.0])
    np.testing.assert_allclose(found["b"], [[6.0]])


@pytest.mark.parametrize("limit", [None, 13.0, 20.0])
def test_short_gradients_are_left_alone(limit: float | None) -> None:
    """At the limit, below it, and where there is none."""
    gradients = {"a": np.array([3.0, 4.0]), "b": np.array([[12.0]])}
    assert clipped(gradients, limit) == (gradients, 13.0)


def test_the_rate_rises_and_falls_in_lines() -> None:
    """Ten steps, four of warm-up: quarters up to the peak, then sixths down."""
    rates = [learning_rate(step, 10, 0.6, 4) for step in range(10)]
    np.testing.assert_allclose(rates, [0.15, 0.3, 0.45, 0.6, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


def test_a_warm_up_below_one_is_a_share_of_all_steps() -> None:
    """0.4 of ten steps are four of them; 1 is one step; none is none."""
    assert [learning_rate(step, 10, 1.0, 0.4) for step in range(10)] == [
        learning_rate(step, 10, 1.0, 4) for step in range(10)
    ]
    assert learning_rate(0, 10, 1.0, 1) == 1.0
    assert learning_rate(0, 10, 1.0, 0) == 1.0


def test_a_warm_up_longer_than_the_run_only_rises() -> None:
    """The last step has the highest rate, and nothing is divided by 0."""
    rates = [learning_rate(step, 3, 1.0, 50) for step in range(3)]
    assert rates == [pytest.approx((step + 1) / 3) for step in range(3)]
    assert all(math.isfinite(rate) for rate in rates)
