"""What stays the same through one forward pass, and what its parts are made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from roformer_numpy.config import RoFormerConfig

from .layers import Dropout, LayerNorm, dense
from .rotary import Rotation

Cache = tuple[tuple[tf.Tensor, ...], ...]


@dataclass(frozen=True)
class Maker:
    """Makes layers of one configuration, type and source of randomness; the policy reaches every sublayer."""

    config: RoFormerConfig
    policy: Any
    randomness: keras.random.SeedGenerator

    def dense(self, name: str, inputs: int, outputs: int) -> keras.layers.Dense:
        """A dense layer, built."""
        return dense(name, inputs, outputs, self.policy)

    def layer_norm(self, name: str, width: int) -> LayerNorm:
        """A layer normalization with the configuration's eps."""
        return LayerNorm(name, width, self.config.layer_norm_eps, self.policy)

    def dropout(self) -> Dropout:
        """Dropout of hidden features."""
        return Dropout(self.config.hidden_dropout_prob, self.randomness, self.policy)

    def dropout_probs(self) -> Dropout:
        """Dropout of attention weights."""
        return Dropout(self.config.attention_probs_dropout_prob, self.randomness, self.policy)


@dataclass(frozen=True)
class Forward:
    """One call, after its arguments became tensors; `keys` counts what is cached and seq_len."""

    visible: tf.Tensor  # bool (batch, 1, seq_len, keys)
    allowed: tf.Tensor  # bool (batch, 1, seq_len, keys): what causality leaves, for queries that see nothing
    rotation: Rotation
    training: bool = False
    head_mask: tf.Tensor | None = None  # (num_hidden_layers, num_attention_heads)
    past_key_values: Cache | None = None
    encoder_hidden_states: tf.Tensor | None = None  # (batch, encoder_len, hidden_size)
    encoder_attention_mask: tf.Tensor | None = None  # bool (batch, encoder_len)
