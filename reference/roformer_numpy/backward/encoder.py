"""The backward pass of the encoder: `roformer_numpy.encoder`, read from its end, over a table of gradients.

Each function is the twin of a forward one and takes back its notes in reverse. `upstream` is always the gradient by
what the forward function returned; what is returned is the gradient by what it took, the weights' as a tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ..config import RoFormerConfig
from ..encoder import merge_heads, split_heads
from ..inputs import Inputs
from ..weights import Array, Attention, Dense, Embeddings, FeedForward, Layer, LayerNorm, Weights, map_leaves
from .table import Derivatives
from .tape import Tape


@dataclass(frozen=True)
class Backward:
    """What stays the same through one backward pass."""

    inputs: Inputs
    weights: Weights[Array]
    config: RoFormerConfig
    derivatives: Derivatives
    tape: Tape

    def dense(self, upstream: Array) -> tuple[Array, Dense[Array]]:
        """The latest dense layer's gradients, by its input and by its weights."""
        return cast("tuple[Array, Dense[Array]]", self._of("dense", upstream))

    def layer_norm(self, upstream: Array) -> tuple[Array, LayerNorm[Array]]:
        """The latest layer normalization's gradients, by its input and by its weights."""
        return cast("tuple[Array, LayerNorm[Array]]", self._of("layer_norm", upstream))

    def array(self, name: str, upstream: Array) -> Array:
        """The gradient of the latest call, of a component with one input that is differentiated."""
        return cast(Array, self._of(name, upstream))

    def pair(self, name: str, upstream: Array) -> tuple[Array, Array]:
        """The gradients of the latest call, of a component with two inputs."""
        return cast("tuple[Array, Array]", self._of(name, upstream))

    def feed_forward(self, upstream: Array) -> tuple[Array, Dense[Array], Dense[Array]]:
        """The latest feed-forward part's gradients, by its input and by its two layers."""
        return cast("tuple[Array, Dense[Array], Dense[Array]]", self._of("feed_forward", upstream))

    def _of(self, name: str, upstream: Array) -> Any:
        return getattr(self.derivatives, name)(upstream, *self.tape.last(name))


@dataclass(frozen=True)
class EncoderGradients:
    """What moves the encoder's last state."""

    embeddings: Embeddings[Array]
    encoder: tuple[Layer[Array], ...]
    inputs_embeds: Array  # (batch, seq_len, embedding_size): by the word vectors, wherever they came from
    encoder_hidden_states: Array | None  # (batch, encoder_len, hidden_size)


def encode_vjp(upstream: Array, backward: Backward) -> EncoderGradients:
    """Twin of `encode`, from the gradient by last_hidden_state, (batch, seq_len, hidden_size)."""
    layers: list[Layer[Array]] = []
    states = backward.inputs.encoder_hidden_states
    by_states = None if states is None else np.zeros_like(states)
    for number in reversed(range(len(backward.weights.encoder))):
        upstream, layer, by_encoder = run_layer_vjp(upstream, number, backward)
        layers.insert(0, layer)
        if by_states is not None and by_encoder is not None:
            by_states = by_states + by_encoder
    words, embeddings = embed_vjp(upstream, backward)
    return EncoderGradients(embeddings, tuple(layers), words, by_states)


def embed_vjp(upstream: Array, backward: Backward) -> tuple[Array, Embeddings[Array]]:
    """Twin of `embed`."""
    weights, project = backward.weights.embeddings, None
    if weights.project is not None:
        upstream, project = backward.dense(upstream)
    by_sum, layer_norm = backward.layer_norm(backward.array("dropout", upstream))
    words, token_type = backward.pair("add_token_types", by_sum)
    looked_up = backward.inputs.input_ids is not None
    word = backward.array("lookup", words) if looked_up else np.zeros_like(weights.word)
    return words, Embeddings(word, token_type, layer_norm, project)


def run_layer_vjp(upstream: Array, number: int, backward: Backward) -> tuple[Array, Layer[Array], Array | None]:
    """Twin of `run_layer`; by its input, its weights, and the encoder's states where it attends to them."""
    by_sum, layer_norm = backward.layer_norm(upstream)
    by_inner, intermediate, output = backward.feed_forward(backward.array("dropout", by_sum))
    hidden, by_states = by_sum + by_inner, None
    weights = backward.weights.encoder[number].cross_attention
    past = backward.inputs.past_key_values[number] if backward.inputs.past_key_values else ()
    cross = None if weights is None else zeros_like(weights)
    if weights and (past[2:] or backward.inputs.encoder_hidden_states is not None):
        hidden, cross, by_states = _cross_attention_vjp(hidden, weights, bool(past[2:]), backward)
    hidden, attention = _self_attention_vjp(hidden, number, backward)
    return hidden, Layer(attention, cross, FeedForward(intermediate, output, layer_norm)), by_states


def zeros_like(tree: Any) -> Any:
    """The gradient of weights that moved nothing."""
    return map_leaves(lambda name, leaf: np.zeros_like(leaf), tree)


@dataclass(frozen=True)
class _Finish:
    """The gradients of `_finish`."""

    x: Array
    probs: Array
    value: Array
    output: Dense[Array]
    layer_norm: LayerNorm[Array]


def _self_attention_vjp(upstream: Array, number: int, backward: Backward) -> tuple[Array, Attention[Array]]:
    """Twin of `_self_attention`; what the cache brought in is constant."""
    finish = _finish_vjp(upstream, backward)
    by_query, by_key = _probs_vjp(_mask_heads_vjp(finish.probs, number, backward), backward)
    past = backward.inputs.past_length
    by_key, by_value = by_key[:, :, past:], finish.value[:, :, past:]
    if backward.config.rotary_value:
        by_value = backward.array("rotate", by_value)
    by_key, by_query = backward.array("rotate", by_key), backward.array("rotate", by_query)
    from_value, value = backward.dense(merge_heads(by_value))
    from_key, key = backward.dense(merge_heads(by_key))
    from_query, query = backward.dense(merge_heads(by_query))
    x = finish.x + from_query + from_key + from_value
    return x, Attention(query, key, value, finish.output, finish.layer_norm)


def _cross_attention_vjp(
    upstream: Array, weights: Attention[Array], cached: bool, backward: Backward
) -> tuple[Array, Attention[Array], Array | None]:
    """Twin of `_cross_attention`; keys and values that were `cached` are constants, and so is what made them."""
    finish = _finish_vjp(upstream, backward)
    by_query, by_key = _probs_vjp(finish.probs, backward)
    key, value, by_states = zeros_like(weights.key), zeros_like(weights.value), None
    if not cached:
        from_value, value = backward.dense(merge_heads(finish.value))
        from_key, key = backward.dense(merge_heads(by_key))
        by_states = from_key + from_value
    from_query, query = backward.dense(merge_heads(by_query))
    return finish.x + from_query, Attention(query, key, value, finish.output, finish.layer_norm), by_states


def _probs_vjp(upstream: Array, backward: Backward) -> tuple[Array, Array]:
    by_scores = backward.array("attention_probs", backward.array("dropout", upstream))
    return backward.pair("attention_scores", by_scores)


def _mask_heads_vjp(upstream: Array, number: int, backward: Backward) -> Array:
    if backward.inputs.head_mask is None:
        return upstream
    return upstream * backward.inputs.head_mask[number, backward.config.kept_heads(number)][:, None, None]


def _finish_vjp(upstream: Array, backward: Backward) -> _Finish:
    by_sum, layer_norm = backward.layer_norm(upstream)
    by_context, output = backward.dense(backward.array("dropout", by_sum))
    probs, value = backward.pair("attend", split_heads(by_context, backward.config.head_dim))
    return _Finish(by_sum, probs, value, output, layer_norm)
