"""IN: the many ways to write one call."""

from __future__ import annotations

from collections import OrderedDict, UserDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..precision import carried
from ..protocol import Array, Model
from ..registry import LOSS_HEADS, check
from ..strategies import Case
from ..trial import TRACES, Trial, expect

INTEGER_TYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
MASK_TYPES = ("bool", "int8", "int32", "int64", "uint8", "float16", "float32", "float64")


def _read_only(array: Array) -> Array:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


# The same numbers in another place or order of memory.
LAYOUTS: Mapping[str, Callable[[Array], Array]] = {
    "non-contiguous": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "reversed in memory": lambda array: np.ascontiguousarray(array[..., ::-1])[..., ::-1],
    "column-major": np.asfortranarray,
    "read-only": _read_only,
}


@check("IN-1", "order", heads="all", effort=0.3, needs=("call_styles:list",))
def positions_have_the_documented_order(trial: Trial, case: Case) -> None:
    """A list that holds every argument in the documented order equals the call by keywords, bit for bit."""
    inputs = {**_full(case), **TRACES, "return_dict": True, "training": False}
    _equal_to_keywords(trial, case, "list", inputs)


@check("IN-2.1", "list", heads="all", effort=0.3, needs=("call_styles:list",))
def lists_equal_keywords(trial: Trial, case: Case) -> None:
    """A list of any length, with None where something is left out, equals the call by keywords, bit for bit."""
    for inputs in _prefixes_and_holes(case):
        _equal_to_keywords(trial, case, "list", inputs)


@check("IN-2.1", "tuple", heads="all", effort=0.3, needs=("call_styles:tuple",))
def tuples_equal_keywords(trial: Trial, case: Case) -> None:
    """A tuple of any length, with None where something is left out, equals the call by keywords, bit for bit."""
    for inputs in _prefixes_and_holes(case):
        _equal_to_keywords(trial, case, "tuple", inputs)


@check("IN-2.1", "one-tensor", heads="all", effort=0.3, needs=("call_styles:single",))
def one_tensor_equals_keywords(trial: Trial, case: Case) -> None:
    """input_ids alone by position equals input_ids alone by keyword, bit for bit."""
    _equal_to_keywords(trial, case, "single", {"input_ids": case.inputs()["input_ids"]})


@check("IN-2.2", "dict", heads="all", effort=0.3, needs=("call_styles:dict",))
def dicts_equal_keywords(trial: Trial, case: Case) -> None:
    """A dict equals the call by keywords, bit for bit, whatever the order of its keys."""
    inputs = _full(case)
    _equal_to_keywords(trial, case, "dict", inputs)
    _equal_to_keywords(trial, case, "dict", dict(reversed(inputs.items())))


@check("IN-2.2", "other-mappings", effort=0.5, needs=("call_styles:dict", "python_values"))
def other_mappings_equal_keywords(trial: Trial, case: Case) -> None:
    """An OrderedDict or a UserDict equals the call by keywords, bit for bit."""
    for kind in (OrderedDict, UserDict):
        mapping: Any = kind(case.inputs())
        _equal_to_keywords(trial, case, "dict", mapping, f"a {kind.__name__}")


@check("IN-2.3", "mixture", heads="all", effort=0.3, needs=("call_styles:single",))
def one_tensor_and_keywords_equal_keywords(trial: Trial, case: Case) -> None:
    """input_ids by position and everything else by keyword equal the call by keywords, bit for bit."""
    _equal_to_keywords(trial, case, "single", _full(case), "one tensor and keywords")


@check("IN-3", "embeddings-alone", heads="all", effort=0.4)
def keywords_work_without_ids(trial: Trial, case: Case) -> None:
    """inputs_embeds by keyword, without input_ids, gives the oracle's outputs."""
    inputs = {**_full(case), "inputs_embeds": case.embeddings()}
    del inputs["input_ids"]
    trial.agrees(case, inputs, trial.call(trial.load(case), inputs, **TRACES), TRACES)


@check("IN-4.1", "memory-layout", effort=0.5, needs=("python_values",), min_batch=2, min_seq_len=3)
def memory_layout_does_not_matter(trial: Trial, case: Case) -> None:
    """Non-contiguous, reversed, column-major and read-only arrays give the same result, bit for bit."""
    _equal_with_other_arrays(trial, case, case.inputs(), LAYOUTS)


@check("IN-4.2", "integer-types", effort=0.5)
def every_integer_type_is_equal(trial: Trial, case: Case) -> None:
    """input_ids and token_type_ids of every integer dtype that holds them give the same result, bit for bit."""
    inputs = {name: array for name, array in case.inputs().items() if name != "attention_mask"}
    largest = max(int(array.max(initial=0)) for array in inputs.values())
    types = {name: _caster(name) for name in INTEGER_TYPES if largest <= np.iinfo(name).max}
    _equal_with_other_arrays(trial, case, inputs, types)


@check("IN-4.3", "inputs-stay", heads="all", effort=0.3, needs=("python_values",))
def inputs_are_not_changed(trial: Trial, case: Case) -> None:
    """A call changes no array that it was given: ids, labels, embeddings, nor a mask of integers or of floats."""
    model, mask = trial.load(case), case.attention_mask()
    for inputs in (
        _full(case),
        {**_full(case), "attention_mask": mask.astype(np.float32)},
        {"inputs_embeds": case.embeddings(), "attention_mask": mask},
    ):
        expect_kept(trial, model, inputs)


@check("IN-4.3", "mapping-stays", heads="all", effort=0.3, needs=("call_styles:dict", "python_values"))
def mappings_are_not_changed(trial: Trial, case: Case) -> None:
    """A call takes nothing out of a dict that it was given, and puts nothing in."""
    inputs = _full(case)
    names = list(inputs)
    trial.call(trial.load(case), inputs, style="dict")
    expect(list(inputs) == names, f"the dict of inputs holds {list(inputs)} after the call, expected {names}")


@check("IN-4.4", "nested-lists", heads="all", effort=0.3, needs=("python_values",))
def nested_lists_equal_arrays(trial: Trial, case: Case) -> None:
    """Nested Python lists of integers equal the arrays of the same numbers, bit for bit."""
    inputs = case.inputs()
    _equal_with_other_arrays(trial, case, inputs, {"nested lists": lambda array: array.tolist()})


@check("IN-4.4", "nested-list-first", heads="all", effort=0.3, needs=("python_values", "call_styles:single"))
def a_nested_list_is_one_input(trial: Trial, case: Case) -> None:
    """A nested list of integers as first positional argument is input_ids, not a list of inputs."""
    ids = case.inputs()["input_ids"]
    model = trial.load(case)
    got = trial.call(model, {"input_ids": ids.tolist()}, style="single")
    trial.equals("input_ids as a nested list by position", got, trial.call(model, {"input_ids": ids}))


@check("IN-5.1", "mask-types", heads="all", effort=0.4, masks=("right", "left", "irregular"), min_seq_len=3)
def mask_types_are_equal(trial: Trial, case: Case) -> None:
    """attention_mask of integers, bool or floats with values 0 and 1 gives the same result, bit for bit."""
    inputs, model = case.inputs(), trial.load(case)
    expected = trial.call(model, inputs, **TRACES)
    for name in MASK_TYPES:
        got = trial.call(model, {**inputs, "attention_mask": inputs["attention_mask"].astype(name)}, **TRACES)
        trial.equals(f"attention_mask of dtype {name}", got, expected)


@check("IN-5.2", "absent-mask", heads="all", effort=0.3, masks=("none",), min_seq_len=3)
def an_absent_mask_means_ones(trial: Trial, case: Case) -> None:
    """attention_mask left out means ones, also where the ids are the padding token's."""
    inputs = case.inputs()
    inputs["input_ids"][..., -1] = 0
    ones = {**inputs, "attention_mask": np.ones(case.lead, np.int64)}
    _absent_means(trial, case, "attention_mask", inputs, ones)


@check("IN-5.2", "absent-types", heads="all", effort=0.3)
def absent_types_mean_zeros(trial: Trial, case: Case) -> None:
    """token_type_ids left out means zeros."""
    zeros = {**case.inputs(), "token_type_ids": np.zeros(case.lead, np.int64)}
    absent = {name: array for name, array in zeros.items() if name != "token_type_ids"}
    _absent_means(trial, case, "token_type_ids", absent, zeros)


@check("IN-6.1", "width")
def embeddings_have_the_embedding_size(trial: Trial, case: Case) -> None:
    """inputs_embeds of shape (batch, seq_len, embedding_size) works where embedding_size is not hidden_size."""
    narrow = case.with_config(embedding_size=case.config["hidden_size"] + 3)
    inputs = {"inputs_embeds": narrow.embeddings()}
    trial.agrees(narrow, inputs, trial.call(trial.load(narrow), inputs, **TRACES), TRACES)


@check("IN-6.2", "rows-of-the-table", heads="all", effort=0.4)
def embeddings_replace_the_lookup(trial: Trial, case: Case) -> None:
    """inputs_embeds = W[input_ids] equals input_ids: token types, LayerNorm and projection still follow."""
    weights, inputs = trial.weights(case), case.inputs()
    table = next(array for name, array in weights.items() if name.endswith("word_embeddings.weight"))
    given = {**inputs, "inputs_embeds": carried(table[inputs["input_ids"]], trial.dtype)}
    del given["input_ids"]
    model = trial.load(case)
    got, expected = trial.call(model, given, **TRACES), trial.call(model, inputs, **TRACES)
    trial.match("inputs_embeds = W[input_ids]", got, expected, case, inputs, options=TRACES)


@check("IN-7", "choices-are-alone", heads=("multiple_choice",), effort=0.4, min_seq_len=3)
def choices_do_not_see_each_other(trial: Trial, case: Case) -> None:
    """The logit of a choice is that of a call with this choice alone: ids, mask and types are split by choice."""
    inputs, model = case.inputs(), trial.load(case)
    together = trial.call(model, inputs)["logits"]
    shape = (case.batch, case.choices)
    expect(together.shape == shape, f"logits has shape {together.shape}, expected {shape} = (batch, choices)")
    for choice in range(case.choices):
        alone = trial.call(model, {name: array[:, choice : choice + 1] for name, array in inputs.items()})["logits"]
        what = f"choice {choice} of input_ids, attention_mask and token_type_ids alone"
        trial.close(what, alone[:, 0], together[:, choice], case, inputs, "logits", _column(choice))


@check("IN-8.1", "labels-in-a-dict", heads=LOSS_HEADS, effort=0.5, needs=("call_styles:dict",))
def labels_may_be_in_the_dict(trial: Trial, case: Case) -> None:
    """Labels in the dict of inputs, by keyword beside it, and among keywords give the same loss, bit for bit."""
    inputs, labels, model = case.inputs(), case.labels(), trial.load(case)
    expected = trial.call(model, {**inputs, **labels})
    expect("loss" in expected, f"{' and '.join(labels)} by keyword gave no loss")
    trial.equals("labels in the dict", trial.call(model, {**inputs, **labels}, style="dict"), expected)
    trial.equals("labels beside the dict", trial.call(model, inputs, style="dict", **labels), expected)


def _full(case: Case) -> dict[str, Array]:
    return {**case.inputs(), **case.labels()}


def _prefixes_and_holes(case: Case) -> list[dict[str, Any]]:
    """Calls whose lists are short, or have holes in the middle or at the start."""
    ids, types = case.inputs()["input_ids"], case.inputs()["token_type_ids"]
    return [
        {"input_ids": ids},
        {"input_ids": ids, "attention_mask": case.attention_mask()},
        {"input_ids": ids, "token_type_ids": types, **case.labels()},
        {"inputs_embeds": case.embeddings(), "output_hidden_states": True},
        _full(case),
    ]


def _equal_to_keywords(trial: Trial, case: Case, style: str, inputs: Any, what: str = "") -> None:
    model = trial.load(case)
    got, expected = trial.call(model, inputs, style=style), trial.call(model, dict(inputs))
    trial.equals(f"{what or f'a {style}'} of {', '.join(inputs)}", got, expected)


def _equal_with_other_arrays(
    trial: Trial, case: Case, inputs: dict[str, Array], kinds: Mapping[str, Callable[[Array], Any]]
) -> None:
    """The result stays the same when all arrays, and when one of them, are made over."""
    model = trial.load(case)
    expected = trial.call(model, inputs)
    for kind, change in kinds.items():
        for name in (*inputs, None):
            given = {key: change(array) if name in (key, None) else array for key, array in inputs.items()}
            trial.equals(f"{name or 'every input'} as {kind}", trial.call(model, given), expected)


def _absent_means(trial: Trial, case: Case, name: str, absent: dict[str, Any], default: dict[str, Any]) -> None:
    """An argument left out is None exactly, and its default up to rounding: another path may be taken."""
    model = trial.load(case)
    got = trial.call(model, absent, **TRACES)
    trial.equals(f"{name}=None", trial.call(model, {**absent, name: None}, **TRACES), got)
    trial.match(f"{name} left out", got, trial.call(model, default, **TRACES), case, default, options=TRACES)


def _caster(name: str) -> Callable[[Array], Array]:
    return lambda array: array.astype(name)


def _column(number: int) -> Callable[[Array], Array]:
    return lambda array: array[:, number]


def expect_kept(trial: Trial, model: Model, inputs: dict[str, Any], **options: Any) -> None:
    """The call changes none of the arrays among its arguments."""
    arrays = {name: array for name, array in inputs.items() if name != "past_key_values"}
    before = {name: array.copy() for name, array in arrays.items()}
    trial.call(model, inputs, **TRACES, **options)
    trial.equals("an argument was changed by the call", arrays, before)
