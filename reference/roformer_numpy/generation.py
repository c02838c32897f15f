"""Writing on from a prompt: greedy or sampled, with or without the cache (DEC-6)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from .config import RoFormerConfig
from .encoder import Encoded
from .equations.losses import log_softmax
from .errors import InputError, InputTypeError, integer, shown
from .inputs import Cache, Inputs
from .validation import bind, generator_of, validate
from .weights import Array

if TYPE_CHECKING:
    from .models import RoFormerForCausalLM

Ids = NDArray[np.int64]


def generate(
    model: RoFormerForCausalLM,
    input_ids: Any,
    attention_mask: Any = None,
    *,
    max_new_tokens: int = 20,
    do_sample: bool = False,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: int | np.random.Generator | Sequence[np.random.Generator] | None = None,
    eos_token_id: int | Sequence[int] | None = None,
    pad_token_id: int | None = None,
    use_cache: bool = True,
) -> Ids:
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
        generator: the randomness: a numpy Generator or a seed, or a list with a Generator for each row, which then
            draws as it would alone.
        eos_token_id: a row ends after one of these; the configuration's by default.
        pad_token_id: fills rows that ended before others; the configuration's by default.
        use_cache: keep keys and values of earlier positions; the tokens are the same without.

    Returns:
        int64 (batch, seq_len + n), the prompts followed by n ≤ max_new_tokens tokens.

    Raises:
        InputError, InputTypeError: naming argument, position, value and what is allowed.

    Source: DEC-6, ERR-4.3.
    """
    given = {"input_ids": input_ids, "attention_mask": attention_mask, "use_cache": use_cache}
    prompt = validate(bind(model.head, (), given), model.config, model.head, model.dtype)
    ids, mask = _prompt(prompt.input_ids, prompt.attention_mask)
    steps = _steps(max_new_tokens, ids.shape[1], model.config)
    ends = _end_ids(eos_token_id, model.config)
    pad = _pad_id(pad_token_id, ends, model.config)
    choose = _chooser(do_sample, temperature, top_k, top_p, _draws(generator, len(ids)))
    done, logits = np.zeros(len(ids), bool), _last_logits(model, prompt, ids.shape[1] + steps)
    for _ in range(steps):
        token = np.where(done, pad, choose(logits(ids, mask)))
        ids = np.concatenate([ids, token[:, None]], axis=1)
        mask = np.concatenate([mask, np.ones((len(ids), 1), bool)], axis=1)
        done |= np.isin(token, ends)
        if done.all():
            break
    return ids


def _last_logits(model: RoFormerForCausalLM, prompt: Inputs, room: int) -> Callable[[Ids, Array], Array]:
    """What gives the logits after the last column, (batch, vocab_size), of ids and a mask that grow with every call."""
    engine = model._engine()
    if engine is None or not prompt.use_cache or not len(prompt.attention_mask):
        return _LogitsByCalls(model, prompt.use_cache)
    continuation = engine.continuation(len(prompt.attention_mask), room)

    def logits(ids: Ids, mask: Array) -> Array:
        with np.errstate(all="ignore"):  # as in a call
            states = continuation.last_states(ids, mask)
            return cast(Array, model._output(prompt, Encoded(states, None, None, None, None)).logits)[:, -1]

    return logits


class _LogitsByCalls:
    """The same for arithmetics that have no continuation: the model is called with the cache that it returned."""

    def __init__(self, model: RoFormerForCausalLM, use_cache: bool) -> None:
        self.model, self.use_cache = model, use_cache
        self.cache: Cache | None = None

    def __call__(self, ids: Ids, mask: Array) -> Array:
        seen = ids[:, self.cache[0][0].shape[2] :] if self.cache else ids
        last = np.full((len(ids), 1), seen.shape[1] - 1)
        output = self.model(
            seen, mask, past_key_values=self.cache, use_cache=self.use_cache, return_dict=True, logits_at=last
        )
        self.cache = output.past_key_values
        return cast(Array, output.logits[:, -1])


def _prompt(ids: Ids | None, mask: Array) -> tuple[Ids, Array]:
    if ids is None:
        raise InputError("generate needs input_ids")
    ends_with_padding = np.flatnonzero(~mask[:, -1])
    if len(ends_with_padding):
        raise InputError(
            f"attention_mask[{ends_with_padding[0]}, {mask.shape[1] - 1}] is 0: the row ends with padding, and new "
            "tokens are added after the last column; pad prompts on the left"
        )
    return ids, mask


def _steps(max_new_tokens: int, seq_len: int, config: RoFormerConfig) -> int:
    room = config.max_position_embeddings - seq_len
    steps = integer("max_new_tokens", max_new_tokens)
    if not 0 <= steps <= room:
        raise InputError(
            f"max_new_tokens={steps} after a prompt of {seq_len}, allowed are 0 to {room} "
            f"(max_position_embeddings={config.max_position_embeddings})"
        )
    return steps


def _end_ids(eos_token_id: int | Sequence[int] | None, config: RoFormerConfig) -> list[int]:
    given = config.eos_token_id if eos_token_id is None else eos_token_id
    several = isinstance(given, Sequence) or (isinstance(given, np.ndarray) and given.ndim > 0)
    ids = [] if given is None else list(given) if several else [given]  # type: ignore[arg-type]
    return [_token("eos_token_id", token, config) for token in ids]


def _pad_id(pad_token_id: int | None, ends: list[int], config: RoFormerConfig) -> int:
    """What fills a finished row; a configuration without one falls back to the end token."""
    if pad_token_id is not None:
        return _token("pad_token_id", pad_token_id, config)
    return config.pad_token_id if config.pad_token_id is not None else (ends or [0])[0]


def _token(name: str, token: Any, config: RoFormerConfig) -> int:
    number = integer(name, token)
    if not 0 <= number < config.vocab_size:
        raise InputError(f"{name} is {number}, allowed are 0 to {config.vocab_size - 1}")
    return number


def _draws(generator: Any, rows: int) -> Callable[[], Array]:
    """What gives the next numbers in [0, 1), (rows, 1): of one generator, or of each row's own."""
    if not isinstance(generator, list | tuple) or not all(isinstance(one, np.random.Generator) for one in generator):
        shared = generator_of(generator)
        return lambda: shared.random((rows, 1))
    if len(generator) != rows:
        raise InputError(f"generator has {len(generator)} generators for {rows} rows, expected one a row")
    return lambda: np.array([[own.random()] for own in generator])


def _greedy(logits: Array) -> Ids:
    """The most likely token of each row; the lowest id among equals."""
    return logits.argmax(axis=-1)


class _Sampler:
    """Draws one token a row from the tempered and truncated distribution."""

    def __init__(self, temperature: float, top_k: int | None, top_p: float, draws: Callable[[], Array]) -> None:
        self.temperature, self.top_k, self.top_p, self.draws = temperature, top_k, top_p, draws

    def __call__(self, logits: Array) -> Ids:
        order = np.argsort(-logits, axis=-1, kind="stable")[:, : self.top_k]
        ranked = np.take_along_axis(logits, order, axis=-1).astype(np.float64)
        with np.errstate(over="ignore"):  # a tiny temperature leaves the first alone
            probs = np.exp(log_softmax((ranked - ranked[:, :1]) / self.temperature))
        before = np.cumsum(probs, axis=-1) - probs
        probs = np.where(before < self.top_p, probs, 0.0)  # the token that crosses top_p stays
        reached = np.cumsum(probs, axis=-1)
        draws = self.draws() * reached[:, -1:]
        rank = (reached <= draws).sum(axis=-1, keepdims=True)
        return np.take_along_axis(order, rank, axis=-1)[:, 0]


def _chooser(
    do_sample: bool,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    draws: Callable[[], Array],
) -> Callable[[Array], Ids]:
    if not isinstance(do_sample, bool):
        raise InputTypeError(f"do_sample is {shown(do_sample)}, expected True or False")
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    if not do_sample:
        unused = [name for name, value in options.items() if value is not None]
        if unused:
            named = " and ".join(unused)
            raise InputError(f"without do_sample=True (--do-sample) nothing is drawn, and {named} would mean nothing")
        return _greedy
    for name, value in options.items():
        _check_option(name, value)
    return _Sampler(1.0 if temperature is None else temperature, top_k, 1.0 if top_p is None else top_p, draws)


def _check_option(name: str, value: Any) -> None:
    if value is None:
        return
    if name == "top_k":
        if integer(name, value) < 1:
            raise InputError(f"top_k is {value}, allowed are 1 and above")
        return
    if isinstance(value, bool) or not isinstance(value, float | int | np.floating):
        raise InputTypeError(f"{name} is {shown(value)}, expected a number")
    high = sys.float_info.max if name == "temperature" else 1.0
    if not 0.0 < (float(value) if isinstance(value, np.floating) else value) <= high:
        top = " and finite" if name == "temperature" else " to 1"
        raise InputError(f"{name} is {shown(value)}, allowed is above 0{top}")
