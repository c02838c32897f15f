"""What a model computes on: the arguments of one call, after they were bound and validated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .weights import Array

Cache = tuple[tuple[Array, ...], ...]


@dataclass(frozen=True)
class Inputs:
    """One call's arguments: complete, of one shape, in range. Either `input_ids` or `inputs_embeds` is None.

    batch counts sequences: for multiple choice it is examples · choices. keys is the length of the cache plus seq_len.
    """

    input_ids: Array | None  # int64 (batch, seq_len)
    inputs_embeds: Array | None  # (batch, seq_len, embedding_size)
    attention_mask: Array  # bool (batch, keys), True = attend
    token_type_ids: Array  # int64 (batch, seq_len)
    head_mask: Array | None = None  # (num_hidden_layers, num_attention_heads)
    encoder_hidden_states: Array | None = None  # (batch, encoder_len, hidden_size)
    encoder_attention_mask: Array | None = None  # bool (batch, encoder_len)
    past_key_values: Cache | None = None  # a layer: key, value (batch, heads, past_len, head_dim), then the cross pair
    logits_at: Array | None = None  # positions, int64 (batch, n), or which, bool (batch, seq_len)
    computed: Array | None = None  # which positions are wanted, bool (batch, seq_len); None: all, the others are 0
    labels: Array | None = None
    start_positions: Array | None = None  # int64 (batch,)
    end_positions: Array | None = None  # int64 (batch,)
    num_choices: int | None = None
    output_attentions: bool = False
    output_hidden_states: bool = False
    use_cache: bool = False
    return_dict: bool = True
    generator: np.random.Generator | None = None  # dropout's randomness; None means inference

    @property
    def past_length(self) -> int:
        """How many positions the cache holds."""
        return self.attention_mask.shape[1] - self.token_type_ids.shape[1]
