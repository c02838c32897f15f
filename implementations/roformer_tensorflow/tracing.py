"""Arguments of a call that is traced: in `tf.function`, under XLA, or in Keras' functional API (IN-9).

Shapes, types and names are checked while tracing; values, which are not known yet, by `guards` when the graph runs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from roformer_numpy.config import RoFormerConfig
from roformer_numpy.errors import InputError, InputTypeError

from .inputs import INTEGERS, as_tensor

FLAGS = ("output_attentions", "output_hidden_states")

Given = dict[str, Any]


class TracedInputError(InputError):
    """An InputError that AutoGraph can make again: it replaces errors whose constructor it does not know."""

    __init__ = Exception.__init__


class TracedInputTypeError(InputTypeError):
    """An InputTypeError of the same kind."""

    __init__ = Exception.__init__


@contextmanager
def surviving_autograph() -> Iterator[None]:
    """Let a `tf.function` that AutoGraph converts raise our errors as what they are."""
    try:
        yield
    except InputError as error:
        raise TracedInputError(str(error)) from error
    except InputTypeError as error:
        raise TracedInputTypeError(str(error)) from error


def is_traced(arguments: Any) -> bool:
    """Whether this call builds a graph instead of computing at once."""
    symbolic = any(isinstance(value, keras.KerasTensor) for value in keras.tree.flatten(arguments))
    return symbolic or not tf.executing_eagerly()


def traced(given: Given, config: RoFormerConfig, head: str, dtype: str, honour_call_flags: bool) -> Given:
    """The arguments of a traced call as tensors, and its switches.

    As documented, in a graph output_attentions and output_hidden_states come from the configuration and the result is
    no plain tuple; an argument that differs is named in one warning. `honour_call_flags` follows the argument instead.

    Raises:
        InputError, InputTypeError: what can be seen without values: missing arguments, ranks, lengths, types.
    """
    _check_sequence(given)
    tensors = {name: _tensor(name, value, dtype) for name, value in given.items()}
    _check_types(tensors)
    _check_shapes(tensors, config, head)
    if honour_call_flags:
        return tensors
    return {**tensors, **_documented_switches(given, config)}


def _tensor(name: str, value: Any, dtype: str) -> Any:
    if isinstance(value, bool | keras.KerasTensor) or name == "past_key_values" or tf.is_tensor(value):
        return value  # converted when the model runs, after its values were guarded
    return as_tensor(name, value, dtype)


def _check_types(tensors: Given) -> None:
    for name in tensors.keys() & set(INTEGERS):
        dtype = keras.backend.standardize_dtype(tensors[name].dtype)
        if "int" not in dtype:
            raise InputTypeError(f"{name} has dtype {dtype}, expected integers")


def _check_sequence(given: Given) -> None:
    present = [name for name in ("input_ids", "inputs_embeds") if name in given]
    if len(present) != 1:
        got = "both were given" if present else "neither was given"
        raise InputError(f"exactly one of input_ids and inputs_embeds is needed, {got}")


def _check_shapes(tensors: Given, config: RoFormerConfig, head: str) -> None:
    lead = 3 if head == "multiple_choice" else 2
    ranks = {"input_ids": lead, "attention_mask": lead, "token_type_ids": lead, "inputs_embeds": lead + 1}
    for name in ranks.keys() & tensors.keys():
        shape = _shape(tensors[name])
        if shape is not None and len(shape) != ranks[name]:
            raise InputError(f"{name} has shape {shape} of rank {len(shape)}, expected rank {ranks[name]}")
    shape = _shape(tensors["input_ids"] if "input_ids" in tensors else tensors["inputs_embeds"])
    _check_alike(tensors, shape, lead)
    seq_len = None if shape is None else shape[lead - 1]
    if seq_len is not None and not 1 <= seq_len <= config.max_position_embeddings:
        raise InputError(
            f"the sequence has seq_len {seq_len}, allowed are 1 to "
            f"max_position_embeddings={config.max_position_embeddings}"
        )


def _check_alike(tensors: Given, shape: tuple[int | None, ...] | None, lead: int) -> None:
    """Refuse token types, and without a cache a mask, of other lengths than the sequence where both are known."""
    cached = "past_key_values" in tensors
    for name in {"token_type_ids"} | (set() if cached else {"attention_mask"}):
        other = _shape(tensors[name]) if name in tensors else None
        for got, expected in zip(other or (), (shape or ())[:lead], strict=False):
            if got is not None and expected is not None and got != expected:
                raise InputError(f"{name} has shape {other}, expected {(shape or ())[:lead]}")


def _shape(tensor: Any) -> tuple[int | None, ...] | None:
    """What is known of a shape; a symbolic tensor of Keras has a plain tuple, one of TensorFlow perhaps no rank."""
    return None if getattr(tensor.shape, "rank", 0) is None else tuple(tensor.shape)


def _documented_switches(given: Given, config: RoFormerConfig) -> Given:
    documented = {name: getattr(config, name) for name in FLAGS} | {"return_dict": True}
    differing = [f"{name}={given[name]}" for name, value in documented.items() if given.get(name, value) != value]
    if differing:
        warnings.warn(
            f"{', '.join(differing)} has no effect in graph mode, where the configuration decides what is returned and "
            "the result is never a plain tuple; construct the model with honour_call_flags=True to follow the call",
            stacklevel=4,
        )
    return documented
