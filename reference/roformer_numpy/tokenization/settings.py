"""What a tokenizer knows beside its vocabulary, validated once."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..errors import InputError, InputTypeError

Side = Literal["left", "right"]
WordSegmentation = Literal["jieba", "none"]

SPECIAL_TOKEN_NAMES = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

# The classes of transformers whose folders can be read, and the word split that each of them stands for.
WORD_SEGMENTATION_OF_CLASS: dict[str, WordSegmentation] = {
    "RoFormerTokenizer": "jieba",
    "RoFormerTokenizerFast": "jieba",
    "BertTokenizer": "none",
    "BertTokenizerFast": "none",
    "ElectraTokenizer": "none",
    "ElectraTokenizerFast": "none",
}


@dataclass(frozen=True, kw_only=True)
class TokenizerSettings:
    """The options of a tokenizer; defaults are those of transformers 4.37.

    Args:
        do_lower_case: lowercase the text.
        strip_accents: remove accents; None means: when lowercasing.
        tokenize_chinese_chars: separate CJK characters. Only read without jieba, which has to see whole words.
        unk_token: stands for what the vocabulary cannot spell.
        sep_token: ends each sequence.
        pad_token: fills a batch up to one length.
        cls_token: begins every input.
        mask_token: marks what a masked language model predicts.
        model_max_length: the longest input of the model in tokens, None when unknown.
        padding_side: where padding goes.
        truncation_side: where tokens are cut off.
        word_segmentation: "jieba" (word models), "none" (character models: a plain BERT tokenizer).
        clean_up_tokenization_spaces: whether `decode` removes the spaces before English punctuation.
        max_input_chars_per_word: a longer word becomes one unknown token.

    Raises:
        InputTypeError: a value has the wrong type.
        InputError: a value is outside its range.
    """

    do_lower_case: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True
    unk_token: str = "[UNK]"
    sep_token: str = "[SEP]"
    pad_token: str = "[PAD]"
    cls_token: str = "[CLS]"
    mask_token: str = "[MASK]"
    model_max_length: int | None = None
    padding_side: Side = "right"
    truncation_side: Side = "right"
    word_segmentation: WordSegmentation = "jieba"
    clean_up_tokenization_spaces: bool = True
    max_input_chars_per_word: int = 100

    def __post_init__(self) -> None:
        for name in ("do_lower_case", "tokenize_chinese_chars", "clean_up_tokenization_spaces"):
            check_type(name, getattr(self, name), bool)
        check_type("strip_accents", self.strip_accents, bool, optional=True)
        for name in SPECIAL_TOKEN_NAMES:
            check_type(name, getattr(self, name), str)
        check_choice("padding_side", self.padding_side, get_args(Side))
        check_choice("truncation_side", self.truncation_side, get_args(Side))
        check_choice("word_segmentation", self.word_segmentation, get_args(WordSegmentation))
        check_length("model_max_length", self.model_max_length)
        check_length("max_input_chars_per_word", self.max_input_chars_per_word)

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """The five special tokens, each once, in the order of transformers."""
        return tuple(dict.fromkeys(getattr(self, name) for name in SPECIAL_TOKEN_NAMES))


def check_type(name: str, value: object, expected: type, *, optional: bool = False) -> None:
    """Refuse a value of another type; None passes where it is optional.

    Raises:
        InputTypeError: names the argument, the expected type and what came instead.
    """
    if not isinstance(value, expected) and not (optional and value is None):
        expectation = expected.__name__ + (" or None" if optional else "")
        raise InputTypeError(f"{name} must be {expectation}, got {type(value).__name__}: {value!r}")


def check_choice(name: str, value: object, allowed: tuple[Any, ...]) -> None:
    """Refuse a value that is not listed.

    Raises:
        InputError: names the argument, what is allowed and what came instead.
    """
    # True == 1 must not pass for a number, nor an array be compared element by element.
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in allowed):
        raise InputError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")


def check_length(name: str, value: object, *, least: int = 1) -> None:
    """Refuse what is neither None nor an integer of at least `least`.

    Raises:
        InputTypeError: not an integer.
        InputError: too small.
    """
    if isinstance(value, bool):
        raise InputTypeError(f"{name} must be int or None, got bool: {value!r}")
    check_type(name, value, int, optional=True)
    if isinstance(value, int) and value < least:
        raise InputError(f"{name} must be at least {least}, got {value}")
