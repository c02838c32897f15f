"""Changes to a finished model: heads taken out, a vocabulary grown or cut (HEAD-7, HEAD-8)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from .config import RoFormerConfig
from .errors import InputTypeError, integer, shown
from .weights import Array, Attention, Dense, LanguageModelHead, Weights, draw

Model = tuple[Weights[Array], RoFormerConfig]


def prune_heads(weights: Weights[Array], config: RoFormerConfig, heads: Mapping[int, Iterable[int]]) -> Model:
    """Take heads out of self-attention; numbers are those of the unpruned model, and pruning twice is pruning once.

    Args:
        weights: the tree.
        config: as it is now, `pruned_heads` included.
        heads: layer → heads to take out.

    Raises:
        ConfigError: a layer or head that does not exist, or no head left in a layer.
        InputTypeError: not a mapping of integers to integers.
    """
    pruned = {layer: list(gone) for layer, gone in config.pruned_heads.items()}
    for layer, gone in _as_integers(heads).items():
        pruned[layer] = sorted({*pruned.get(layer, []), *gone})
    changed = config.replace(pruned_heads={layer: gone for layer, gone in sorted(pruned.items()) if gone})
    encoder = tuple(
        dataclasses.replace(layer, attention=_keep_heads(layer.attention, config, changed, number))
        for number, layer in enumerate(weights.encoder)
    )
    return dataclasses.replace(weights, encoder=encoder), changed


def resize_token_embeddings(weights: Weights[Array], config: RoFormerConfig, vocab_size: int, seed: int) -> Model:
    """Another vocabulary size: kept rows stay as they are, new ones are drawn from `seed`, new LM biases are 0.

    Raises:
        ConfigError: a size below 1, or below an id that the configuration names.
        InputTypeError: no integer.
    """
    changed = config.replace(vocab_size=integer("new size of the vocabulary", vocab_size))
    embeddings = dataclasses.replace(
        weights.embeddings, word=_resized("embeddings.word", weights.embeddings.word, changed, seed)
    )
    head = weights.head
    if isinstance(head, LanguageModelHead):
        head = dataclasses.replace(
            head,
            bias=_resized("head.bias", head.bias, changed, seed),
            decoder=None if head.decoder is None else _resized("head.decoder", head.decoder, changed, seed),
        )
    return dataclasses.replace(weights, embeddings=embeddings, head=head), changed


def _as_integers(heads: Mapping[int, Iterable[int]]) -> dict[int, list[int]]:
    if not isinstance(heads, Mapping):
        raise InputTypeError(f"heads to prune are a {type(heads).__name__}, expected a mapping of layer to heads")
    try:
        return {integer("layer", layer): [integer("head", head) for head in gone] for layer, gone in heads.items()}
    except TypeError as error:
        raise InputTypeError(f"heads to prune are {shown(heads)}, expected integers: {error}") from error


def _keep_heads(attention: Attention[Array], old: RoFormerConfig, new: RoFormerConfig, layer: int) -> Attention[Array]:
    """The attention weights without the columns (and the output's rows) of the heads that go."""
    before, after = old.kept_heads(layer), new.kept_heads(layer)
    if before == after:
        return attention
    features = np.concatenate([np.arange(old.head_dim) + before.index(head) * old.head_dim for head in after])
    query, key, value = (
        # in the memory layout that loading gives: a pruned model and its saved copy round alike (HEAD-7.3)
        Dense(np.asfortranarray(part.kernel[:, features]), part.bias[features])
        for part in (attention.query, attention.key, attention.value)
    )
    output = Dense(np.asfortranarray(attention.output.kernel[features]), attention.output.bias)
    return Attention(query, key, value, output, attention.layer_norm)


def _resized(name: str, old: Array, config: RoFormerConfig, seed: int) -> Array:
    fresh = draw(name, (config.vocab_size, *old.shape[1:]), config, seed).astype(old.dtype)
    kept = min(len(old), len(fresh))
    fresh[:kept] = old[:kept]
    return fresh
