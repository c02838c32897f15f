"""Derivatives of what is seldom trained, done wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from roformer_numpy.adapter import NumpyModel
from roformer_numpy.backward.heads import HEAD_VJPS
from roformer_numpy.backward.table import EQUATIONS
from roformer_numpy.equations.gradients.activations import DERIVATIVES
from roformer_numpy.equations.losses import log_softmax

from .making import Array, Fault, fault


def _activation(name: str, slope: Callable[[Array], Array]) -> Fault:
    return Fault(patches={"equations.gradients.activations.DERIVATIVES": {**DERIVATIVES, name: slope}})


def _derivatives(**wrong: Any) -> Fault:
    return Fault(patches={"models.RoFormerBase.derivatives": dataclasses.replace(EQUATIONS, **wrong)})


@fault
def mish_differentiated_as_silu() -> Fault:
    """mish is differentiated as silu."""
    return _activation("mish", DERIVATIVES["silu"])


@fault
def selu_without_its_factor_below() -> Fault:
    """Below 0 the slope of selu lacks its α."""
    return _activation("selu", lambda x: (1.0507 * np.exp(np.minimum(x, 0.0))).astype(x.dtype))


@fault
def regression_slope_halved() -> Fault:
    """The slope of a square lacks its 2."""
    return _derivatives(squared_error=lambda up, x, y: EQUATIONS.squared_error(up, x, y) / 2)


@fault
def binary_slope_of_the_sum() -> Fault:
    """The slope of independent labels is not divided by their number."""
    return _derivatives(binary_cross_entropy=lambda up, x, y: EQUATIONS.binary_cross_entropy(up, x, y) * x.shape[-1])


@fault
def mean_summary_trains_the_last() -> Fault:
    """The slope of a mean over states, or of the first, goes to the last state."""

    def wrong(upstream: Any, hidden: Array, backward: Any) -> Any:
        found = HEAD_VJPS["multiple_choice"](upstream, hidden, backward)
        moved = np.zeros_like(found.last_hidden_state)
        moved[:, -1] = found.last_hidden_state.sum(axis=1)
        return dataclasses.replace(found, last_hidden_state=moved)

    return Fault(patches={"backward.gradients.HEAD_VJPS": {**HEAD_VJPS, "multiple_choice": wrong}})


@fault
def far_spans_pull() -> Fault:
    """A position beyond the sequence costs nothing, and still pushes all logits down."""

    def pushed(upstream: Array, logits: Array, positions: Array) -> Array:
        beyond = np.where(positions < logits.shape[-1], 0, upstream / 2)
        return (beyond[:, None] * np.exp(log_softmax(logits))).astype(logits.dtype)

    def wrong(upstream: Array, start_logits: Array, end_logits: Array, start: Array, end: Array) -> Any:
        by_start, by_end = EQUATIONS.span_cross_entropy(upstream, start_logits, end_logits, start, end)
        return by_start + pushed(upstream, start_logits, start), by_end + pushed(upstream, end_logits, end)

    return _derivatives(span_cross_entropy=wrong)


@fault
def last_place_of_a_word_counts() -> Fault:
    """A row that several positions name gets the slope of the last of them alone."""

    def lookup(upstream: Array, table: Array, ids: Array) -> Array:
        gradient = np.zeros(table.shape, upstream.dtype)
        gradient[ids.reshape(-1)] = upstream.reshape(-1, table.shape[-1])
        return gradient

    return _derivatives(lookup=lookup)


@fault
def cross_attention_not_trained() -> Fault:
    """The weights of cross-attention have no slope."""

    def gradients(model: Any, inputs: Any, options: Any) -> Any:
        found = NumpyModel.gradients(model, inputs, options)
        return {name: 0 * array if "crossattention" in name else array for name, array in found.items()}

    return Fault(methods={"gradients": gradients})
