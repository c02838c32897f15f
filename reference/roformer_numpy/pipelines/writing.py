"""How a causal language model would write on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, InputTypeError, integer, shown
from ..models import RoFormerForCausalLM
from ..validation import generator_of
from .texts import Tokens, padded, positive, texts_of, tokens_of

if TYPE_CHECKING:
    from ..tokenization import RoFormerTokenizer


@dataclass(frozen=True)
class WrittenText:
    """A prompt and what was written behind it; `ended`: by an end token, which is the last of `token_ids`."""

    text: str
    continuation: str
    token_ids: tuple[int, ...]
    ended: bool
    unknown: tuple[str, ...]


def generate(
    model: RoFormerForCausalLM,
    tokenizer: RoFormerTokenizer,
    texts: str | Sequence[str],
    max_new_tokens: int = 20,
    *,
    do_sample: bool = False,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    batch_size: int = 32,
    on_batch: Callable[[int], None] | None = None,
) -> list[WrittenText]:
    """Write on from every text, which is read as `[CLS] text`, without [SEP].

    A text ends with the configuration's eos_token_id, by default with [SEP]. Whatever stands beside it in a batch, each
    text goes on as it would alone: prompts are padded on the left, which changes nothing where only distances count
    (MASK-3), and with rotary_value, where positions count too, only prompts of one length share a batch. When drawing,
    every text has a generator of its own from the same seed, so that equal texts go on equally.

    Args:
        model: a causal language model.
        tokenizer: of the same vocabulary.
        texts: one text or many; an empty one lets the model begin.
        max_new_tokens: how many tokens are added at most.
        do_sample, temperature, top_k, top_p: as of `RoFormerForCausalLM.generate`.
        seed: of the drawing; None draws anew each time.
        batch_size: texts computed at once.
        on_batch: called with the number of texts after each batch.

    Returns:
        one result a text, in order.

    Raises:
        InputError: no room for the text and its new tokens, a number out of range.
        InputTypeError: a text that is no string, a model that is not causal.

    Source: DEC-6, MASK-3.
    """
    if not isinstance(model, RoFormerForCausalLM):
        raise InputTypeError(f"model is a {type(model).__name__}, expected a RoFormerForCausalLM")
    prompts = [_prompt(tokens_of(tokenizer, text)) for text in texts_of(texts)]
    _check_room(prompts, integer("max_new_tokens", max_new_tokens), model)
    ends = tokenizer.sep_token_id if model.config.eos_token_id is None else model.config.eos_token_id
    written: dict[int, WrittenText] = {}
    for batch in _batches(prompts, positive("batch_size", batch_size), alike=model.config.rotary_value):
        ids, mask = padded([prompts[number].ids for number in batch], tokenizer.pad_token_id, left=True)
        rows = model.generate(
            ids, mask, max_new_tokens=max_new_tokens, do_sample=do_sample, temperature=temperature, top_k=top_k,
            top_p=top_p, generator=[generator_of(seed) for _ in batch], eos_token_id=ends,
            pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        for number, row in zip(batch, rows, strict=True):
            written[number] = _written(tokenizer, prompts[number], row[ids.shape[1] :].tolist(), ends)
        if on_batch is not None:
            on_batch(len(batch))
    return [written[number] for number in range(len(prompts))]


def _prompt(tokens: Tokens) -> Tokens:
    """Without the [SEP], behind which nothing goes on."""
    return Tokens(tokens.text, tokens.ids[:-1], tokens.spans[:-1])


def _check_room(prompts: list[Tokens], steps: int, model: RoFormerForCausalLM) -> None:
    most = model.config.max_position_embeddings
    for number, prompt in enumerate(prompts):
        if steps < 0 or len(prompt.ids) + steps > most:
            raise InputError(
                f"max_new_tokens={steps} after the {len(prompt.ids)} tokens of texts[{number}], allowed are 0 to "
                f"{max(most - len(prompt.ids), 0)} (the model takes up to {most}): {shown(prompt.text)}"
            )


def _batches(prompts: list[Tokens], size: int, *, alike: bool) -> Iterator[list[int]]:
    """Numbers of the prompts of each batch, the longest together; `alike`: of one length."""
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number].ids))
    groups = itertools.groupby(order, key=lambda number: len(prompts[number].ids) if alike else 0)
    for members in (list(group) for _, group in groups):
        yield from (members[start : start + size] for start in range(0, len(members), size))


def _written(tokenizer: RoFormerTokenizer, prompt: Tokens, ids: list[int], ends: Any) -> WrittenText:
    stop = next((place for place, index in enumerate(ids) if index in np.atleast_1d(ends)), None)
    kept = ids if stop is None else ids[: stop + 1]
    text = joined(
        [token for token in tokenizer.convert_ids_to_tokens(kept) if token not in tokenizer.all_special_tokens]
    )
    return WrittenText(prompt.text, text, tuple(kept), stop is not None, prompt.unknown(tokenizer))


def joined(tokens: Sequence[str]) -> str:
    """Tokens as running text: a space only between two words that are written with spaces, none before a ##piece."""
    text = ""
    for token in tokens:
        piece = token.removeprefix("##")
        spaced = piece == token and text and _is_spaced(text[-1]) and _is_spaced(piece[0])
        text += f" {piece}" if spaced else piece
    return text


def _is_spaced(character: str) -> bool:
    """Whether it is of a word in a script such as Latin: a letter or digit below the blocks of East Asia."""
    return character.isalnum() and ord(character) < 0x2E80
