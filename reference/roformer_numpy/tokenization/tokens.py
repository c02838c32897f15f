"""Tokens and ids: special tokens, conversion, decoding (TOK-3)."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from .inputs import id_list
from .settings import TokenizerSettings

if TYPE_CHECKING:
    from tokenizers import Tokenizer


# English punctuation and contractions that decode() draws to the word before, as transformers does.
CLEANED_UP = ((" ' ", "'"), *((f" {end}", end) for end in (".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re")))

Ids = Sequence[int] | np.ndarray[Any, Any]


class TokensAndIds:
    """The part of `RoFormerTokenizer` that reads a finished pipeline: which token has which id."""

    settings: TokenizerSettings
    _backend: "Tokenizer"
    _ids: dict[str, int]
    _tokens: list[str]

    def _read_backend(self) -> None:
        """The tables of a finished pipeline.

        Own tables, since `Tokenizer.id_to_token` spells an added token as the normaliser leaves it.
        """
        by_id = sorted(self._backend.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1])
        self._ids, self._tokens = dict(by_id), [token for token, _ in by_id]

    @property
    def unk_token(self) -> str:
        """Stands for what the vocabulary cannot spell."""
        return self.settings.unk_token

    @property
    def sep_token(self) -> str:
        """Ends each sequence."""
        return self.settings.sep_token

    @property
    def pad_token(self) -> str:
        """Fills a batch up to one length."""
        return self.settings.pad_token

    @property
    def cls_token(self) -> str:
        """Begins every input."""
        return self.settings.cls_token

    @property
    def mask_token(self) -> str:
        """Marks what a masked language model predicts."""
        return self.settings.mask_token

    @property
    def unk_token_id(self) -> int:
        """The id of `unk_token`."""
        return self._ids[self.unk_token]

    @property
    def sep_token_id(self) -> int:
        """The id of `sep_token`."""
        return self._ids[self.sep_token]

    @property
    def pad_token_id(self) -> int:
        """The id of `pad_token`."""
        return self._ids[self.pad_token]

    @property
    def cls_token_id(self) -> int:
        """The id of `cls_token`."""
        return self._ids[self.cls_token]

    @property
    def mask_token_id(self) -> int:
        """The id of `mask_token`."""
        return self._ids[self.mask_token]

    @property
    def all_special_tokens(self) -> list[str]:
        """The five named ones, then the additional ones in the order of their ids."""
        added = self._backend.get_added_tokens_decoder()
        extra = [added[index].content for index in sorted(added) if added[index].special]
        return list(dict.fromkeys([*self.settings.special_tokens, *extra]))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`: what `decode(…, skip_special_tokens=True)` leaves out."""
        return [self._ids[token] for token in self.all_special_tokens]

    def decode(self, ids: Any, skip_special_tokens: bool = False) -> str:
        """Ids as text: pieces joined, words separated by spaces.

        Args:
            ids: one id, or a sequence, array or tensor of them.
            skip_special_tokens: leave special tokens out.

        Returns:
            the text. Spaces, case and accents of the original are not in the ids.

        Raises:
            InputError: an id outside the vocabulary, or more than one sequence.
        """
        tokens = self._tokens_of(ids, skip_special_tokens)
        text: str = self._backend.decoder.decode(tokens)
        if self.settings.clean_up_tokenization_spaces:
            for spaced, joined in CLEANED_UP:
                text = text.replace(spaced, joined)
        return text

    def batch_decode(self, sequences: Iterable[Any], skip_special_tokens: bool = False) -> list[str]:
        """`decode` of every sequence."""
        return [self.decode(ids, skip_special_tokens) for ids in sequences]

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int: ...
    @overload
    def convert_tokens_to_ids(self, tokens: list[str] | tuple[str, ...]) -> list[int]: ...
    def convert_tokens_to_ids(self, tokens: str | list[str] | tuple[str, ...]) -> int | list[int]:
        """The id of a token or the ids of many; what the vocabulary lacks is unknown."""
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        return self._ids.get(tokens, self.unk_token_id)

    @overload
    def convert_ids_to_tokens(self, ids: int, skip_special_tokens: bool = False) -> str: ...
    @overload
    def convert_ids_to_tokens(self, ids: Ids, skip_special_tokens: bool = False) -> list[str]: ...
    def convert_ids_to_tokens(self, ids: int | Ids, skip_special_tokens: bool = False) -> str | list[str]:
        """The token of an id or the tokens of many.

        Args:
            ids: one id, or a sequence, array or tensor of them.
            skip_special_tokens: leave special tokens out of a sequence.

        Raises:
            InputError: an id outside the vocabulary.
        """
        if isinstance(ids, int):
            return self._tokens_of(ids, skip_special_tokens=False)[0]
        return self._tokens_of(ids, skip_special_tokens)

    def _tokens_of(self, ids: Any, skip_special_tokens: bool) -> list[str]:
        skipped = set(self.all_special_ids) if skip_special_tokens else set()
        return [self._tokens[index] for index in id_list(ids, len(self)) if index not in skipped]

    def get_vocab(self) -> dict[str, int]:
        """token → id, added tokens included, in the order of the ids."""
        return dict(self._ids)

    @property
    def vocab_size(self) -> int:
        """The number of lines of vocab.txt; `len()` also counts added tokens."""
        size: int = self._backend.get_vocab_size(with_added_tokens=False)
        return size

    def __len__(self) -> int:
        return len(self._tokens)
