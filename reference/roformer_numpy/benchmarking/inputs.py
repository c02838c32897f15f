"""What is computed: batches of ids and masks, the same for everybody, drawn from a seed.

A piece of work is a list of batches; a plain shape is a list of one, a batch sorted into buckets a list of several.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..weights import Array

Batch = tuple[Array, Array]  # input_ids (batch, seq_len) int64, attention_mask the same


@dataclass(frozen=True)
class Work:
    """One line of a table: what it is called, and its batches."""

    name: str
    batches: tuple[Batch, ...] = field(repr=False)

    @property
    def real_tokens(self) -> int:
        """Tokens that are no padding."""
        return sum(int(mask.sum()) for _, mask in self.batches)

    def save(self, folder: Path) -> Path:
        """Write the batches where another process reads them; once."""
        path = folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', self.name)}.npz"
        if not path.exists():
            parts: dict[str, Any] = {}
            for number, (ids, mask) in enumerate(self.batches):
                parts |= {f"i{number}": ids, f"m{number}": mask}
            np.savez(path, **parts)
        return path


def shapes_named(text: str) -> list[tuple[int, int]]:
    """The shapes that `1x16,8x128` says.

    Raises:
        InputError: a part is no BATCHxLENGTH of two positive numbers.
    """
    shapes = []
    for position, part in enumerate(text.split(","), 1):
        found = re.fullmatch(r"\s*([1-9]\d{0,5})\s*[xX×]\s*([1-9]\d{0,5})\s*", part, re.ASCII)
        if found is None:
            raise InputError(f"shapes: number {position} is {part!r}; write BATCHxLENGTH, such as 8x128")
        shapes.append((int(found[1]), int(found[2])))
    return shapes


def dense(batch: int, length: int, vocab_size: int, seed: int = 0) -> Work:
    """A batch without padding."""
    ids = np.random.default_rng(seed).integers(0, vocab_size, (batch, length))
    return Work(f"{batch}x{length}", ((ids, np.ones_like(ids)),))


def drawn_lengths(count: int, longest: int, share: float, seed: int = 0) -> list[int]:
    """Lengths of which the greatest is `longest` and all together are `share` of count · longest.

    They are longest · u^p of evenly drawn u, with the power p that makes the sum right.

    Raises:
        InputError: no lengths of 1 or more have that share.
    """
    if not 1 / count + (count - 1) / (count * longest) <= share <= 1:
        raise InputError(f"share={share} cannot be reached by {count} lengths of 1 to {longest}")
    evenly = np.random.default_rng(seed).random(count)
    evenly[np.argmax(evenly)] = 1.0

    def lengths(power: float) -> Array:
        return np.maximum(1, np.rint(longest * evenly**power)).astype(int)

    low, high = 0.0, 64.0
    for _ in range(60):
        power = (low + high) / 2
        low, high = (power, high) if lengths(power).sum() > share * count * longest else (low, power)
    return [int(length) for length in lengths(high)]


def padded(name: str, lengths: list[int], vocab_size: int, seed: int = 0) -> Work:
    """One batch, every sequence filled up to the longest."""
    return Work(name, (_batch(_sequences(lengths, vocab_size, seed)),))


def bucketed(name: str, lengths: list[int], vocab_size: int, size: int, seed: int = 0) -> Work:
    """The same sequences sorted by length and cut into batches of `size`, each padded to its own longest."""
    sequences = sorted(_sequences(lengths, vocab_size, seed), key=len)
    return Work(name, tuple(_batch(sequences[start : start + size]) for start in range(0, len(sequences), size)))


def _sequences(lengths: list[int], vocab_size: int, seed: int) -> list[Array]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, vocab_size, length) for length in lengths]


def _batch(sequences: list[Array]) -> Batch:
    longest = max(map(len, sequences))
    ids = np.zeros((len(sequences), longest), np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)], mask[row, : len(sequence)] = sequence, 1
    return ids, mask
