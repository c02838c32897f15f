"""Bad input that is made to fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .making import Array, Call, Fault, fault, models_validate


def _before(change: Callable[[Call, Any, str], None]) -> Fault:
    """`change(arguments, configuration, head)` before the arguments are looked at."""

    def validate(given: Any, config: Any, head: str, dtype: Any) -> Any:
        changed = dict(given)
        change(changed, config, head)
        return models_validate(changed, config, head, dtype)

    return Fault(patches={"models.validate": validate})


def _made(name: str, change: Callable[[Array, Any], Array]) -> Fault:
    """`change(array, configuration)` in place of the argument `name`."""

    def made(given: Call, config: Any, head: str) -> None:
        if isinstance(given.get(name), np.ndarray):
            given[name] = change(given[name], config)

    return _before(made)


@fault
def nan_in_the_mask_masks() -> Fault:
    """NaN in a mask of floats is read as 0, infinity as 1."""
    return _made("attention_mask", lambda mask, config: np.clip(np.nan_to_num(mask), 0, 1))


@fault
def last_row_of_square_masks() -> Fault:
    """A mask with a row for each query is accepted, and the last query's taken for all."""
    return _made("attention_mask", lambda mask, config: mask[..., -1, :] if mask.ndim > 2 else mask)


@fault
def long_masks_cut() -> Fault:
    """A mask longer than the ids is cut to their length."""

    def cut(given: Call, config: Any, head: str) -> None:
        ids, mask = given.get("input_ids"), given.get("attention_mask")
        if isinstance(ids, np.ndarray) and isinstance(mask, np.ndarray) and "past_key_values" not in given:
            given["attention_mask"] = mask[..., : ids.shape[-1]]

    return _before(cut)


@fault
def long_embeddings_cut() -> Fault:
    """inputs_embeds beyond the longest sequence are cut; ids are not."""
    return _made("inputs_embeds", lambda embeds, config: embeds[..., : config.max_position_embeddings, :])


@fault
def short_labels_filled() -> Fault:
    """Labels that are one token short are filled with −100."""

    def fill(given: Call, config: Any, head: str) -> None:
        ids, labels = given.get("input_ids"), given.get("labels")
        if isinstance(ids, np.ndarray) and isinstance(labels, np.ndarray) and labels.ndim == ids.ndim == 2:
            missing = max(0, ids.shape[1] - labels.shape[1])
            given["labels"] = np.pad(labels, ((0, 0), (0, missing)), constant_values=-100)

    return _before(fill)


@fault
def one_label_for_all_rows() -> Fault:
    """The labels of one row serve the whole batch."""

    def repeat(given: Call, config: Any, head: str) -> None:
        for name in {"labels", "start_positions", "end_positions"} & given.keys():
            if isinstance(given[name], np.ndarray) and given[name].shape[:1] == (1,):
                given[name] = given[name].repeat(len(given["input_ids"]), axis=0)

    return _before(repeat)


@fault
def labels_truncated() -> Fault:
    """Labels between two classes are truncated to the lower one."""

    def truncate(given: Call, config: Any, head: str) -> None:
        for name in {"labels", "start_positions", "end_positions"} & given.keys():
            if head != "sequence_classification" or config.task == "single_label_classification":
                given[name] = np.asarray(given[name]).astype(np.int64)

    return _before(truncate)


@fault
def head_mask_columns_repeated() -> Fault:
    """A head_mask (layers, 1) serves every head of its layer, and axes of 1 are squeezed away."""

    def repeat(mask: Array, config: Any) -> Array:
        if mask.ndim > 2:
            return mask.squeeze()
        return mask.repeat(config.num_attention_heads, axis=1) if mask.shape[1:] == (1,) else mask

    return _made("head_mask", repeat)


@fault
def encoder_states_made_to_fit() -> Fault:
    """encoder_hidden_states of another width are cut or filled with zeros."""

    def fit(states: Array, config: Any) -> Array:
        if states.ndim != 3:
            return states
        missing = max(0, config.hidden_size - states.shape[2])
        return np.pad(states, ((0, 0), (0, 0), (0, missing)))[..., : config.hidden_size]

    return _made("encoder_hidden_states", fit)


@fault
def encoder_mask_thresholded() -> Fault:
    """Every value of encoder_attention_mask above 0 attends."""
    return _made("encoder_attention_mask", lambda mask, config: (mask > 0).astype(np.int64))


@fault
def more_cache_than_layers() -> Fault:
    """A cache of more layers than the model has is read as far as there are layers."""

    def cut(given: Call, config: Any, head: str) -> None:
        if isinstance(given.get("past_key_values"), tuple):
            given["past_key_values"] = given["past_key_values"][: config.num_hidden_layers]

    return _before(cut)


def _labels_made(change: Callable[[Array, tuple[int, ...]], Array]) -> Fault:
    """Labels that are changed, knowing the shape of input_ids, before they are checked."""

    def made(given: Call, config: Any, head: str) -> None:
        shape = np.shape(given.get("input_ids", ()))
        for name in {"labels", "start_positions", "end_positions"} & given.keys() if shape else ():
            given[name] = change(np.asarray(given[name]), shape)

    return _before(made)


@fault
def axes_of_one_taken_off_labels() -> Fault:
    """Labels with an axis of length 1 too many are squeezed."""
    return _labels_made(lambda labels, shape: labels[..., 0] if labels.ndim > 1 and labels.shape[-1] == 1 else labels)


@fault
def one_number_labels_every_row() -> Fault:
    """One number as a label is that of every row."""
    return _labels_made(lambda labels, shape: labels.repeat(shape[0]) if labels.ndim == 0 else labels)


@fault
def mask_of_the_new_tokens() -> Fault:
    """Beside a cache, a mask of the new tokens alone is accepted, and everything cached attended to."""

    def fill(given: Call, config: Any, head: str) -> None:
        mask, cached = given.get("attention_mask"), given.get("past_key_values")
        if isinstance(mask, np.ndarray) and cached and mask.shape[1] == given["input_ids"].shape[1]:
            given["attention_mask"] = np.pad(mask, ((0, 0), (cached[0][0].shape[2], 0)), constant_values=1)

    return _before(fill)


@fault
def longer_keys_cut() -> Fault:
    """A cache whose keys are longer than its values is cut to the shorter of the two, in every layer."""

    def cut(given: Call, config: Any, head: str) -> None:
        if given.get("past_key_values"):
            shortest = min(
                array.shape[2] for layer in given["past_key_values"] for array in layer[:2] if array.ndim == 4
            )
            given["past_key_values"] = tuple(
                (*(array[..., :shortest, :] for array in layer[:2]), *layer[2:]) for layer in given["past_key_values"]
            )

    return _before(cut)
