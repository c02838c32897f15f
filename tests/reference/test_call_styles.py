"""One call, written in every documented way, gives one result bit for bit, and leaves its arguments alone (IN)."""

from __future__ import annotations

import copy
from collections import OrderedDict, UserDict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import ml_dtypes  # registers bfloat16 with NumPy
import numpy as np
import pytest

from ..support import HEADS, LANGUAGE_MODELS, SIZES, Call, good_call, good_labels, lead_of, position_order, same
from .conftest import Build


class Tensor:
    """A tensor of some other library: it has nothing but `__array__`."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self.values, dtype)


def full_call(head: str, config: Any) -> Call:
    """Every argument that has a position, except inputs_embeds and what repeats a default."""
    heads = np.linspace(0.25, 1.0, SIZES["num_attention_heads"])
    return {
        **good_call(head, config),
        "head_mask": heads,
        "output_attentions": True,
        "output_hidden_states": True,
        "return_dict": True,
        "training": False,
    }


def in_order(head: str, call: Call) -> list[Any]:
    """The arguments at their documented places."""
    return [call.get(name) for name in position_order(head)]


STYLES: dict[str, Callable[[Any, Call], Any]] = {
    "dict": lambda model, call: model(call),
    "OrderedDict in another order": lambda model, call: model(OrderedDict(reversed(call.items()))),
    "UserDict": lambda model, call: model(UserDict(call)),
    "read-only mapping": lambda model, call: model(MappingProxyType(call)),
    "list": lambda model, call: model(in_order(model.head, call)),
    "tuple": lambda model, call: model(tuple(in_order(model.head, call))),
    "positions": lambda model, call: model(*in_order(model.head, call)),
    "ids by position, the rest by keyword": lambda model, call: model(
        call["input_ids"], **{name: value for name, value in call.items() if name != "input_ids"}
    ),
    "ids alone in a list, the rest by keyword": lambda model, call: model(
        [call["input_ids"]], **{name: value for name, value in call.items() if name != "input_ids"}
    ),
    "half in a dict, half by keyword": lambda model, call: model(
        dict(list(call.items())[::2]), **dict(list(call.items())[1::2])
    ),
    "ids and mask by position, types in place, the rest by keyword": lambda model, call: model(
        call["input_ids"],
        call["attention_mask"],
        call["token_type_ids"],
        **dict(list(call.items())[3:]),
    ),
    "None for what is left out": lambda model, call: model(**{**dict.fromkeys(position_order(model.head)), **call}),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_one_call_gives_the_keywords_result(build: Build, head: str, style: str) -> None:
    """Keywords, positions, containers and mixtures of them are one call."""
    model = build(head)
    call = full_call(head, model.config)
    assert same(STYLES[style](model, call), model(**call))


@pytest.mark.parametrize("head", HEADS)
def test_a_list_may_end_after_any_argument(build: Build, head: str) -> None:
    """A list of each length means the arguments that it reaches, and None holes mean the defaults."""
    model = build(head)
    order, call = position_order(head), full_call(head, model.config)
    for length in range(1, len(order) + 1):
        if {"start_positions", "end_positions"} & set(order[:length]) and "end_positions" not in order[:length]:
            continue  # a span needs both of its ends
        named = {name: call[name] for name in order[:length] if name in call}
        expected = model(**named)
        assert same(model([call.get(name) for name in order[:length]]), expected)
        assert same(model(tuple(call.get(name) for name in order[:length])), expected)
        assert same(model(*(call.get(name) for name in order[:length])), expected)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kept", ["attention_mask", "token_type_ids", "head_mask"])
def test_none_holes_stand_for_the_defaults(build: Build, head: str, kept: str) -> None:
    """[ids, None, types] is ids and types: a hole takes the place of its argument and no other."""
    model = build(head)
    call = full_call(head, model.config)
    holes = [call[name] if name in ("input_ids", kept) else None for name in position_order(head)]
    result = model(holes)
    assert same(result, model(input_ids=call["input_ids"], **{kept: call[kept]}))
    assert not same(result, model(input_ids=call["input_ids"]))


@pytest.mark.parametrize("head", HEADS)
def test_one_array_is_input_ids(build: Build, head: str) -> None:
    """A single positional array, or nested Python lists as deep as input_ids, are input_ids."""
    model = build(head)
    ids = good_call(head, model.config)["input_ids"]
    expected = model(input_ids=ids)
    deep_tuple = tuple(map(tuple, ids.tolist())) if ids.ndim == 2 else tuple(tuple(map(tuple, x)) for x in ids.tolist())
    for one in (ids, ids.tolist(), deep_tuple, Tensor(ids), [ids], (ids,), {"input_ids": ids.tolist()}, [Tensor(ids)]):
        assert same(model(one), expected)


@pytest.mark.parametrize("head", HEADS)
def test_a_list_of_nested_lists_is_a_list_of_inputs(build: Build, head: str) -> None:
    """One level deeper than input_ids, a list holds inputs: ids, mask and types as Python lists."""
    model = build(head)
    call = good_call(head, model.config)
    names = ("input_ids", "attention_mask", "token_type_ids")
    expected = model(**{name: call[name] for name in names})
    assert same(model([call[name].tolist() for name in names]), expected)
    assert same(
        model([call["input_ids"].tolist(), None, call["token_type_ids"]]),
        model(input_ids=call["input_ids"], token_type_ids=call["token_type_ids"]),
    )


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", ">i4"])
def test_every_integer_type_of_ids_means_the_same(build: Build, head: str, dtype: str) -> None:
    """ids, token types and integer labels of any width, sign and byte order give one result."""
    model = build(head)
    call = good_call(head, model.config)
    integers = {name: array.astype(dtype) for name, array in call.items()}
    assert same(model(**integers), model(**call))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint64", "float16", "float32", "float64", ml_dtypes.bfloat16, "list"]
)
def test_a_mask_of_zeros_and_ones_means_the_same_in_every_type(build: Build, head: str, dtype: Any) -> None:
    """int, bool, float and nested lists of 0 and 1 are one mask."""
    model = build(head)
    call = good_call(head, model.config)
    mask = call["attention_mask"]
    assert (mask == 0).any()
    changed = mask.tolist() if dtype == "list" else mask.astype(dtype)
    assert same(model(**{**call, "attention_mask": changed}), model(**call))


def everything_odd(array: Any) -> dict[str, Any]:
    """The same numbers in unusual memory: every second element, reversed, Fortran order, read-only."""
    array = np.asarray(array)
    wide = np.repeat(array, 2, axis=-1)[..., ::2]
    backwards = array[::-1].copy()[::-1]
    locked = array.copy()
    locked.flags.writeable = False
    return {
        "strided": wide,
        "negative strides": backwards,
        "Fortran order": np.asfortranarray(array),
        "read-only": locked,
        "another library": Tensor(array),
    }


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("memory", ["strided", "negative strides", "Fortran order", "read-only", "another library"])
def test_memory_layout_of_arguments_means_nothing(build: Build, head: str, memory: str) -> None:
    """Non-contiguous, read-only and foreign arrays are taken as they are."""
    model = build(head)
    call = full_call(head, model.config)
    odd = {
        name: everything_odd(value)[memory] if isinstance(value, np.ndarray) else value for name, value in call.items()
    }
    assert same(model(**odd), model(**call))


@pytest.mark.parametrize("head", HEADS)
def test_masks_and_types_left_out_are_ones_and_zeros(build: Build, head: str) -> None:
    """attention_mask None = ones, token_type_ids None = zeros, head_mask None = ones."""
    model = build(head)
    ids = good_call(head, model.config)["input_ids"]
    written = model(
        input_ids=ids,
        attention_mask=np.ones_like(ids),
        token_type_ids=np.zeros_like(ids),
        head_mask=np.ones(SIZES["num_attention_heads"]),
    )
    assert same(written, model(input_ids=ids))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("embedding_size", [10, 18])
def test_embedding_rows_stand_for_their_ids(build: Build, head: str, embedding_size: int) -> None:
    """inputs_embeds = W[ids] by keyword alone equals input_ids, also where embedding_size is not hidden_size."""
    model = build(head, embedding_size=embedding_size)
    call = good_call(head, model.config)
    prefix = "" if head == "base" else "roformer."
    table = model.to_weights()[f"{prefix}embeddings.word_embeddings.weight"]
    ids = call.pop("input_ids")
    assert same(model(inputs_embeds=table[ids], **call), model(input_ids=ids, **call))


@pytest.mark.parametrize("head", ["base", "multiple_choice"])
@pytest.mark.parametrize("dtype", ["float16", "float32", ml_dtypes.bfloat16])
def test_embeddings_of_any_float_type_are_widened(build: Build, head: str, dtype: Any) -> None:
    """Half and single precision vectors mean the numbers that they hold; the result has the model's type."""
    model = build(head)
    embeds = np.random.default_rng(1).normal(size=(*lead_of(head), model.config.embedding_size)).astype(dtype)
    result = model(inputs_embeds=embeds)
    assert same(result, model(inputs_embeds=embeds.astype(np.float64)))
    assert result[0].dtype == np.float64


@pytest.mark.parametrize("head", [head for head in HEADS if head != "base"])
def test_labels_in_a_container_are_labels(build: Build, head: str) -> None:
    """Labels by keyword, inside the dict, or at their place in a list give one loss."""
    model = build(head)
    call = good_call(head, model.config)
    inputs = {name: value for name, value in call.items() if name in ("input_ids", "attention_mask", "token_type_ids")}
    labels = {name: value for name, value in call.items() if name not in inputs}
    expected = model(inputs, **labels)
    assert expected.loss is not None
    assert same(model(**call), expected)
    assert same(model(call), expected)
    assert same(model(in_order(head, call)), expected)


@pytest.mark.parametrize("head", HEADS)
def test_arguments_are_never_changed(build: Build, head: str) -> None:
    """After a call, arrays hold the bytes and dicts the items that they held before."""
    model = build(head)
    call = full_call(head, model.config)
    before = copy.deepcopy(call)
    model(**call)
    model(call)
    listed = in_order(head, call)
    model(listed)
    assert len(listed) == len(position_order(head))
    assert list(call) == list(before)
    for name, value in before.items():
        assert np.array_equal(call[name], value), name
        assert np.asarray(call[name]).dtype == np.asarray(value).dtype


@pytest.mark.parametrize("head", HEADS)
def test_outputs_share_no_memory_with_arguments_or_weights(build: Build, head: str) -> None:
    """Writing into an output changes neither the caller's arrays nor the next result."""
    model = build(head)
    call = full_call(head, model.config)
    embeds = np.random.default_rng(5).normal(size=(*lead_of(head), model.config.embedding_size))
    call = {**call, "input_ids": None, "inputs_embeds": embeds}
    before, first = embeds.copy(), model(**call)
    kept = copy.deepcopy(first.to_tuple())
    for array in flat(first.to_tuple()):
        array[...] = 7.0
    assert np.array_equal(embeds, before)
    assert same(model(**call).to_tuple(), kept)


def flat(values: Any) -> list[np.ndarray]:
    """Every array of nested tuples."""
    return [array for value in values for array in flat(value)] if isinstance(values, tuple) else [values]


@pytest.mark.parametrize("head", HEADS)
def test_an_empty_batch_gives_empty_outputs(build: Build, head: str) -> None:
    """No rows in, no rows out, labels included."""
    model = build(head)
    lead = lead_of(head, batch=0)
    labels = good_labels(head, model.config, lead, np.random.default_rng(0))
    result = model(np.zeros(lead, np.int64), output_hidden_states=True, output_attentions=True, **labels)
    for array in flat(result.to_tuple()):
        assert array.shape[0] == 0
    assert len(result.hidden_states) == SIZES["num_hidden_layers"] + 1


@pytest.mark.parametrize("head", HEADS)
def test_switches_take_the_booleans_of_numpy(build: Build, head: str) -> None:
    """np.True_ and np.False_ are True and False."""
    model = build(head)
    ids = good_call(head, model.config)["input_ids"]
    assert same(model(ids, output_attentions=np.True_), model(ids, output_attentions=True))
    assert isinstance(model(ids, return_dict=np.False_), tuple)


@pytest.mark.parametrize("head", LANGUAGE_MODELS)
def test_a_mapping_with_attribute_access_is_an_input(build: Build, head: str) -> None:
    """What a tokenizer returns, a Mapping of its own class, is a dict of inputs."""

    class Encoding(Mapping):
        def __init__(self, data: Call) -> None:
            self.data = data

        def __getitem__(self, name: str) -> Any:
            return self.data[name]

        def __iter__(self) -> Any:
            return iter(self.data)

        def __len__(self) -> int:
            return len(self.data)

    model = build(head)
    call = good_call(head, model.config)
    assert same(model(Encoding(call)), model(**call))
    labels = call.pop("labels")
    assert same(model(Encoding(call), labels=labels), model(**call, labels=labels))


@pytest.mark.parametrize("head", HEADS)
def test_rows_of_a_batch_are_independent(build: Build, head: str) -> None:
    """A permuted batch gives permuted outputs, and a row alone gives what it gives in company."""
    model = build(head)
    call = good_call(head, model.config)
    inputs = {name: value for name, value in call.items() if name in ("input_ids", "attention_mask", "token_type_ids")}
    whole = model(**inputs)
    order = [2, 0, 3, 1]
    permuted = model(**{name: value[order] for name, value in inputs.items()})
    alone = model(**{name: value[1:2] for name, value in inputs.items()})
    for name in whole:
        np.testing.assert_allclose(permuted[name], whole[name][order], rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(alone[name], whole[name][1:2], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("head", HEADS)
def test_nan_embeddings_stay_in_their_row(build: Build, head: str) -> None:
    """A NaN in one row of inputs_embeds reaches no other row."""
    model = build(head)
    embeds = np.random.default_rng(2).normal(size=(*lead_of(head), model.config.embedding_size))
    clean = model(inputs_embeds=embeds)
    embeds[2, ..., 1, 3] = np.nan
    spoilt = model(inputs_embeds=embeds)
    others = [0, 1, 3]
    for name in clean:
        np.testing.assert_allclose(spoilt[name][others], clean[name][others], rtol=1e-12, atol=1e-13)
        assert np.isnan(spoilt[name][2]).any()
