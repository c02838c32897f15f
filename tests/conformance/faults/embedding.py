"""From ids to the first hidden state, done wrong."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from .making import Array, Fault, encoder_embed, fault


@fault
def types_left_out() -> Fault:
    """Token types are accepted and not added."""
    return Fault({"add_token_types": lambda words, table, types: words})


@fault
def row_off_by_one() -> Fault:
    """Ids are counted from 1: each reads the row after its own."""
    return Fault({"lookup": lambda table, ids: table[(ids + 1) % len(table)]})


@fault
def absolute_positions() -> Fault:
    """BERT's absolute positions are carried over, as small sinusoids on the embeddings."""

    def add(words: Array, table: Array, types: Array) -> Array:
        positions, features = np.arange(words.shape[1])[:, None], np.arange(words.shape[2])
        return words + table[types] + 0.05 * np.sin(positions + features).astype(words.dtype)

    return Fault({"add_token_types": add})


@fault
def embeddings_not_normalised() -> Fault:
    """The LayerNorm of the embeddings is left out."""

    def embed(forward: Any, weights: Any) -> Array:
        silent = dataclasses.replace(forward, components=dataclasses.replace(
            forward.components, layer_norm=lambda x, gamma, beta, eps: x))  # fmt: skip
        return encoder_embed(silent, weights)

    return Fault(patches={"encoder.embed": embed})


@fault
def projection_without_bias() -> Fault:
    """The projection from E to H has no bias."""

    def embed(forward: Any, weights: Any) -> Array:
        if weights.project is None:
            return encoder_embed(forward, weights)
        project = dataclasses.replace(weights.project, bias=0 * weights.project.bias)
        return encoder_embed(forward, dataclasses.replace(weights, project=project))

    return Fault(patches={"encoder.embed": embed})


@fault
def types_after_the_norm() -> Fault:
    """Token types are added after the LayerNorm of the embeddings."""

    def embed(forward: Any, weights: Any) -> Array:
        normalised = forward.components.lookup(weights.word, forward.inputs.input_ids)
        normalised = forward.layer_norm(normalised, weights.layer_norm)
        x = normalised + weights.token_type[forward.inputs.token_type_ids]
        return x if weights.project is None else forward.dense(x, weights.project)

    return Fault(patches={"encoder.embed": embed})


@fault
def projected_after_no_norm() -> Fault:
    """Where E differs from H the sum is projected as it stands, and the LayerNorm left out."""

    def embed(forward: Any, weights: Any) -> Array:
        if weights.project is None:
            return encoder_embed(forward, weights)
        silent = dataclasses.replace(forward.components, layer_norm=lambda x, gamma, beta, eps: x)
        return encoder_embed(dataclasses.replace(forward, components=silent), weights)

    return Fault(patches={"encoder.embed": embed})


@fault
def statistics_over_positions() -> Fault:
    """Where E differs from H the embeddings are normalised over the positions of the sequence."""

    def embed(forward: Any, weights: Any) -> Array:
        if weights.project is None:
            return encoder_embed(forward, weights)

        def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
            return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + eps) * gamma + beta

        components = dataclasses.replace(forward.components, layer_norm=layer_norm)
        return encoder_embed(dataclasses.replace(forward, components=components), weights)

    return Fault(patches={"encoder.embed": embed})


@fault
def words_times_root_of_width() -> Fault:
    """Word embeddings are multiplied by √E, as in the first transformer."""
    return Fault({"lookup": lambda table, ids: table[ids] * np.sqrt(table.shape[1]).astype(table.dtype)})
