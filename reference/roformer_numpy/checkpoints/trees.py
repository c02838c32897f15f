"""Flat mappings of PyTorch names to weight trees, and back."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..config import RoFormerConfig
from ..errors import CheckpointError, InputTypeError, WeightsError
from ..weights import Array, Shape, Weights, draw, map_leaves, named_leaves, shape_tree
from . import names

# How far a stored sinusoid may lie from the exact one: a few units in the last place of the type it was stored in,
# and what a float32 angle loses by position 1500.
_TABLE_TOLERANCE = {"float16": 1e-3, "bfloat16": 1e-2, "float32": 2e-4, "float64": 2e-4}


@dataclass(frozen=True)
class _Fit:
    """How a mapping fits a schema; every name is the foreign one, without the backbone's prefix."""

    missing: list[str]
    misshapen: dict[str, tuple[Shape, Shape]]  # got, expected
    unused: list[str]
    redrawn: set[str]  # the missing or misshapen tensors of a head that is drawn from the seed instead


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
    """The weight tree that a flat mapping of PyTorch names holds; every array is copied.

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
    arrays = _stripped(mapping, config)
    _refuse_second_version(arrays)
    shapes = _without_missing_pooler(shape_tree(config, head), arrays)
    fit = _fit(arrays, shapes, head, fresh_labels)
    _refuse(fit)
    if config.add_pooling_layer and head == "base":
        _warn_about_pooler(arrays)
    _warn(fit, head, seed)
    _warn_about_tables(arrays, config)

    def leaf(name: str, shape: Shape) -> Array:
        foreign = names.foreign_name(name, head)
        if foreign in fit.redrawn:
            return _frozen(draw(name, shape, config, seed).astype(dtype))
        return _frozen(_cast(foreign, names.transposed(name, _floating(foreign, arrays[foreign])), dtype))

    return map_leaves(leaf, shapes)


def _stripped(mapping: Mapping[str, Any], config: RoFormerConfig) -> dict[str, Array]:
    """The mapping without the backbone's prefix, a language model's bias under its one name.

    Where an untied head has both biases, newer releases may store them unequal, and compute with the decoder's.
    """
    if not isinstance(mapping, Mapping):
        raise InputTypeError(f"weights are a {type(mapping).__name__}, expected a mapping of names to arrays")
    arrays: dict[str, Array] = {}
    for name, array in mapping.items():
        short = str(name).removeprefix(names.BACKBONE_PREFIX)
        if short in arrays:
            raise WeightsError(f"{short} is given twice, with and without the prefix {names.BACKBONE_PREFIX!r}")
        arrays[short] = _as_array(short, array)
    both = names.LANGUAGE_MODEL_BIAS in arrays and config.tie_word_embeddings
    if names.DECODER_BIAS in arrays and not both:
        arrays[names.LANGUAGE_MODEL_BIAS] = arrays[names.DECODER_BIAS]
    return arrays


def _without_missing_pooler(shapes: Weights[Shape], arrays: Mapping[str, Array]) -> Weights[Shape]:
    """The schema without a pooler that the mapping does not hold: random numbers are never handed out (OUT-4.3)."""
    if shapes.pooler is None or arrays.keys() >= names.POOLER:
        return shapes
    return dataclasses.replace(shapes, pooler=None)


def _fit(arrays: Mapping[str, Array], shapes: Weights[Shape], head: str, fresh_labels: bool) -> _Fit:
    own = named_leaves(shapes)
    foreign = {name: names.foreign_name(name, head) for name in own}
    expected = {foreign[name]: names.foreign_shape(name, shape) for name, shape in own.items()}
    got = {name: arrays[name].shape for name in expected if name in arrays}
    missing = [name for name in expected if name not in arrays]
    misshapen = {name: (shape, expected[name]) for name, shape in got.items() if shape != expected[name]}
    head_names = {foreign[name] for name in own if name.startswith("head.")}
    known = {*expected, names.SINUSOIDS, names.DECODER, names.DECODER_BIAS}
    return _Fit(
        missing=missing,
        misshapen=misshapen,
        unused=sorted(arrays.keys() - known),
        redrawn={*missing, *(misshapen if fresh_labels else ())} & head_names,
    )


def _refuse(fit: _Fit) -> None:
    missing = [name for name in fit.missing if name not in fit.redrawn]
    misshapen = [
        f"{name} has shape {got}, expected {expected}{_hint(got, expected)}"
        for name, (got, expected) in fit.misshapen.items()
        if name not in fit.redrawn
    ]
    if not missing and not misshapen:
        return
    count = len(missing) + len(misshapen)
    parts = [*misshapen, *([f"missing: {', '.join(missing)}"] if missing else [])]
    if fit.unused:
        parts.append(f"not known: {', '.join(fit.unused)}")
    raise WeightsError(f"{count} weight{'s do' if count > 1 else ' does'} not fit the config: {'; '.join(parts)}")


def _hint(got: Shape, expected: Shape) -> str:
    return " (stored transposed?)" if len(got) == 2 and got == expected[::-1] else ""


def _warn(fit: _Fit, head: str, seed: int) -> None:
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
    if names.SINUSOIDS in arrays and not _is_sinusoid_table(arrays[names.SINUSOIDS], config):
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


def _is_sinusoid_table(stored: Array, config: RoFormerConfig) -> bool:
    if not _is_floating(stored) or stored.ndim != 2 or stored.shape[1] != config.head_dim:
        return False
    rows = min(len(stored), config.max_position_embeddings)
    difference = stored[:rows].astype(np.float64) - names.sinusoid_table(config)[:rows]
    return bool(np.abs(difference).max(initial=0) <= _TABLE_TOLERANCE.get(stored.dtype.name, 0.0))


def _refuse_second_version(arrays: Mapping[str, Array]) -> None:
    encoder = {name.rpartition(".")[2] for name in arrays if name.startswith("encoder.layer.")}
    if encoder == {"weight"} and not any("LayerNorm" in name for name in arrays):
        raise CheckpointError(
            "these weights have neither biases nor LayerNorm weights, as RoFormer V2 checkpoints do: that is another "
            "architecture, and loaded as this one it would predict garbage"
        )


def _as_array(name: str, value: Any) -> Array:
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise WeightsError(f"{name} is a {type(value).__name__} that gives no array: {error}") from error


def _is_floating(array: Array) -> bool:
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"


def _floating(name: str, array: Array) -> Array:
    if not _is_floating(array):
        raise WeightsError(f"{name} has dtype {array.dtype}, expected floating-point numbers")
    return array


def _cast(name: str, array: Array, dtype: DTypeLike) -> Array:
    """A copy as `dtype`, in our memory layout."""
    if array.dtype == dtype:
        return np.array(array, order="C")
    try:
        with np.errstate(over="raise"):
            return np.array(array, dtype, order="C")
    except FloatingPointError as error:
        raise WeightsError(f"{name} holds numbers that {np.dtype(dtype).name} cannot hold") from error


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array
