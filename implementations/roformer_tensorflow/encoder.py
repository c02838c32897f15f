"""The stack of layers (ATT-3, FFN-4, DEC-5); every sublayer ends in its residual and a LayerNorm."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import tensorflow as tf

from .activations import ACTIVATIONS
from .attention import CrossAttention, SelfAttention
from .context import Cache, Forward, Maker


@dataclass(frozen=True)
class Encoded:
    """All that an encoder can return; a caller picks what was asked for."""

    hidden_states: tuple[tf.Tensor, ...]  # num_hidden_layers + 1 of (batch, seq_len, hidden_size)
    attentions: tuple[tf.Tensor, ...]  # a layer: (batch, kept heads, seq_len, keys)
    cross_attentions: tuple[tf.Tensor, ...]  # a layer: (batch, heads, seq_len, encoder_len), or none at all
    past_key_values: Cache


class FeedForward(keras.layers.Layer):
    """LayerNorm(x + dropout(Dense(hidden_act(Dense(x))))) (FFN-4)."""

    def __init__(self, name: str, make: Maker) -> None:
        super().__init__(name=name, dtype=make.policy)
        hidden, inner = make.config.hidden_size, make.config.intermediate_size
        self.intermediate = make.dense(f"{name}.intermediate", hidden, inner)
        self.activation = ACTIVATIONS[make.config.hidden_act]
        self.out = make.dense(f"{name}.output", inner, hidden)
        self.layer_norm = make.layer_norm(f"{name}.layer_norm", hidden)
        self.dropout = make.dropout()
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """(batch, seq_len, hidden_size) → the same."""
        inner = self.out(self.activation(self.intermediate(x)))
        return self.layer_norm(x + self.dropout(inner, training=training))


class Block(keras.layers.Layer):
    """One layer: self-attention, cross-attention where there is something to attend to, feed-forward."""

    def __init__(self, number: int, make: Maker) -> None:
        name = f"encoder.layer_{number}"
        super().__init__(name=name, dtype=make.policy)
        crossed = make.config.add_cross_attention
        self.attention = SelfAttention(f"{name}.attention", number, make)
        self.cross_attention = CrossAttention(f"{name}.cross_attention", make) if crossed else None
        self.feed_forward = FeedForward(f"{name}.feed_forward", make)
        self.built = True

    def call(
        self, x: tf.Tensor, forward: Forward, past: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None, tuple[tf.Tensor, ...]]:
        """The new states, the weights of self-attention and of cross-attention, and what to cache."""
        x, probs, cached = self.attention(x, forward=forward, past=past[:2])
        crossed = None
        if self.cross_attention is not None and (past[2:] or forward.encoder_hidden_states is not None):
            x, crossed, pair = self.cross_attention(x, forward=forward, past=past[2:])
            cached = (*cached, *pair)
        return self.feed_forward(x, training=forward.training), probs, crossed, cached


class Encoder(keras.layers.Layer):
    """num_hidden_layers blocks."""

    def __init__(self, make: Maker) -> None:
        super().__init__(name="encoder", dtype=make.policy)
        self.blocks = [Block(number, make) for number in range(make.config.num_hidden_layers)]
        self.built = True

    def call(self, x: tf.Tensor, forward: Forward) -> Encoded:
        """hidden_states[0] → everything."""
        hidden_states, attentions, cross_attentions, cache = [x], [], [], []
        for number, block in enumerate(self.blocks):
            past = forward.past_key_values[number] if forward.past_key_values else ()
            x, probs, crossed, cached = block(x, forward=forward, past=past)
            hidden_states.append(x)
            attentions.append(probs)
            cross_attentions += [] if crossed is None else [crossed]
            cache.append(cached)
        return Encoded(tuple(hidden_states), tuple(attentions), tuple(cross_attentions), tuple(cache))
