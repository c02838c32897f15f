"""Keras variables by the names of the schema: a variable's path ends in its layer's name and its own.

`encoder.layer_0.attention.query` / `kernel` is the weight `encoder.layer_0.attention.query.kernel`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import keras

from roformer_numpy.weights import Array, Weights, map_leaves, named_leaves, shape_tree


def named_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Every weight of a model by the schema's name, those of frozen layers too."""
    return {".".join(variable.path.split("/")[-2:]): variable for variable in model.weights}


def frozen_layers(model: keras.Model) -> list[str]:
    """The names of the layers with weights whose `trainable` is False."""
    return [layer.name for layer in _layers(model) if not layer.trainable]


def freeze(model: keras.Model, names: Iterable[str]) -> None:
    """Make the layers called so untrainable, as `frozen_layers` found them."""
    wanted = set(names)
    for layer in _layers(model):
        if layer.name in wanted:
            layer.trainable = False


def _layers(model: keras.Model) -> list[keras.layers.Layer]:
    """All layers with weights, at any depth: their names are the schema's, those of the others are counted by Keras."""
    return [layer for layer in model._flatten_layers(include_self=False) if layer.weights]


def assign(model: keras.Model, weights: Weights[Array]) -> None:
    """Put a weight tree into a model's variables, one for one."""
    variables, leaves = named_variables(model), named_leaves(weights)
    if variables.keys() != leaves.keys():
        raise AssertionError(f"the layers and the schema differ in {sorted(variables.keys() ^ leaves.keys())}")
    for name, array in leaves.items():
        variables[name].assign(array)


def tree_of(model: keras.Model) -> Weights[Array]:
    """A model's weights as a tree of arrays; a model that was loaded without a pooler has none."""
    variables, shapes = named_variables(model), shape_tree(model.config, model.head)
    if model.pooler is None:
        shapes = dataclasses.replace(shapes, pooler=None)
    tree: Weights[Array] = map_leaves(lambda name, shape: variables[name].numpy(), shapes)
    return tree
