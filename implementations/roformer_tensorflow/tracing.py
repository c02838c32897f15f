"""Arguments of a call that is traced: in `tf.function`, under XLA, or in Keras' functional API (IN-9).

Shapes, types and names are checked while tracing, and so are values that are concrete; values that are not known yet
are checked by `guards` when the graph runs.
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
from roformer_numpy.validation import validate

from .inputs import as_tensor
from .shapes import check_shapes, check_types

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


def has_symbols(arguments: Any) -> bool:
    """Whether some argument stands for values that a graph learns when it runs: a variable's may change until then."""
    return any(
        isinstance(value, tf.Variable | keras.Variable) or _is_symbol(value) for value in keras.tree.flatten(arguments)
    )


def is_traced(arguments: Any) -> bool:
    """Whether this call builds a graph instead of computing at once."""
    return not tf.executing_eagerly() or any(_is_symbol(value) for value in keras.tree.flatten(arguments))


def traced(given: Given, config: RoFormerConfig, head: str, dtype: str, honour_call_flags: bool) -> Given:
    """The arguments of a traced call as tensors, and its switches.

    As documented, in a graph output_attentions and output_hidden_states come from the configuration and the result is
    no plain tuple; an argument that differs is named in one warning. `honour_call_flags` follows the argument instead.

    Raises:
        InputError, InputTypeError: what can be seen without values (missing arguments, ranks, lengths, types), and
            values that are concrete.
    """
    _check_sequence(given)
    _check_concrete(given, config, head, dtype)
    tensors = {name: _tensor(name, value, dtype) for name, value in given.items()}
    check_types(tensors, config, head)
    check_shapes(tensors, config, head)
    if honour_call_flags:
        return tensors
    switches, complaint = documented_switches(given, config)
    if complaint:
        warnings.warn(complaint, stacklevel=3)
    return {**tensors, **switches}


def documented_switches(given: Given, config: RoFormerConfig) -> tuple[Given, str]:
    """The switches that count in a graph, and what to tell a caller whose own differ; "" where they do not (IN-9)."""
    documented = {name: getattr(config, name) for name in FLAGS} | {"return_dict": True}
    differing = [f"{name}={given[name]}" for name, value in documented.items() if given.get(name, value) != value]
    complaint = (
        f"{', '.join(differing)} has no effect in graph mode, where the configuration decides what is returned and "
        "the result is never a plain tuple; construct the model with honour_call_flags=True to follow the call"
    )
    return documented, complaint if differing else ""


def _is_symbol(value: Any) -> bool:
    return isinstance(value, keras.KerasTensor) or bool(tf.is_symbolic_tensor(value))


def _check_concrete(given: Given, config: RoFormerConfig, head: str, dtype: str) -> None:
    """Refuse wrong values that are known already, where the sequence itself is: the rules begin with it."""
    known = {name: value for name, value in given.items() if not has_symbols(value)}
    if "start_positions" not in known or "end_positions" not in known:
        known = {name: value for name, value in known.items() if not name.endswith("_positions")}
    if "input_ids" in known or "inputs_embeds" in known:
        validate(known, config, head, dtype)


def _tensor(name: str, value: Any, dtype: str) -> Any:
    if isinstance(value, bool | keras.KerasTensor) or name == "past_key_values" or tf.is_tensor(value):
        return value  # converted when the model runs, after its values were guarded
    return as_tensor(name, value, dtype)


def _check_sequence(given: Given) -> None:
    present = [name for name in ("input_ids", "inputs_embeds") if name in given]
    if len(present) != 1:
        got = "both were given" if present else "neither was given"
        raise InputError(f"exactly one of input_ids and inputs_embeds is needed, {got}")
