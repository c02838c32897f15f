"""From a call as somebody wrote it to named tensors (IN-1 to IN-5, ERR).

Which argument is which, and what values are allowed, is decided by the rules that the whole project shares
(`roformer_numpy.validation`); they read arrays and compute nothing. What a model then computes on are tensors of the
caller's own, so that gradients flow back to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from roformer_numpy.config import RoFormerConfig
from roformer_numpy.errors import InputTypeError
from roformer_numpy.validation import bind, validate

SWITCHES = ("output_attentions", "output_hidden_states", "return_dict", "use_cache")
INTEGERS = ("input_ids", "token_type_ids", "start_positions", "end_positions")
MASKS = ("attention_mask", "encoder_attention_mask")
FLOATS = ("inputs_embeds", "head_mask", "encoder_hidden_states")


def bound(head: str, positional: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of one call by name; None counts as not given (IN-2, ERR-8)."""
    if "generator" in named:
        raise InputTypeError("generator is not an argument of this model; set_seed sets dropout's randomness")
    return bind(head, positional, named)


def checked(given: dict[str, Any], config: RoFormerConfig, head: str, dtype: str) -> dict[str, Any]:
    """The arguments of an eager call as tensors, and its switches, after every rule was checked (ERR-1 to ERR-11).

    Raises:
        InputError, InputTypeError: naming argument, position, value and what is allowed.
    """
    inputs = validate(given, config, head, dtype)
    tensors = {name: as_tensor(name, value, dtype) for name, value in given.items() if name not in SWITCHES}
    known = SWITCHES if head in ("base", "causal_lm") else SWITCHES[:-1]
    return tensors | {name: getattr(inputs, name) for name in known}


def as_tensor(name: str, value: Any, dtype: str) -> Any:
    """The value of an argument as a tensor of the type that the model computes in; a cache stays nested tuples."""
    if name == "past_key_values":
        return tuple(tuple(as_tensor("key or value", part, dtype) for part in layer) for layer in value)
    if name == "training":
        return bool(value)
    tensor = value if tf.is_tensor(value) else tf.constant(_plain(value))
    if name in MASKS:
        return tf.not_equal(tensor, tf.zeros_like(tensor))
    if name in INTEGERS or (name == "labels" and tensor.dtype.is_integer):
        return tf.cast(tensor, tf.int64)
    return tf.cast(tensor, dtype)


def _plain(value: Any) -> Any:
    """A copy as an array, in a type that TensorFlow knows."""
    array = np.array(value.numpy() if isinstance(value, tf.Variable) else value)
    return array.astype(np.float32) if array.dtype.kind == "V" else array
