"""What stands on top of the encoder: a layer for each head, from last_hidden_state to the fields of its output."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from .activations import ACTIVATIONS
from .context import Maker
from .outputs import Fields


class Pooler(keras.layers.Layer):
    """pooler_output = tanh(W · last[:, 0] + b) (OUT-4)."""

    def __init__(self, make: Maker) -> None:
        super().__init__(name="pooling", dtype=make.policy)
        self.dense = make.dense("pooler", make.config.hidden_size, make.config.hidden_size)
        self.built = True

    def call(self, hidden: tf.Tensor) -> tf.Tensor:
        """(batch, seq_len, hidden_size) → (batch, hidden_size)."""
        return tf.tanh(self.dense(hidden[:, 0]))


class LanguageModelHead(keras.layers.Layer):
    """Dense H→E, hidden_act, LayerNorm, · Wᵀ + bias; W is the word embeddings unless untied (HEAD-1)."""

    def __init__(self, make: Maker) -> None:
        super().__init__(name="head", dtype=make.policy)
        config = make.config
        self.transform = make.dense("head.transform", config.hidden_size, config.embedding_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.layer_norm = make.layer_norm("head.layer_norm", config.embedding_size)
        shape = (config.vocab_size, config.embedding_size)
        tied = config.tie_word_embeddings
        self.decoder = None if tied else self.add_weight(name="decoder", shape=shape, initializer="zeros")
        self.bias = self.add_weight(name="bias", shape=shape[:1], initializer="zeros")
        self.built = True

    def call(self, hidden: tf.Tensor, words: tf.Tensor, training: bool = False) -> Fields:
        """logits (batch, seq_len, vocab_size); `words` are the word embeddings (vocab_size, embedding_size)."""
        x = self.layer_norm(self.activation(self.transform(hidden)))
        decoder = words if self.decoder is None else tf.convert_to_tensor(self.decoder)
        return {"logits": tf.einsum("bse,ve->bsv", x, decoder) + self.bias}


class SequenceHead(keras.layers.Layer):
    """The first position: dropout, Dense, hidden_act, dropout, Dense (HEAD-2)."""

    def __init__(self, make: Maker) -> None:
        super().__init__(name="head", dtype=make.policy)
        config = make.config
        self.dense = make.dense("head.dense", config.hidden_size, config.hidden_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.out = make.dense("head.output", config.hidden_size, config.num_labels)
        self.dropout = make.dropout()
        self.built = True

    def call(self, hidden: tf.Tensor, words: tf.Tensor, training: bool = False) -> Fields:
        """logits (batch, num_labels)."""
        x = self.activation(self.dense(self.dropout(hidden[:, 0], training=training)))
        return {"logits": self.out(self.dropout(x, training=training))}


class TokenHead(keras.layers.Layer):
    """Every position: dropout, Dense (HEAD-3)."""

    def __init__(self, make: Maker) -> None:
        super().__init__(name="tagging", dtype=make.policy)
        self.dense = make.dense("head", make.config.hidden_size, make.config.num_labels)
        self.dropout = make.dropout()
        self.built = True

    def call(self, hidden: tf.Tensor, words: tf.Tensor, training: bool = False) -> Fields:
        """logits (batch, seq_len, num_labels)."""
        return {"logits": self.dense(self.dropout(hidden, training=training))}


class SpanHead(keras.layers.Layer):
    """Every position: Dense → 2, the logits of start and end (HEAD-4)."""

    def __init__(self, make: Maker) -> None:
        super().__init__(name="spans", dtype=make.policy)
        self.dense = make.dense("head", make.config.hidden_size, 2)
        self.built = True

    def call(self, hidden: tf.Tensor, words: tf.Tensor, training: bool = False) -> Fields:
        """start_logits and end_logits (batch, seq_len)."""
        start, end = tf.unstack(self.dense(hidden), axis=-1)
        return {"start_logits": start, "end_logits": end}


class ChoiceHead(keras.layers.Layer):
    """The summary of each choice: Dense → 1 (HEAD-5)."""

    SUMMARIES: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = {
        "last": lambda hidden: hidden[:, -1],
        "first": lambda hidden: hidden[:, 0],
        "mean": lambda hidden: tf.reduce_mean(hidden, axis=1),
    }

    def __init__(self, make: Maker) -> None:
        super().__init__(name="choice", dtype=make.policy)
        self.dense = make.dense("head", make.config.hidden_size, 1)
        self.summary_type = make.config.summary_type
        self.built = True

    def call(self, hidden: tf.Tensor, words: tf.Tensor, training: bool = False) -> Fields:
        """logits (batch · choices, 1)."""
        return {"logits": self.dense(self.SUMMARIES[self.summary_type](hidden))}


HEAD_LAYERS: Mapping[str, type[keras.layers.Layer]] = {
    "masked_lm": LanguageModelHead,
    "causal_lm": LanguageModelHead,
    "sequence_classification": SequenceHead,
    "token_classification": TokenHead,
    "multiple_choice": ChoiceHead,
    "question_answering": SpanHead,
}
