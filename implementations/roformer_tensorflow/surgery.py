"""Changes to a finished model: heads taken out, a vocabulary grown or cut (HEAD-7, HEAD-8).

Each returns the changed configuration and weights; the model then makes its layers anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from operator import index
from typing import Any

import keras
import numpy as np

from roformer_numpy.config import RoFormerConfig
from roformer_numpy.errors import InputTypeError, shown
from roformer_numpy.weights import Array, Weights, draw

from .variables import tree_of

Changed = tuple[RoFormerConfig, Weights[Array]]


def without_heads(model: keras.Model, heads: Mapping[int, Iterable[int]]) -> Changed:
    """Without `heads`, layer → heads, numbered as in the unpruned model; what is gone already stays gone."""
    old, tree = model.config, tree_of(model)
    gone = {layer: set(pruned) for layer, pruned in old.pruned_heads.items()}
    for layer, pruned in _numbers(heads).items():
        gone.setdefault(layer, set()).update(pruned)
    new = old.replace(pruned_heads={layer: sorted(pruned) for layer, pruned in sorted(gone.items()) if pruned})
    blocks = tuple(
        dataclasses.replace(block, attention=_kept(block.attention, _columns(old, new, number)))
        for number, block in enumerate(tree.encoder)
    )
    return new, dataclasses.replace(tree, encoder=blocks)


def with_vocabulary(model: keras.Model, vocab_size: int, seed: int) -> Changed:
    """With `vocab_size` tokens: kept rows stay, new ones are drawn from `seed`, new biases are 0."""
    if isinstance(vocab_size, bool) or not hasattr(vocab_size, "__index__"):
        raise InputTypeError(f"vocab_size is {shown(vocab_size)}, expected an integer")
    new, tree = model.config.replace(vocab_size=index(vocab_size)), tree_of(model)

    def resized(name: str, rows: Array | None) -> Array | None:
        if rows is None:
            return None
        fresh = draw(name, (new.vocab_size, *rows.shape[1:]), new, seed).astype(rows.dtype)
        return np.concatenate([rows[: new.vocab_size], fresh[len(rows) :]])

    head: Any = tree.head
    if hasattr(head, "decoder"):
        names = {"decoder": head.decoder, "bias": head.bias}
        head = dataclasses.replace(head, **{name: resized(f"head.{name}", rows) for name, rows in names.items()})
    word: Any = resized("embeddings.word", tree.embeddings.word)
    return new, dataclasses.replace(tree, embeddings=dataclasses.replace(tree.embeddings, word=word), head=head)


def _numbers(heads: Mapping[int, Iterable[int]]) -> dict[int, set[int]]:
    if not isinstance(heads, Mapping):
        raise InputTypeError(f"heads to prune are a {type(heads).__name__}, expected a mapping of layer to heads")
    try:
        return {index(layer): {index(head) for head in pruned} for layer, pruned in heads.items()}
    except TypeError as error:
        raise InputTypeError(f"heads to prune are {shown(heads)}, expected integers: {error}") from error


def _columns(old: RoFormerConfig, new: RoFormerConfig, layer: int) -> Array:
    """Which of a layer's features belong to heads that stay."""
    stays = [head in new.kept_heads(layer) for head in old.kept_heads(layer)]
    return np.repeat(np.array(stays), old.head_dim)


def _kept(attention: Any, columns: Array) -> Any:
    parts = {name: getattr(attention, name) for name in ("query", "key", "value")}
    narrowed: dict[str, Any] = {
        name: dataclasses.replace(part, kernel=part.kernel[:, columns], bias=part.bias[columns])
        for name, part in parts.items()
    }
    output = dataclasses.replace(attention.output, kernel=attention.output.kernel[columns])
    return dataclasses.replace(attention, **narrowed, output=output)
