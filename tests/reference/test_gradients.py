"""Every vector-Jacobian product against central differences in float64, on drawn shapes: d = 2, N = 1, odd sizes."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roformer_numpy.equations import (
    activations,
    attention,
    dense,
    dropout,
    embedding,
    feed_forward,
    losses,
    normalization,
    rotary,
)  # fmt: skip
from roformer_numpy.equations import gradients as package
from roformer_numpy.equations.gradients import activations as activations_vjp
from roformer_numpy.equations.gradients import attention as attention_vjp
from roformer_numpy.equations.gradients import dense as dense_vjp
from roformer_numpy.equations.gradients import dropout as dropout_vjp
from roformer_numpy.equations.gradients import embedding as embedding_vjp
from roformer_numpy.equations.gradients import feed_forward as feed_forward_vjp
from roformer_numpy.equations.gradients import losses as losses_vjp
from roformer_numpy.equations.gradients import normalization as normalization_vjp
from roformer_numpy.equations.gradients import rotary as rotary_vjp
from roformer_numpy.weights import Dense

ALLOWED = 1e-7  # relative to the largest element of a gradient, or to 1
STEP = 1e-5  # truncation near 1e-10, rounding near 1e-11

Array = Any
drawn = settings(max_examples=25, deadline=None)
sizes, seeds = st.integers(1, 5), st.integers(0, 2**16)
head_dims = st.sampled_from([2, 4, 6])


def agree(
    function: Callable[..., Any], inputs: Sequence[Array], product: Callable[[Any], Sequence[Array]], seed: int
) -> None:
    """Every element of what `product` makes of an upstream gradient is what central differences of `function` give."""
    result = function(*inputs)
    parts = result if isinstance(result, tuple) else (result,)
    generator = np.random.default_rng(seed)
    upstream = [generator.normal(size=part.shape) for part in parts]
    found = product(upstream if isinstance(result, tuple) else upstream[0])
    for number, (array, gradient) in enumerate(zip(inputs, found, strict=True)):
        assert gradient.shape == array.shape
        assert gradient.dtype == array.dtype
        expected = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            ends = []
            for step in (STEP, -STEP):
                moved = array.copy()
                moved[index] += step
                end = function(*inputs[:number], moved, *inputs[number + 1 :])
                ends.append(end if isinstance(end, tuple) else (end,))
            slopes = ((high - low) / (2 * STEP) for high, low in zip(*ends, strict=True))
            expected[index] = sum(float((up * slope).sum()) for up, slope in zip(upstream, slopes, strict=True))
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        assert np.abs(gradient - expected).max(initial=0.0) <= ALLOWED * scale, f"input {number}"


def normal(seed: int, *shape: int) -> Array:
    """Normal numbers."""
    return np.random.default_rng([seed, len(shape)]).normal(size=shape)


@drawn
@given(seeds, st.lists(sizes, min_size=1, max_size=3), sizes, sizes)
def test_a_dense_layer_moves_with_input_kernel_and_bias(seed: int, lead: list[int], width: int, outputs: int) -> None:
    """By x, kernel and bias, with any axes in front."""
    x, kernel, bias = normal(seed, *lead, width), normal(seed + 1, width, outputs), normal(seed + 2, outputs)

    def product(upstream: Array) -> Sequence[Array]:
        by_x, by_weights = dense_vjp.dense_vjp(upstream, x, kernel)
        return by_x, by_weights.kernel, by_weights.bias

    agree(dense.dense, (x, kernel, bias), product, seed)


@drawn
@given(seeds, sizes, sizes, st.integers(2, 7), st.sampled_from([1e-12, 1e-5, 0.5]))
def test_layer_norm_moves_with_input_gamma_and_beta(seed: int, batch: int, length: int, width: int, eps: float) -> None:
    """By x, gamma and beta, with an eps that matters and with one that does not."""
    # a row's features lie well apart, so that a step of a difference is small beside its standard deviation
    x = normal(seed, batch, length, width) + 2.0 * np.arange(width)
    gamma, beta = normal(seed + 1, width), normal(seed + 2, width)

    def product(upstream: Array) -> Sequence[Array]:
        by_x, by_weights = normalization_vjp.layer_norm_vjp(upstream, x, gamma, eps)
        return by_x, by_weights.gamma, by_weights.beta

    agree(lambda x, gamma, beta: normalization.layer_norm(x, gamma, beta, eps), (x, gamma, beta), product, seed)


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
@given(seed=seeds, scale=st.sampled_from([0.5, 3.0, 12.0]))
@drawn
def test_every_activation_has_its_derivative(name: str, seed: int, scale: float) -> None:
    """By x, small and far beyond every saturation, but for the kinks themselves."""
    x = scale * normal(seed, 3, 7)
    x = x[(np.abs(x) > 1e-3) & (np.abs(np.abs(x) - 10.0) > 1e-3)]
    agree(
        lambda given: activations.activate(given, name),
        (x,),
        lambda upstream: (activations_vjp.activate_vjp(upstream, x, name),),
        seed,
    )


def test_activations_and_derivatives_have_the_same_names() -> None:
    """None is left out."""
    assert activations_vjp.DERIVATIVES.keys() == activations.ACTIVATIONS.keys()


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_derivatives_are_finite_at_any_finite_number(name: str) -> None:
    """From −1e4 to 1e4 in float32 nothing overflows: 0 × infinity would be NaN."""
    x = np.array([-1e4, -800, -89, -1, -1e-30, 0, 1e-30, 1, 89, 800, 1e4], np.float32)
    with np.errstate(over="ignore", under="ignore"):
        found = activations_vjp.activate_vjp(np.ones_like(x), x, name)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@drawn
@given(seeds, sizes, sizes, sizes, head_dims)
def test_a_rotation_turns_the_gradient_back(seed: int, batch: int, heads: int, length: int, head_dim: int) -> None:
    """By x, for d = 2 and N = 1 too."""
    x = normal(seed, batch, heads, length, head_dim)
    table = rotary.rotary_table(np.arange(seed % 7, seed % 7 + length), head_dim, np.float64)
    agree(
        lambda given: rotary.rotate(given, *table),
        (x,),
        lambda upstream: (rotary_vjp.rotate_vjp(upstream, *table),),
        seed,
    )


@drawn
@given(seeds, sizes, sizes, sizes, sizes, head_dims)
def test_scores_move_with_query_and_key(seed: int, batch: int, heads: int, queries: int, keys: int, dim: int) -> None:
    """By query and key, of different lengths."""
    query, key = normal(seed, batch, heads, queries, dim), normal(seed + 1, batch, heads, keys, dim)
    agree(
        attention.attention_scores,
        (query, key),
        lambda upstream: attention_vjp.attention_scores_vjp(upstream, query, key),
        seed,
    )


@drawn
@given(seeds, sizes, sizes, sizes, st.integers(0, 3), st.booleans(), st.sampled_from([0.0, 0.4, 0.8, 1.0]))
def test_probs_move_with_the_scores_of_visible_keys_alone(
    seed: int, batch: int, heads: int, queries: int, past: int, causal: bool, seen: float
) -> None:
    """By the scores, masked, causal, cached; exactly 0 for masked keys and for every score of a row that sees none."""
    scores = normal(seed, batch, heads, queries, queries + past)
    mask = np.random.default_rng(seed + 1).random((batch, queries + past)) < seen
    probs = attention.attention_probs(scores, mask, causal)

    def product(upstream: Array) -> Sequence[Array]:
        return (attention_vjp.attention_probs_vjp(upstream, probs, mask, causal),)

    agree(lambda given: attention.attention_probs(given, mask, causal), (scores,), product, seed)
    allowed = np.tri(queries, queries + past, past, dtype=bool) if causal else True
    visible = np.broadcast_to(mask[:, None, None, :] & allowed, scores.shape)
    assert not product(normal(seed + 2, *scores.shape))[0][~visible].any()


@drawn
@given(seeds, sizes, sizes, sizes, sizes, head_dims)
def test_context_moves_with_probs_and_value(
    seed: int, batch: int, heads: int, queries: int, keys: int, dim: int
) -> None:
    """By probs and value."""
    probs, value = normal(seed, batch, heads, queries, keys), normal(seed + 1, batch, heads, keys, dim)
    agree(attention.attend, (probs, value), lambda upstream: attention_vjp.attend_vjp(upstream, probs, value), seed)


@drawn
@given(seeds, sizes, sizes, sizes, st.integers(1, 9))
def test_tables_move_where_they_are_looked_up(seed: int, batch: int, length: int, width: int, rows: int) -> None:
    """By the words, by the table of types and by the table of words, whose unused rows get exactly 0."""
    words, table = normal(seed, batch, length, width), normal(seed + 1, rows, width)
    ids = np.random.default_rng(seed).integers(0, rows, (batch, length))
    agree(
        lambda words, table: embedding.add_token_types(words, table, ids),
        (words, table),
        lambda upstream: embedding_vjp.add_token_types_vjp(upstream, table, ids),
        seed,
    )
    agree(
        lambda given: embedding.lookup(given, ids),
        (table,),
        lambda upstream: (embedding_vjp.lookup_vjp(upstream, table, ids),),
        seed,
    )
    unused = np.setdiff1d(np.arange(rows), ids)
    assert not embedding_vjp.lookup_vjp(words, table, ids)[unused].any()


@drawn
@given(seeds, sizes, sizes, sizes, sizes, st.sampled_from(["gelu", "tanh", "silu"]))
def test_feed_forward_moves_with_input_and_both_layers(
    seed: int, batch: int, hidden: int, inner: int, length: int, name: str
) -> None:
    """By x and by kernel and bias of both layers."""
    x = normal(seed, batch, length, hidden)
    weights = [
        normal(seed + 1, hidden, inner),
        normal(seed, inner),
        normal(seed + 2, inner, hidden),
        normal(seed, hidden),
    ]

    def forward(x: Array, *weights: Array) -> Array:
        return feed_forward.feed_forward(x, Dense(*weights[:2]), Dense(*weights[2:]), name)

    def product(upstream: Array) -> Sequence[Array]:
        layers = Dense(*weights[:2]), Dense(*weights[2:])
        by_x, first, second = feed_forward_vjp.feed_forward_vjp(upstream, x, *layers, name)
        return by_x, first.kernel, first.bias, second.kernel, second.bias

    agree(forward, (x, *weights), product, seed)


@drawn
@given(seeds, sizes, sizes, st.sampled_from([0.0, 0.3, 0.9, 1.0]))
def test_dropout_drops_the_same_elements_of_the_gradient(seed: int, rows: int, width: int, rate: float) -> None:
    """By x, with the generator as it stood before the features were dropped."""
    x = normal(seed, rows, width)
    agree(
        lambda given: dropout.dropout(given, rate, np.random.default_rng(seed)),
        (x,),
        lambda upstream: (dropout_vjp.dropout_vjp(upstream, rate, np.random.default_rng(seed)),),
        seed,
    )


@drawn
@given(seeds, sizes, sizes, st.integers(1, 6))
def test_token_losses_move_with_active_logits_alone(seed: int, batch: int, length: int, classes: int) -> None:
    """By the logits; exactly 0 where the label is −100, even at logits of 1e30."""
    logits, generator = normal(seed, batch, length, classes), np.random.default_rng(seed)
    labels = np.where(generator.random((batch, length)) < 0.4, -100, generator.integers(0, classes, (batch, length)))
    agree(
        lambda given: losses.active_cross_entropy(given, labels),
        (logits,),
        lambda upstream: (losses_vjp.active_cross_entropy_vjp(upstream, logits, labels),),
        seed,
    )
    ignored, count = labels == -100, int((labels != -100).sum())
    huge = np.where(ignored[..., None], 1e30, logits)
    assert not losses_vjp.active_cross_entropy_vjp(np.ones(count), huge, labels)[ignored].any()


@drawn
@given(seeds, sizes, st.integers(1, 6))
def test_sequence_losses_move_with_their_logits(seed: int, batch: int, classes: int) -> None:
    """Cross-entropy, squared error and binary cross-entropy by the logits, of one class or more."""
    logits, generator = normal(seed, batch, classes), np.random.default_rng(seed)
    for name, labels in (
        ("cross_entropy", generator.integers(0, classes, batch)),
        ("squared_error", generator.normal(size=(batch, classes))),
        ("binary_cross_entropy", generator.random((batch, classes))),
    ):
        forward, product = getattr(losses, name), getattr(losses_vjp, f"{name}_vjp")
        fixed: Any = {"labels": labels}
        agree(
            functools.partial(forward, **fixed),
            (logits,),
            functools.partial(_alone, product, logits, labels),
            seed,
        )


def _alone(product: Callable[..., Array], logits: Array, labels: Array, upstream: Array) -> Sequence[Array]:
    return (product(upstream, logits, labels),)


@drawn
@given(seeds, sizes, sizes)
def test_span_losses_move_with_start_and_end(seed: int, batch: int, length: int) -> None:
    """By both logits; a position beyond the sequence moves nothing."""
    starts, ends = normal(seed, batch, length), normal(seed + 1, batch, length)
    start, end = np.random.default_rng(seed).integers(0, length + 2, (2, batch))
    agree(
        lambda starts, ends: losses.span_cross_entropy(starts, ends, start, end),
        (starts, ends),
        lambda upstream: losses_vjp.span_cross_entropy_vjp(upstream, starts, ends, start, end),
        seed,
    )


def test_every_component_that_can_be_differentiated_has_a_gradient_beside_it() -> None:
    """equations/gradients mirrors equations file for file, and its functions are called after theirs."""
    for module in (activations, attention, dense, dropout, embedding, feed_forward, losses, normalization, rotary):
        twin = importlib.import_module(f"{package.__name__}.{module.__name__.rpartition('.')[2]}")
        own = [name for name, value in vars(twin).items() if getattr(value, "__module__", "") == twin.__name__]
        products = [name.removesuffix("_vjp") for name in own if name.endswith("_vjp") and not name.startswith("_")]
        assert products
        assert all(hasattr(module, name) for name in products)
