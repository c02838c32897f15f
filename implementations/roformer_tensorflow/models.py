"""The seven models, with the signatures that the documentation gives them (IN-1)."""

from __future__ import annotations

from typing import Any

import keras

from .base import TFRoFormerBase
from .generation import generate

Output = Any


@keras.saving.register_keras_serializable(package="roformer_tensorflow")
class TFRoFormerModel(TFRoFormerBase):
    """The encoder (or decoder) itself: last_hidden_state and pooler_output."""

    head = "base"

    def call(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        head_mask: Any = None,
        inputs_embeds: Any = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        training: bool = False,
        *,
        encoder_hidden_states: Any = None,
        encoder_attention_mask: Any = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
    ) -> Output:
        """last_hidden_state (batch, seq_len, hidden_size), pooler_output (batch, hidden_size), and what was asked for.

        Args:
            input_ids: (batch, seq_len).
            attention_mask: 1 for tokens, 0 for padding, (batch, seq_len).
            token_type_ids: (batch, seq_len).
            head_mask: 1 keeps a head, 0 silences it, (num_heads,) or (num_layers, num_heads).
            inputs_embeds: in place of input_ids, (batch, seq_len, embedding_size).
            output_attentions: also return attentions, and cross_attentions where there are any.
            output_hidden_states: also return hidden_states.
            return_dict: False for a plain tuple.
            training: whether dropout is at work.
            encoder_hidden_states: what cross-attention attends to, (batch, encoder_len, hidden_size).
            encoder_attention_mask: (batch, encoder_len).
            past_key_values: what an earlier call with use_cache=True returned.
            use_cache: also return past_key_values.

        Source: OUT-1, OUT-4, DEC-5.
        """
        return self._run(_given(locals()), training)


@keras.saving.register_keras_serializable(package="roformer_tensorflow")
class TFRoFormerForMaskedLM(TFRoFormerBase):
    """Predicts masked tokens: logits (batch, seq_len, vocab_size), loss (n,)."""

    head = "masked_lm"

    def call(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        head_mask: Any = None,
        inputs_embeds: Any = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: Any = None,
        training: bool = False,
    ) -> Output:
        """As TFRoFormerModel; labels (batch, seq_len), −100 or a token's id, give a loss for each label ≠ −100."""
        return self._run(_given(locals()), training)


@keras.saving.register_keras_serializable(package="roformer_tensorflow")
class TFRoFormerForCausalLM(TFRoFormerBase):
    """Predicts the next token and never sees it: logits (batch, seq_len, vocab_size), loss (n,)."""

    head = "causal_lm"

    def call(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        head_mask: Any = None,
        inputs_embeds: Any = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: Any = None,
        training: bool = False,
        *,
        encoder_hidden_states: Any = None,
        encoder_attention_mask: Any = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
    ) -> Output:
        """As TFRoFormerModel; labels (batch, seq_len) are the same tokens: each position is held against the next."""
        return self._run(_given(locals()), training)

    generate = generate


@keras.saving.register_keras_serializable(package="roformer_tensorflow")
class TFRoFormerForSequenceClassification(TFRoFormerBase):
    """Classifies, or regresses, a whole sequence: logits (batch, num_labels), loss (batch,)."""

    head = "sequence_classification"

    call = TFRoFormerForMaskedLM.call


@keras.saving.register_keras_serializable(package="roformer_tensorflow")
class TFRoFormerForTokenClassification(TFRoFormerBase):
    """Classifies every token: logits (batch, seq_len, num_labels), loss (n,)."""

    head = "token_classification"

    call = TFRoFormerForMaskedLM.call


@keras.saving.register_keras_serializable(package="roformer_tensorflow")
class TFRoFormerForMultipleChoice(TFRoFormerBase):
    """Chooses one of several sequences: inputs (batch, choices, seq_len), logits (batch, choices), loss (batch,)."""

    head = "multiple_choice"

    call = TFRoFormerForMaskedLM.call


@keras.saving.register_keras_serializable(package="roformer_tensorflow")
class TFRoFormerForQuestionAnswering(TFRoFormerBase):
    """Finds a span: start_logits and end_logits (batch, seq_len), loss (batch,)."""

    head = "question_answering"

    def call(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        head_mask: Any = None,
        inputs_embeds: Any = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        start_positions: Any = None,
        end_positions: Any = None,
        training: bool = False,
    ) -> Output:
        """As TFRoFormerModel; start_positions and end_positions (batch,) give a loss for each row."""
        return self._run(_given(locals()), training)


MODELS: dict[str, type[TFRoFormerBase]] = {
    model.head: model
    for model in (
        TFRoFormerModel,
        TFRoFormerForMaskedLM,
        TFRoFormerForCausalLM,
        TFRoFormerForSequenceClassification,
        TFRoFormerForTokenClassification,
        TFRoFormerForMultipleChoice,
        TFRoFormerForQuestionAnswering,
    )
}


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name not in ("self", "training", "__class__")}
