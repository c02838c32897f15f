"""The pipeline of `tokenizers`: normalise, split into words, WordPiece, special tokens (TOK-1)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError
from .extras import import_extra
from .segmentation import JiebaWords
from .settings import TokenizerSettings
from .vocabulary import check_special_tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# One added token as tokenizer.json writes it: content, id, special, normalized, single_word, lstrip, rstrip.
AddedToken = Mapping[str, Any]
ADDED_TOKEN_FLAGS = ("special", "normalized", "single_word", "lstrip", "rstrip")


def build_backend(
    vocabulary: Mapping[str, int], settings: TokenizerSettings, added_tokens: Sequence[AddedToken] = ()
) -> "Tokenizer":
    """The pipeline without jieba: all of it can be serialised. `install_jieba` completes it.

    Args:
        vocabulary: token → id, as `load_vocabulary` returns it.
        settings: the options.
        added_tokens: tokens that are matched in the raw text, before anything is split.

    Returns:
        a pipeline with BERT's word split, which is also what transformers 4.37 saves in the place of jieba.

    Raises:
        CheckpointError: a special token has no id, or an added token would get another id than the one it claims.
    """
    tokenizers = import_extra("tokenizers")
    check_special_tokens([*vocabulary, *(token["content"] for token in added_tokens)], settings)
    model = tokenizers.models.WordPiece(
        dict(vocabulary),
        unk_token=settings.unk_token,
        max_input_chars_per_word=settings.max_input_chars_per_word,
    )
    backend: Tokenizer = tokenizers.Tokenizer(model)
    backend.normalizer = _normalizer(tokenizers, settings)
    backend.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    backend.decoder = tokenizers.decoders.WordPiece(prefix="##", cleanup=True)
    _add_tokens(tokenizers, backend, added_tokens)
    backend.add_special_tokens(list(settings.special_tokens))
    backend.post_processor = _template(tokenizers, backend, settings)
    return backend


def load_backend(serialized: str) -> "Tokenizer":
    """The pipeline that `Tokenizer.to_str` wrote."""
    backend: Tokenizer = import_extra("tokenizers").Tokenizer.from_str(serialized)
    return backend


def install_jieba(backend: "Tokenizer") -> None:
    """Put jieba in the place of BERT's word split; from then on the pipeline cannot be serialised."""
    words = JiebaWords(backend.get_vocab(with_added_tokens=True))
    backend.pre_tokenizer = import_extra("tokenizers").pre_tokenizers.PreTokenizer.custom(words)


def _normalizer(tokenizers: Any, settings: TokenizerSettings) -> Any:
    """Clean, lowercase, strip accents; spaces around CJK characters would keep jieba from seeing a single word."""
    characters = settings.word_segmentation == "none" and settings.tokenize_chinese_chars
    return tokenizers.normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=characters,
        strip_accents=settings.strip_accents,
        lowercase=settings.do_lower_case,
    )


def _add_tokens(tokenizers: Any, backend: "Tokenizer", added_tokens: Sequence[AddedToken]) -> None:
    """Add tokens in the order of their ids, so that they get the ids they claim."""
    for token in sorted(added_tokens, key=lambda token: int(token["id"])):
        flags = {name: bool(token[name]) for name in ADDED_TOKEN_FLAGS if name in token}
        # The method decides which tokens decode() may skip, the flag in the token does not.
        add = backend.add_special_tokens if flags.get("special") else backend.add_tokens
        add([tokenizers.AddedToken(token["content"], **flags)])
        if backend.token_to_id(token["content"]) != int(token["id"]):
            raise CheckpointError(
                f"added token {token['content']!r}: the files give it the id {token['id']}, the vocabulary leads to"
                f" {backend.token_to_id(token['content'])}: vocab.txt and the added tokens do not belong together"
            )


def _template(tokenizers: Any, backend: "Tokenizer", settings: TokenizerSettings) -> Any:
    """`[CLS] A [SEP]`, and with a pair `[CLS] A [SEP] B [SEP]`, the second part of type 1."""
    cls, sep = settings.cls_token, settings.sep_token
    return tokenizers.processors.TemplateProcessing(
        single=[f"{cls}:0", "$A:0", f"{sep}:0"],
        pair=[f"{cls}:0", "$A:0", f"{sep}:0", "$B:1", f"{sep}:1"],
        special_tokens=[(token, backend.token_to_id(token)) for token in (cls, sep)],
    )
