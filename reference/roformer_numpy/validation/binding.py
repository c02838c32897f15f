"""Call styles: which argument is which, however a call was written (IN-1 to IN-4, ERR-8, ERR-11)."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Any, NoReturn

import numpy as np

from ..errors import InputError, InputTypeError, shown

INPUTS = ("input_ids", "attention_mask", "token_type_ids", "head_mask", "inputs_embeds")
SWITCHES = ("output_attentions", "output_hidden_states", "return_dict")
DECODER = ("encoder_hidden_states", "encoder_attention_mask", "past_key_values", "use_cache")
LANGUAGE_MODELS = ("masked_lm", "causal_lm")
LABELS = {"base": (), "question_answering": ("start_positions", "end_positions")}

Arguments = dict[str, Any]


@functools.cache
def argument_order(head: str) -> tuple[str, ...]:
    """The arguments of the model called `head` in their positional order (IN-1)."""
    return (*INPUTS, *SWITCHES, *LABELS.get(head, ("labels",)), "training")


@functools.cache
def keyword_only(head: str) -> tuple[str, ...]:
    """The arguments that have no position: the decoder's (DEC-5.4), the randomness of dropout, what to leave out."""
    decoder = DECODER if head in ("base", "causal_lm") else ()
    return (*decoder, *(("logits_at",) if head in LANGUAGE_MODELS else ()), "generator", "padding")


@functools.cache
def known_names(head: str) -> tuple[str, ...]:
    """All of them."""
    return (*argument_order(head), *keyword_only(head))


def bind(head: str, positional: tuple[Any, ...], named: Mapping[str, Any]) -> Arguments:
    """The arguments of one call by name; what is None counts as not given.

    The first positional argument is one input (an array, or a nested list of integers as deep as input_ids has axes),
    a list or tuple of inputs in the documented order with None for what is left out, or a mapping of names to inputs.

    Args:
        head: which model is called.
        positional: the call's positional arguments.
        named: its keyword arguments.

    Raises:
        InputTypeError: an unknown name, an argument given twice, too many arguments, or a type that is no input.

    Source: IN-1, IN-2, ERR-8, ERR-11.
    """
    order = argument_order(head)
    if len(positional) > len(order):
        raise InputTypeError(
            f"{len(positional)} positional arguments were given, at most {len(order)} are known: {order}"
        )
    first = _first_argument(head, positional[0], order) if positional else []
    given: Arguments = {}
    known = known_names(head)
    for name, value in (*first, *zip(order[1:], positional[1:], strict=False), *named.items()):
        if name not in known:
            _refuse_unknown(name, known)
        if value is None:
            continue
        if name in given:
            raise InputTypeError(f"{name} is given twice; pass it once, by position, in the container or by keyword")
        given[name] = value
    return given


def _first_argument(head: str, value: Any, order: tuple[str, ...]) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, np.ndarray):  # what most calls pass is looked at first
        return [("input_ids", value)]
    if isinstance(value, Mapping):
        return value.items()
    if not isinstance(value, list | tuple) or _is_nested_ids(value, 3 if head == "multiple_choice" else 2):
        return [("input_ids", value)]
    if not value:
        raise InputError("the list of inputs is empty; it holds input_ids, attention_mask, … in this order")
    if len(value) > len(order):
        raise InputTypeError(f"the list of inputs has {len(value)} items, at most {len(order)} are known: {order}")
    return zip(order, value, strict=False)


def _is_nested_ids(value: list[Any] | tuple[Any, ...], axes: int) -> bool:
    """Whether a list is itself input_ids (numbers at most `axes` deep) rather than a list of inputs."""
    depth = 0
    item: Any = value
    while isinstance(item, list | tuple) and depth <= axes:  # a list may hold itself
        if any(part is None for part in item):
            return False
        depth, item = depth + 1, item[0] if item else 0
    return depth <= axes and isinstance(item, Number | np.generic | str) and not (depth == 1 and not value)


def _refuse_unknown(name: object, known: tuple[str, ...]) -> NoReturn:
    close = difflib.get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    raise InputTypeError(f"{shown(name)} is not an argument of this model{hint} Its arguments are {', '.join(known)}")
