"""RoFormerTokenizer: text to ids and back (TOK-1, TOK-2, TOK-3)."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from .backend import AddedToken, build_backend, install_jieba, load_backend
from .encoding import (
    BatchEncoding,
    Features,
    Padding,
    TensorKind,
    pad_rows,
    padded_length,
    to_tensors,
)
from .folders import read_folder, write_folder
from .inputs import Text, batch_of_texts, check_characters, check_max_length_is_used, rows_of
from .settings import Side, TokenizerSettings, WordSegmentation, check_choice, check_length
from .tokens import TokensAndIds
from .vocabulary import load_vocabulary
from .windows import Truncation, Window, plan_window, truncate

if TYPE_CHECKING:
    from tokenizers import Encoding


class RoFormerTokenizer(TokensAndIds):
    """Text to ids and back, equal to RoFormerTokenizerFast of transformers 4.37 (TOK-1).

    With `word_segmentation="none"` it is a plain BERT tokenizer, equal to BertTokenizerFast, for the published
    character models. A tokenizer never changes after its construction: threads may share it, and saving or pickling
    leaves it as it is (TOK-2). Needs the extra `[text]`.

    Args:
        vocab_file: path of a vocab.txt, or token → id.
        do_lower_case: lowercase the text.
        strip_accents: remove accents; None means: when lowercasing.
        unk_token: stands for what the vocabulary cannot spell.
        sep_token: ends each sequence.
        pad_token: fills a batch up to one length.
        cls_token: begins every input.
        mask_token: marks what a masked language model predicts.
        model_max_length: the longest input of the model in tokens, None when unknown.
        tokenize_chinese_chars: separate CJK characters; only read with word_segmentation="none".
        word_segmentation: "jieba" or "none".
        padding_side: where padding goes, "right" or "left".
        truncation_side: where tokens are cut off, "right" or "left".
        clean_up_tokenization_spaces: whether `decode` removes the spaces before English punctuation.
        max_input_chars_per_word: a longer word becomes one unknown token.
        added_tokens: more tokens, matched in the raw text: mappings with content, id, special, … as in tokenizer.json.

    Raises:
        ImportError: the extra `[text]` is not installed.
        InputTypeError: an argument of the wrong type.
        CheckpointError: a vocabulary that is missing or damaged.
        InputError: an argument outside its range, or a special token without an id.
    """

    def __init__(
        self,
        vocab_file: str | PathLike[str] | Mapping[str, int],
        do_lower_case: bool = True,
        strip_accents: bool | None = None,
        unk_token: str = "[UNK]",
        sep_token: str = "[SEP]",
        pad_token: str = "[PAD]",
        cls_token: str = "[CLS]",
        mask_token: str = "[MASK]",
        model_max_length: int | None = None,
        *,
        tokenize_chinese_chars: bool = True,
        word_segmentation: WordSegmentation = "jieba",
        padding_side: Side = "right",
        truncation_side: Side = "right",
        clean_up_tokenization_spaces: bool = True,
        max_input_chars_per_word: int = 100,
        added_tokens: Sequence[AddedToken] = (),
    ) -> None:
        settings = TokenizerSettings(
            do_lower_case=do_lower_case,
            strip_accents=strip_accents,
            unk_token=unk_token,
            sep_token=sep_token,
            pad_token=pad_token,
            cls_token=cls_token,
            mask_token=mask_token,
            model_max_length=model_max_length,
            tokenize_chinese_chars=tokenize_chinese_chars,
            word_segmentation=word_segmentation,
            padding_side=padding_side,
            truncation_side=truncation_side,
            clean_up_tokenization_spaces=clean_up_tokenization_spaces,
            max_input_chars_per_word=max_input_chars_per_word,
        )
        backend = build_backend(load_vocabulary(vocab_file), settings, added_tokens)
        self.__setstate__((backend.to_str(), settings))

    def __getstate__(self) -> tuple[str, TokenizerSettings]:
        return self._serialized, self.settings

    def __setstate__(self, state: tuple[str, TokenizerSettings]) -> None:
        self._serialized, self.settings = state
        self._backend = load_backend(self._serialized)
        if self.settings.word_segmentation == "jieba":
            install_jieba(self._backend)
        self._read_backend()

    @classmethod
    def from_pretrained(cls, folder: str | PathLike[str], **overrides: Any) -> Self:
        """Read a folder of transformers 4.37, of transformers 5, or of `save_pretrained` (TOK-2).

        Jieba is put back where the file has BERT's word split in its place. The class named in tokenizer_config.json,
        else in config.json, decides the word segmentation. Without a model_max_length the max_position_embeddings of
        config.json is used.

        Args:
            folder: the folder, or the name of a model in the box. Nothing is downloaded.
            **overrides: arguments of the constructor that go before what the files say.

        Returns:
            the tokenizer.

        Raises:
            CheckpointError: not a folder, or files that are missing, damaged or of another tokenizer.
            InputError: an override outside its range, or a special token without an id.
        """
        files = read_folder(folder)
        return cls(files.vocabulary, **{"added_tokens": files.added_tokens, **files.options, **overrides})

    def save_pretrained(self, folder: str | PathLike[str]) -> tuple[Path, ...]:
        """Write vocab.txt, tokenizer.json, tokenizer_config.json and special_tokens_map.json (TOK-2).

        Args:
            folder: made when it is not there.

        Returns:
            the files, which transformers 4.37 and 5 read too.

        Raises:
            CheckpointError: the folder's name is taken by a file.
        """
        return write_folder(folder, self._serialized, self.settings, self._backend.get_added_tokens_decoder())

    def __call__(
        self,
        text: Text,
        text_pair: Text | None = None,
        *,
        add_special_tokens: bool = True,
        padding: Padding = False,
        truncation: Truncation = False,
        max_length: int | None = None,
        stride: int = 0,
        return_overflowing_tokens: bool = False,
        return_offsets_mapping: bool = False,
        return_special_tokens_mask: bool = False,
        return_attention_mask: bool = True,
        return_token_type_ids: bool = True,
        return_tensors: TensorKind | None = None,
        padding_side: Side | None = None,
        pad_to_multiple_of: int | None = None,
    ) -> BatchEncoding:
        """Tokenize one text or a list of texts (TOK-1, TOK-3).

        Args:
            text: a string, or a list of strings.
            text_pair: the second sequence of each text, in the same form.
            add_special_tokens: `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`.
            padding: False, True or "longest" (of the batch), "max_length".
            truncation: False, True or "longest_first", "only_first", "only_second".
            max_length: the limit in tokens, special tokens included; None means model_max_length.
            stride: how many tokens two neighbouring windows of an overflowing text share.
            return_overflowing_tokens: also return what was cut off, as more rows; `overflow_to_sample_mapping` says
                which text a row belongs to.
            return_offsets_mapping: also return `offset_mapping`: the span of each token in the text, in characters
                (code points); (0, 0) for special tokens.
            return_special_tokens_mask: also return `special_tokens_mask`: 1 for special tokens and padding.
            return_attention_mask: return `attention_mask`: 1 = attend.
            return_token_type_ids: return `token_type_ids`: 0 for the first sequence, 1 for the second.
            return_tensors: None (lists), "np" (int64) or "tf" (int32), both of rank 2 also for one text.
            padding_side: "right" or "left", None means the tokenizer's.
            pad_to_multiple_of: rounds the padded length up.

        Returns:
            a mapping: a list a feature for one text, a list of rows for many texts, tensors or overflow.

        Raises:
            InputTypeError: a text that is not a string.
            InputError: an argument outside its range, or rows of different length with return_tensors.
        """
        pairs = batch_of_texts(text, text_pair)
        check_length("max_length", max_length)
        check_max_length_is_used(max_length, padding, truncation)
        limit = self.settings.model_max_length if max_length is None else max_length
        special_tokens = (2 + (text_pair is not None)) * add_special_tokens
        window = plan_window(truncation, limit, special_tokens, stride, self.settings.truncation_side)
        windows = [
            self._windows(*pair, window, special=add_special_tokens, overflow=return_overflowing_tokens)
            for pair in pairs
        ]
        wanted = {
            "input_ids": True,
            "token_type_ids": return_token_type_ids,
            "attention_mask": return_attention_mask,
            "special_tokens_mask": return_special_tokens_mask,
            "offset_mapping": return_offsets_mapping,
        }
        features = self._padded(_features(windows, wanted), padding, limit, pad_to_multiple_of, padding_side)
        if return_overflowing_tokens:
            features["overflow_to_sample_mapping"] = [row for row, parts in enumerate(windows) for _ in parts]
        alone = isinstance(text, str) and return_tensors is None and not return_overflowing_tokens
        features = {name: rows[0] for name, rows in features.items()} if alone else features
        return BatchEncoding(to_tensors(features, return_tensors))

    def _windows(
        self, text: str, text_pair: str | None, window: Window | None, *, special: bool, overflow: bool
    ) -> "list[Encoding]":
        """The encodings of one text: one, or as many windows as it takes."""
        first = self._encode(text)
        second = None if text_pair is None else self._encode(text_pair, is_pair=True)
        if window is not None:
            truncate(first, second, window, overflow=overflow)
        whole: Encoding = self._backend.post_process(first, second, add_special_tokens=special)
        return [whole, *whole.overflowing] if overflow else [whole]

    def _encode(self, text: str, *, is_pair: bool = False) -> "Encoding":
        """The tokens of one sequence without special tokens.

        One text at a time: a batch call of `tokenizers` starts threads, which contend for the interpreter lock in jieba
        and do not survive a fork.
        """
        # Behind an empty first sequence it gets type 1, which its windows inherit.
        first, second = ("", text) if is_pair else (text, None)
        try:
            return self._backend.encode(sequence=first, pair=second, add_special_tokens=False)
        except TypeError as error:
            check_characters(text, error)
            raise

    def _padded(
        self, features: Features, padding: Padding, limit: int | None, multiple_of: int | None, side: Side | None
    ) -> Features:
        side = self.settings.padding_side if side is None else side
        check_choice("padding_side", side, ("left", "right"))
        length = padded_length([len(row) for row in features["input_ids"]], padding, limit, multiple_of)
        if length is None:
            return features
        fill = {
            "input_ids": self.pad_token_id,
            "token_type_ids": 0,
            "attention_mask": 0,
            "special_tokens_mask": 1,
            "offset_mapping": (0, 0),
        }
        return pad_rows(features, length, fill, side)

    def pad(
        self,
        encoded_inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        padding: Padding = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: Side | None = None,
        return_attention_mask: bool = True,
        return_tensors: TensorKind | None = None,
    ) -> BatchEncoding:
        """Pad encodings that were made before, for example one by one (TOK-3).

        Args:
            encoded_inputs: one encoding, a batch, or a list of single encodings.
            padding: True or "longest", "max_length", False.
            max_length: the length of "max_length"; None means model_max_length.
            pad_to_multiple_of: rounds the padded length up.
            padding_side: "right" or "left", None means the tokenizer's.
            return_attention_mask: add an attention mask where there is none.
            return_tensors: None, "np" or "tf".

        Returns:
            a new encoding; features that are not a tokenizer's own stay as they are.

        Raises:
            InputTypeError: not encodings.
            InputError: no input_ids, or an argument outside its range.
        """
        features, single = rows_of(encoded_inputs)
        check_length("max_length", max_length)
        if return_attention_mask:
            features.setdefault("attention_mask", [[1] * len(row) for row in features["input_ids"]])
        limit = self.settings.model_max_length if max_length is None else max_length
        features = self._padded(features, padding, limit, pad_to_multiple_of, padding_side)
        if single and return_tensors is None:
            features = {name: rows[0] for name, rows in features.items()}
        return BatchEncoding(to_tensors(features, return_tensors))

    def encode(self, text: str, text_pair: str | None = None, **options: Any) -> list[int]:
        """The ids of one text.

        Args:
            text: the text.
            text_pair: its second sequence.
            **options: as for a call.

        Returns:
            `input_ids` of that call.
        """
        ids: list[int] = self(text, text_pair, **options)["input_ids"]
        return ids

    def tokenize(self, text: str, text_pair: str | None = None, *, add_special_tokens: bool = False) -> list[str]:
        """The tokens of one text as strings.

        Args:
            text: the text.
            text_pair: its second sequence.
            add_special_tokens: with [CLS] and [SEP].

        Returns:
            tokens; pieces inside a word begin with ##.
        """
        return self.convert_ids_to_tokens(self.encode(text, text_pair, add_special_tokens=add_special_tokens))

    @property
    def model_max_length(self) -> int | None:
        """The longest input of the model in tokens, None when unknown."""
        return self.settings.model_max_length

    def __repr__(self) -> str:
        split, longest = self.settings.word_segmentation, self.settings.model_max_length
        return f"RoFormerTokenizer({len(self)} tokens, word_segmentation={split!r}, model_max_length={longest})"


def _features(windows: "list[list[Encoding]]", wanted: Mapping[str, bool]) -> Features:
    """The wanted features of all windows, one row each."""
    attribute = {"input_ids": "ids", "token_type_ids": "type_ids", "offset_mapping": "offsets"}
    rows = [window for parts in windows for window in parts]
    return {
        name: [getattr(row, attribute.get(name, name)) for row in rows]
        for name, is_wanted in wanted.items()
        if is_wanted
    }
