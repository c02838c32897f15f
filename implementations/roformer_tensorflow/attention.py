"""Multi-head attention with exact masks (ATT-3, MASK-1, MASK-6, DEC-2)."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from .context import Forward, Maker
from .precision import wide
from .rotary import rotate

Pair = tuple[tf.Tensor, tf.Tensor]


def causal_mask(queries: Any, keys: Any, causal: bool) -> tf.Tensor:
    """Which keys causality allows, bool (queries, keys): query q of Q stands at position q + K − Q."""
    positions = tf.range(keys - queries, keys)[:, None]
    return tf.range(keys)[None, :] <= (positions if causal else keys)


def attention_probs(query: tf.Tensor, key: tf.Tensor, visible: tf.Tensor, allowed: tf.Tensor) -> tf.Tensor:
    """Softmax of query · keyᵀ / √d over the visible keys; the others get exactly 0.

    A query that sees no key gets the same weight for every allowed one (MASK-6), and no NaN. Nothing large is added
    to a score: what is not visible is replaced, so no score can outweigh the mask.

    Args:
        query: (batch, heads, queries, head_dim).
        key: (batch, heads, keys, head_dim).
        visible: bool, broadcast to (batch, heads, queries, keys).
        allowed: the same shape, True wherever visible is.

    Returns:
        (batch, heads, queries, keys); rows sum to 1.
    """
    blind = ~tf.reduce_any(visible, axis=-1, keepdims=True)
    # scaling the query, and blinding it, touches far fewer numbers than the scores are
    query = tf.where(blind, tf.zeros_like(query), query / math.sqrt(query.shape[-1]))
    scores = wide(tf.matmul(query, key, transpose_b=True))
    # −∞ is the one score whose exponential is 0 whatever it stands beside, and whose slope is 0
    scores = tf.where(tf.where(blind, allowed, visible), scores, tf.constant(-math.inf, scores.dtype))
    # written out: TensorFlow's own softmax gives a masked key 0 where a NaN among the visible ones makes the row NaN
    highest = tf.stop_gradient(tf.reduce_max(scores, axis=-1, keepdims=True))
    exponentials = tf.exp(scores - highest)
    return tf.cast(exponentials / tf.reduce_sum(exponentials, axis=-1, keepdims=True), query.dtype)


class Attention(keras.layers.Layer):
    """LayerNorm(x + dropout(Dense(attention))): what self-attention and cross-attention share."""

    def __init__(self, name: str, heads: list[int], make: Maker) -> None:
        super().__init__(name=name, dtype=make.policy)
        hidden, self.head_dim, self.heads = make.config.hidden_size, make.config.head_dim, heads
        width = len(heads) * self.head_dim
        self.query = make.dense(f"{name}.query", hidden, width)
        self.key = make.dense(f"{name}.key", hidden, width)
        self.value = make.dense(f"{name}.value", hidden, width)
        self.out = make.dense(f"{name}.output", width, hidden)
        self.layer_norm = make.layer_norm(f"{name}.layer_norm", hidden)
        self.dropout, self.dropout_probs = make.dropout(), make.dropout_probs()
        self.built = True

    def split(self, x: tf.Tensor) -> tf.Tensor:
        """(batch, seq_len, heads · head_dim) → (batch, heads, seq_len, head_dim)."""
        batch, seq_len = tf.unstack(tf.shape(x)[:2])
        return tf.transpose(tf.reshape(x, (batch, seq_len, len(self.heads), self.head_dim)), (0, 2, 1, 3))

    def merge(self, x: tf.Tensor) -> tf.Tensor:
        """(batch, heads, seq_len, head_dim) → (batch, seq_len, heads · head_dim)."""
        batch, seq_len = tf.shape(x)[0], tf.shape(x)[2]
        return tf.reshape(tf.transpose(x, (0, 2, 1, 3)), (batch, seq_len, len(self.heads) * self.head_dim))

    def finish(self, x: tf.Tensor, probs: tf.Tensor, value: tf.Tensor, training: bool) -> tf.Tensor:
        """probs · value, merged, through the output layer and onto the residual: (batch, seq_len, hidden_size)."""
        context = self.merge(tf.matmul(probs, value))
        return self.layer_norm(x + self.dropout(self.out(context), training=training))


class SelfAttention(Attention):
    """Attention of a sequence to itself and to what is cached; keys are cached after they were turned (DEC-5.3)."""

    def __init__(self, name: str, number: int, make: Maker) -> None:
        super().__init__(name, make.config.kept_heads(number), make)
        self.number, self.rotary_value = number, make.config.rotary_value

    def call(self, x: tf.Tensor, forward: Forward, past: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor, Pair]:
        """The new states, the attention weights (batch, kept heads, seq_len, keys), and what to cache."""
        query = rotate(self.split(self.query(x)), forward.rotation)
        key = rotate(self.split(self.key(x)), forward.rotation)
        value = self.split(self.value(x))
        value = rotate(value, forward.rotation) if self.rotary_value else value
        if past:
            key, value = tf.concat([past[0], key], axis=2), tf.concat([past[1], value], axis=2)
        probs = attention_probs(query, key, forward.visible, forward.allowed)
        probs = self._masked(self.dropout_probs(probs, training=forward.training), forward.head_mask)
        return self.finish(x, probs, value, forward.training), probs, (key, value)

    def _masked(self, probs: tf.Tensor, head_mask: tf.Tensor | None) -> tf.Tensor:
        """Times the head mask, which numbers heads as before pruning, without normalising again (HEAD-6, HEAD-7.5)."""
        if head_mask is None:
            return probs
        return probs * tf.gather(head_mask[self.number], self.heads)[:, None, None]


class CrossAttention(Attention):
    """Attention to an encoder's states: no rotation (ROT-2.5), no causality, no head mask (HEAD-6.3)."""

    def __init__(self, name: str, make: Maker) -> None:
        super().__init__(name, list(range(make.config.num_attention_heads)), make)

    def call(self, x: tf.Tensor, forward: Forward, past: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor, Pair]:
        """The new states, the weights (batch, heads, seq_len, encoder_len), and the encoder's keys and values."""
        states, mask = forward.encoder_hidden_states, forward.encoder_attention_mask
        key, value = past or (self.split(self.key(states)), self.split(self.value(states)))
        everything = tf.ones((tf.shape(key)[0], 1, 1, tf.shape(key)[2]), tf.bool)
        visible = everything if mask is None else mask[:, None, None, :]
        probs = attention_probs(self.split(self.query(x)), key, visible, everything)
        probs = self.dropout_probs(probs, training=forward.training)
        return self.finish(x, probs, value, forward.training), probs, (key, value)
