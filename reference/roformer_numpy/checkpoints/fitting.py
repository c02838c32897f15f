"""Whether a flat mapping of PyTorch names holds the model that a configuration asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import RoFormerConfig
from ..errors import CheckpointError, InputTypeError, WeightsError
from ..weights import Array, Shape, Weights, named_leaves, shape_tree
from . import names

# How far a stored sinusoid may lie from the exact one: a few units in the last place of the type it was stored in,
# and what a float32 angle loses by position 1500.
_TABLE_TOLERANCE = {"float16": 1e-3, "bfloat16": 1e-2, "float32": 2e-4, "float64": 2e-4}


@dataclass(frozen=True)
class Fit:
    """How a mapping fits a schema; every name is the foreign one, without the backbone's prefix."""

    missing: list[str]
    misshapen: dict[str, tuple[Shape, Shape]]  # got, expected
    unused: list[str]
    redrawn: set[str]  # the missing or misshapen tensors of a head that is drawn from the seed instead


def stripped(mapping: Mapping[str, Any], config: RoFormerConfig) -> dict[str, Array]:
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


def expected_shapes(config: RoFormerConfig, head: str, arrays: Mapping[str, Array]) -> Weights[Shape]:
    """The schema, without a pooler that the mapping does not hold: random numbers are never handed out (OUT-4.3)."""
    shapes = shape_tree(config, head)
    if shapes.pooler is None or arrays.keys() >= names.POOLER:
        return shapes
    return dataclasses.replace(shapes, pooler=None)


def fit(arrays: Mapping[str, Array], shapes: Weights[Shape], head: str, fresh_labels: bool) -> Fit:
    """What is missing, misshapen or unused when `arrays` are to be the model called `head`."""
    own = named_leaves(shapes)
    foreign = {name: names.foreign_name(name, head) for name in own}
    expected = {foreign[name]: names.foreign_shape(name, shape) for name, shape in own.items()}
    got = {name: arrays[name].shape for name in expected if name in arrays}
    missing = [name for name in expected if name not in arrays]
    misshapen = {name: (shape, expected[name]) for name, shape in got.items() if shape != expected[name]}
    head_names = {foreign[name] for name in own if name.startswith("head.")}
    known = {*expected, names.SINUSOIDS, names.DECODER, names.DECODER_BIAS}
    return Fit(
        missing=missing,
        misshapen=misshapen,
        unused=sorted(arrays.keys() - known),
        redrawn={*missing, *(misshapen if fresh_labels else ())} & head_names,
    )


def refuse(fit: Fit) -> None:
    """Refuse what cannot be drawn from the seed.

    Raises:
        WeightsError: every such tensor that is missing or misshapen, at once.
    """
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


def refuse_second_version(arrays: Mapping[str, Array]) -> None:
    """Refuse the weights of RoFormer V2.

    Raises:
        CheckpointError: that is what they are.
    """
    encoder = {name.rpartition(".")[2] for name in arrays if name.startswith("encoder.layer.")}
    if encoder == {"weight"} and not any("LayerNorm" in name for name in arrays):
        raise CheckpointError(
            "these weights have neither biases nor LayerNorm weights, as RoFormer V2 checkpoints do: that is another "
            "architecture, and loaded as this one it would predict garbage"
        )


def is_sinusoid_table(stored: Array, config: RoFormerConfig) -> bool:
    """Whether a stored table is the computed one, as far as its precision can hold it."""
    if not is_floating(stored) or stored.ndim != 2 or stored.shape[1] != config.head_dim:
        return False
    rows = min(len(stored), config.max_position_embeddings)
    difference = stored[:rows].astype(np.float64) - names.sinusoid_table(config)[:rows]
    return bool(np.abs(difference).max(initial=0) <= _TABLE_TOLERANCE.get(stored.dtype.name, 0.0))


def is_floating(array: Array) -> bool:
    """Whether the array holds floating-point numbers, bfloat16 included."""
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"


def _as_array(name: str, value: Any) -> Array:
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise WeightsError(f"{name} is a {type(value).__name__} that gives no array: {error}") from error
