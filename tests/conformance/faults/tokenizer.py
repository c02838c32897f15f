"""Tokenizers that go wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from roformer_numpy import RoFormerTokenizer

from .making import Call, Fault, fault


class TokenizerFault(Fault):
    """A fault of the tokenizer alone."""

    def tokenizer(self, folder: Any) -> Any:
        return self.wrap(RoFormerTokenizer.from_pretrained(folder))

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        """The faulty tokenizer."""
        return tokenizer


# A control character between two Latin letters.
_CONTROL = re.compile(r"(?<=[A-Za-z])[\x00-\x08\x0e-\x1f\x7f-\x9f\xad](?=[A-Za-z])")


@fault
class SplitsEveryWord(TokenizerFault):
    """Every CJK character is separated, and jieba never sees a word."""

    def tokenizer(self, folder: Any) -> Any:
        return RoFormerTokenizer.from_pretrained(folder, word_segmentation="none")


class _Wrapped:
    """A tokenizer whose results, and whose saving, can be changed."""

    def __init__(self, inner: RoFormerTokenizer) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __call__(self, *texts: Any, **options: Any) -> Any:
        return self.change(self.inner(*texts, **options), options)

    def change(self, encoding: Any, options: Call) -> Any:
        return encoding


@fault
class TypesFollowTheSeparator(TokenizerFault):
    """The first [SEP] already has type 1."""

    class _Tokenizer(_Wrapped):
        def change(self, encoding: Any, options: Call) -> Any:
            types = encoding["token_type_ids"]
            if isinstance(types[0], int) and 1 in types:
                types[types.index(1) - 1] = 1
            return encoding

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


@fault
class SavingLosesWords(TokenizerFault):
    """A saved tokenizer is a plain BERT tokenizer: a file cannot hold jieba."""

    class _Tokenizer(_Wrapped):
        def save_pretrained(self, folder: Any) -> None:
            self.inner.save_pretrained(folder)
            (Path(folder) / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


@fault
class SavingChangesTheObject(TokenizerFault):
    """The pre-tokenizer is exchanged for the file's sake and not put back, as in transformers 4.37."""

    class _Tokenizer(_Wrapped):
        def save_pretrained(self, folder: Any) -> None:
            self.inner.save_pretrained(folder)
            self.inner = RoFormerTokenizer.from_pretrained(folder, word_segmentation="none")

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


@fault
class AlwaysLists(TokenizerFault):
    """return_tensors is ignored."""

    class _Tokenizer(_Wrapped):
        def __call__(self, *texts: Any, **options: Any) -> Any:
            return self.inner(*texts, **{**options, "return_tensors": None})

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


@fault
class PlainDictEncodings(TokenizerFault):
    """The result is a dict without attributes."""

    class _Tokenizer(_Wrapped):
        def change(self, encoding: Any, options: Call) -> Any:
            return dict(encoding)

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


@fault
class BertIds(TokenizerFault):
    """The ids of special tokens are those of BERT's vocabulary."""

    class _Tokenizer(_Wrapped):
        mask_token_id, cls_token_id, sep_token_id, unk_token_id, pad_token_id = 103, 101, 102, 100, 0

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


@fault
class DecodesPieces(TokenizerFault):
    """Decoded text keeps the marks of pieces."""

    class _Tokenizer(_Wrapped):
        def decode(self, ids: Any, **options: Any) -> str:
            return " ".join(self.inner.convert_ids_to_tokens([int(number) for number in ids]))

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


@fault
class PaddingAttends(TokenizerFault):
    """The mask is 1 over padding."""

    class _Tokenizer(_Wrapped):
        def change(self, encoding: Any, options: Call) -> Any:
            for row in encoding["attention_mask"]:
                if isinstance(row, list):
                    row[:] = [1] * len(row)
            return encoding

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


@fault
class OffsetsInBytes(TokenizerFault):
    """Offsets count bytes."""

    class _Tokenizer(_Wrapped):
        def __call__(self, text: Any, *texts: Any, **options: Any) -> Any:
            encoding = self.inner(text, *texts, **options)
            if isinstance(text, str) and "offset_mapping" in encoding:
                spans = encoding["offset_mapping"]
                spans[:] = [tuple(len(text[:end].encode()) for end in span) for span in spans]
            return encoding

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


@fault
class WindowsWithoutStride(TokenizerFault):
    """Windows do not overlap, whatever the stride."""

    class _Tokenizer(_Wrapped):
        def __call__(self, *texts: Any, **options: Any) -> Any:
            return self.inner(*texts, **{**options, "stride": 0})

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


@fault
class ControlsStayInsideWords(TokenizerFault):
    """A control character between two letters is a letter as well, so that no piece begins with the word."""

    class _Tokenizer(_Wrapped):
        def __call__(self, text: Any, *texts: Any, **options: Any) -> Any:
            whole = _CONTROL.sub("ꙮ", text) if isinstance(text, str) else text
            return self.inner(whole, *texts, **options)

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)
