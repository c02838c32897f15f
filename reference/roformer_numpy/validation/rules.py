"""The rules between the arguments of one call: from bound names to `Inputs` that any arithmetic can trust (ERR).

Every rule stands in front of every kernel and costs a few passes over arrays of ids.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..config import RoFormerConfig
from ..errors import InputError, InputTypeError, shown
from ..inputs import Inputs
from ..weights import Array
from .arrays import expect_rank, expect_shape, floats, integers, mask, reals
from .binding import Arguments
from .decoder import cache, encoder_states, is_causal
from .labels import labels_of
from .left_out import computed_positions, logits_at

Shape = tuple[int, ...]

# What most calls consist of; what else may be given has its rules, and what is not given need not be looked for.
TEXT = frozenset({"input_ids", "attention_mask", "token_type_ids"})

SEQUENCE_AXES = ("batch", "seq_len")
CHOICE_AXES = ("batch", "choices", "seq_len")


def validate(given: Arguments, config: RoFormerConfig, head: str, dtype: DTypeLike) -> Inputs:
    """The inputs of one call, complete and in range.

    Args:
        given: what `bind` returned; nothing in it is None.
        config: sizes, and the defaults of the switches.
        head: which model is called.
        dtype: floating-point type of the model.

    Raises:
        InputError, InputTypeError: naming argument, position, value and what is allowed.

    Source: IN-1 to IN-8, ERR-1 to ERR-11, DEC-5.
    """
    axes = CHOICE_AXES if head == "multiple_choice" else SEQUENCE_AXES
    name, sequence = _sequence(given, config, axes, dtype)
    lead = sequence.shape[: len(axes)]
    batch, seq_len = lead[0], lead[-1]
    cached = cache(given, config, head, dtype, batch)
    past = cached[0][0].shape[2] if cached else 0
    _refuse_too_long(name, seq_len, past, config)
    token_types = _token_type_ids(given, config, lead, axes)
    attention_mask = _attention_mask(given, (*lead[:-1], past + seq_len), axes)
    if len(lead) == 2 and TEXT.issuperset(given):
        return Inputs(sequence, None, attention_mask, token_types, **_asked_by(config, head))
    inputs = Inputs(
        # choices become rows of the batch; for every other model these shapes stay as they are
        input_ids=sequence.reshape(-1, seq_len) if name == "input_ids" else None,
        inputs_embeds=sequence.reshape(-1, *sequence.shape[-2:]) if name == "inputs_embeds" else None,
        token_type_ids=token_types.reshape(-1, seq_len),
        attention_mask=attention_mask.reshape(-1, past + seq_len),
        head_mask=_head_mask(given, config, dtype),
        past_key_values=cached,
        num_choices=lead[1] if head == "multiple_choice" else None,
        **encoder_states(given, config, cached, batch, dtype),
        logits_at=logits_at(given, lead),
        **labels_of(given, config, head, lead, dtype),
        **_switches(given, config, head),
    )
    computed = computed_positions(given, inputs, config, head)
    return inputs if computed is None else dataclasses.replace(inputs, computed=computed)


def _sequence(given: Arguments, config: RoFormerConfig, axes: tuple[str, ...], dtype: DTypeLike) -> tuple[str, Array]:
    """input_ids or inputs_embeds, exactly one of them, with the name of the one."""
    present = [name for name in ("input_ids", "inputs_embeds") if name in given]
    if len(present) != 1:
        got = "both were given" if present else "neither was given"
        raise InputError(f"exactly one of input_ids and inputs_embeds is needed, {got}")
    name = present[0]
    if name == "input_ids":
        array: Array = integers(name, given[name], 0, config.vocab_size - 1)
    else:
        array, axes = floats(name, given[name], dtype), (*axes, "embedding_size")
    expect_rank(name, array, axes)
    if name == "inputs_embeds":
        expect_shape(name, array, (*array.shape[:-1], config.embedding_size), axes)
    if 0 in array.shape[1:]:
        axis = axes[array.shape.index(0, 1)]
        raise InputError(f"{name} has shape {array.shape}: {axis} is 0, allowed are 1 and above")
    return name, array


def _refuse_too_long(name: str, seq_len: int, past: int, config: RoFormerConfig) -> None:
    if past + seq_len > config.max_position_embeddings:
        cached = f" after {past} cached positions" if past else ""
        raise InputError(
            f"{name} has seq_len {seq_len}{cached}, allowed are 1 to "
            f"max_position_embeddings={config.max_position_embeddings} in all"
        )


def _token_type_ids(given: Arguments, config: RoFormerConfig, lead: Shape, axes: tuple[str, ...]) -> Array:
    if "token_type_ids" not in given:
        return np.zeros(lead, np.int64)
    ids = integers("token_type_ids", given["token_type_ids"], 0, config.type_vocab_size - 1)
    expect_shape("token_type_ids", ids, lead, axes)
    return ids


def _attention_mask(given: Arguments, shape: Shape, axes: tuple[str, ...]) -> Array:
    if "attention_mask" not in given:
        return np.ones(shape, bool)
    attention_mask = mask("attention_mask", given["attention_mask"])
    expect_shape("attention_mask", attention_mask, shape, (*axes[:-1], "seq_len with what is cached"))
    return attention_mask


def _head_mask(given: Arguments, config: RoFormerConfig, dtype: DTypeLike) -> Array | None:
    if "head_mask" not in given:
        return None
    heads, layers = config.num_attention_heads, config.num_hidden_layers
    head_mask = reals("head_mask", given["head_mask"], dtype, 0, 1)
    if head_mask.shape not in ((heads,), (layers, heads)):
        raise InputError(
            f"head_mask has shape {head_mask.shape}, expected {(heads,)} = (num_attention_heads,) or "
            f"{(layers, heads)} = (num_hidden_layers, num_attention_heads)"
        )
    return np.broadcast_to(head_mask, (layers, heads))


def _switches(given: Arguments, config: RoFormerConfig, head: str) -> dict[str, Any]:
    """The booleans of the call, their defaults from the configuration, and the randomness that training needs."""
    causal, defaults = is_causal(config, head), {**_asked_by(config, head), "training": False}
    switches = {name: _switch(name, given.get(name, default)) for name, default in defaults.items()}
    if switches["use_cache"] and not causal:
        raise InputError(
            "use_cache=True needs a decoder: is_decoder is False, and later tokens would change cached states"
        )
    training = switches.pop("training")
    # what was given is checked in every case; a fresh one, which asks the system for randomness, is made for training
    generator = generator_of(given.get("generator")) if training or "generator" in given else None
    return {**switches, "generator": generator if training else None}


def _asked_by(config: RoFormerConfig, head: str) -> dict[str, Any]:
    """What a call asks for that does not say."""
    return {
        "output_attentions": config.output_attentions,
        "output_hidden_states": config.output_hidden_states,
        "return_dict": config.return_dict,
        "use_cache": config.use_cache and config.is_decoder and head in ("base", "causal_lm"),
    }


def _switch(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise InputTypeError(f"{name} is {shown(value)}, expected True, False or None")
    return bool(value)


def generator_of(value: Any) -> np.random.Generator:
    """The Generator that `value` is, or that it seeds; None seeds a fresh one."""
    try:
        return np.random.default_rng(value)
    except (TypeError, ValueError) as error:
        raise InputTypeError(f"generator is {shown(value)}, expected a numpy.random.Generator or a seed ≥ 0") from error
