"""The arguments that only a decoder has: its cache, and the states of an encoder (DEC-5)."""

from __future__ import annotations

from typing import Any

from numpy.typing import DTypeLike

from ..config import RoFormerConfig
from ..errors import InputError, InputTypeError
from ..inputs import Cache
from ..weights import Array
from .arrays import expect_rank, expect_shape, floats, mask
from .binding import Arguments


def is_causal(config: RoFormerConfig, head: str) -> bool:
    """A causal language model always is; any other model as its configuration says (DEC-1.1, DEC-1.2)."""
    return head == "causal_lm" or config.is_decoder


def cache(given: Arguments, config: RoFormerConfig, head: str, dtype: DTypeLike, batch: int) -> Cache | None:
    """past_key_values as arrays of one length: a pair for each layer, four with cross-attention (DEC-5.3)."""
    if "past_key_values" not in given:
        return None
    if not is_causal(config, head):
        raise InputError(
            "past_key_values needs a decoder: is_decoder is False, and later tokens would change cached states"
        )
    layers = given["past_key_values"]
    if not isinstance(layers, list | tuple) or not all(isinstance(layer, list | tuple) for layer in layers):
        raise InputTypeError(
            f"past_key_values is a {type(layers).__name__}, expected a tuple of layers of (key, value)"
        )
    if len(layers) != config.num_hidden_layers:
        raise InputError(
            f"past_key_values has {len(layers)} layers, expected num_hidden_layers={config.num_hidden_layers}"
        )
    cached = tuple(_cached_layer(number, layer, config, dtype, batch) for number, layer in enumerate(layers))
    for axis, pairs in (
        ("past_len", [layer[:2] for layer in cached]),
        ("encoder_len", [layer[2:] for layer in cached]),
    ):
        lengths = {array.shape[2] for pair in pairs for array in pair}
        if len(lengths) > 1 or len({len(pair) for pair in pairs}) > 1:
            raise InputError(f"past_key_values has {axis} {sorted(lengths)} in its layers, expected one length in all")
    return cached


def _cached_layer(number: int, layer: Any, config: RoFormerConfig, dtype: DTypeLike, batch: int) -> tuple[Array, ...]:
    allowed = (2, 4) if config.add_cross_attention else (2,)
    if len(layer) not in allowed:
        raise InputError(
            f"past_key_values[{number}] has {len(layer)} arrays, allowed are {' or '.join(map(str, allowed))}"
        )
    arrays = tuple(floats(f"past_key_values[{number}][{part}]", array, dtype) for part, array in enumerate(layer))
    for part, array in enumerate(arrays):
        heads = len(config.kept_heads(number)) if part < 2 else config.num_attention_heads
        expect_rank(f"past_key_values[{number}][{part}]", array, ("batch", "heads", "length", "head_dim"))
        expected = (batch, heads, array.shape[2], config.head_dim)
        expect_shape(f"past_key_values[{number}][{part}]", array, expected, ("batch", "heads", "length", "head_dim"))
    return arrays


def encoder_states(
    given: Arguments, config: RoFormerConfig, cached: Cache | None, batch: int, dtype: DTypeLike
) -> dict[str, Any]:
    """encoder_hidden_states and its mask, where the configuration has a place for them (DEC-5.1, DEC-5.2)."""
    result: dict[str, Any] = {}
    length = cached[0][2].shape[2] if cached is not None and len(cached[0]) == 4 else None
    if "encoder_hidden_states" in given:
        if not config.add_cross_attention:
            raise InputError("encoder_hidden_states was given, but the configuration has add_cross_attention=False")
        states = floats("encoder_hidden_states", given["encoder_hidden_states"], dtype)
        expect_rank("encoder_hidden_states", states, ("batch", "encoder_len", "hidden_size"))
        length = states.shape[1] if length is None else length
        expected = (batch, max(length, 1), config.hidden_size)
        expect_shape("encoder_hidden_states", states, expected, ("batch", "encoder_len", "hidden_size"))
        result["encoder_hidden_states"] = states
    if "encoder_attention_mask" in given:
        if length is None:
            raise InputError("encoder_attention_mask was given without encoder_hidden_states")
        result["encoder_attention_mask"] = mask("encoder_attention_mask", given["encoder_attention_mask"])
        expect_shape(
            "encoder_attention_mask", result["encoder_attention_mask"], (batch, length), ("batch", "encoder_len")
        )
    return result
