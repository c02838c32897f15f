"""The forward pass, written once over a table of components.

    hidden_states[0] = project(dropout(LayerNorm(word + type)))
    each layer:        x = LayerNorm(x + dropout(attention(x)))
                       x = LayerNorm(x + dropout(cross-attention(x)))      where the configuration asks for it
                       x = LayerNorm(x + dropout(feed_forward(x)))

A faster engine takes the place of `encode` as a whole: same arguments, same result, judged by the same checks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .components import Components
from .config import RoFormerConfig
from .inputs import Cache, Inputs
from .weights import Array, Attention, Dense, Embeddings, Layer, LayerNorm, Weights


@dataclass(frozen=True)
class Encoded:
    """What the encoder returns; what was not asked for is None."""

    last_hidden_state: Array  # (batch, seq_len, hidden_size)
    hidden_states: tuple[Array, ...] | None  # num_hidden_layers + 1 of the same
    attentions: tuple[Array, ...] | None  # a layer: (batch, kept heads, seq_len, keys)
    cross_attentions: tuple[Array, ...] | None  # a layer: (batch, heads, seq_len, encoder_len)
    past_key_values: Cache | None


@dataclass(frozen=True)
class Forward:
    """What stays the same through one forward pass."""

    inputs: Inputs
    config: RoFormerConfig
    components: Components
    causal: bool
    rotation: tuple[Array, Array]  # cos and sin of the positions in this call

    def dense(self, x: Array, weights: Dense[Array]) -> Array:
        """x · kernel + bias."""
        return self.components.dense(x, weights.kernel, weights.bias)

    def layer_norm(self, x: Array, weights: LayerNorm[Array]) -> Array:
        """Layer normalization with the configuration's eps."""
        return self.components.layer_norm(x, weights.gamma, weights.beta, self.config.layer_norm_eps)

    def dropout(self, x: Array) -> Array:
        """Dropout of hidden features."""
        return self.components.dropout(x, self.config.hidden_dropout_prob, self.inputs.generator)

    def dropout_probs(self, probs: Array) -> Array:
        """Dropout of attention weights."""
        return self.components.dropout(probs, self.config.attention_probs_dropout_prob, self.inputs.generator)


@dataclass(frozen=True)
class LayerResult:
    """The output of one layer with what a caller may ask to see."""

    hidden: Array
    probs: Array
    cross_probs: Array | None
    cache: tuple[Array, ...]


def encode(
    inputs: Inputs, weights: Weights[Array], config: RoFormerConfig, components: Components, *, causal: bool
) -> Encoded:
    """Embeddings and all layers.

    Args:
        inputs: validated arguments.
        weights: the tree; its floating-point type is the type of everything returned.
        config: sizes and switches.
        components: the arithmetic, EQUATIONS or KERNELS.
        causal: whether a position sees only itself and what stands before it.

    Returns:
        Encoded, with exactly the extras that `inputs` asks for.

    Source: EMB-1, ROT-2, ATT-3, FFN-4, MASK-1 to MASK-6, DEC-1 to DEC-5, OUT-1.
    """
    forward = _prepare(inputs, weights, config, components, causal)
    hidden = embed(forward, weights.embeddings)
    hidden_states, results = [_wanted(hidden, inputs.computed)], []
    for result in _run_layers(hidden, weights, forward):
        hidden_states.append(_wanted(result.hidden, inputs.computed))
        results.append(result)
    crossed = [result.cross_probs for result in results if result.cross_probs is not None]
    return Encoded(
        last_hidden_state=hidden_states[-1],
        hidden_states=tuple(hidden_states) if inputs.output_hidden_states else None,
        attentions=tuple(result.probs for result in results) if inputs.output_attentions else None,
        cross_attentions=tuple(crossed) if inputs.output_attentions and crossed else None,
        past_key_values=tuple(result.cache for result in results) if inputs.use_cache else None,
    )


def embed(forward: Forward, weights: Embeddings[Array]) -> Array:
    """hidden_states[0], (batch, seq_len, hidden_size) (EMB-1)."""
    inputs, components = forward.inputs, forward.components
    words = inputs.inputs_embeds if inputs.input_ids is None else components.lookup(weights.word, inputs.input_ids)
    summed = components.add_token_types(words, weights.token_type, inputs.token_type_ids)
    x = forward.dropout(forward.layer_norm(summed, weights.layer_norm))
    return x if weights.project is None else forward.dense(x, weights.project)


def _wanted(hidden: Array, computed: Array | None) -> Array:
    """The states with 0 at the positions that the caller does without."""
    return hidden if computed is None else np.where(computed[:, :, None], hidden, np.zeros((), hidden.dtype))


def run_layer(hidden: Array, layer: Layer[Array], number: int, forward: Forward) -> LayerResult:
    """One layer: self-attention, cross-attention where there is something to attend to, feed-forward."""
    past = forward.inputs.past_key_values[number] if forward.inputs.past_key_values else ()
    hidden, probs, cache = _self_attention(hidden, layer.attention, number, past[:2], forward)
    cross_probs = None
    if layer.cross_attention and (past[2:] or forward.inputs.encoder_hidden_states is not None):
        hidden, cross_probs, cross = _cross_attention(hidden, layer.cross_attention, past[2:], forward)
        cache = (*cache, *cross)
    ffn = layer.feed_forward
    inner = forward.components.feed_forward(hidden, ffn.intermediate, ffn.output, forward.config.hidden_act)
    hidden = forward.layer_norm(hidden + forward.dropout(inner), ffn.layer_norm)
    return LayerResult(hidden, probs, cross_probs, cache)


def split_heads(x: Array, head_dim: int) -> Array:
    """(batch, seq_len, heads · head_dim) → (batch, heads, seq_len, head_dim)."""
    return x.reshape(*x.shape[:2], x.shape[2] // head_dim, head_dim).transpose(0, 2, 1, 3)


def merge_heads(x: Array) -> Array:
    """(batch, heads, seq_len, head_dim) → (batch, seq_len, heads · head_dim)."""
    batch, heads, seq_len, head_dim = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch, seq_len, heads * head_dim)


def _prepare(
    inputs: Inputs, weights: Weights[Array], config: RoFormerConfig, components: Components, causal: bool
) -> Forward:
    first, last = inputs.past_length, inputs.attention_mask.shape[1]
    rotation = components.rotary_table(np.arange(first, last), config.head_dim, weights.embeddings.word.dtype)
    return Forward(inputs, config, components, causal, rotation)


def _run_layers(hidden: Array, weights: Weights[Array], forward: Forward) -> Iterator[LayerResult]:
    for number, layer in enumerate(weights.encoder):
        result = run_layer(hidden, layer, number, forward)
        hidden = result.hidden
        yield result


def _self_attention(
    x: Array, weights: Attention[Array], number: int, past: tuple[Array, ...], forward: Forward
) -> tuple[Array, Array, tuple[Array, ...]]:
    """Self-attention of layer `number`; the cache keeps rotated keys (ROT-2, DEC-5.3)."""
    rotate, head_dim = forward.components.rotate, forward.config.head_dim
    query, key, value = (
        split_heads(forward.dense(x, part), head_dim) for part in (weights.query, weights.key, weights.value)
    )
    query, key = rotate(query, *forward.rotation), rotate(key, *forward.rotation)
    if forward.config.rotary_value:
        value = rotate(value, *forward.rotation)
    if past:
        key, value = np.concatenate([past[0], key], axis=2), np.concatenate([past[1], value], axis=2)
    probs = _probs(query, key, forward.inputs.attention_mask, forward.causal, forward)
    probs = _mask_heads(probs, number, forward)
    return _finish(probs, value, x, weights, forward), probs, (key, value)


def _cross_attention(
    x: Array, weights: Attention[Array], past: tuple[Array, ...], forward: Forward
) -> tuple[Array, Array, tuple[Array, ...]]:
    """Attention to the encoder's states: no rotation (ROT-2.5), no causality, no head_mask (HEAD-6.3)."""
    inputs, head_dim = forward.inputs, forward.config.head_dim
    query = split_heads(forward.dense(x, weights.query), head_dim)
    states = inputs.encoder_hidden_states
    key, value = past or (
        split_heads(forward.dense(states, part), head_dim)
        for part in (weights.key, weights.value)
        if states is not None
    )
    mask = inputs.encoder_attention_mask
    probs = _probs(query, key, np.ones(key.shape[::2], bool) if mask is None else mask, False, forward)
    return _finish(probs, value, x, weights, forward), probs, (key, value)


def _probs(query: Array, key: Array, key_mask: Array, causal: bool, forward: Forward) -> Array:
    scores = forward.components.attention_scores(query, key)
    return forward.dropout_probs(forward.components.attention_probs(scores, key_mask, causal))


def _mask_heads(probs: Array, number: int, forward: Forward) -> Array:
    """Multiply by the head mask, which numbers the heads as they were before pruning, without renormalising."""
    if forward.inputs.head_mask is None:
        return probs
    return probs * forward.inputs.head_mask[number, forward.config.kept_heads(number)][:, None, None]


def _finish(probs: Array, value: Array, x: Array, weights: Attention[Array], forward: Forward) -> Array:
    context = merge_heads(forward.components.attend(probs, value))
    projected = forward.dropout(forward.dense(context, weights.output))
    return forward.layer_norm(x + projected, weights.layer_norm)
