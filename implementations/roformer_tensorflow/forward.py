"""From named tensors to outputs: one path for eager calls, graphs and XLA (OUT-1 to OUT-4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from .attention import causal_mask
from .context import Forward
from .encoder import Encoded
from .guards import guarded, spoiled_unless
from .inputs import SWITCHES, as_tensor
from .losses import LOSSES, reduced
from .outputs import Fields, TFModelOutput
from .rotary import rotation_of

Given = Mapping[str, Any]

PER_TOKEN = ("input_ids", "attention_mask", "token_type_ids", "inputs_embeds")


def outputs_of(model: keras.Model, given: Given, training: bool) -> TFModelOutput:
    """Everything that a call of `model` returns; an argument that is None was not given.

    Args:
        model: one of the seven.
        given: tensors of the caller's types, and the switches.
        training: whether dropout is at work.
    """
    given = {name: value for name, value in given.items() if value is not None}
    given, fine = (given, None) if tf.executing_eagerly() else guarded(given, model.config, model.head)
    given = {
        name: value if name in SWITCHES else as_tensor(name, value, _type_of(name, model))
        for name, value in given.items()
    }
    encoded = _encode(model, given, training, fine)
    fields = _fields(model, encoded.hidden_states[-1], given, training)
    if fine is not None:  # once more: an activation such as relu may make a number of NaN again
        fields = {name: spoiled_unless(fine, value) for name, value in fields.items()}
    if "labels" in given or "start_positions" in given:
        fields["loss"] = reduced(LOSSES[model.head](fields, given, model.config), model.config.loss_reduction)
    return TFModelOutput({**fields, **_extras(model, encoded, given)})


def is_switched(model: keras.Model, name: str, given: Given) -> bool:
    """A switch of the call, by default that of the configuration."""
    value = given.get(name)
    return bool(getattr(model.config, name) if value is None else value)


def _type_of(name: str, model: keras.Model) -> str:
    """Labels are compared with logits in the weights' type; everything else is computed on."""
    return model.variable_dtype if name == "labels" else model.compute_dtype


def _encode(model: keras.Model, given: Given, training: bool, fine: tf.Tensor | None) -> Encoded:
    rows = _as_rows(given) if model.head == "multiple_choice" else given
    sequence = rows["input_ids"] if "input_ids" in rows else rows["inputs_embeds"]
    batch, seq_len = tf.unstack(tf.shape(sequence)[:2])
    types = _shaped(rows.get("token_type_ids"), (batch, seq_len), tf.zeros, tf.int64)
    hidden = model.embeddings(rows.get("input_ids"), rows.get("inputs_embeds"), token_type_ids=types, training=training)
    hidden = hidden if fine is None else spoiled_unless(fine, hidden)
    return model.encoder(hidden, forward=_forward(model, rows, batch, seq_len, training))


def _forward(model: keras.Model, rows: Given, batch: Any, seq_len: Any, training: bool) -> Forward:
    cached = rows.get("past_key_values")
    past = tf.shape(cached[0][0])[2] if cached else 0
    keys = past + seq_len
    allowed = causal_mask(seq_len, keys, model.is_causal)[None, None]
    mask = _shaped(rows.get("attention_mask"), (batch, keys), tf.ones, tf.bool)
    return Forward(
        visible=mask[:, None, None, :] & allowed,
        allowed=allowed,
        rotation=rotation_of(model.angles, past, keys, model.compute_dtype),
        training=training,
        head_mask=_head_mask(model, rows.get("head_mask")),
        past_key_values=cached,
        encoder_hidden_states=rows.get("encoder_hidden_states"),
        encoder_attention_mask=_encoder_mask(rows),
    )


def _shaped(value: tf.Tensor | None, shape: Any, default: Any, dtype: tf.DType) -> tf.Tensor:
    """What was given, refused by TensorFlow where it has another size (a graph would broadcast it), or the default."""
    return default(shape, dtype) if value is None else tf.reshape(value, shape)


def _encoder_mask(rows: Given) -> tf.Tensor | None:
    mask, states = rows.get("encoder_attention_mask"), rows.get("encoder_hidden_states")
    return mask if mask is None or states is None else _shaped(mask, tf.shape(states)[:2], tf.ones, tf.bool)


def _head_mask(model: keras.Model, head_mask: tf.Tensor | None) -> tf.Tensor | None:
    if head_mask is None:
        return None
    return tf.broadcast_to(head_mask, (model.config.num_hidden_layers, model.config.num_attention_heads))


def _fields(model: keras.Model, hidden: tf.Tensor, given: Given, training: bool) -> Fields:
    if model.head == "base":
        pooled = {} if model.pooler is None else {"pooler_output": model.pooler(hidden)}
        return {"last_hidden_state": hidden, **pooled}
    fields: Fields = model.head_layer(hidden, words=tf.convert_to_tensor(model.embeddings.word), training=training)
    if model.head == "multiple_choice":
        sequence = given["input_ids"] if "input_ids" in given else given["inputs_embeds"]
        fields["logits"] = tf.reshape(fields["logits"], tf.shape(sequence)[:2])
    return fields


def _extras(model: keras.Model, encoded: Encoded, given: Given) -> Fields:
    """What was asked for beside the results."""
    attentions, states = (is_switched(model, name, given) for name in ("output_attentions", "output_hidden_states"))
    return {
        "past_key_values": encoded.past_key_values if given.get("use_cache") else None,
        "hidden_states": encoded.hidden_states if states else None,
        "attentions": encoded.attentions if attentions else None,
        "cross_attentions": encoded.cross_attentions or None if attentions else None,
    }


def _as_rows(given: Given) -> dict[str, Any]:
    """Choices as rows of the batch: (batch, choices, …) → (batch · choices, …)."""
    return {
        name: tf.reshape(value, tf.concat([[-1], tf.shape(value)[2:]], axis=0)) if name in PER_TOKEN else value
        for name, value in given.items()
    }
