"""Every kernel against its equation: values, shapes, memory layouts, NaN, masks, threads and processes.

Bounds are elementwise and follow from the unit roundoff u: a sum of n products is off by at most (n + 2) · u times the
sum of their magnitudes (Higham 2002, section 3.1). A float32 kernel is judged against the float64 equation on the same
numbers; a float64 kernel against an equation that rounds as well, so its bound counts twice.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import math
import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from roformer_numpy import equations, kernels
from roformer_numpy.components import EQUATIONS
from roformer_numpy.equations.activations import ACTIVATIONS
from roformer_numpy.kernels import KERNELS, warm_up
from roformer_numpy.kernels.cache import KernelCache
from roformer_numpy.weights import Dense

Array = NDArray[Any]

TYPES = st.sampled_from([np.float32, np.float64])
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 9)
EMPTY_OR_NOT = st.integers(0, 3)

# The largest slope of any activation: gelu's is 1.13, selu's at −0 is 1.76.
STEEPEST = 1.8
# How many roundings an activation has at most, and how many an exponential that the C library would have rounded once.
ACTIVATION_ROUNDINGS = 12


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Compile once, so that no example of Hypothesis pays for it."""
    warm_up()


def roundoff(dtype: Any) -> float:
    """u of the type: the bound for one rounding in float32, for one on each side in float64."""
    return float(np.finfo(dtype).eps) / (2 if dtype == np.float32 else 1)


def draw(seed: int, dtype: Any, *shape: int) -> Array:
    """Normal numbers of the type."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def judge(name: str, bound: Any, *arguments: Any) -> Array:
    """The kernel's result, after it was found within `bound` of the float64 equation and its inputs unchanged."""
    before = [argument.copy() if isinstance(argument, np.ndarray) else argument for argument in arguments]
    got = getattr(KERNELS, name)(*arguments)
    for argument, kept in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(argument, kept)
    expected = getattr(EQUATIONS, name)(*(widened(argument) for argument in arguments))
    reference = getattr(EQUATIONS, name)(*arguments)
    assert (got.shape, got.dtype) == (reference.shape, reference.dtype)
    within(got, expected, bound)
    return got


def widened(argument: Any) -> Any:
    """float32 arrays as float64, everything else as it is."""
    if isinstance(argument, Dense):
        return Dense(widened(argument.kernel), widened(argument.bias))
    is_float = isinstance(argument, np.ndarray) and argument.dtype.kind == "f"
    return argument.astype(np.float64) if is_float else argument


def within(got: Array, expected: Array, bound: Any) -> None:
    """Same NaN, same infinities, and finite elements closer than the bound."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    with np.errstate(over="ignore"):
        infinite = np.isinf(expected.astype(got.dtype))
    np.testing.assert_array_equal(got[infinite], expected[infinite].astype(got.dtype))
    finite = np.isfinite(got) & np.isfinite(expected)
    difference = np.abs(got.astype(np.float64) - expected)
    excess = np.where(finite, difference, 0.0) - np.where(finite, np.broadcast_to(bound, got.shape), 1.0)
    assert np.all(excess <= 0), (
        f"beyond the bound by {excess.max():.3g} of {np.broadcast_to(bound, got.shape).max():.3g}"
    )


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "contiguous": lambda array: array,
    "Fortran": np.asfortranarray,
    "reversed": lambda array: np.ascontiguousarray(array[..., ::-1])[..., ::-1],
    "strided": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "broadcast": lambda array: np.broadcast_to(array[:1], array.shape),
    "unaligned": lambda array: unaligned(array),
    "read-only": lambda array: read_only(array),
}


def unaligned(array: Array) -> Array:
    """The same numbers one byte off."""
    memory = np.empty(array.nbytes + 1, np.uint8)[1:]
    shifted = memory.view(array.dtype).reshape(array.shape)
    shifted[...] = array
    return shifted


def read_only(array: Array) -> Array:
    """The same numbers, not to be written to."""
    array = array.copy()
    array.flags.writeable = False
    return array


# --- the two packages mirror each other ---


def modules_of(package: ModuleType) -> dict[str, ModuleType]:
    """The modules of a package by name."""
    names = sorted(path.stem for path in Path(str(package.__file__)).parent.glob("*.py") if path.stem != "__init__")
    return {name: importlib.import_module(f"{package.__name__}.{name}") for name in names}


DEFINITIONS, TWINS = modules_of(equations), modules_of(kernels)
TWINNED = [
    field.name
    for field in fields(KERNELS)
    if field.name != "name" and getattr(KERNELS, field.name) is not getattr(EQUATIONS, field.name)
]
MACHINERY = {"announcing", "arrays", "cache", "elementary", "jit"}
POINTING = {"lookup", "rotary_table", "attend", "squared_error", "binary_cross_entropy", "reduce_loss"}


def test_kernels_mirror_the_equations_file_for_file() -> None:
    """Every file of equations/ has a twin, and there is nothing beside the twins but machinery."""
    assert set(TWINS) - MACHINERY == set(DEFINITIONS)


def test_the_entries_without_a_kernel_are_the_known_ones() -> None:
    """What KERNELS takes from EQUATIONS is a decision, never an oversight."""
    assert {field.name for field in fields(KERNELS)} - {"name"} - set(TWINNED) == POINTING


@pytest.mark.parametrize("name", TWINNED)
def test_twins_have_the_same_file_name_and_signature(name: str) -> None:
    """Same module, function name, parameters and annotations, and a docstring that names the twin."""
    definition, twin = getattr(EQUATIONS, name), getattr(KERNELS, name)
    assert twin.__module__.rpartition(".")[2] == definition.__module__.rpartition(".")[2]
    assert twin.__name__ == definition.__name__ == name
    assert inspect.signature(twin) == inspect.signature(definition)
    assert f"Twin of equations.{definition.__module__.rpartition('.')[2]}.{name}" in twin.__doc__


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS)))
def test_every_activation_has_a_twin_of_its_name(name: str) -> None:
    """kernels.activations names the same functions as equations.activations, for one number instead of an array."""
    definition = ACTIVATIONS[name]
    twin = getattr(TWINS["activations"], definition.__name__)
    assert list(inspect.signature(twin.py_func).parameters) == list(inspect.signature(definition).parameters)
    assert set(TWINS["activations"].ACTIVATIONS) == set(ACTIVATIONS)


# --- values ---


@settings(deadline=None, max_examples=60)
@given(SEEDS, TYPES, EMPTY_OR_NOT, SIZES, SIZES, SIZES)
def test_dense_is_the_equation(seed: int, dtype: Any, batch: int, seq_len: int, width: int, out: int) -> None:
    """x · kernel + bias for any number of leading axes."""
    x, kernel, bias = (
        draw(seed, dtype, batch, seq_len, width),
        draw(seed + 1, dtype, width, out),
        draw(seed, dtype, out),
    )
    for rows in (x, x[:, 0], x[0, 0] if batch else x):
        bound = (width + 2) * roundoff(dtype) * (abs(widened(rows)) @ abs(widened(kernel)) + abs(bias))
        judge("dense", bound, rows, kernel, bias)
        judge("dense", bound, rows, np.asfortranarray(kernel), bias)


@settings(deadline=None, max_examples=60)
@given(SEEDS, TYPES, EMPTY_OR_NOT, SIZES, SIZES)
def test_add_token_types_is_the_equation(seed: int, dtype: Any, batch: int, seq_len: int, width: int) -> None:
    """One addition: exact to the bit."""
    x, table = draw(seed, dtype, batch, seq_len, width), draw(seed + 1, dtype, 3, width)
    ids = np.random.default_rng(seed).integers(0, 3, (batch, seq_len))
    np.testing.assert_array_equal(KERNELS.add_token_types(x, table, ids), EQUATIONS.add_token_types(x, table, ids))
    judge("add_token_types", roundoff(dtype) * 4 * (1 + abs(x)), x, table, ids.astype(np.int32))


@pytest.mark.parametrize("wrong", [-1, 2, 2**40])
def test_token_types_out_of_range_never_reach_compiled_code(wrong: int) -> None:
    """Compiled code would read foreign memory."""
    with pytest.raises(IndexError, match="expected them in"):
        KERNELS.add_token_types(draw(0, np.float32, 1, 2, 4), draw(0, np.float32, 2, 4), np.array([[0, wrong]]))


@settings(deadline=None, max_examples=100)
@given(
    SEEDS,
    TYPES,
    EMPTY_OR_NOT,
    SIZES,
    st.integers(1, 70),
    st.sampled_from([0.0, 1.0, 100.0]),
    st.sampled_from([1e-12, 1.0]),
)
def test_layer_norm_is_the_equation(
    seed: int, dtype: Any, batch: int, seq_len: int, width: int, shift: float, eps: float
) -> None:
    """Also where the mean is much larger than the spread, and for one feature, whose variance is 0."""
    x = draw(seed, dtype, batch, seq_len, width) + np.asarray(shift, dtype)
    gamma, beta = draw(seed + 1, dtype, width), draw(seed + 2, dtype, width)
    scale = np.sqrt(widened(x).var(axis=-1, keepdims=True) + eps)
    size = abs(widened(x)).max(axis=-1, keepdims=True) / scale
    # the kernel works in float64 whatever the type: only the last rounding is float32
    inner = (width + 8) * np.finfo(np.float64).eps * size * (1 + size) * abs(gamma)
    expected = EQUATIONS.layer_norm(widened(x), widened(gamma), widened(beta), eps)
    judge("layer_norm", 2 * inner + roundoff(dtype) * (2 * abs(expected) + abs(beta)), x, gamma, beta, eps)


@settings(deadline=None, max_examples=60)
@given(SEEDS, TYPES, EMPTY_OR_NOT, SIZES, SIZES, SIZES, st.booleans())
def test_rotate_is_the_equation(
    seed: int, dtype: Any, batch: int, heads: int, seq_len: int, pairs: int, split: bool
) -> None:
    """In the encoder's layout and in any other, for one pair and for many."""
    x = draw(seed, dtype, batch, heads, seq_len, 2 * pairs)
    if split:
        x = np.ascontiguousarray(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
    cos, sin = EQUATIONS.rotary_table(np.arange(seq_len) + 1000, 2 * pairs, dtype)
    size = np.repeat(np.hypot(x[..., 0::2], x[..., 1::2]), 2, axis=-1)
    judge("rotate", 4 * roundoff(dtype) * size, x, cos, sin)


@settings(deadline=None, max_examples=60)
@given(SEEDS, TYPES, EMPTY_OR_NOT, SIZES, SIZES, SIZES, SIZES)
def test_attention_scores_are_the_equation(
    seed: int, dtype: Any, batch: int, heads: int, queries: int, keys: int, head_dim: int
) -> None:
    """Scaling the queries instead of the scores costs one more rounding."""
    query, key = draw(seed, dtype, batch, heads, queries, head_dim), draw(seed + 1, dtype, batch, heads, keys, head_dim)
    size = abs(widened(query)) @ abs(widened(key)).swapaxes(-1, -2) / math.sqrt(head_dim)
    judge("attention_scores", (head_dim + 4) * roundoff(dtype) * size, query, key)


@settings(deadline=None, max_examples=150)
@given(
    SEEDS,
    TYPES,
    EMPTY_OR_NOT,
    SIZES,
    SIZES,
    SIZES,
    st.booleans(),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([1, 30, 1e4]),
)
def test_attention_probs_are_the_equation(
    seed: int, dtype: Any, batch: int, heads: int, queries: int, past: int, causal: bool, visible: float, size: float
) -> None:
    """Masks of every density, queries that see nothing, causality after a cache, scores up to 1e4."""
    keys = queries + past - 1
    scores = draw(seed, dtype, batch, heads, queries, keys) * np.asarray(size, dtype)
    mask = np.random.default_rng(seed).random((batch, keys)) < visible
    got = judge("attention_probs", probs_bound(scores, mask, causal), scores, mask, causal)
    expected = EQUATIONS.attention_probs(widened(scores), mask, causal)
    np.testing.assert_array_equal(got[expected == 0], 0.0)
    distance = scores.max(axis=-1, keepdims=True) - scores
    assert np.all(got[(expected > 0) & (distance < 80)] > 0)


def probs_bound(scores: Array, mask: Array, causal: bool) -> Array:
    """Two roundings to the type; inside, in float64, a rounding a key and the scores' distance times u."""
    dtype, wide = scores.dtype, widened(scores)
    expected = EQUATIONS.attention_probs(wide, mask, causal)
    spread = 2 * np.abs(np.where(np.isfinite(wide), wide, 0)).max(axis=-1, keepdims=True, initial=0.0)
    inner = (scores.shape[-1] + 8 + spread) * np.finfo(np.float64).eps
    return expected * (2 * roundoff(dtype) + inner) + np.finfo(dtype).tiny


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("causal", [False, True])
def test_every_weight_within_80_of_the_maximum_is_positive(dtype: Any, causal: bool) -> None:
    """Also beside very many keys (DEC-2), and none is subnormal."""
    scores = np.zeros((1, 1, 1, 1536), dtype)
    scores[..., ::2] = -80.0
    scores[..., 1::4] = -120.0
    got = KERNELS.attention_probs(scores, np.ones((1, 1536), bool), causal)
    assert got[0, 0, 0, ::2].min() > 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf, 3e38, -3e38])
def test_masked_keys_have_weight_zero_whatever_their_score(dtype: Any, strange: float) -> None:
    """A masked or later key is not even looked at."""
    scores = draw(0, dtype, 2, 3, 5, 7)
    mask = np.ones((2, 7), bool)
    mask[:, 1::2] = False
    expected = KERNELS.attention_probs(scores, mask, True)
    scores[..., 1::2] = strange
    scores[:, :, 0, 3:] = strange
    got = KERNELS.attention_probs(scores, mask, True)
    np.testing.assert_array_equal(got, expected)
    assert not got[..., 1::2].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("strange", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("causal", [False, True])
def test_strange_visible_scores_stay_within_their_row(dtype: Any, strange: float, causal: bool) -> None:
    """The pattern of NaN is the definition's, row by row."""
    scores = draw(0, dtype, 2, 2, 4, 20)
    scores[0, 0, 2, 3] = strange
    scores[1, 1, 1, :] = strange
    mask = np.ones((2, 20), bool)
    mask[:, 5] = False
    with np.errstate(invalid="ignore"):
        judge("attention_probs", probs_bound(scores, mask, causal), scores, mask, causal)


def test_a_query_before_all_keys_is_nan_as_in_the_definition() -> None:
    """More queries than keys, which the encoder never makes: the first ones are allowed nothing."""
    scores = draw(0, np.float64, 1, 1, 5, 3)
    with np.errstate(invalid="ignore"):
        judge("attention_probs", 1e-15, scores, np.ones((1, 3), bool), True)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_are_the_equation_over_the_whole_range(name: str, dtype: Any) -> None:
    """Ordinary, tiny, subnormal, huge and infinite arguments of both signs, zeros and NaN."""
    with np.errstate(all="ignore"):
        x = np.concatenate([np.linspace(-120, 120, 48001), 10.0 ** np.arange(-320, 308), [0.0, np.inf, np.nan]])
        x = np.concatenate([x, -x]).astype(dtype)
        expected = EQUATIONS.activate(widened(x), name)
        size = np.where(np.isfinite(expected), np.abs(expected), 0)
        inner = ACTIVATION_ROUNDINGS * np.finfo(np.float64).eps * (size + np.where(np.isfinite(x), abs(widened(x)), 0))
        judge("activate", inner + roundoff(dtype) * size + np.finfo(dtype).smallest_subnormal, x, name)


@settings(deadline=None, max_examples=60)
@given(SEEDS, TYPES, EMPTY_OR_NOT, SIZES, SIZES, SIZES, st.sampled_from(sorted(ACTIVATIONS)))
def test_feed_forward_is_the_equation(
    seed: int, dtype: Any, batch: int, seq_len: int, hidden: int, inner: int, name: str
) -> None:
    """The bound of the first product passes through the steepest slope and the second kernel."""
    x = draw(seed, dtype, batch, seq_len, hidden)
    first = Dense(draw(seed + 1, dtype, hidden, inner), draw(seed + 2, dtype, inner))
    second = Dense(draw(seed + 3, dtype, inner, hidden), draw(seed + 4, dtype, hidden))
    u, wide = roundoff(dtype), EQUATIONS.dense(widened(x), widened(first.kernel), widened(first.bias))
    active = EQUATIONS.activate(wide, name)
    before = (hidden + 2) * u * (abs(widened(x)) @ abs(widened(first.kernel)) + abs(first.bias))
    after = STEEPEST * before + ACTIVATION_ROUNDINGS * u * (abs(active) + abs(wide))
    bound = after @ abs(widened(second.kernel))
    bound = 1.01 * bound + (inner + 2) * u * (abs(active) @ abs(widened(second.kernel)) + abs(second.bias))
    judge("feed_forward", bound, x, first, second, name)


@settings(deadline=None, max_examples=40)
@given(SEEDS, TYPES, EMPTY_OR_NOT, SIZES, st.sampled_from([0.0, 0.1, 0.5, 0.999, 1.0]))
def test_dropout_drops_the_same_elements_to_the_bit(seed: int, dtype: Any, batch: int, width: int, rate: float) -> None:
    """Two generators of one seed: same pattern, same values, same state afterwards."""
    x = draw(seed, dtype, batch, 3, width)
    ours, theirs = np.random.default_rng(seed), np.random.default_rng(seed)
    got, expected = KERNELS.dropout(x, rate, ours), EQUATIONS.dropout(x, rate, theirs)
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == expected.dtype
    assert ours.random() == theirs.random()
    assert KERNELS.dropout(x, rate, None) is x


def test_a_number_equal_to_the_rate_keeps_its_element() -> None:
    """The comparison of the definition: dropped below the rate, not at it."""
    rate = float(np.random.default_rng(0).random(4)[2])
    got = KERNELS.dropout(np.ones(4), rate, np.random.default_rng(0))
    np.testing.assert_array_equal(got, EQUATIONS.dropout(np.ones(4), rate, np.random.default_rng(0)))
    assert got[2] > 0


# --- losses ---


def loss_bound(logits: Array) -> float:
    """Rounding to the type, and a float64 sum whose exponents are off by the logits' spread times u."""
    if not logits.size:
        return 0.0
    spread = 2 * float(abs(logits).max()) + math.log(logits.shape[-1])
    return roundoff(logits.dtype) * 2 * spread + (logits.shape[-1] + 8) * np.finfo(np.float64).eps * (1 + spread)


@settings(deadline=None, max_examples=60)
@given(SEEDS, TYPES, EMPTY_OR_NOT, SIZES, st.integers(1, 300), st.sampled_from([0.1, 1.0, 300.0]))
def test_cross_entropies_are_the_equation(
    seed: int, dtype: Any, batch: int, seq_len: int, classes: int, size: float
) -> None:
    """One label a row, and labels of which some are ignored."""
    generator = np.random.default_rng(seed)
    logits = draw(seed, dtype, batch, seq_len, classes) * np.asarray(size, dtype)
    labels = generator.integers(0, classes, (batch, seq_len))
    judge("cross_entropy", loss_bound(logits), logits[:, 0], labels[:, 0])
    labels[generator.random(labels.shape) < 0.4] = -100
    judge("active_cross_entropy", loss_bound(logits), logits, labels)
    judge("active_cross_entropy", loss_bound(logits), logits[:, :-1], labels[:, 1:].astype(np.int32))


@settings(deadline=None, max_examples=40)
@given(SEEDS, TYPES, EMPTY_OR_NOT, SIZES)
def test_span_loss_is_the_equation(seed: int, dtype: Any, batch: int, seq_len: int) -> None:
    """Positions inside and beyond the sequence, logits as two interleaved columns."""
    logits = draw(seed, dtype, batch, seq_len, 2)
    start, end = np.random.default_rng(seed).integers(0, seq_len + 3, (2, batch))
    judge("span_cross_entropy", 2 * loss_bound(logits), logits[..., 0], logits[..., 1], start, end)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_strange_logits_give_the_losses_of_the_definition(dtype: Any, strange: float) -> None:
    """NaN and infinity at the label, beside it, in a whole row, and in a row that is ignored."""
    logits = draw(0, dtype, 1, 6, 40)
    logits[0, 0, 3] = logits[0, 1, 5] = strange
    logits[0, 2, :] = logits[0, 3, :] = strange
    labels = np.array([[3, 4, 1, -100, 2, -100]])
    with np.errstate(all="ignore"):
        got = judge("active_cross_entropy", loss_bound(draw(0, dtype, 1, 6, 40)), logits, labels)
    assert got.shape == (4,)
    assert np.isfinite(got[3])


def test_no_active_label_gives_no_loss() -> None:
    """Shape (0,), and huge logits at ignored rows are not read."""
    logits = np.full((2, 3, 5), 1e30, np.float32)
    assert KERNELS.active_cross_entropy(logits, np.full((2, 3), -100)).shape == (0,)


# --- memory ---


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_layout_changes_nothing(layout: str, dtype: Any) -> None:
    """Any strides, any alignment, read-only: the same bits, and no further compiled version."""
    versions = [len(loop.signatures) for _, loop in compiled_loops()]
    for name, arguments in example_arguments(dtype).items():
        laid_out = [LAYOUTS[layout](a) if isinstance(a, np.ndarray) and a.ndim > 1 else a for a in arguments]
        plain = [np.ascontiguousarray(a) if isinstance(a, np.ndarray) else a for a in laid_out]
        got, expected = getattr(KERNELS, name)(*laid_out), getattr(KERNELS, name)(*plain)
        if name in ("dense", "attention_scores", "feed_forward"):  # BLAS sums in another order
            np.testing.assert_allclose(got, expected, rtol=0, atol=200 * np.finfo(dtype).eps)
        else:
            np.testing.assert_array_equal(got, expected)
        assert got.flags.writeable
    assert [len(loop.signatures) for _, loop in compiled_loops()] == versions


@pytest.mark.parametrize("layout", LAYOUTS)
def test_compiled_code_only_sees_aligned_contiguous_read_only_memory(layout: str) -> None:
    """numba takes an unaligned array for an aligned one, so nobody else would notice."""
    array = draw(0, np.float32, 3, 4)
    got = TWINS["arrays"].readable(LAYOUTS[layout](array), np.float32)
    assert got.flags.aligned
    assert got.flags.c_contiguous
    assert not got.flags.writeable
    assert array.flags.writeable


def example_arguments(dtype: Any) -> dict[str, tuple[Any, ...]]:
    """Arguments for every twin, of the sizes batch 2, heads 3, seq_len 5, keys 7, head_dim 4, width 12."""
    x, square, row = draw(0, dtype, 2, 5, 12), draw(1, dtype, 12, 12), draw(2, dtype, 12)
    mask = np.ones((2, 7), bool)
    mask[0, 4:], mask[1, :3] = False, False
    return {
        "add_token_types": (x, draw(3, dtype, 2, 12), np.arange(10).reshape(2, 5) % 2),
        "layer_norm": (x, row, row, 1e-12),
        "dense": (x, square, row),
        "rotate": (draw(4, dtype, 2, 3, 5, 4), *EQUATIONS.rotary_table(np.arange(5), 4, dtype)),
        "attention_scores": (draw(5, dtype, 2, 3, 5, 4), draw(6, dtype, 2, 3, 7, 4)),
        "attention_probs": (draw(7, dtype, 2, 3, 5, 7), mask, True),
        "feed_forward": (x, Dense(square, row), Dense(square, row), "gelu"),
        "activate": (x, "gelu_new"),
        "cross_entropy": (x[0], np.arange(5)),
        "active_cross_entropy": (x, np.array([[1, -100, 3, 0, 11]] * 2)),
        "span_cross_entropy": (x[:, 0], x[:, 1], np.array([0, 20]), np.array([11, 4])),
    }


def test_the_examples_cover_every_twin() -> None:
    """dropout aside, which has its own test."""
    assert {*example_arguments(np.float32), "dropout"} == set(TWINNED)


@pytest.mark.parametrize("name", ["layer_norm", "dense", "rotate", "feed_forward"])
def test_mixed_types_give_the_type_that_the_equation_gives(name: str) -> None:
    """float32 activations with float64 weights; the equation's means stay float32."""
    first, *rest = example_arguments(np.float64)[name]
    first = first.astype(np.float32)
    got, expected = getattr(KERNELS, name)(first, *rest), getattr(EQUATIONS, name)(first, *rest)
    assert got.dtype == expected.dtype == np.float64
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_nan_stays_within_its_row() -> None:
    """In every component that works row by row."""
    x = draw(0, np.float32, 2, 5, 12)
    x[1, 2, 3] = np.nan
    row, square = draw(1, np.float32, 12), draw(2, np.float32, 12, 12)
    results = [
        KERNELS.layer_norm(x, row, row, 1e-12),
        KERNELS.feed_forward(x, Dense(square, row), Dense(square, row), "gelu"),
        KERNELS.dense(x, square, row),
    ]
    for result in results:
        assert np.isnan(result[1, 2]).all()
        assert np.isnan(result).sum() == 12


# --- compiled and undecorated, threads, processes ---


def compiled_loops() -> list[tuple[str, Any]]:
    """Every compiled loop over arrays, by name."""
    found = {
        id(value): (name, value)
        for module in TWINS.values()
        for name, value in [*vars(module).items(), *getattr(module, "ACTIVATIONS", {}).items()]
        if isinstance(getattr(value, "_cache", None), KernelCache)
    }
    return list(found.values())


def loop_arguments(dtype: Any) -> dict[str, tuple[Any, ...]]:
    """Arguments for every loop; the last array is the one written to, for activations the first."""
    x, row = draw(0, dtype, 5, 12), draw(1, dtype, 12)
    scores, mask = draw(2, dtype, 2, 1, 4, 6) * 10, np.array([[1, 0, 1, 1, 0, 1], [0] * 6], bool)
    table = EQUATIONS.rotary_table(np.arange(5), 4, dtype)
    return {
        "add_rows": (x, x[:2], np.array([0, 1, 1, 0, 1]), np.empty_like(x)),
        "normalize_rows": (x, row, row, 1e-12, np.empty_like(x)),
        "turn_pairs": (x.reshape(1, 5, 3, 4), *table, np.empty((1, 3, 5, 4), dtype)),
        "masked_softmax": (scores, mask, True, np.empty_like(scores)),
        "keep_or_drop": (x.reshape(-1), np.linspace(0, 1, 60), 0.4, np.empty(60, dtype)),
        "label_losses": (x, np.array([0, 11, -100, 5, 12]), np.empty(5, dtype)),
        "update_elements": (
            row,
            row + 1,
            row - 1,
            row**2,
            (0.9, 0.99, 1e-3),
            (0.9, 0.1, 2.0),
            np.empty((3, 12), dtype),
        ),
        **dict.fromkeys(ACTIVATIONS, (x * 4, row)),
    }


@pytest.mark.parametrize("name", [name for name, _ in compiled_loops()])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_undecorated_loop_agrees(name: str, dtype: Any) -> None:
    """`.py_func` computes the same, fused multiply-adds aside."""
    loop = dict(compiled_loops())[name]
    written = 0 if name in ACTIVATIONS else -1
    results = []
    for function in (loop, loop.py_func):
        arguments = [read_only(a) if isinstance(a, np.ndarray) else a for a in loop_arguments(dtype)[name]]
        arguments[written].flags.writeable = True
        function(*arguments)
        results.append(arguments[written])
    np.testing.assert_allclose(*results, rtol=16 * np.finfo(dtype).eps, atol=16 * np.finfo(dtype).eps)


def test_everything_works_without_compiling() -> None:
    """NUMBA_DISABLE_JIT turns every kernel into its loop."""
    script = "from roformer_numpy.kernels import *; warm_up(); print(rotary.turn_pairs.py_func is rotary.turn_pairs)"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_loops_release_the_interpreter_lock_and_are_serial() -> None:
    """The policy in jit.py reaches every loop: no fast-math flag that makes NaN undefined, no parallel loop."""
    for _, loop in compiled_loops():
        assert loop.targetoptions["nogil"]
        assert loop.targetoptions["fastmath"] == {"contract"}
        assert not loop.targetoptions.get("parallel")


def all_results() -> list[bytes]:
    """The bits of every twin for both types."""
    return [
        getattr(KERNELS, name)(*arguments).tobytes()
        for dtype in (np.float32, np.float64)
        for name, arguments in example_arguments(dtype).items()
    ]


def test_eight_threads_compute_what_one_does() -> None:
    """Bit for bit, call after call."""
    expected, wrong = all_results(), []

    def work() -> None:
        wrong.extend(1 for _ in range(40) if all_results() != expected)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# exec is importable in a spawned child, a test module is not
CHILD = """
import pathlib
import numpy as np
from roformer_numpy.kernels import KERNELS
x = np.random.default_rng(0).standard_normal((2, 3, 9, 8)).astype(np.float32)
probs = KERNELS.attention_probs(KERNELS.attention_scores(x, x), np.ones((2, 9), bool), True)
result = KERNELS.activate(KERNELS.layer_norm(KERNELS.attend(probs, x), x[0, 0, 0], x[0, 0, 1], 1e-12), "gelu")
pathlib.Path(path).write_bytes(result.tobytes())
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_child_processes_compute_what_the_parent_does(method: str, tmp_path: Path) -> None:
    """A child forked after the kernels ran in threads, and a spawned one: neither hangs nor differs."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    test_eight_threads_compute_what_one_does()
    here, there = tmp_path / "here", tmp_path / "there"
    exec(CHILD, {"path": str(here)})
    child = multiprocessing.get_context(method).Process(target=exec, args=(CHILD, {"path": str(there)}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside BLAS's threads is what is tested
        child.start()
    child.join(timeout=60)
    assert child.exitcode == 0
    assert here.read_bytes() == there.read_bytes()


def test_warming_up_compiles_every_loop_for_both_types() -> None:
    """After it nothing is left to compile, and a second time takes no time."""
    assert warm_up() < 1.0
    for name, loop in compiled_loops():
        assert len(loop.signatures) == 2, name


def test_strided_and_plain_arguments_share_one_compiled_version() -> None:
    """Two floating-point types make two versions of a loop, whatever the arrays look like."""
    for dtype, layout in itertools.product((np.float32, np.float64), LAYOUTS.values()):
        KERNELS.layer_norm(layout(draw(0, dtype, 4, 6)), draw(1, dtype, 6), read_only(draw(2, dtype, 6)), 1e-12)
    assert len(TWINS["normalization"].normalize_rows.signatures) == 2
