"""The gradients in numba beside their twins in the equations."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roformer_numpy.backward.kernels import KERNELS
from roformer_numpy.backward.table import EQUATIONS, derivatives_for
from roformer_numpy.components import EQUATIONS as FORWARD
from roformer_numpy.equations.activations import ACTIVATIONS
from roformer_numpy.equations.optimization import adamw
from roformer_numpy.kernels import KERNELS as FORWARD_KERNELS
from roformer_numpy.kernels import gradients, optimization
from roformer_numpy.kernels.gradients.activations import SLOPES
from roformer_numpy.kernels.gradients.warming import warm_up_gradients
from roformer_numpy.kernels.optimization import adamw as compiled_adamw
from roformer_numpy.training import Example, Masking, Settings, Trainer
from roformer_numpy.weights import Dense

from ..support import MODELS, config_of

# Of the largest result. float32: kernels compute in float64 and round once, the equations' float64 is the measure.
ALLOWED = {"float32": 2e-7, "float64": 1e-14}


def normal(seed: int, *shape: int) -> Any:
    """Normal numbers that float32 can hold."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32).astype(np.float64)


def expect_twins(found: Any, expected: Any, dtype: str) -> None:
    """The same up to rounding, in the type that was asked for."""
    assert found.dtype == dtype
    assert np.abs(found - expected).max(initial=0.0) <= ALLOWED[dtype] * max(1.0, np.abs(expected).max(initial=0.0))


def package_modules() -> list[Any]:
    """The modules of kernels/gradients, and the optimizer's."""
    names = [path.stem for path in Path(str(gradients.__file__)).parent.glob("*.py") if path.stem != "__init__"]
    return [optimization, *(importlib.import_module(f"{gradients.__name__}.{name}") for name in names)]


def test_kernels_go_with_kernels() -> None:
    """A table of components finds the gradients of its own arithmetic."""
    assert derivatives_for(FORWARD_KERNELS) is KERNELS
    assert derivatives_for(FORWARD) is EQUATIONS
    assert derivatives_for(dataclasses.replace(FORWARD, name="mine")) is EQUATIONS


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ALLOWED)
def test_slopes_are_those_of_the_equations(name: str, dtype: str) -> None:
    """From −40 to 40, and for strided arrays and none at all."""
    assert SLOPES.keys() == ACTIVATIONS.keys()
    x, upstream = (
        np.linspace(-40, 40, 4002).astype(np.float32).astype(np.float64).reshape(2, 3, -1),
        normal(0, 2, 3, 667),
    )
    expected = EQUATIONS.activate(upstream, x, name)
    given = upstream.astype(dtype), x.astype(dtype)
    before = given[0].copy()
    expect_twins(KERNELS.activate(*given, name), expected, dtype)
    expect_twins(KERNELS.activate(given[0][..., ::2], given[1][..., ::2], name), expected[..., ::2], dtype)
    assert np.array_equal(given[0], before)
    assert KERNELS.activate(given[0][:0], given[1][:0], name).shape == (0, 3, 667)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", ALLOWED)
def test_the_softmax_is_differentiated_alike(causal: bool, dtype: str) -> None:
    """Masked, causal, cached, with rows that see nothing."""
    mask = np.random.default_rng(0).random((4, 9)) < 0.6
    mask[1], mask[2, :4] = False, False
    probs = FORWARD.attention_probs(3 * normal(1, 4, 3, 7, 9), mask, causal)
    probs, upstream = probs.astype(dtype).astype(np.float64), normal(2, 4, 3, 7, 9)
    expected = EQUATIONS.attention_probs(upstream, probs, mask, causal)
    found = KERNELS.attention_probs(upstream.astype(dtype), probs.astype(dtype), mask, causal)
    expect_twins(found, expected, dtype)
    assert np.array_equal(found == 0, expected == 0)


def test_the_feed_forward_part_is_differentiated_alike() -> None:
    """By its input and both of its layers."""
    x, upstream = normal(0, 2, 5, 6), normal(1, 2, 5, 6)
    layers = Dense(normal(2, 6, 11), normal(3, 11)), Dense(normal(4, 11, 6), normal(5, 6))
    found = KERNELS.feed_forward(upstream, x, *layers, "gelu")
    expected = EQUATIONS.feed_forward(upstream, x, *layers, "gelu")
    expect_twins(found[0], expected[0], "float64")
    for got, true in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_allclose(got.kernel, true.kernel, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(got.bias, true.bias, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", ALLOWED)
def test_layer_normalization_is_differentiated_alike(dtype: str) -> None:
    """By its input, gamma and beta; far from 0, strided, constant rows, none at all."""
    x, upstream, gamma = 5 + 3 * normal(0, 2, 7, 11), normal(1, 2, 7, 11), normal(2, 11)
    x[0, 2] = 1.5
    for part in (slice(None), slice(None, None, 2), slice(0, 0)):
        expected, norm = EQUATIONS.layer_norm(upstream[:, part], x[:, part], gamma, 1e-2)
        given = (upstream[:, part].astype(dtype), x[:, part].astype(dtype), gamma.astype(dtype), 1e-2)
        found, layer = KERNELS.layer_norm(*given)
        expect_twins(found, expected, dtype)
        expect_twins(layer.gamma, norm.gamma, dtype)
        expect_twins(layer.beta, norm.beta, dtype)


@pytest.mark.parametrize("dtype", ALLOWED)
def test_rows_are_added_where_they_were_looked_up(dtype: str) -> None:
    """Ids that come often, once, never; a float32 sum is taken in the order of the places, as by the equation."""
    table, ids, upstream = normal(0, 6, 5), np.array([[0, 5, 5, 2], [5, 0, 3, 5]]), normal(1, 2, 4, 5).astype(dtype)
    found, expected = (table_of.lookup(upstream, table.astype(dtype), ids) for table_of in (KERNELS, EQUATIONS))
    assert np.array_equal(found, expected)
    assert found.dtype == dtype
    assert not found[[1, 4]].any()
    words, types = KERNELS.add_token_types(upstream, table.astype(dtype), ids)
    assert words is upstream
    assert np.array_equal(types, expected)


def test_an_id_beyond_the_table_is_refused() -> None:
    """Compiled code would write over foreign memory."""
    with pytest.raises(IndexError, match="expected them in"):
        KERNELS.lookup(normal(0, 1, 2, 5), normal(1, 6, 5), np.array([[0, 6]]))


@pytest.mark.parametrize("dtype", ALLOWED)
def test_the_rotation_is_differentiated_alike(dtype: str) -> None:
    """Turned back by the same angles."""
    upstream, (cos, sin) = normal(0, 2, 3, 5, 8), FORWARD.rotary_table(np.arange(5), 8, "float64")
    found = KERNELS.rotate(upstream.astype(dtype), cos.astype(dtype), sin.astype(dtype))
    expect_twins(found, EQUATIONS.rotate(upstream, cos, sin), dtype)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_dropout_drops_the_same_gradients(rate: float) -> None:
    """From the same generator, and none is drawn from at inference."""
    upstream = normal(0, 3, 5)
    expected = EQUATIONS.dropout(upstream, rate, np.random.default_rng(7))
    expect_twins(KERNELS.dropout(upstream, rate, np.random.default_rng(7)), expected, "float64")
    assert KERNELS.dropout(upstream, rate, None) is upstream


@pytest.mark.parametrize("dtype", ALLOWED)
def test_the_loss_over_a_vocabulary_is_differentiated_alike(dtype: str) -> None:
    """Where there is a label; exactly 0 elsewhere, whatever the logits there."""
    logits, labels = 20 * normal(0, 3, 4, 13), np.array([[0, 12, -100, 5], [-100] * 4, [3, -100, 7, 7]])
    logits[1, 2], upstream = np.nan, normal(1, 6)
    found = KERNELS.active_cross_entropy(upstream.astype(dtype), logits.astype(dtype), labels)
    expected = EQUATIONS.active_cross_entropy(upstream, logits, labels)
    expect_twins(found, expected, dtype)
    assert not found[labels == -100].any()
    rows = KERNELS.cross_entropy(upstream[:4].astype(dtype), logits[0].astype(dtype), np.array([0, 12, 2, 5]))
    expect_twins(rows, EQUATIONS.cross_entropy(upstream[:4], logits[0], np.array([0, 12, 2, 5])), dtype)


@pytest.mark.parametrize("dtype", ALLOWED)
def test_adamw_moves_alike(dtype: str) -> None:
    """Weights and moments after an update in the middle of a run; nothing that was passed changes."""
    tensors = [normal(seed, 3, 7).astype(dtype) for seed in range(4)]
    tensors[3] **= 2
    tensors[3][0] = 0.0
    before = [tensor.copy() for tensor in tensors]
    constants = (5, 0.01, (0.9, 0.999), 1e-8, 0.1)
    wanted = adamw(*(tensor.astype(np.float64) for tensor in tensors), *constants)
    for found, expected in zip(compiled_adamw(*tensors, *constants), wanted, strict=True):
        expect_twins(found, expected, dtype)
        assert found.shape == (3, 7)
    assert all(np.array_equal(one, two) for one, two in zip(before, tensors, strict=True))


def test_everything_a_training_step_needs_is_compiled_ahead() -> None:
    """After warming up, an update with the kernels compiles nothing."""
    warm_up_gradients()
    config = config_of(hidden_dropout_prob=0.1)
    model = MODELS["masked_lm"](config)
    masking = Masking(4, (0, 1, 2, 3, 4), config.vocab_size, share=0.5)
    trainer = Trainer(model, [Example((2, 7, 8, 9, 3))] * 2, Settings(steps=2), masking=masking)
    model(trainer.batch(0))
    loops = [value for module in package_modules() for value in vars(module).values() if hasattr(value, "signatures")]
    before = [len(loop.signatures) for loop in loops]
    trainer.advance()
    assert loops
    assert [len(loop.signatures) for loop in loops] == before
