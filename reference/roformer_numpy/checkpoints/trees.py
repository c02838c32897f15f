"""Flat mappings of PyTorch names to weight trees, and back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..config import RoFormerConfig
from ..errors import WeightsError
from ..mapped import is_mapped
from ..weights import Array, Shape, Weights, draw, in_order, map_leaves, named_leaves
from . import names
from .fitting import Fit, expected_shapes, fit, is_floating, is_sinusoid_table, refuse, refuse_second_version, stripped


def mapping_from_tree(weights: Weights[Array], config: RoFormerConfig, head: str) -> dict[str, Array]:
    """Flat PyTorch names to copies of the weights, the sinusoid table included, as transformers stores them."""
    flat = {
        names.foreign_name(name, head): np.array(names.transposed(name, array), order="C")
        for name, array in named_leaves(weights).items()
    }
    flat[names.SINUSOIDS] = names.sinusoid_table(config).astype(weights.embeddings.word.dtype)
    if names.DECODER in flat:
        flat[names.DECODER_BIAS] = flat[names.LANGUAGE_MODEL_BIAS]  # newer releases read an untied head's bias here
    return {names.with_prefix(name, head): array for name, array in flat.items()}


def tree_from_mapping(
    mapping: Mapping[str, Any],
    config: RoFormerConfig,
    head: str,
    dtype: DTypeLike,
    seed: int,
    *,
    fresh_labels: bool = False,
) -> Weights[Array]:
    """The weight tree that a flat mapping of PyTorch names holds; every array is copied but those in a file.

    Args:
        mapping: names to arrays, with or without the backbone's prefix.
        config: what is expected.
        head: which model.
        dtype: of the tree.
        seed: of head tensors that are missing.
        fresh_labels: the caller asked for another number of labels, so a head of another shape is drawn anew.

    Raises:
        WeightsError: every backbone tensor that is missing or misshapen, at once.
        CheckpointError: the tensors are those of another architecture.

    Warns:
        UserWarning: naming what is drawn from the seed, what is missing for a pooler, and what is not used.

    Source: LIFE-6, OUT-4.3.
    """
    arrays = stripped(mapping, config)
    refuse_second_version(arrays)
    shapes = expected_shapes(config, head, arrays)
    found = fit(arrays, shapes, head, fresh_labels)
    refuse(found)
    if config.add_pooling_layer and head == "base":
        _warn_about_pooler(arrays)
    _warn(found, head, seed)
    _warn_about_tables(arrays, config)

    def leaf(name: str, shape: Shape) -> Array:
        foreign = names.foreign_name(name, head)
        if foreign in found.redrawn:
            return _frozen(in_order(name, draw(name, shape, config, seed).astype(dtype)))
        return _frozen(_cast(foreign, name, names.transposed(name, _floating(foreign, arrays[foreign])), dtype))

    return map_leaves(leaf, shapes)


def _warn(fit: Fit, head: str, seed: int) -> None:
    if fit.redrawn:
        warnings.warn(
            f"the weights hold no fitting {head} head; drawn from seed {seed}, to be trained before use: "
            f"{', '.join(sorted(fit.redrawn))}",
            stacklevel=4,
        )
    if fit.unused:
        warnings.warn(f"the {head} model does not use {', '.join(fit.unused)}", stacklevel=4)


def _warn_about_pooler(arrays: Mapping[str, Array]) -> None:
    missing = sorted(names.POOLER - arrays.keys())
    if missing:
        warnings.warn(f"pooler_output will be None: the weights have no {' and no '.join(missing)}", stacklevel=4)


def _warn_about_tables(arrays: Mapping[str, Array], config: RoFormerConfig) -> None:
    """What is computed, or tied, and never taken from a file: a stored copy that differs is named."""
    if names.SINUSOIDS in arrays and not is_sinusoid_table(arrays[names.SINUSOIDS], config):
        warnings.warn(f"{names.SINUSOIDS} differs from the sinusoids it should hold and is not used", stacklevel=4)
    decoder = arrays.get(names.DECODER)
    if (
        decoder is not None
        and config.tie_word_embeddings
        and not np.array_equal(decoder, arrays[names.WORD_EMBEDDINGS])
    ):
        warnings.warn(
            f"{names.DECODER} differs from the word embeddings and is not used: tie_word_embeddings is True",
            stacklevel=4,
        )


def _floating(name: str, array: Array) -> Array:
    if not is_floating(array):
        raise WeightsError(f"{name} has dtype {array.dtype}, expected floating-point numbers")
    return array


def _cast(foreign: str, name: str, array: Array, dtype: DTypeLike) -> Array:
    """A copy as `dtype`, in our memory layout; an array that lies in a file stays there if it fits."""
    if array.dtype == dtype:
        return array if is_mapped(array) else in_order(name, array.copy(order="K"))
    try:
        with np.errstate(over="raise"):
            return in_order(name, np.array(array, dtype))
    except FloatingPointError as error:
        raise WeightsError(f"{foreign} holds numbers that {np.dtype(dtype).name} cannot hold") from error


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array
