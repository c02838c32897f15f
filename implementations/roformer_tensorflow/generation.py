"""Writing on from a prompt: greedy or sampled, with or without the cache (DEC-6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from roformer_numpy.config import RoFormerConfig
from roformer_numpy.errors import InputError, InputTypeError, shown

from .inputs import checked

Choose = Callable[[tf.Tensor, int], tf.Tensor]


def generate(
    model: keras.Model,
    input_ids: Any,
    attention_mask: Any = None,
    *,
    max_new_tokens: int = 20,
    do_sample: bool = False,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 0,
    eos_token_id: int | Sequence[int] | None = None,
    pad_token_id: int | None = None,
    use_cache: bool = True,
) -> tf.Tensor:
    """Continue each row of `input_ids` token by token.

    Args:
        model: a causal language model.
        input_ids: the prompts, (batch, seq_len), of unequal lengths only with padding on the left.
        attention_mask: 1 for tokens, 0 for padding, the same shape.
        max_new_tokens: how many tokens are added at most.
        do_sample: draw from the distribution instead of taking its maximum.
        temperature: divides the logits before drawing, above 0.
        top_k: draw among the k most likely tokens only.
        top_p: draw among the most likely tokens whose probabilities reach p together.
        seed: of the drawing.
        eos_token_id: a row ends after one of these; the configuration's by default.
        pad_token_id: fills rows that ended before others; the configuration's by default.
        use_cache: keep keys and values of earlier positions; the tokens are the same without.

    Returns:
        int64 (batch, seq_len + n), the prompts followed by n ≤ max_new_tokens tokens.

    Raises:
        InputError, InputTypeError: naming argument, position, value and what is allowed.

    Source: DEC-6, ERR-4.3.
    """
    ids, mask = _prompt(model, input_ids, attention_mask)
    ends = _ends(eos_token_id, model.config)
    pad = _pad(pad_token_id, ends, model.config)
    choose = _sampler(temperature, top_k, top_p, seed) if _flag("do_sample", do_sample) else _greedy
    done, cache, keeps = tf.zeros(len(ids), tf.bool), None, _flag("use_cache", use_cache)
    for step in range(_steps(max_new_tokens, ids.shape[1], model.config)):
        seen = ids[:, -1:] if cache else ids
        output = model(seen, mask, past_key_values=cache, use_cache=keeps, return_dict=True)
        cache = output.past_key_values
        token = tf.where(done, tf.constant(pad, tf.int64), choose(output.logits[:, -1], step))
        ids = tf.concat([ids, token[:, None]], axis=1)
        mask = tf.concat([mask, tf.ones_like(mask[:, :1])], axis=1)
        done |= tf.reduce_any(token[:, None] == tf.constant(ends, tf.int64), axis=1)
        if bool(tf.reduce_all(done)):
            break
    return ids


def _prompt(model: keras.Model, input_ids: Any, attention_mask: Any) -> tuple[tf.Tensor, tf.Tensor]:
    given = {"input_ids": input_ids, "attention_mask": attention_mask}
    given = {name: value for name, value in given.items() if value is not None}
    tensors = checked(given, model.config, model.head, model.variable_dtype)
    ids = tensors["input_ids"]
    mask = tensors["attention_mask"] if "attention_mask" in tensors else tf.ones_like(ids, tf.bool)
    ends_with_padding = np.flatnonzero(~mask[:, -1].numpy())
    if len(ends_with_padding):
        raise InputError(
            f"attention_mask[{ends_with_padding[0]}, {mask.shape[1] - 1}] is 0: the row ends with padding, and new "
            "tokens are added after the last column; pad prompts on the left"
        )
    return ids, mask


def _greedy(logits: tf.Tensor, step: int) -> tf.Tensor:
    """The most likely token of each row, the lowest id among equals: (batch, vocab_size) → (batch,)."""
    return tf.argmax(logits, axis=-1)


def _sampler(temperature: float, top_k: int | None, top_p: float, seed: int) -> Choose:
    _above_zero("temperature", temperature, math.inf)
    _above_zero("top_p", top_p, 1.0)
    if top_k is not None and _integer("top_k", top_k) < 1:
        raise InputError(f"top_k is {top_k}, allowed are 1 and above")
    start = _integer("seed", seed)

    def draw(logits: tf.Tensor, step: int) -> tf.Tensor:
        ranked, order = tf.math.top_k(
            logits / temperature, logits.shape[-1] if top_k is None else min(top_k, logits.shape[-1])
        )
        before = tf.cumsum(tf.nn.softmax(ranked), axis=-1, exclusive=True)
        kept = tf.where(before < top_p, ranked, tf.constant(-math.inf, ranked.dtype))  # what crosses top_p stays
        rank = tf.random.stateless_categorical(kept, 1, seed=(start, step))
        return tf.cast(tf.gather(order, rank, batch_dims=1)[:, 0], tf.int64)

    return draw


def _steps(max_new_tokens: int, seq_len: int, config: RoFormerConfig) -> int:
    room, steps = config.max_position_embeddings - seq_len, _integer("max_new_tokens", max_new_tokens)
    if not 0 <= steps <= room:
        raise InputError(
            f"max_new_tokens={steps} after a prompt of {seq_len}, allowed are 0 to {room} "
            f"(max_position_embeddings={config.max_position_embeddings})"
        )
    return steps


def _ends(eos_token_id: int | Sequence[int] | None, config: RoFormerConfig) -> list[int]:
    given = config.eos_token_id if eos_token_id is None else eos_token_id
    several = [] if given is None else given if isinstance(given, Sequence) else [given]
    return [_token("eos_token_id", token, config) for token in several]


def _pad(pad_token_id: int | None, ends: list[int], config: RoFormerConfig) -> int:
    """What fills a finished row; a configuration without one falls back to the end token."""
    if pad_token_id is not None:
        return _token("pad_token_id", pad_token_id, config)
    return config.pad_token_id if config.pad_token_id is not None else (ends or [0])[0]


def _token(name: str, token: Any, config: RoFormerConfig) -> int:
    if not 0 <= _integer(name, token) < config.vocab_size:
        raise InputError(f"{name} is {token}, allowed are 0 to {config.vocab_size - 1}")
    return index(token)


def _integer(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InputTypeError(f"{name} is {shown(value)}, expected an integer")
    return index(value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputTypeError(f"{name} is {shown(value)}, expected True or False")
    return value


def _above_zero(name: str, value: Any, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, float | int | np.floating):
        raise InputTypeError(f"{name} is {shown(value)}, expected a number")
    if not 0.0 < value <= high or not math.isfinite(value):
        raise InputError(f"{name} is {value}, allowed is above 0" + (f" to {high}" if math.isfinite(high) else ""))
