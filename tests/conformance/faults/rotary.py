"""Rotation, done wrong: tables, pairs, signs, positions, and what is turned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from roformer_numpy.equations import rotary

from .making import Array, Fault, encoder_prepare, fault, self_attention


def _tables(theta: Callable[[Array, int], Array], dtype: Any = np.float64) -> Fault:
    def table(positions: Array, head_dim: int, model_dtype: Any) -> tuple[Array, Array]:
        angles = positions[:, None].astype(dtype) * theta(np.arange(head_dim // 2), head_dim).astype(dtype)
        return np.cos(angles).astype(model_dtype), np.sin(angles).astype(model_dtype)

    return Fault({"rotary_table": table})


@fault
def base_9999() -> Fault:
    """The rotary base is 9999."""
    return _tables(lambda pair, dim: 9999.0 ** (-2.0 * pair / dim))


@fault
def exponent_halved() -> Fault:
    """The exponent is −i/d in place of −2i/d."""
    return _tables(lambda pair, dim: 10000.0 ** (-1.0 * pair / dim))


@fault
def float32_angles() -> Fault:
    """Frequencies and angles are computed in float32."""
    return _tables(lambda pair, dim: 10000.0 ** (-2.0 * pair / dim), np.float32)


@fault
def half_precision_angles() -> Fault:
    """Frequencies and angles are computed in float16."""
    return _tables(lambda pair, dim: 10000.0 ** (-2.0 * pair / dim), np.float16)


@fault
def half_split_rotary() -> Fault:
    """Feature i is paired with feature i + d/2, the layout of LLaMA."""

    def rotate(x: Array, cos: Array, sin: Array) -> Array:
        a, b = np.split(x, 2, axis=-1)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)

    return Fault({"rotate": rotate})


@fault
def sine_sign_turned() -> Fault:
    """The sign of the sine is turned around in query, key and value."""
    return Fault({"rotate": lambda x, cos, sin: rotary.rotate(x, cos, -sin)})


@fault
def never_rotated() -> Fault:
    """Nothing is rotated."""
    return Fault({"rotate": lambda x, cos, sin: x})


@fault
def position_from_one() -> Fault:
    """Positions are counted from 1."""
    return Fault({"rotary_table": lambda positions, dim, dtype: rotary.rotary_table(positions + 1, dim, dtype)})


@fault
def only_the_query_turns() -> Fault:
    """The key is not rotated."""
    return self_attention(lambda parts, forward, weights: parts.update(key=parts["plain_key"]))


@fault
def bias_after_rotation() -> Fault:
    """The query's bias is added after its rotation."""

    def change(parts: dict[str, Array], forward: Any, weights: Any) -> None:
        bias = weights.query.bias.reshape(1, -1, 1, forward.config.head_dim)
        parts["query"] = forward.components.rotate(parts["plain_query"] - bias, *forward.rotation) + bias

    return self_attention(change)


@fault
def rotary_value_ignored() -> Fault:
    """The value is never rotated."""
    return self_attention(lambda parts, forward, weights: parts.update(value=parts["plain_value"]))


@fault
def value_always_turned() -> Fault:
    """The value is rotated whatever rotary_value says."""
    return Fault(config={"rotary_value": True})


@fault
def cached_keys_unturned() -> Fault:
    """The cache keeps keys from before their rotation."""
    return self_attention(lambda parts, forward, weights: parts.update(cached_key=parts["plain_key"]))


def _positions(positions_of: Callable[[Array], Array]) -> Fault:
    """Positions that depend on the mask; the last of them stand for the new tokens."""

    def prepare(inputs: Any, weights: Any, config: Any, components: Any, causal: bool) -> Any:
        forward = encoder_prepare(inputs, weights, config, components, causal)
        places = positions_of(inputs.attention_mask.astype(np.int64))[:, inputs.past_length :]
        tables = [components.rotary_table(row, config.head_dim, weights.embeddings.word.dtype) for row in places]
        rotation = tuple(np.stack(part)[:, None] for part in zip(*tables, strict=True))
        return dataclasses.replace(forward, rotation=rotation)

    return Fault(patches={"encoder._prepare": prepare})


@fault
def position_counts_tokens() -> Fault:
    """A position is the number of unmasked tokens before it."""
    return _positions(lambda mask: np.maximum(mask.cumsum(axis=1) - 1, 0))


@fault
def position_from_the_first_token() -> Fault:
    """Positions are counted from the first unmasked token."""
    return _positions(lambda mask: np.maximum(np.arange(mask.shape[1]) - mask.argmax(axis=1)[:, None], 0))


@fault
def cache_without_offset() -> Fault:
    """Every call starts at position 0, whatever is cached."""

    def prepare(inputs: Any, weights: Any, config: Any, components: Any, causal: bool) -> Any:
        forward = encoder_prepare(inputs, weights, config, components, causal)
        places = np.arange(inputs.token_type_ids.shape[1])
        rotation = components.rotary_table(places, config.head_dim, weights.embeddings.word.dtype)
        return dataclasses.replace(forward, rotation=rotation)

    return Fault(patches={"encoder._prepare": prepare})


@fault
def float32_frequencies() -> Fault:
    """The frequencies alone are rounded to float32; the angles are float64."""
    return _tables(lambda pair, dim: (10000.0 ** (-2.0 * pair / dim)).astype(np.float32).astype(np.float64))


@fault
def table_ends_at_512() -> Fault:
    """The table has BERT's 512 rows, and what lies beyond reads the last."""
    ending = lambda positions, dim, dtype: rotary.rotary_table(np.minimum(positions, 511), dim, dtype)  # noqa: E731
    return Fault({"rotary_table": ending})


@fault
def half_of_each_head_turned() -> Fault:
    """The first half of each head is rotated, the rest passes, as in GPT-NeoX."""

    def rotate(x: Array, cos: Array, sin: Array) -> Array:
        turned = -(-cos.shape[-1] // 2)
        right = rotary.rotate(x, cos, sin)
        return np.concatenate([right[..., : 2 * turned], x[..., 2 * turned :]], axis=-1)

    return Fault({"rotate": rotate})


@fault
def angles_of_the_hidden_size() -> Fault:
    """The exponent counts pairs of the hidden size: d is H, whatever the number of heads."""

    def prepare(inputs: Any, weights: Any, config: Any, components: Any, causal: bool) -> Any:
        forward = encoder_prepare(inputs, weights, config, components, causal)
        places = np.arange(inputs.past_length, inputs.attention_mask.shape[1])
        cos, sin = components.rotary_table(places, config.hidden_size, weights.embeddings.word.dtype)
        kept = config.head_dim // 2
        return dataclasses.replace(forward, rotation=(cos[:, :kept], sin[:, :kept]))

    return Fault(patches={"encoder._prepare": prepare})


@fault
class TablesSharedByLength(Fault):
    """Tables are cached by length and size of a head, and the type of the first model that asked serves all."""

    def __init__(self) -> None:
        kept: dict[Any, Any] = {}

        def table(positions: Array, head_dim: int, dtype: Any) -> Any:
            key = (len(positions), head_dim)
            kept.setdefault(key, rotary.rotary_table(positions, head_dim, dtype))
            return tuple(part.astype(dtype) for part in kept[key])

        super().__init__({"rotary_table": table})
