"""What a masked language model is asked: which tokens are hidden from it, and behind what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..equations.losses import IGNORED
from ..weights import Array

if TYPE_CHECKING:
    from ..tokenization import RoFormerTokenizer

MASKED, REPLACED = 0.8, 0.9  # below the first [MASK], from there to the second another token, beyond it the token


@dataclass(frozen=True)
class Masking:
    """The rule of BERT's pre-training: of 15 % of the tokens 80 % are masked, 10 % replaced and 10 % left."""

    mask_token_id: int
    special_ids: tuple[int, ...]  # never asked for, never put in a token's place
    vocab_size: int
    share: float = 0.15

    @classmethod
    def of(cls, tokenizer: RoFormerTokenizer, vocab_size: int) -> Masking:
        """For the model of that vocabulary."""
        special = tuple(sorted(index for index in tokenizer.all_special_ids if index < vocab_size))
        return cls(tokenizer.mask_token_id, special, min(vocab_size, len(tokenizer)))

    def __call__(self, ids: Array, real: Array, generator: np.random.Generator) -> tuple[Array, Array]:
        """Hide some tokens.

        Args:
            ids: (batch, seq_len).
            real: True where there is a token and no padding, bool, the same shape.
            generator: drawn from three times, whatever is asked.

        Returns:
            the ids that the model sees, and labels: the token where it is asked for, −100 elsewhere.
        """
        asked = (generator.random(ids.shape) < self.share) & real & ~np.isin(ids, self.special_ids)
        manner, others = generator.random(ids.shape), self._ordinary
        drawn = others[generator.integers(0, len(others), ids.shape)]
        shown = np.where(manner < MASKED, self.mask_token_id, np.where(manner < REPLACED, drawn, ids))
        return np.where(asked, shown, ids), np.where(asked, ids, IGNORED)

    @cached_property
    def _ordinary(self) -> Array:
        return np.setdiff1d(np.arange(self.vocab_size), self.special_ids)
