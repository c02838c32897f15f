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
