"""From ids to hidden_states[0] (EMB-1)."""

from __future__ import annotations

import keras
import tensorflow as tf

from .context import Maker


class Embeddings(keras.layers.Layer):
    """project(dropout(LayerNorm(word + type))); no position is added, and without E ≠ H nothing is projected."""

    def __init__(self, make: Maker) -> None:
        super().__init__(name="embeddings", dtype=make.policy)
        config = make.config
        self.width = config.embedding_size
        self.word = self.add_weight(name="word", shape=(config.vocab_size, self.width), initializer="zeros")
        self.token_type = self.add_weight(
            name="token_type", shape=(config.type_vocab_size, self.width), initializer="zeros"
        )
        self.layer_norm = make.layer_norm("embeddings.layer_norm", self.width)
        self.dropout = make.dropout()
        projected = self.width != config.hidden_size
        self.project = make.dense("embeddings.project", self.width, config.hidden_size) if projected else None
        self.built = True

    def call(
        self, input_ids: tf.Tensor | None, inputs_embeds: tf.Tensor | None, token_type_ids: tf.Tensor, training: bool
    ) -> tf.Tensor:
        """(batch, seq_len) ids, or (batch, seq_len, embedding_size) → (batch, seq_len, hidden_size)."""
        words = tf.gather(self.word, input_ids) if inputs_embeds is None else inputs_embeds
        x = self.layer_norm(words + tf.gather(self.token_type, token_type_ids))
        x = self.dropout(x, training=training)
        return x if self.project is None else self.project(x)
