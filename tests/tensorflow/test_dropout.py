"""Dropout's numbers: the same in every way of execution, of the right rate, independent of one another (TRAIN-1)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from roformer_tensorflow.layers import Dropout

RATE, SHAPE = 0.3, (200, 1000)
WAYS = {
    "eager": lambda function: function,
    "graph": lambda function: tf.function(function, jit_compile=False),
    "xla": lambda function: tf.function(function, jit_compile=True),
}


def drawn(way: str, dtype: str = "float32", seed: int = 3, rate: float = RATE) -> list[np.ndarray]:
    """What two layers of one seed make of ones, in two calls one after the other."""
    randomness = keras.random.SeedGenerator(seed)
    layers = [Dropout(rate, randomness, keras.DTypePolicy(dtype)) for _ in range(2)]
    function: Any = WAYS[way](lambda x: [layer(x, training=True) for layer in layers])
    ones = tf.ones(SHAPE, dtype)
    return [output.numpy() for _ in range(2) for output in function(ones)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("way", ["graph", "xla"])
def test_one_seed_means_the_same_numbers_in_every_way_of_execution(way: str, dtype: str) -> None:
    """Bit for bit what an eager call draws, in each layer and each call; another seed draws others."""
    eager, compiled = drawn("eager", dtype), drawn(way, dtype)
    assert all(np.array_equal(one, two) for one, two in zip(eager, compiled, strict=True))
    assert not np.array_equal(drawn(way, dtype, seed=4)[0], compiled[0])


@pytest.mark.parametrize("way", WAYS)
def test_masks_have_the_rate_and_are_independent(way: str) -> None:
    """Shares and correlations within five standard errors; what is kept is scaled by 1/(1 − rate)."""
    outputs = drawn(way)
    count = outputs[0].size
    masks = [output != 0 for output in outputs]
    for output, mask in zip(outputs, masks, strict=True):
        assert np.all(output[mask] == np.float32(1 / (1 - RATE)))
        assert abs((~mask).mean() - RATE) < 5 * np.sqrt(RATE * (1 - RATE) / count)
    products = np.corrcoef([mask.ravel() for mask in masks])
    assert np.all(np.abs(products - np.eye(4)) < 5 / np.sqrt(count))
    inside = np.corrcoef(masks[0][:-1].ravel(), masks[0][1:].ravel())[0, 1]
    assert abs(inside) < 5 / np.sqrt(count)


def test_a_rate_of_one_drops_everything() -> None:
    """And is no division by 0."""
    assert all(np.all(output == 0) for output in drawn("eager", rate=1.0))
