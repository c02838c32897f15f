"""What enters the encoder: word and token type embeddings. No position is added (EMB-1.1, EMB-1.3)."""

from __future__ import annotations

from ..weights import Array


def lookup(table: Array, ids: Array) -> Array:
    """The rows of `table` that `ids` name.

    Args:
        table: (vocab_size, embedding_size).
        ids: integers in [0, vocab_size), (batch, seq_len).

    Returns:
        (batch, seq_len, embedding_size).
    """
    return table[ids]


def add_token_types(inputs_embeds: Array, table: Array, token_type_ids: Array) -> Array:
    """Word vectors plus the embedding of their segment, before LayerNorm and projection (EMB-1.1, IN-6.2).

    Args:
        inputs_embeds: (batch, seq_len, embedding_size).
        table: (type_vocab_size, embedding_size).
        token_type_ids: integers in [0, type_vocab_size), (batch, seq_len).

    Returns:
        (batch, seq_len, embedding_size).
    """
    return inputs_embeds + table[token_type_ids]
