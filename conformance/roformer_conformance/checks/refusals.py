"""ERR, further on: bad input that is nearly right, and what comes in beside ids, mask and types.

Each of these is accepted somewhere: shapes that broadcast, a mask for each query, labels that are cut to fit, an
encoder's mask that nobody looks at.
"""

from __future__ import annotations

from collections import OrderedDict, UserDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..protocol import Array, cache_of, is_unsupported
from ..registry import DECODER_HEADS, LOSS_HEADS, check
from ..strategies import Case
from ..trial import CACHED, Trial, without_warnings
from .errors import expect_unsupported_anyway

SEVERAL: Mapping[str, Any] = {"effort": 0.2, "min_batch": 2, "min_seq_len": 2}
CROSS: Mapping[str, Any] = {
    **SEVERAL, "heads": DECODER_HEADS, "needs": ("cross_attention",), "is_decoder": True, "add_cross_attention": True,
}  # fmt: skip


@check("ERR-7", "no-number", heads="all", effort=0.2)
def mask_values_that_are_no_number(trial: Trial, case: Case) -> None:
    """NaN or infinity in a mask of floats is an error that names attention_mask."""
    for value in (np.nan, np.inf, -np.inf):
        mask = np.ones(case.lead, np.float32)
        mask[..., -1] = value
        _refuses(trial, case, {"attention_mask": mask}, "attention_mask", str(value))


@check("ERR-8.1", "arguments-of-others", heads="all", effort=0.2)
def arguments_of_other_models_are_unknown(trial: Trial, case: Case) -> None:
    """What other models and other heads take, or a switch that is misspelt, is an error that names it."""
    places = np.broadcast_to(np.arange(case.seq_len), case.lead)
    other = "labels" if case.head in ("base", "question_answering") else "start_positions"
    unknown = {
        "position_ids": places, "cache_position": np.arange(case.seq_len), "decoder_input_ids": places,
        "next_sentence_label": np.zeros(case.batch, np.int64), "output_attention": False, "_attention_mask": places,
        other: np.zeros(case.batch, np.int64),
    }  # fmt: skip
    for name, value in unknown.items():
        _refuses(trial, case, {name: value}, name)


@check("ERR-8.1", "mapping-with-an-unknown-key", effort=0.2, needs=("call_styles:dict", "python_values"),
       also=("IN-2.2",), num_hidden_layers=1)  # fmt: skip
def unknown_keys_of_other_mappings(trial: Trial, case: Case) -> None:
    """An unknown key of an OrderedDict or of a UserDict is the error that it is in a dict, whatever it holds."""
    model = trial.load(case)
    for kind in (OrderedDict, UserDict):
        for value in (np.ones(case.lead, np.int64), "a text"):
            mapping: Any = kind({**case.inputs(), "attention_masks": value})
            trial.refuses(lambda mapping=mapping: trial.call(model, mapping, style="dict"), "attention_masks")  # type: ignore[misc]


@check("ERR-5.1", "mask-for-each-query", heads="all", **SEVERAL)
def masks_for_each_query(trial: Trial, case: Case) -> None:
    """A mask with a row for each query, or with the axes of attention weights, is an error that names its shape."""
    mask, length = np.ones(case.lead, np.int64), case.seq_len
    for wrong in (mask[..., None, :].repeat(length, axis=-2), mask[..., None, None, :]):
        _refuses(trial, case, {"attention_mask": wrong}, "attention_mask", _written(wrong))


@check("ERR-5.2", "one-too-many", heads="all", **SEVERAL)
def one_position_too_many(trial: Trial, case: Case) -> None:
    """A mask or types one position longer than ids or embeddings, and one row more, are errors that name them."""
    alone = {"input_ids": None, "inputs_embeds": case.embeddings()}
    for name in ("attention_mask", "token_type_ids"):
        right = np.ones(case.lead, np.int64)
        for wrong in (np.concatenate([right, right[..., :1]], axis=-1), np.concatenate([right, right[:1]])):
            for sequence in ({}, alone):
                _refuses(trial, case, {**sequence, name: wrong}, name, _written(wrong))


@check("ERR-4.2", "embeddings-too-long", heads="all", effort=0.2)
def embeddings_that_are_too_long(trial: Trial, case: Case) -> None:
    """inputs_embeds of one position more than max_position_embeddings are an error that names length and limit."""
    longest = case.config["max_position_embeddings"]
    embeddings = np.ones((*case.lead[:-1], longest + 1, case.config["embedding_size"]), np.float32)
    model = trial.load(case)
    with without_warnings():
        trial.refuses(
            lambda: trial.call(model, {"inputs_embeds": embeddings}), "inputs_embeds", str(longest + 1), str(longest)
        )


@check("ERR-5.2", "labels", heads=LOSS_HEADS, also=("ERR-9.3",), **SEVERAL)
def labels_of_another_shape(trial: Trial, case: Case) -> None:
    """Labels of a row less, a row more, one row for all or another length are errors that name them."""
    for name, right in case.labels().items():
        shapes = [right[:1], np.concatenate([right, right[:1]])]
        shapes += [right[:, :-1], np.concatenate([right, right[:, :1]], axis=1)] if right.ndim > 1 else []
        for wrong in shapes:
            _refuses(trial, case, {**case.labels(), name: wrong}, name, _written(wrong))


@check("ERR-9.1", "no-integers", heads=LOSS_HEADS, effort=0.2, also=("ERR-9.2", "ERR-9.4"))
def labels_between_two_classes(trial: Trial, case: Case) -> None:
    """A label of 0.5 where a class or a position is expected is an error that names it, and is never truncated."""
    for name, right in case.labels().items():
        wrong = np.zeros(right.shape, np.float32)
        wrong.flat[-1] = 0.5
        _refuses(trial, case, {**case.labels(), name: wrong}, name, ("float", "0.5", "integer"))


@check("ERR-10", "that-broadcast", heads="all", effort=0.2, needs=("head_mask",), min_heads=2, num_hidden_layers=3)
def head_masks_that_would_broadcast(trial: Trial, case: Case) -> None:
    """A head_mask (1, heads), (layers, 1), (layers,) or with the axes of attention weights is an error."""
    heads, layers = case.config["num_attention_heads"], case.config["num_hidden_layers"]
    shapes = [(1, heads), (layers, 1), (1, layers, heads), (layers, 1, heads, 1, 1), (1,)]
    for shape in [*shapes, (layers,)] if layers != heads else shapes:
        wrong = np.ones(shape, np.float32)
        _refuses(trial, case, {"head_mask": wrong}, "head_mask", _written(wrong))


@check("ERR-5.2", "encoder-states", also=("ERR-5.1", "DEC-5.1"), **CROSS)
def encoder_states_that_do_not_fit(trial: Trial, case: Case) -> None:
    """Encoder states of another batch, width or rank are errors that name encoder_hidden_states."""
    right = case.encoder_states()
    for wrong in (right[:1], right[..., :-1], np.concatenate([right, right], axis=-1), right[0], right[..., None]):
        _refuses(trial, case, {"encoder_hidden_states": wrong}, "encoder_hidden_states", _written(wrong))


@check("ERR-5.2", "encoder-mask", also=("ERR-5.1", "ERR-7", "DEC-5.2"), **CROSS)
def encoder_masks_that_do_not_fit(trial: Trial, case: Case) -> None:
    """A mask of the encoder of another shape, or with values other than 0 and 1, is an error that names it."""
    states = case.encoder_states()
    right, name = np.ones(states.shape[:2], np.int64), "encoder_attention_mask"
    for wrong in (right[:1], right[:, :1], right[:, :-1], right[:, : case.seq_len], right[0], right[:, None]):
        _refuses(trial, case, {"encoder_hidden_states": states, name: wrong}, name, _written(wrong))
    for value in (2, -1, 0.5, np.nan):
        wrong = right.astype(np.float32)
        wrong[-1, 0] = value
        _refuses(trial, case, {"encoder_hidden_states": states, name: wrong}, name, f"{value:g}")


@check("ERR-5.2", "cache", heads=DECODER_HEADS, needs=("cache",), also=("DEC-5.3",), is_decoder=True,
       masks=("none",), **{**SEVERAL, "min_batch": 3})  # fmt: skip
def caches_that_do_not_fit(trial: Trial, case: Case) -> None:
    """A cache of other layers, heads, rows or head size, without values, or of two lengths is an error naming it."""
    model = trial.load(case)
    right = cache_of(trial.call(model, case.inputs(), **CACHED))
    narrow = tuple(tuple(array[..., :-1] for array in layer) for layer in right)
    fewer = tuple(tuple(array[:-1] for array in layer) for layer in right)
    headless = tuple(tuple(array[:, :-1] for array in layer) for layer in right)
    uneven = ((right[0][0], right[0][1][..., :-1, :], *right[0][2:]), *right[1:])
    for wrong in ((*right, right[0]), right[:-1], narrow, fewer, headless, uneven, tuple(layer[:1] for layer in right)):
        inputs = {"input_ids": case.inputs()["input_ids"][:, :1], "past_key_values": wrong}
        with without_warnings():
            trial.refuses(lambda inputs=inputs: trial.call(model, inputs), "past_key_values")  # type: ignore[misc]


@check("ERR-5.2", "mask-beside-a-cache", heads=DECODER_HEADS, needs=("cache",), also=("DEC-4",), is_decoder=True,
       masks=("none",), **SEVERAL)  # fmt: skip
def masks_that_do_not_reach_over_the_cache(trial: Trial, case: Case) -> None:
    """Beside a cache, a mask of the new tokens or of the cached ones alone is an error that names attention_mask."""
    model = trial.load(case)
    cached = cache_of(trial.call(model, case.inputs(), **CACHED))
    ids = case.inputs()["input_ids"][:, :1]
    for length in (1, case.seq_len, case.seq_len + 2):
        wrong = np.ones((case.batch, length), np.int64)
        inputs = {"input_ids": ids, "past_key_values": cached, "attention_mask": wrong}
        with without_warnings():
            trial.refuses(lambda inputs=inputs: trial.call(model, inputs), "attention_mask", _written(wrong))  # type: ignore[misc]


def _refuses(trial: Trial, case: Case, changes: dict[str, Any], argument: str, *mentions: Any) -> None:
    """The case's call with `changes` (None takes an argument away) is an error that says all of this."""
    inputs = {name: value for name, value in {**case.inputs(), **changes}.items() if value is not None}
    model = trial.load(case)
    with without_warnings():
        try:
            trial.refuses(lambda: trial.call(model, inputs), argument, *mentions)
        except Exception as error:
            if is_unsupported(error):
                expect_unsupported_anyway(trial, case, model, changes, error)
            raise


def _written(array: Array) -> tuple[str, ...]:
    """The ways to write a shape or its rank."""
    axes = ", ".join(map(str, array.shape))
    return (str(array.shape), axes, f"rank {array.ndim}", f"{array.ndim} axes", f"{array.ndim}D")
