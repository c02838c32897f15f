"""ERR: bad input is an error that names argument, position, value and what is allowed; never a wrong number."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..precision import carried
from ..protocol import HEADS, Array, cache_of, is_unsupported
from ..registry import DECODER_HEADS, LOSS_HEADS, check
from ..strategies import Case
from ..trial import CACHED, Trial, Violation, expect, without_warnings

ARGUMENTS = ("input_ids", "attention_mask", "token_type_ids", "inputs_embeds")
TOKEN_LABELS = ("masked_lm", "causal_lm", "token_classification")
ROW_HEADS = tuple(head for head in HEADS if head != "multiple_choice")
# Ways to say that an argument was given twice, Python's own among them.
TWICE = ("twice", "again", "already", "both", "multiple values")
# What comes before labels and training in the documented order.
POSITIONS = (
    "input_ids", "attention_mask", "token_type_ids", "head_mask", "inputs_embeds", "output_attentions",
    "output_hidden_states", "return_dict",
)  # fmt: skip
Place = tuple[int, ...]


@check("ERR-1", "neither", heads="all", effort=0.2)
def neither_ids_nor_embeddings(trial: Trial, case: Case) -> None:
    """A call with neither input_ids nor inputs_embeds is an error that names both, as far as there are both."""
    changes = {"input_ids": None, "attention_mask": case.attention_mask()}
    _refuses_naming(trial, case, changes, ("input_ids", "inputs_embeds"))


@check("ERR-1", "both", heads="all", effort=0.2)
def both_ids_and_embeddings(trial: Trial, case: Case) -> None:
    """A call with both input_ids and inputs_embeds is an error that names both."""
    _refuses(trial, case, {"inputs_embeds": case.embeddings()}, "input_ids", "inputs_embeds")


@check("ERR-2", "ids", heads="all", effort=0.2)
def ids_outside_the_vocabulary(trial: Trial, case: Case) -> None:
    """An id below 0 or at vocab_size and above is an error that names input_ids, position, value and limit."""
    _refuses_values(trial, case, "input_ids", case.config["vocab_size"])


@check("ERR-3", "types", heads="all", effort=0.2)
def types_outside_the_table(trial: Trial, case: Case) -> None:
    """A token type below 0 or at type_vocab_size and above is an error that names position, value and limit."""
    _refuses_values(trial, case, "token_type_ids", case.config["type_vocab_size"])


@check("ERR-3", "every-type-works", effort=0.5, type_vocab_size=5)
def every_token_type_works(trial: Trial, case: Case) -> None:
    """Every token type below type_vocab_size works, also those above 1, and gives the oracle's outputs."""
    last = np.full(case.lead, case.config["type_vocab_size"] - 1)
    inputs = {**case.inputs(), "token_type_ids": last}
    trial.agrees(case, inputs, trial.call(trial.load(case), inputs))


@check("ERR-4.1", "no-tokens", heads="all", effort=0.2)
def an_empty_sequence(trial: Trial, case: Case) -> None:
    """A sequence without tokens is an error that names input_ids and the length 0."""
    ids = np.zeros((*case.lead[:-1], 0), np.int64)
    model = trial.load(case)
    trial.refuses(lambda: trial.call(model, {"input_ids": ids}), "input_ids", "0")


@check("ERR-4.2", "too-long", heads="all", effort=0.2)
def a_sequence_that_is_too_long(trial: Trial, case: Case) -> None:
    """One token more than max_position_embeddings is an error that names the length and the limit."""
    longest = case.config["max_position_embeddings"]
    model = trial.load(case)
    ids = np.zeros((*case.lead[:-1], longest + 1), np.int64)
    with without_warnings():
        trial.refuses(lambda: trial.call(model, {"input_ids": ids}), "input_ids", str(longest + 1), str(longest))


@check("ERR-4.2", "longest", effort=0.3)
def the_longest_sequence_works(trial: Trial, case: Case) -> None:
    """A sequence of exactly max_position_embeddings tokens works and gives the oracle's outputs."""
    longest = dataclasses.replace(case, seq_len=case.config["max_position_embeddings"])
    inputs = longest.inputs()
    trial.agrees(longest, inputs, trial.call(trial.load(longest), inputs))


@check("ERR-4.3", "cached", heads=DECODER_HEADS, effort=0.5, needs=("cache",), is_decoder=True, masks=("none",))
def cached_positions_count(trial: Trial, case: Case) -> None:
    """Cached and new tokens together beyond max_position_embeddings are an error that names the limit."""
    longest = case.config["max_position_embeddings"]
    model = trial.load(case)
    draw = case.generator("long")
    ids = draw.integers(0, case.config["vocab_size"], (case.batch, longest))
    cached = trial.call(model, {"input_ids": ids}, **CACHED)
    inputs = {"input_ids": ids[:, :1], "past_key_values": cache_of(cached)}
    trial.refuses(lambda: trial.call(model, inputs), "input_ids", str(longest))


@check("ERR-5.1", "rank", heads="all", effort=0.2)
def inputs_of_the_wrong_rank(trial: Trial, case: Case) -> None:
    """An input with another number of axes is an error that names it and its shape or rank."""
    inputs = {**case.inputs(), "attention_mask": np.ones(case.lead, np.int64)}
    for name, array in inputs.items():
        for wrong in (array[..., None], array[0]):
            _refuses(trial, case, {name: wrong}, name, _shown_rank(wrong))
    for wrong in (case.embeddings()[..., None], case.embeddings()[0]):
        _refuses(trial, case, {"input_ids": None, "inputs_embeds": wrong}, "inputs_embeds", _shown_rank(wrong))


@check("ERR-5.2", "shape", heads="all", effort=0.2, min_batch=2, min_seq_len=2)
def shapes_that_do_not_match(trial: Trial, case: Case) -> None:
    """A mask or types of another batch, length, or of axes of 1 that would broadcast are errors that name them."""
    for name in ("attention_mask", "token_type_ids"):
        right = np.ones(case.lead, np.int64)
        for wrong in (right[:1], right[..., :1], right[..., :-1], np.concatenate([right, right])):
            _refuses(trial, case, {name: wrong}, name, _shown(wrong.shape))


@check("ERR-5.2", "width", heads="all", effort=0.2)
def embeddings_of_another_width(trial: Trial, case: Case) -> None:
    """inputs_embeds whose last axis is not embedding_size is an error that names it and both widths."""
    width = case.config["embedding_size"]
    for wrong in (case.embeddings()[..., :-1], np.concatenate([case.embeddings()] * 2, axis=-1)):
        changes = {"input_ids": None, "inputs_embeds": wrong}
        _refuses(trial, case, changes, "inputs_embeds", str(wrong.shape[-1]), str(width))


@check("ERR-6", "no-integers", heads="all", effort=0.2)
def ids_that_are_no_integers(trial: Trial, case: Case) -> None:
    """Floating-point or bool input_ids or token_type_ids are errors that name the argument and its dtype."""
    for name in ("input_ids", "token_type_ids"):
        for dtype in ("float32", "float64", "bool"):
            _refuses(trial, case, {name: np.ones(case.lead, dtype)}, name, dtype)


@check("ERR-7", "mask-values", heads="all", effort=0.2)
def mask_values_other_than_0_and_1(trial: Trial, case: Case) -> None:
    """A mask value other than 0 and 1, −10000 beside zeros too, is an error that names attention_mask and where."""
    for value, dtype in ((2, "int64"), (-1, "int32"), (0.5, "float32"), (-10000.0, "float32")):
        # what is added to scores holds 0 for what is seen
        mask = np.full(case.lead, 0 if value < -1 else 1, dtype)
        place = _place(case, case.lead)
        mask[place] = value
        _refuses(trial, case, {"attention_mask": mask}, "attention_mask", _at(place), (str(value), f"{value:g}"))


@check("ERR-8.1", "unknown-keyword", heads="all", effort=0.2)
def unknown_keywords(trial: Trial, case: Case) -> None:
    """An unknown keyword is an error that names it and lists the allowed ones."""
    changes = {"attention_masks": np.ones(case.lead, np.int64)}
    _refuses_naming(trial, case, changes, ("attention_masks", *ARGUMENTS))


@check("ERR-8.1", "unknown-key", heads="all", effort=0.2, needs=("call_styles:dict",))
def unknown_keys(trial: Trial, case: Case) -> None:
    """An unknown key of the dict of inputs is an error that names it and lists the allowed ones."""
    changes = {"attention_masks": np.ones(case.lead, np.int64)}
    _refuses_naming(trial, case, changes, ("attention_masks", *ARGUMENTS), style="dict")


@check("ERR-8.2", "twice", heads="all", effort=0.2, needs=("call_styles:single",))
def an_argument_by_position_and_by_keyword(trial: Trial, case: Case) -> None:
    """input_ids by position and again by keyword are an error that names input_ids."""
    inputs, model = case.inputs(), trial.load(case)
    twice = {"input_ids": inputs["input_ids"]}
    trial.refuses(lambda: trial.call(model, inputs, style="single", **twice), "input_ids", TWICE)


@check("ERR-8.2", "twice-in-a-dict", heads="all", effort=0.2, needs=("call_styles:dict",))
def an_argument_in_the_dict_and_by_keyword(trial: Trial, case: Case) -> None:
    """An argument inside the dict, labels among them, and again by keyword is an error that names it."""
    inputs, model = {**case.inputs(), **case.labels()}, trial.load(case)
    for name, array in inputs.items():
        trial.refuses(lambda name=name, array=array: _call_dict(trial, model, inputs, name, array), name, TWICE)  # type: ignore[misc]


@check("ERR-8.3", "too-many-items", heads="all", effort=0.2, needs=("call_styles:items",))
def more_items_than_arguments(trial: Trial, case: Case) -> None:
    """A list with one item more than there are arguments is an error that tells how many it has, or may have."""
    ids, count = case.inputs()["input_ids"], len(positions(case.head))
    _refuses_items(trial, case, [ids, *[None] * (count - 1), ids], (str(count), str(count + 1)))


@check(
    "DEC-5.4", "no-position", heads=DECODER_HEADS, effort=0.3, needs=("call_styles:items", "cross_attention"),
    is_decoder=True, add_cross_attention=True,
)  # fmt: skip
def encoder_states_have_no_position(trial: Trial, case: Case) -> None:
    """What a decoder takes beside its inputs has no position: behind the last argument it is one item too many."""
    states = carried(case.encoder_states(), trial.dtype)
    count = len(positions(case.head))
    for item in (states, np.ones(states.shape[:2], np.int64), True):
        items = [case.inputs()["input_ids"], *[None] * (count - 1), item]
        _refuses_items(trial, case, items, (str(count), str(count + 1)))


@check("ERR-9.1", "token-labels", heads=TOKEN_LABELS, effort=0.5)
def token_labels_out_of_range(trial: Trial, case: Case) -> None:
    """A token label that is neither −100 nor a class is an error that names labels, position, value and limit."""
    classes = case.config["num_labels" if case.head == "token_classification" else "vocab_size"]
    _refuses_values(trial, case, "labels", classes, also=(-101, -99))


@check("ERR-9.2", "class-labels", heads=("sequence_classification", "multiple_choice"), effort=0.5)
def class_labels_out_of_range(trial: Trial, case: Case) -> None:
    """A label of a row that is no class, −100 included, is an error that names labels, position, value and limit."""
    classes = case.choices if case.head == "multiple_choice" else case.config["num_labels"]
    _refuses_values(trial, case, "labels", classes, also=(-100,))


@check("ERR-9.3", "label-rank", heads=LOSS_HEADS, effort=0.5, min_batch=2)
def labels_of_the_wrong_rank(trial: Trial, case: Case) -> None:
    """Labels with an axis too many, one of length 1 too, or one number for several rows are errors that name them."""
    for name, array in case.labels().items():
        one = array[(0,) * array.ndim]
        for wrong in (np.stack([array, array], axis=-1), array[..., None], one):
            _refuses(trial, case, {**case.labels(), name: wrong}, name, _shown_rank(wrong))


@check(
    "ERR-9.3", "one-number", heads=("sequence_classification", "multiple_choice", "question_answering"), effort=0.5,
)  # fmt: skip
def one_row_takes_one_number(trial: Trial, case: Case) -> None:
    """For a batch of one, labels of rank 0 mean what labels of shape (1,) mean."""
    single = dataclasses.replace(case, batch=1)
    inputs, labels, model = single.inputs(), single.labels(), trial.load(single)
    number = {name: array[0] for name, array in labels.items()}
    got, expected = trial.call(model, {**inputs, **number}), trial.call(model, {**inputs, **labels})
    trial.equals(f"{' and '.join(labels)} of rank 0", got, expected)


@check("ERR-9.4", "negative-span", heads=("question_answering",), effort=0.5)
def negative_span_positions(trial: Trial, case: Case) -> None:
    """A negative start or end position is an error that names the argument and the value."""
    for name, array in case.labels().items():
        wrong = array.copy()
        wrong[-1] = -1
        _refuses(trial, case, {**case.labels(), name: wrong}, name, "-1")


@check("ERR-10", "head-mask-shape", heads="all", effort=0.2, needs=("head_mask",))
def head_masks_of_another_shape(trial: Trial, case: Case) -> None:
    """A head_mask that is neither (heads,) nor (layers, heads) is an error that names it and its shape."""
    heads, layers = case.config["num_attention_heads"], case.config["num_hidden_layers"]
    for shape in ((heads + 1,), (layers + 1, heads), (layers, heads + 1), (layers, heads, 1), ()):
        _refuses(trial, case, {"head_mask": carried(np.ones(shape), trial.dtype)}, "head_mask", _shown(shape))


@check("ERR-11.1", "types", heads="all", effort=0.2, needs=("python_values",))
def values_that_are_no_input(trial: Trial, case: Case) -> None:
    """A string, a set or another object as an input is an error that names the argument and the type."""
    values: tuple[Any, ...] = ("hello world", {1, 2}, object())
    for value in values:
        for name in ("input_ids", "attention_mask", "token_type_ids"):
            _refuses(trial, case, {name: value}, name, type(value).__name__)


@check("ERR-11.2", "no-rows", heads="all", effort=0.5, masks=("none", "right"))
def an_empty_batch_works(trial: Trial, case: Case) -> None:
    """A batch of no rows gives the same outputs as any batch, without rows."""
    empty = dataclasses.replace(case, batch=0)
    model = trial.load(case)
    with without_warnings():
        got, full = trial.call(model, empty.inputs()), trial.call(model, case.inputs())
    expect(got.keys() == full.keys(), f"an empty batch gives {', '.join(got)}, expected {', '.join(full)}")
    for tap, array in full.items():
        shape = (0, *array.shape[1:])
        expect(got[tap].shape == shape, f"{tap} of an empty batch has shape {got[tap].shape}, expected {shape}")


@check("ERR-11.3", "nan", heads=ROW_HEADS, effort=0.4, masks=("none",), min_batch=2)
def nan_stays_in_its_row(trial: Trial, case: Case) -> None:
    """NaN in one row of inputs_embeds makes this row's outputs NaN and leaves every other row as it is."""
    clean, model = case.embeddings(), trial.load(case)
    row = case.seed % case.batch
    broken = clean.copy()
    broken[row, 0, 0] = np.nan
    others = np.arange(case.batch) != row
    with without_warnings():
        got, expected = trial.call(model, {"inputs_embeds": broken}), trial.call(model, {"inputs_embeds": clean})
    for tap, array in expected.items():
        trial.equals(f"NaN in row {row} of inputs_embeds", {tap: got[tap][others]}, {tap: array[others]})
        nan = bool(np.isnan(got[tap][row]).any())
        expect(nan, f"{tap}[{row}] holds no NaN, though inputs_embeds[{row}] does: it was replaced on the way")


def _refuses(
    trial: Trial, case: Case, changes: dict[str, Any], argument: str, *mentions: Any, style: str = "keywords"
) -> None:
    """The case's call with `changes` (None takes an argument away) is an error that says all of this."""
    inputs = {name: value for name, value in {**case.inputs(), **changes}.items() if value is not None}
    model = trial.load(case)
    with without_warnings():
        try:
            trial.refuses(lambda: trial.call(model, inputs, style=style), argument, *mentions)
        except Exception as error:
            if is_unsupported(error):
                expect_unsupported_anyway(trial, case, model, changes, error)
            raise


def _refuses_naming(
    trial: Trial, case: Case, changes: dict[str, Any], names: tuple[str, ...], style: str = "keywords"
) -> None:
    """The call with `changes` is an error that names all of these, but for arguments that are not there at all."""
    try:
        _refuses(trial, case, changes, *names, style=style)
    except Violation:
        model = trial.load(case)
        there = [name for name in names if name not in ARGUMENTS or _takes(trial, case, model, name)]
        if len(there) == len(names):
            raise
        _refuses(trial, case, changes, *there, style=style)


def _takes(trial: Trial, case: Case, model: Any, name: str) -> bool:
    """Whether an argument is there: right values of it are not Unsupported."""
    right = {"inputs_embeds": case.embeddings(), "attention_mask": case.attention_mask(), **case.inputs()}
    ids = {} if name == "inputs_embeds" else {"input_ids": right["input_ids"]}
    try:
        with without_warnings():
            trial.call(model, {**ids, name: right.get(name, np.zeros(case.lead, np.int64))})
    except Exception as error:
        return not is_unsupported(error)
    return True


def expect_unsupported_anyway(
    trial: Trial, case: Case, model: Any, changes: Mapping[str, Any], told: Exception
) -> None:
    """What answers bad input with Unsupported has to answer the right values of the same arguments so as well."""
    right = {**case.inputs(), **{name: array for name, array in case.labels().items() if name in changes}}
    right["attention_mask"] = case.attention_mask()
    if not changes.keys() <= right.keys():
        return
    try:
        trial.call(model, right)
    except Exception as error:
        if is_unsupported(error):
            return
        raise
    names = ", ".join(changes)
    expect(False, f"{names}: right values are supported, so that bad ones are an error and not Unsupported: {told}")


def positions(head: str) -> tuple[str, ...]:
    """The arguments that have a position, in their documented order (IN-1)."""
    labels = {"base": (), "question_answering": ("start_positions", "end_positions")}.get(head, ("labels",))
    return (*POSITIONS, *labels, "training")


def _refuses_items(trial: Trial, case: Case, items: list[Any], *mentions: Any) -> None:
    """A call by a list of these values is an error that says all of this."""
    model = trial.load(case)
    named = {str(number): item for number, item in enumerate(items)}
    trial.refuses(lambda: trial.call(model, named, style="items"), *mentions)


def _refuses_values(trial: Trial, case: Case, name: str, count: int, also: tuple[int, ...] = (-1,)) -> None:
    """Values outside [0, count) at one place of the argument `name`."""
    right = {**case.inputs(), **case.labels()}[name]
    place = _place(case, right.shape)
    for value in {*also, -1, count, count + 1000}:
        wrong = right.copy()
        wrong[place] = value
        _refuses(trial, case, {name: wrong}, name, _at(place), str(value), (str(count - 1), str(count)))


def _place(case: Case, shape: tuple[int, ...]) -> Place:
    draw = case.generator("place")
    return tuple(int(draw.integers(0, length)) for length in shape)


def _at(place: Place) -> tuple[str, ...]:
    """The ways to write a position."""
    return tuple(separator.join(map(str, place)) for separator in (", ", ",", "][", " "))


def _shown(shape: tuple[int, ...]) -> tuple[str, ...]:
    """The ways to write a shape."""
    return (str(shape), str(list(shape)), ", ".join(map(str, shape)) or "()", "x".join(map(str, shape)) or "scalar")


def _shown_rank(array: Array) -> tuple[str, ...]:
    """The ways to write a shape or its rank."""
    return (*_shown(array.shape), f"rank {array.ndim}", f"{array.ndim} axes", f"{array.ndim} dim", f"{array.ndim}D")


def _call_dict(trial: Trial, model: Any, inputs: dict[str, Array], name: str, array: Array) -> Any:
    return trial.call(model, inputs, style="dict", **{name: array})
