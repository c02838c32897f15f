"""What a check is tried on: one typical case, and Hypothesis strategies for many.

A case is drawn as a few small integers and names; its arrays come from one seed, never element by element, so that
drawing is fast and a failure shrinks to something a person can read. All sizes of a case differ from each other, so
that no transposed axis passes unseen.

Hypothesis begins with the smallest case there is: one row of one token, where most mistakes cannot show. Therefore
every check is tried on a typical case first, whose sizes come from the upper half of what is allowed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from hypothesis import strategies as st

from .protocol import Array
from .weights import generator

HIDDEN_ACTS = (
    "gelu", "gelu_new", "gelu_fast", "quick_gelu", "gelu_10", "relu", "selu", "silu", "swish", "mish", "sigmoid",
    "tanh",
)  # fmt: skip
MASKS = ("none", "right", "left", "irregular", "blind_row")
Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Case:
    """One thing to try: a model's sizes and weights, and the shape of its input. Equal cases give equal arrays."""

    head: str
    config: Mapping[str, Any]
    profile: str
    batch: int
    seq_len: int
    mask: str
    seed: int
    choices: int = 3

    @property
    def lead(self) -> tuple[int, ...]:
        """The shape of input_ids."""
        if self.head == "multiple_choice":
            return (self.batch, self.choices, self.seq_len)
        return (self.batch, self.seq_len)

    @property
    def causal(self) -> bool:
        """Whether a position sees nothing after itself (DEC-1)."""
        return self.head == "causal_lm" or bool(self.config.get("is_decoder"))

    @property
    def last(self) -> str:
        """The name of the last hidden state."""
        return f"hidden_states.{self.config['num_hidden_layers']}"

    def visible(self) -> Array:
        """Which keys a query may see, bool (rows, 1, S, S), rows being batch or batch · choices."""
        mask = self.attention_mask().reshape(-1, 1, 1, self.seq_len).astype(bool)
        allowed = np.tri(self.seq_len, dtype=bool) if self.causal else np.ones((self.seq_len, self.seq_len), bool)
        return mask & allowed

    def generator(self, purpose: str) -> np.random.Generator:
        """Randomness of its own for each purpose, and none that a weight of the same name was drawn from."""
        return generator(self.seed, f"case: {purpose}")

    def inputs(self) -> dict[str, Array]:
        """input_ids, token_type_ids and, unless the mask is "none", attention_mask."""
        draw = self.generator("inputs")
        inputs = {
            "input_ids": draw.integers(0, self.config["vocab_size"], self.lead),
            "token_type_ids": draw.integers(0, self.config["type_vocab_size"], self.lead),
        }
        return inputs if self.mask == "none" else {**inputs, "attention_mask": self.attention_mask()}

    def attention_mask(self) -> Array:
        """int64 of the shape of input_ids; every row but a blind one keeps at least one token."""
        rows = int(np.prod(self.lead[:-1]))
        mask = np.ones((rows, self.seq_len), np.int64)
        draw = self.generator("mask")
        for row in mask:
            _MASKERS[self.mask](row, draw)
        if self.mask == "blind_row" and rows:
            mask[rows // 2] = 0
        return mask.reshape(self.lead)

    def embeddings(self) -> Array:
        """inputs_embeds that are no rows of the table."""
        shape = (*self.lead, self.config["embedding_size"])
        return _of_few_digits(self.generator("embeddings").standard_normal(shape))

    def encoder_states(self) -> Array:
        """States of an encoder for a decoder to look at, more of them than the decoder has positions."""
        shape = (self.batch, self.seq_len + 2, self.config["hidden_size"])
        return _of_few_digits(self.generator("encoder").standard_normal(shape))

    def labels(self) -> dict[str, Array]:
        """The labels that this head's loss takes, −100 among those of single tokens."""
        draw, config = self.generator("labels"), self.config
        if self.head == "question_answering":
            return {name: draw.integers(0, self.seq_len, self.batch) for name in ("start_positions", "end_positions")}
        if self.head == "multiple_choice":
            return {"labels": draw.integers(0, self.choices, self.batch)}
        if self.head == "sequence_classification":
            return {"labels": draw.integers(0, config["num_labels"], self.batch)}
        classes = config["num_labels"] if self.head == "token_classification" else config["vocab_size"]
        labels = draw.integers(0, classes, self.lead)
        return {} if self.head == "base" else {"labels": np.where(draw.random(self.lead) < 0.3, -100, labels)}

    def with_config(self, **changes: Any) -> Case:
        """The same case with other fields of the configuration."""
        return dataclasses.replace(self, config={**self.config, **changes})

    def described(self, weights: str = "") -> str:
        """One line that tells what is special about this case, with `weights` in place of how its own are drawn."""
        sizes = ", ".join(f"{short}={self.config[name]}" for short, name in _SHORT_NAMES.items())
        call = f"{self.head}, batch {self.batch}, seq_len {self.seq_len}, mask {self.mask}"
        return f"{call}, {weights or f'{self.profile} weights'}, {sizes}, seed {self.seed}"


_SHORT_NAMES = {
    "V": "vocab_size", "E": "embedding_size", "H": "hidden_size", "N": "num_attention_heads", "L": "num_hidden_layers",
    "FFN": "intermediate_size", "act": "hidden_act", "rotary_value": "rotary_value",
}  # fmt: skip


def _of_few_digits(array: Array) -> Array:
    """The nearest multiples of 1/64 below 4, as float32: every type holds them, so that nobody rounds an input."""
    return (np.round(64.0 * np.clip(array, -3.9, 3.9)) / 64.0).astype(np.float32)


def _mask_right(row: Array, draw: np.random.Generator) -> None:
    row[int(draw.integers(1, len(row) + 1)) :] = 0


def _mask_left(row: Array, draw: np.random.Generator) -> None:
    row[: int(draw.integers(0, len(row)))] = 0


def _mask_irregular(row: Array, draw: np.random.Generator) -> None:
    kept = int(draw.integers(0, len(row)))
    row[:] = draw.random(len(row)) < 0.6
    row[kept] = 1


_MASKERS: dict[str, Callable[[Array, np.random.Generator], None]] = {
    "none": lambda row, draw: None,
    "right": _mask_right,
    "left": _mask_left,
    "irregular": _mask_irregular,
    "blind_row": _mask_irregular,
}


@dataclass(frozen=True)
class OneOf:
    """A field of the configuration that is drawn: any of these values."""

    values: tuple[Any, ...]


# For checks that are about activations; selu, which every published implementation lacks, has a clause of its own.
ANY_ACTIVATION = OneOf(tuple(name for name in HIDDEN_ACTS if name != "selu"))


class Chooser(Protocol):
    """Who chooses the sizes and names of a case."""

    def integer(self, lowest: int, highest: int) -> int:
        """An integer of lowest … highest."""

    def one_of(self, values: Sequence[Choice]) -> Choice:
        """One of the values."""


@dataclass(frozen=True)
class _Hypothesis:
    """Chooses as Hypothesis wants it, to find a failure and to shrink it."""

    draw: st.DrawFn

    def integer(self, lowest: int, highest: int) -> int:
        return self.draw(st.integers(lowest, highest))

    def one_of(self, values: Sequence[Choice]) -> Choice:
        return self.draw(st.sampled_from(values))


@dataclass(frozen=True)
class _Typical:
    """Chooses from the upper half of every range, where nothing has size 1 that may be larger."""

    random: np.random.Generator

    def integer(self, lowest: int, highest: int) -> int:
        return int(self.random.integers((lowest + highest + 1) // 2, highest + 1))

    def one_of(self, values: Sequence[Choice]) -> Choice:
        return values[int(self.random.integers(len(values)))]


@st.composite
def cases(draw: st.DrawFn, /, head: str, **drawn: Any) -> Case:
    """All cases for the model called `head` that `choose_case` can make with these arguments."""
    return choose_case(_Hypothesis(draw), head, **drawn)


def typical_case(seed: int, head: str, **drawn: Any) -> Case:
    """One case for the model called `head` in which mistakes can show; another seed gives another one."""
    return choose_case(_Typical(np.random.default_rng(seed)), head, **drawn)


def choose_case(
    choose: Chooser,
    head: str,
    *,
    masks: Sequence[str] = MASKS,
    profiles: Sequence[str] = ("strong",),
    min_batch: int = 1,
    max_batch: int = 4,
    min_seq_len: int = 1,
    max_seq_len: int = 11,
    **config: Any,
) -> Case:
    """A case for the model called `head`; `config` fixes fields of the configuration, as in `choose_config`."""
    chosen = choose_config(choose, **config)
    if head == "causal_lm":
        chosen["is_decoder"] = True
    taken = {value for value in chosen.values() if type(value) is int}
    seq_len = choose.integer(min_seq_len, max_seq_len)
    batch = choose.integer(min_batch, max_batch)
    return Case(
        head=head,
        config=chosen,
        profile=choose.one_of(tuple(profiles)),
        batch=batch,
        seq_len=seq_len if seq_len == min_seq_len else _distinct(seq_len, {*taken, batch}),
        mask=choose.one_of(tuple(masks)),
        seed=choose.integer(0, 2**16),
    )


def choose_config(
    choose: Chooser, *, min_heads: int = 1, min_head_dim: int = 2, projected: bool | None = None, **fixed: Any
) -> dict[str, Any]:
    """A small configuration whose sizes all differ: head sizes from 2, one head, odd FFN, E ≠ H among them.

    `projected` asks for E ≠ H or for E = H; `fixed` holds values of fields, or `OneOf` several.
    """
    fixed = {name: choose.one_of(item.values) if isinstance(item, OneOf) else item for name, item in fixed.items()}
    heads = fixed.get("num_attention_heads", choose.integer(min_heads, 4))
    # LayerNorm over two features can only answer ±1, which hides everything; six is the least that shows a mistake
    hidden = heads * 2 * max(choose.integer(1, 4), -(-3 // heads), min_head_dim // 2)
    taken = {heads, hidden // heads, hidden}
    projected = choose.one_of((False, True)) if projected is None else projected
    labels = choose.integer(2, 7)
    config = {
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_hidden_layers": choose.integer(1, 3),
        "embedding_size": _distinct(choose.integer(3, 14), taken) if projected else hidden,
        "intermediate_size": _distinct(choose.integer(3, 31), taken),
        "vocab_size": _distinct(choose.integer(17, 41), taken),
        "type_vocab_size": _distinct(choose.integer(2, 6), taken),
        "num_labels": fixed.get("num_labels") or _distinct(labels, taken),
        "max_position_embeddings": 48,
        # what is not about activations asks for the one that every implementation has
        "hidden_act": "gelu",
        "rotary_value": choose.one_of((False, True)),
    }
    return {**config, **fixed}


def _distinct(size: int, taken: set[int]) -> int:
    """The next size that no other axis has; it is taken from then on."""
    while size in taken:
        size += 1
    taken.add(size)
    return size
