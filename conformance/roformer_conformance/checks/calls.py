"""IN, further on: calls that mix what others try one by one, foreign arrays, and what a call leaves as it was."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..precision import carried
from ..protocol import Array, cache_of
from ..registry import check
from ..strategies import Case
from ..trial import CACHED, TRACES, Trial, expect
from .inputs import LAYOUTS, expect_kept

LABELLED = ("sequence_classification", "question_answering")


@check("IN-2.2", "everything-in-a-dict", heads="all", effort=0.3, needs=("call_styles:dict",))
def switches_and_none_may_be_in_the_dict(trial: Trial, case: Case) -> None:
    """A dict that holds inputs, labels, every switch, and None for what is left out equals the call by keywords."""
    given = {**case.inputs(), **case.labels()}
    absent = {"head_mask": None, "inputs_embeds": None, **({} if case.mask != "none" else {"attention_mask": None})}
    switches = {**TRACES, "return_dict": True, "training": False}
    model = trial.load(case)
    got = trial.call(model, {**given, **absent, **switches}, style="dict")
    trial.equals(f"a dict of {', '.join((*given, *absent, *switches))}", got, trial.call(model, given, **switches))


@check("IN-2.3", "list-and-keywords", heads="all", effort=0.3, needs=("call_styles:list",))
def a_list_and_keywords_equal_keywords(trial: Trial, case: Case) -> None:
    """A list of ids and mask with types, labels and switches by keyword equals the call by keywords, bit for bit."""
    inputs = {**case.inputs(), "attention_mask": case.attention_mask()}
    listed: dict[str, Any] = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    named: dict[str, Any] = {"token_type_ids": inputs["token_type_ids"], **case.labels(), **TRACES}
    model = trial.load(case)
    got = trial.call(model, listed, style="list", **named)
    trial.equals(f"a list and {', '.join(named)}", got, trial.call(model, {**inputs, **case.labels()}, **TRACES))


@check("IN-4.1", "byte-order", effort=0.3, needs=("python_values",), also=("IN-4.2", "IN-5.1"))
def byte_order_does_not_matter(trial: Trial, case: Case) -> None:
    """Arrays in the byte order of other machines give the same result, bit for bit."""
    inputs, model = {**case.inputs(), "attention_mask": case.attention_mask()}, trial.load(case)
    trial.equals("integers in another byte order", trial.call(model, _foreign(inputs)), trial.call(model, inputs))
    inputs = {"inputs_embeds": case.embeddings(), "attention_mask": case.attention_mask().astype(np.float32)}
    trial.equals("floats in another byte order", trial.call(model, _foreign(inputs)), trial.call(model, inputs))


@check("IN-4.1", "layout-of-floats", effort=0.3, needs=("python_values",), min_batch=2, min_seq_len=3)
def layout_of_embeddings_does_not_matter(trial: Trial, case: Case) -> None:
    """Embeddings and a mask of floats in column-major order, strided, reversed or read-only give the same result."""
    inputs = {"inputs_embeds": case.embeddings(), "attention_mask": case.attention_mask().astype(np.float32)}
    model = trial.load(case)
    expected = trial.call(model, inputs)
    for layout, change in LAYOUTS.items():
        got = trial.call(model, {name: change(array) for name, array in inputs.items()})
        trial.equals(f"inputs_embeds and attention_mask {layout}", got, expected)


@check("IN-4.2", "largest-of-a-type", effort=0.3, vocab_size=300, also=("EMB-1.1",))
def the_largest_number_of_a_type_is_an_id(trial: Trial, case: Case) -> None:
    """Ids up to 127 as int8 and up to 255 as uint8 are the rows that the same ids as int64 are, the largest too."""
    ids, model = case.inputs()["input_ids"], trial.load(case)
    for name in ("int8", "uint8", "int16", "uint16"):
        largest = min(np.iinfo(name).max, case.config["vocab_size"] - 1)
        few = ids % (largest + 1)
        few[..., -1] = largest
        expected = trial.call(model, {"input_ids": few})
        trial.equals(f"ids up to {largest} as {name}", trial.call(model, {"input_ids": few.astype(name)}), expected)


@check("IN-4.3", "head-mask-stays", effort=0.3, needs=("python_values", "head_mask"), add_pooling_layer=False)
def head_masks_are_not_changed(trial: Trial, case: Case) -> None:
    """A call does not change a head_mask, of one row or of one a layer."""
    shape = (case.config["num_hidden_layers"], case.config["num_attention_heads"])
    for mask in (np.full(shape, 0.5), np.full(shape[1:], 0.5)):
        expect_kept(trial, trial.load(case), {**case.inputs(), "head_mask": carried(mask, trial.dtype)})


@check("IN-4.3", "encoder-stays", heads=("base",), effort=0.3, needs=("python_values", "cross_attention", "cache"),
       is_decoder=True, add_cross_attention=True, masks=("none",), add_pooling_layer=False)  # fmt: skip
def states_masks_and_caches_are_not_changed(trial: Trial, case: Case) -> None:
    """A call changes neither the encoder's states, nor their mask of floats, nor the cache that it goes on from."""
    states = carried(case.encoder_states(), trial.dtype)
    encoder = {"encoder_hidden_states": states, "encoder_attention_mask": np.ones(states.shape[:2], np.float32)}
    encoder["encoder_attention_mask"][:, -1] = 0
    inputs, model = {**case.inputs(), **encoder}, trial.load(case)
    cached = cache_of(trial.call(model, inputs, **CACHED))
    entries = {f"cache.{layer}.{n}": array for layer, part in enumerate(cached) for n, array in enumerate(part)}
    before = {name: array.copy() for name, array in entries.items()}
    expect_kept(trial, model, {**inputs, "past_key_values": cached}, **CACHED)
    trial.equals("a cache was changed by the call", entries, before)


@check("IN-4.3", "labels-stay", heads=LABELLED, effort=0.3, needs=("python_values",), num_hidden_layers=1,
       also=("LOSS-5.4", "LOSS-6.3"))  # fmt: skip
def labels_are_not_changed(trial: Trial, case: Case) -> None:
    """A call changes neither positions beyond the sequence, which count nothing, nor the values of a regression."""
    for changes, labels in _unusual_labels(case):
        kept = {name: array.copy() for name, array in labels.items()}
        model: Any = trial.load(case.with_config(**changes))
        expect_kept(trial, model, {**case.inputs(), **labels})
        lists = {name: array.tolist() for name, array in kept.items()}
        trial.call(model, {**case.inputs(), **lists})
        told = ", ".join(name for name, array in kept.items() if lists[name] != array.tolist())
        expect(not told, f"{told}: a list was changed by the call")


def _unusual_labels(case: Case) -> Iterator[tuple[dict[str, Any], dict[str, Array]]]:
    """What the configuration has to say, and labels that somebody may want to bring into order."""
    if case.head == "question_answering":
        yield {}, {name: case.seq_len + 3 + array for name, array in case.labels().items()}
        return
    values = case.generator("values").standard_normal((case.batch, case.config["num_labels"])).astype(np.float32)
    yield {"problem_type": "regression"}, {"labels": values}
    yield {"problem_type": "multi_label_classification"}, {"labels": (values > 0).astype(np.float32)}


class _Encoding(UserDict):  # type: ignore[type-arg]
    """What tokenizers return: derived from UserDict, its keys attributes as well."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["data"][name]
        except KeyError as error:
            raise AttributeError(name) from error


@check("IN-2.2", "encodings", effort=0.3, needs=("call_styles:dict", "python_values"), num_hidden_layers=1)
def encodings_equal_keywords(trial: Trial, case: Case) -> None:
    """What is derived from a UserDict, as a tokenizer's BatchEncoding is, equals the call by keywords, bit for bit."""
    inputs, model = case.inputs(), trial.load(case)
    encoding: Any = _Encoding(inputs)
    trial.equals("a BatchEncoding", trial.call(model, encoding, style="dict"), trial.call(model, inputs))
    expect(list(encoding) == list(inputs), f"a BatchEncoding holds {list(encoding)} after the call, not {list(inputs)}")


def _foreign(inputs: dict[str, Array]) -> dict[str, Array]:
    return {name: array.astype(array.dtype.newbyteorder()) for name, array in inputs.items()}
