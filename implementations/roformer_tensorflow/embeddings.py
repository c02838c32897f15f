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
        self.word = self._table("word", config.vocab_size)
        self.token_type = self._table("token_type", config.type_vocab_size)
        self.layer_norm = make.layer_norm("embeddings.layer_norm", self.width)
        self.dropout = make.dropout()
        projected = self.width != config.hidden_size
        self.project = make.dense("embeddings.project", self.width, config.hidden_size) if projected else None
        self.built = True

    def call(
        self, input_ids: tf.Tensor | None, inputs_embeds: tf.Tensor | None, token_type_ids: tf.Tensor, training: bool
    ) -> tf.Tensor:
        """(batch, seq_len) ids, or (batch, seq_len, embedding_size) → (batch, seq_len, hidden_size)."""
        words = self._rows(self.word, input_ids) if inputs_embeds is None else inputs_embeds
        x = self.layer_norm(words + self._rows(self.token_type, token_type_ids))
        x = self.dropout(x, training=training)
        return x if self.project is None else self.project(x)

    def _table(self, name: str, count: int) -> keras.Variable:
        """(count, embedding_size); a mixed policy narrows the rows that are read, not the whole table in every call."""
        return self.add_weight(name=name, shape=(count, self.width), initializer="zeros", autocast=False)

    def _rows(self, table: keras.Variable, ids: tf.Tensor) -> tf.Tensor:
        """table[ids], whose gradient is a whole table.

        That of a gather alone is a slice for each id, equal ones apart: Keras' optimizers square and clip slices before
        they sum them, and so step too far. The gradient of a reshape, which costs nothing, sums them first.
        """
        return tf.cast(tf.gather(tf.reshape(table, table.shape), ids), self.compute_dtype)
