"""Bad input is refused by name, position, value and rule, and never reaches the arithmetic (ERR).

Every refusal below comes from a model whose arithmetic fails the test when it is touched.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, UserDict
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roformer_numpy import InputError, InputTypeError, RoFormerError
from roformer_numpy.components import Components

from ..support import HEADS, MODELS, Call, config_of, good_call, lead_of, position_order, strong_weights
from .bad_calls import BY_NAME_ONLY, POSITIONAL, Bad


def _poison(*args: object, **kwargs: object) -> Any:
    raise AssertionError("a bad call reached the arithmetic")


POISON = Components(
    name="poison", **{item.name: _poison for item in dataclasses.fields(Components) if item.name != "name"}
)


STYLES: dict[str, Callable[[Any, Call], Any]] = {
    "keywords": lambda model, call: model(**call),
    "dict": lambda model, call: model(call),
    "list": lambda model, call: model([call.get(name) for name in position_order(model.head)]),
    "positions": lambda model, call: model(*(call.get(name) for name in position_order(model.head))),
}


@cache
def poisoned(head: str, **changes: Any) -> Any:
    """A model that may not compute."""
    config = config_of(**changes)
    return MODELS[head].from_weights(config, strong_weights(config, head), dtype="float64", components=POISON)


def refused(case: Bad, head: str, style: str) -> str:
    """The message of a refusal, which is one of our errors and of the kind that the case asks for."""
    model = poisoned(head, **case.config)
    call = case.spoil(good_call(head, model.config), head)
    with pytest.raises(RoFormerError) as caught:
        STYLES[style](model, call)
    assert isinstance(caught.value, case.error), f"{type(caught.value).__name__}: {caught.value}"
    assert isinstance(caught.value, ValueError | TypeError)
    return str(caught.value)


def each_head(cases: list[Bad]) -> list[Any]:
    """A test for each case and head."""
    return [pytest.param(case, head, id=f"{case.id}-{head}") for case in cases for head in case.heads]


def in_a_list(cases: list[Bad]) -> list[Any]:
    """The cases whose arguments all have a position, and whose input_ids cannot be taken for a container of inputs."""
    containers = ("ids-dict", "ids-dict-in-list", "ids-set-in-list", "ids-hole", "ids-ragged-deep")
    return [
        item
        for item in each_head(cases)
        if item.values[0].id not in containers
        and set(item.values[0].spoil(good_call(item.values[1], config_of()), item.values[1]))
        <= set(position_order(item.values[1]))
    ]


@pytest.mark.parametrize("style", ["keywords", "dict"])
@pytest.mark.parametrize(("case", "head"), each_head([*POSITIONAL, *BY_NAME_ONLY]))
def test_a_bad_call_is_refused_with_argument_position_value_and_rule(case: Bad, head: str, style: str) -> None:
    """Whatever is wrong, the message names the argument, where and what it was, and what is allowed."""
    message = refused(case, head, style)
    for text in case.texts(head):
        assert text in message
    assert len(message) < 600


@pytest.mark.parametrize("style", ["list", "positions"])
@pytest.mark.parametrize(("case", "head"), in_a_list(POSITIONAL))
def test_a_list_or_positions_are_refused_with_the_same_words_as_keywords(case: Bad, head: str, style: str) -> None:
    """The refusal does not depend on how the call was written."""
    assert refused(case, head, style) == refused(case, head, "keywords")


def test_there_are_sixty_bad_calls_for_every_model() -> None:
    """The table is as long as it claims to be, and its names are distinct."""
    names = [case.id for case in (*POSITIONAL, *BY_NAME_ONLY)]
    assert len(set(names)) == len(names)
    for head in HEADS:
        assert sum(head in case.heads for case in (*POSITIONAL, *BY_NAME_ONLY)) >= 60


WHOLE_CALLS: dict[str, tuple[Callable[[Any, Call], Any], type[Exception], tuple[str, ...]]] = {
    "nothing at all": (lambda model, call: model(), InputError, ("input_ids", "neither")),
    "None": (lambda model, call: model(None), InputError, ("input_ids", "neither")),
    "an empty list": (lambda model, call: model([]), InputError, ("list of inputs is empty", "input_ids")),
    "an empty tuple": (lambda model, call: model(()), InputError, ("list of inputs is empty", "input_ids")),
    "an empty dict": (lambda model, call: model({}), InputError, ("input_ids", "neither")),
    "a list of None": (lambda model, call: model([None, None]), InputError, ("input_ids", "neither")),
    "a string": (lambda model, call: model("今天天气"), InputTypeError, ("input_ids", "str")),
    "a list of strings": (lambda model, call: model(["今天", "天气"]), InputTypeError, ("input_ids", "str", "今天")),
    "bytes": (lambda model, call: model(b"ids"), InputTypeError, ("input_ids", "bytes")),
    "a set": (lambda model, call: model({1, 2}), InputTypeError, ("input_ids", "set")),
    "a generator": (lambda model, call: model(iter([call["input_ids"]])), InputTypeError, ("input_ids", "iterator")),
    "too many list items": (
        lambda model, call: model([call["input_ids"], *[None] * 30]),
        InputTypeError,
        ("31 items", "token_type_ids"),
    ),
    "too many positions": (
        lambda model, call: model(call["input_ids"], *[None] * 30),
        InputTypeError,
        ("31 positional", "token_type_ids"),
    ),
    "twice: position and keyword": (
        lambda model, call: model(call["input_ids"], input_ids=call["input_ids"]),
        InputTypeError,
        ("input_ids is given twice",),
    ),
    "twice: dict and keyword": (
        lambda model, call: model(call, attention_mask=call["attention_mask"]),
        InputTypeError,
        ("attention_mask is given twice",),
    ),
    "twice: list and keyword": (
        lambda model, call: model([call["input_ids"], None, call["token_type_ids"]], token_type_ids=[[0]]),
        InputTypeError,
        ("token_type_ids is given twice",),
    ),
    "twice: dict and position": (
        lambda model, call: model(call, call["attention_mask"]),
        InputTypeError,
        ("attention_mask is given twice",),
    ),
    "twice: list and position": (
        lambda model, call: model([call["input_ids"], call["attention_mask"]], call["attention_mask"]),
        InputTypeError,
        ("attention_mask is given twice",),
    ),
    "a dict with a misspelt key": (
        lambda model, call: model({**call, "token_types": [[0]]}),
        InputTypeError,
        ("'token_types'", "did you mean 'token_type_ids'"),
    ),
    "a dict with a number for a key": (
        lambda model, call: model({**call, 3: [[0]]}),
        InputTypeError,
        ("3 is not an argument", "input_ids"),
    ),
    "a dict with None for a key": (
        lambda model, call: model(OrderedDict(call) | {None: None}),
        InputTypeError,
        ("None is not an argument", "input_ids"),
    ),
    "a UserDict with bytes for a key": (
        lambda model, call: model(UserDict({b"input_ids": call["input_ids"]})),
        InputTypeError,
        ("b'input_ids' is not an argument", "input_ids"),
    ),
    "a dict inside a list": (
        lambda model, call: model([call]),
        InputTypeError,
        ("input_ids", "dict"),
    ),
    "a switch that is a page long": (
        lambda model, call: model(call["input_ids"], output_attentions=list(range(10_000))),
        InputTypeError,
        ("output_attentions", "[0, 1, 2", "True, False"),
    ),
    "a generator that is a page long": (
        lambda model, call: model(call["input_ids"], generator="seed" * 10_000),
        InputTypeError,
        ("generator", "'seedseed", "seed"),
    ),
    "a name that is a page long": (
        lambda model, call: model(call["input_ids"], **{"input_ids" * 10_000: None}),
        InputTypeError,
        ("'input_idsinput_id", "not an argument"),
    ),
    "ten thousand ragged rows": (
        lambda model, call: model(input_ids=[[1]] * 10_000 + [[1, 2]]),
        InputError,
        ("input_ids", "unequal lengths", "pad them"),
    ),
    "an image": (lambda model, call: model(np.zeros((3, 8, 8, 3), np.uint8)), InputError, ("input_ids", "rank")),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", WHOLE_CALLS)
def test_a_call_that_is_wrong_as_a_whole_is_refused_in_a_few_words(name: str, head: str) -> None:
    """Empty, doubled, misspelt and endless calls are refused by name, in a message that fits a screen."""
    make, error, texts = WHOLE_CALLS[name]
    model = poisoned(head)
    with pytest.raises(error) as caught:
        make(model, good_call(head, model.config))
    for text in texts:
        assert text in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("head", HEADS)
def test_the_first_wrong_value_is_reported_in_row_major_order_with_the_number_of_others(head: str) -> None:
    """Of several wrong values the message names the first and counts the rest."""
    model = poisoned(head)
    ids = good_call(head, model.config)["input_ids"]
    ids[..., 2] = -5
    place = "0, 0, 2" if head == "multiple_choice" else "0, 2"
    with pytest.raises(InputError) as caught:
        model(ids)
    assert f"input_ids[{place}] is -5" in str(caught.value)
    assert f"{ids[..., 2].size - 1} more" in str(caught.value)


@pytest.mark.parametrize("head", HEADS)
def test_every_single_position_of_an_id_is_reported_right(head: str) -> None:
    """Each element in turn is spoilt and found again at its own index."""
    model = poisoned(head)
    shape = lead_of(head, batch=2, seq_len=3, choices=2)
    for position in np.ndindex(shape):
        ids = np.zeros(shape, np.int32)
        ids[position] = model.config.vocab_size
        with pytest.raises(InputError) as caught:
            model(ids)
        assert f"input_ids[{', '.join(map(str, position))}] is {model.config.vocab_size}" in str(caught.value)


@pytest.mark.parametrize("head", HEADS)
def test_an_error_of_a_call_says_nothing_of_our_insides(head: str) -> None:
    """A refusal shows the caller's argument, not the exception of a library that stumbled over it."""
    model = poisoned(head)
    with pytest.raises(InputTypeError) as caught:
        model(input_ids=object())
    assert "numpy" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.integers(-2, 30), st.floats(), st.booleans(), st.complex_numbers(), st.none()
)
SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 7]), max_size=5).map(tuple)
DTYPES = st.sampled_from(["?", "i1", "u1", "i4", "i8", "u8", "f2", "f4", "f8", "c8", "O", "U3", "S2", "M8[s]", "m8[D]"])
ARRAYS = st.builds(
    lambda shape, dtype, fill: np.full(shape, fill).astype(dtype), SHAPES, DTYPES, st.sampled_from([0, 1, 2, 28])
)
GARBAGE = st.one_of(
    NUMBERS,
    ARRAYS,
    st.text(max_size=4),
    st.binary(max_size=4),
    st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner), max_leaves=8),
    st.dictionaries(st.text(max_size=3), NUMBERS, max_size=2),
    st.sets(st.integers(0, 9), max_size=2),
    st.just(object()),
)


@cache
def working(head: str) -> Any:
    """A small decoder with cross-attention where the head has arguments for it; it computes."""
    config = config_of(is_decoder=head in ("base", "causal_lm"), add_cross_attention=head in ("base", "causal_lm"))
    return MODELS[head].from_weights(config, strong_weights(config, head), dtype="float64", components="equations")


@pytest.mark.parametrize("head", HEADS)
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_garbage_is_refused_by_us_or_works(head: str, data: st.DataObject) -> None:
    """Any value for any argument gives an output or one of our errors: no other exception, no warning, no crash."""
    model = working(head)
    call = good_call(head, model.config, batch=2, seq_len=3, choices=2)
    names = [*position_order(head), "generator"]
    if head in ("base", "causal_lm"):
        names += ["encoder_hidden_states", "encoder_attention_mask", "past_key_values", "use_cache"]
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)):
        call[name] = data.draw(GARBAGE, label=name)
    style = data.draw(st.sampled_from(["keywords", "dict"]))
    try:
        output = STYLES[style](model, call)
    except RoFormerError:
        return
    assert len(output) >= 1


@pytest.mark.parametrize("head", HEADS)
@settings(max_examples=60, deadline=None)
@given(first=GARBAGE, rest=st.lists(GARBAGE, max_size=2))
def test_garbage_by_position_is_refused_by_us_or_works(head: str, first: Any, rest: list[Any]) -> None:
    """The same for whatever stands in the first places of a call."""
    try:
        output = working(head)(first, *rest)
    except RoFormerError:
        return
    assert len(output) >= 1
