"""What `sizes.py` times: models of many sizes and calls of many shapes, in groups whose members are neighbours.

Within a group one thing changes, so that the cost of a multiply-add changes little from a case to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from roformer_numpy import RoFormerConfig
from roformer_numpy.config import HIDDEN_ACTS
from roformer_numpy.weights import Array

HEAD_DIM, LONGEST, VOCABULARY = 64, 4096, 1000
# Computed by the components, whatever the model.
COMPONENTS_ALONE = ("head_mask", "attentions", "cross", "float64")
ASKED = 7  # of so many positions one is asked for with logits_at
NEW_TOKENS = 16  # of a generation

Product = tuple[int, int, int]  # rows, depth, width


@dataclass(frozen=True)
class Case:
    """One line: a model, the real lengths of the rows of its batch, and the way in which it is called."""

    group: str
    name: str
    config: RoFormerConfig
    lengths: tuple[int, ...]
    way: str = "call"
    head: str = "base"
    past: int = 0  # tokens whose keys and values are handed over

    @property
    def dtype(self) -> str:
        """Of weights and arithmetic."""
        return "float64" if self.way == "float64" else "float32"

    @property
    def tokens(self) -> int:
        """How many are computed."""
        if self.way in ("skip", "encode"):
            return sum(self.lengths)
        return len(self.lengths) * (NEW_TOKENS if self.way == "generate" else max(self.lengths))

    def products(self) -> list[Product]:
        """The dense products of all layers and of the head."""
        hidden, inner, config = self.config.hidden_size, self.config.intermediate_size, self.config
        rows, crossed = self.tokens, self.way == "cross"
        layer = [(rows, hidden, 3 * hidden), (rows, hidden, hidden), (rows, hidden, inner), (rows, inner, hidden)]
        layer += [(rows, hidden, 2 * hidden), (rows, hidden, hidden), (rows, hidden, hidden)] if crossed else []
        found = layer * config.num_hidden_layers
        if config.embedding_size != hidden:
            found.append((rows, config.embedding_size, hidden))
        if self.head != "base":
            asked = -(-rows // ASKED) if self.way == "logits_at" else rows
            transform = [(asked, hidden, config.embedding_size)]
            found += [*transform, (asked, config.embedding_size, config.vocab_size)]
        return found

    def multiply_adds(self) -> int:
        """Of the dense products and of attention."""
        seen = sum(self._queries(length) * (length + self.past) for length in self.lengths)
        if self.way == "generate":
            seen = len(self.lengths) * NEW_TOKENS * (self.lengths[0] + NEW_TOKENS // 2)
        sides = 2 if self.way == "cross" else 1
        attention = 2 * sides * self.config.hidden_size * self.config.num_hidden_layers * seen
        return attention + sum(rows * depth * width for rows, depth, width in self.products())

    def _queries(self, length: int) -> int:
        """How many tokens of a row of `length` real ones are computed, each of which looks at the real ones."""
        return length if self.way in ("skip", "encode") else max(self.lengths)

    @property
    def is_plain(self) -> bool:
        """Whether other people's software can be asked the same."""
        return self.way in ("call", "skip", "encode", "holes", "left") and self.head in ("base", "masked_lm")

    def arguments(self) -> tuple[Array, Array]:
        """Ids and mask of the batch."""
        generator, longest = np.random.default_rng(0), max(self.lengths)
        ids = generator.integers(1, self.config.vocab_size, (len(self.lengths), longest))
        mask: Array = (np.arange(longest) < np.array(self.lengths)[:, None]).astype(np.int64)
        if self.way == "left":
            mask = mask[:, ::-1].copy()
        if self.way == "holes":
            mask &= generator.random(mask.shape) < 0.9
            mask[:, 0] = 1
        return ids, mask


def sized(
    hidden: int, heads: int | None = None, inner: int | None = None, layers: int = 4, **more: Any
) -> RoFormerConfig:
    """A configuration by its sizes."""
    return RoFormerConfig(
        **{"vocab_size": VOCABULARY, "max_position_embeddings": LONGEST, **more},
        hidden_size=hidden, num_attention_heads=heads or heads_for(hidden),
        intermediate_size=inner or 4 * hidden, num_hidden_layers=layers,
    )  # fmt: skip


def heads_for(hidden: int) -> int:
    """As many heads as make their features an even number that is nearest to HEAD_DIM."""
    allowed = [heads for heads in range(1, hidden // 2 + 1) if hidden % (2 * heads) == 0]
    return min(allowed, key=lambda heads: abs(hidden // heads - HEAD_DIM))


def widths() -> Iterator[Case]:
    """Hidden sizes, of one long sequence, and of one short one."""
    for rows in (16, 128):
        for hidden in (
            32, 48, 64, 96, 100, 128, 192, 256, 312, 320, 384, 512, 576, 640, 768, 896, 1024, 1152, 1280, 1536,
        ):  # fmt: skip
            yield Case(f"hidden size, 1x{rows}", str(hidden), sized(hidden, layers=2), (rows,))


def head_sizes() -> Iterator[Case]:
    """Features of a head where attention counts."""
    for head_dim, heads in (
        (16, 24), (24, 16), (32, 12), (48, 8), (50, 8), (64, 6), (80, 5), (96, 4), (128, 3), (192, 2), (256, 2),
    ):  # fmt: skip
        yield Case("features of a head, 2x512", str(head_dim), sized(head_dim * heads, heads, 768, 2), (512, 512))


def inner_sizes() -> Iterator[Case]:
    """Feed-forwards that are not four times as wide."""
    for inner in (37, 131, 384, 500, 768, 1000, 1024, 1536, 2048, 3000, 4096):
        yield Case("intermediate size, H 384, 1x128", str(inner), sized(384, 6, inner, 4), (128,))


def depths() -> Iterator[Case]:
    """From one layer to 24."""
    for layers in (1, 2, 3, 6, 12, 24):
        yield Case("layers, H 256, 1x64", str(layers), sized(256, 4, layers=layers), (64,))


def lengths() -> Iterator[Case]:
    """One sequence, from one token to 2048, through small and large models."""
    short = (
        1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 39, 40, 41, 47, 48, 49, 56, 57, 63, 64, 65, 72, 80,
        81, 96, 97,
    )  # fmt: skip
    long = (
        112, 113, 127, 128, 129, 144, 145, 160, 192, 193, 224, 255, 256, 257, 272, 320, 384, 385, 512, 513, 768,
        1000, 1024, 1536, 2048,
    )  # fmt: skip
    for hidden, layers, most in ((64, 2, 2048), (256, 4, 2048), (1024, 2, 520)):
        for length in short + long:
            if length <= most:
                yield Case(f"length, H {hidden}", str(length), sized(hidden, layers=layers), (length,))


def batches() -> Iterator[Case]:
    """Many short sequences, and few long ones."""
    for hidden in (128, 512):
        for batch, length in (
            (1024, 1), (512, 2), (256, 4), (128, 8), (64, 16), (32, 32), (21, 48), (20, 49), (16, 64), (8, 128),
            (4, 256), (3, 341), (2, 512), (1, 1024),
        ):  # fmt: skip
            yield Case(f"1024 tokens, H {hidden}", f"{batch}x{length}", sized(hidden, layers=2), (length,) * batch)


def shapes() -> Iterator[Case]:
    """More and more sequences of the same length."""
    for hidden, most in ((64, 32768), (256, 16384)):
        for length in (16, 17, 40, 41, 128, 129, 384, 512, 1536):
            for batch in (1, 2, 3, 4, 8, 16, 32, 64):
                if batch * length <= most:
                    group = f"batch, H {hidden}, {length} tokens each"
                    yield Case(group, str(batch), sized(hidden, layers=2), (length,) * batch)


def real_tokens() -> Iterator[Case]:
    """Batches of the same size with fewer and fewer tokens that are no padding."""
    for batch, longest in ((8, 128), (32, 256)):
        for share in (2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100):
            drawn = np.random.default_rng(share).uniform(0.5, 1.5, batch) * longest * share / 100
            rows = (longest, *np.clip(drawn, 1, longest).astype(int).tolist()[1:])
            for way in ("skip", "encode", "call"):
                yield Case(f"{batch}x{longest}, {way}", f"{share} % real", sized(256, layers=2), rows, way)


def unequal() -> Iterator[Case]:
    """Rows of unequal lengths, in every way."""
    config = sized(256, layers=4)
    for name, rows in (
        ("alike", (64,) * 32), ("one long, 63 short", (512, *[24] * 63)), ("half", tuple(range(8, 128, 2))),
        ("mostly padding", (512, *[8] * 15)), ("3x1000", (1000,) * 3),
    ):  # fmt: skip
        for way in ("call", "skip", "encode", "left", "holes"):
            yield Case(f"unequal lengths, {way}", name, config, rows, way)


def vocabularies() -> Iterator[Case]:
    """Masked language models of all vocabularies, and embeddings of another width."""
    for rows in (1, 16, 64):
        for vocabulary in (
            7, 50, 100, 500, 1000, 3000, 3100, 10000, 21127, 21128, 21129, 30000, 49999, 50000, 50001,
        ):  # fmt: skip
            config = sized(256, layers=2, vocab_size=vocabulary, embedding_size=128)
            yield Case(f"vocabulary, 1x{rows}", str(vocabulary), config, (rows,), "call", "masked_lm")
    for vocabulary in (1000, 3000, 10000, 21128, 50000, 50001):
        config = sized(256, layers=2, vocab_size=vocabulary)
        yield Case("vocabulary, logits_at, 4x64", str(vocabulary), config, (64,) * 4, "logits_at", "masked_lm")


def activations() -> Iterator[Case]:
    """Every hidden_act."""
    for name in HIDDEN_ACTS:
        yield Case("hidden_act, H 256, 4x64", name, sized(256, layers=4, hidden_act=name), (64,) * 4)


def ways() -> Iterator[Case]:
    """What the engine serves beside plain calls, and what the components serve."""
    for hidden, layers in ((64, 2), (384, 6)):
        for batch, length in ((1, 16), (4, 64), (1, 512), (8, 128)):
            config = sized(hidden, layers=layers)
            rows, group = (length,) * batch, f"ways, H {hidden}, {batch}x{length}"
            yield Case(group, "call", config, rows)
            yield Case(group, "rotary_value", config.replace(rotary_value=True), rows)
            for way in ("hidden_states", "attentions", "head_mask", "float64"):
                yield Case(group, way, config, rows, way)
            crossed = config.replace(is_decoder=True, add_cross_attention=True)
            yield Case(group, "causal", config.replace(is_decoder=True), rows)
            yield Case(group, "cross", crossed, rows, "cross")


def decoding() -> Iterator[Case]:
    """One token at a time behind a past, by calls and by `generate`."""
    for hidden, layers in ((64, 2), (256, 4), (768, 4)):
        config = sized(hidden, layers=layers, is_decoder=True)
        for batch in (1, 4):
            for past in (1, 15, 47, 48, 127, 255, 511, 1023, 2047):
                group = f"H {hidden}, batch {batch}"
                yield Case(f"one more token, {group}", f"past {past}", config, (1,) * batch, "cache", "base", past)
        for prompt in (1, 8, 48, 128, 512, 1024):
            yield Case(f"generate, H {hidden}", f"prompt {prompt}", config, (prompt,), "generate", "causal_lm")


GROUPS: Mapping[str, Callable[[], Iterator[Case]]] = {
    "widths": widths, "head_sizes": head_sizes, "inner_sizes": inner_sizes, "depths": depths, "lengths": lengths,
    "batches": batches, "shapes": shapes, "real_tokens": real_tokens, "unequal": unequal, "vocabularies": vocabularies,
    "activations": activations, "ways": ways, "decoding": decoding,
}  # fmt: skip
