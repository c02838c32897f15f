"""The weights of a RoFormer: one frozen tree, one schema of names and shapes, one way to draw fresh ones.

The tree is generic in its leaves: with shapes as leaves it is the schema, with arrays as leaves it is a model.
A leaf's name is the path to it, `encoder.layer_0.attention.query.kernel`. Kernels are stored [in, out], so that a
formula reads `x @ kernel + bias`; other people's names and transposes are known to `checkpoints` alone.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .config import RoFormerConfig
from .errors import InputError

Leaf = TypeVar("Leaf")
Other = TypeVar("Other")
Shape = tuple[int, ...]
Array = NDArray[Any]

HEADS = (
    "base", "masked_lm", "causal_lm", "sequence_classification", "token_classification", "multiple_choice",
    "question_answering",
)  # fmt: skip


@dataclass(frozen=True)
class Dense(Generic[Leaf]):
    """A dense layer: kernel (in, out), bias (out,)."""

    kernel: Leaf
    bias: Leaf


@dataclass(frozen=True)
class LayerNorm(Generic[Leaf]):
    """Scale and shift of a layer normalization: gamma (width,), beta (width,)."""

    gamma: Leaf
    beta: Leaf


@dataclass(frozen=True)
class Embeddings(Generic[Leaf]):
    """word (V, E), token_type (T, E), their LayerNorm over E, and the projection E to H where E differs from H."""

    word: Leaf
    token_type: Leaf
    layer_norm: LayerNorm[Leaf]
    project: Dense[Leaf] | None


@dataclass(frozen=True)
class Attention(Generic[Leaf]):
    """query, key, value (H, kept heads · d), output (kept heads · d, H) and the LayerNorm after the residual."""

    query: Dense[Leaf]
    key: Dense[Leaf]
    value: Dense[Leaf]
    output: Dense[Leaf]
    layer_norm: LayerNorm[Leaf]


@dataclass(frozen=True)
class FeedForward(Generic[Leaf]):
    """intermediate (H, FFN), output (FFN, H) and the LayerNorm after the residual."""

    intermediate: Dense[Leaf]
    output: Dense[Leaf]
    layer_norm: LayerNorm[Leaf]


@dataclass(frozen=True)
class Layer(Generic[Leaf]):
    """One block of the encoder or decoder."""

    attention: Attention[Leaf]
    cross_attention: Attention[Leaf] | None
    feed_forward: FeedForward[Leaf]


@dataclass(frozen=True)
class LanguageModelHead(Generic[Leaf]):
    """transform (H, E), its LayerNorm, bias (V,), and decoder (V, E) unless the word embeddings take its place."""

    transform: Dense[Leaf]
    layer_norm: LayerNorm[Leaf]
    decoder: Leaf | None
    bias: Leaf


@dataclass(frozen=True)
class SequenceHead(Generic[Leaf]):
    """dense (H, H) and output (H, C)."""

    dense: Dense[Leaf]
    output: Dense[Leaf]


Head = LanguageModelHead[Leaf] | SequenceHead[Leaf] | Dense[Leaf]


@dataclass(frozen=True)
class Weights(Generic[Leaf]):
    """All weights of one model; `head` is None for the base model, `pooler` for every other one."""

    embeddings: Embeddings[Leaf]
    encoder: tuple[Layer[Leaf], ...]
    pooler: Dense[Leaf] | None
    head: Head[Leaf] | None


def map_leaves(function: Callable[[str, Any], Other], tree: Any, name: str = "") -> Any:
    """The tree with `function(name, leaf)` in place of every leaf."""
    if tree is None:
        return None
    kind: Any = type(tree)
    fields = _FIELDS.get(kind)
    if fields:
        path = f"{name}." if name else ""
        if kind in _OF_LEAVES:  # most of a tree: no need to look what its parts are
            return kind(*[function(path + key, getattr(tree, key)) for key in fields])
        return kind(*[map_leaves(function, getattr(tree, key), path + key) for key in fields])
    if kind is tuple and isinstance(tree[0], Layer):
        return tuple([map_leaves(function, part, f"{name}.layer_{number}") for number, part in enumerate(tree)])
    return function(name, tree)


def named_leaves(tree: Weights[Leaf]) -> dict[str, Leaf]:
    """Every leaf by its name, in the order of the tree."""
    leaves: dict[str, Leaf] = {}
    map_leaves(leaves.__setitem__, tree)
    return leaves


def weight_shapes(config: RoFormerConfig, head: str = "base") -> dict[str, Shape]:
    """The schema: name and shape of every weight that `config` asks of the model called `head`.

    Raises:
        InputError: `head` is none of the seven.
    """
    return named_leaves(shape_tree(config, head))


def shape_tree(config: RoFormerConfig, head: str = "base") -> Weights[Shape]:
    """The schema as a tree whose leaves are shapes."""
    hidden, embedding = config.hidden_size, config.embedding_size
    return Weights(
        embeddings=Embeddings(
            word=(config.vocab_size, embedding),
            token_type=(config.type_vocab_size, embedding),
            layer_norm=_norm(embedding),
            project=_dense(embedding, hidden) if embedding != hidden else None,
        ),
        encoder=tuple(_layer(config, number) for number in range(config.num_hidden_layers)),
        pooler=_dense(hidden, hidden) if head == "base" and config.add_pooling_layer else None,
        head=_head(config, head),
    )


def initialize(config: RoFormerConfig, head: str, seed: int, dtype: DTypeLike) -> Weights[Array]:
    """Fresh weights: kernels and embeddings normal with `initializer_range`, biases 0, gamma 1, the pad row 0."""

    def leaf(name: str, shape: Shape) -> Array:
        return in_order(name, draw(name, shape, config, seed).astype(dtype))

    return map_leaves(leaf, shape_tree(config, head))


def in_order(name: str, array: Array) -> Array:
    """The weight called `name` in memory as files hold it: a kernel column by column, everything else row by row.

    A product may sum in another order over another layout; with one layout a model and its saved copy round alike.
    """
    return np.asfortranarray(array) if name.endswith(".kernel") else np.ascontiguousarray(array)


def draw(name: str, shape: Shape, config: RoFormerConfig, seed: int) -> NDArray[np.float64]:
    """The fresh float64 weight called `name`: it depends on seed, name and shape alone, so heads can be added later."""
    if name.endswith((".bias", ".beta")):
        return np.zeros(shape)
    if name.endswith(".gamma"):
        return np.ones(shape)
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    values = generator.normal(0.0, config.initializer_range, shape)
    if name == "embeddings.word" and config.pad_token_id is not None:
        values[config.pad_token_id] = 0.0
    return values


def _layer(config: RoFormerConfig, number: int) -> Layer[Shape]:
    return Layer(
        attention=_attention(config, len(config.kept_heads(number))),
        cross_attention=_attention(config, config.num_attention_heads) if config.add_cross_attention else None,
        feed_forward=FeedForward(
            intermediate=_dense(config.hidden_size, config.intermediate_size),
            output=_dense(config.intermediate_size, config.hidden_size),
            layer_norm=_norm(config.hidden_size),
        ),
    )


def _attention(config: RoFormerConfig, heads: int) -> Attention[Shape]:
    hidden, width = config.hidden_size, heads * config.head_dim
    return Attention(
        query=_dense(hidden, width),
        key=_dense(hidden, width),
        value=_dense(hidden, width),
        output=_dense(width, hidden),
        layer_norm=_norm(hidden),
    )


def _head(config: RoFormerConfig, head: str) -> Head[Shape] | None:
    hidden, embedding = config.hidden_size, config.embedding_size
    language_model = LanguageModelHead(
        transform=_dense(hidden, embedding),
        layer_norm=_norm(embedding),
        decoder=None if config.tie_word_embeddings else (config.vocab_size, embedding),
        bias=(config.vocab_size,),
    )
    table: dict[str, Head[Shape] | None] = {
        "base": None,
        "masked_lm": language_model,
        "causal_lm": language_model,
        "sequence_classification": SequenceHead(_dense(hidden, hidden), _dense(hidden, config.num_labels)),
        "token_classification": _dense(hidden, config.num_labels),
        "multiple_choice": _dense(hidden, 1),
        "question_answering": _dense(hidden, 2),
    }
    if head not in table:
        raise InputError(f"head={head!r} is not one of {', '.join(HEADS)}")
    return table[head]


def _dense(inputs: int, outputs: int) -> Dense[Shape]:
    return Dense(kernel=(inputs, outputs), bias=(outputs,))


def _norm(width: int) -> LayerNorm[Shape]:
    return LayerNorm(gamma=(width,), beta=(width,))


_NODES = (Dense, LayerNorm, Embeddings, Attention, FeedForward, Layer, LanguageModelHead, SequenceHead, Weights)
_FIELDS: dict[Any, tuple[str, ...]] = {node: tuple(item.name for item in dataclasses.fields(node)) for node in _NODES}
_OF_LEAVES = frozenset({Dense, LayerNorm})  # whose fields are leaves, each of them
