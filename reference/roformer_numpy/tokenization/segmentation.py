"""The word split of word-level RoFormers: jieba words, CJK characters where the vocabulary lacks the word (TOK-1)."""

import re
from collections.abc import Container
from typing import TYPE_CHECKING, Any

from .extras import import_extra

if TYPE_CHECKING:
    from tokenizers import PreTokenizedString

Span = tuple[int, int]

# What BERT calls a Chinese character, with the tokenizers library's hole at U+2B820…U+2B91F.
CJK = (
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0002a6df\U0002a700-\U0002b81f\U0002b920-\U0002ceaf\U0002f800-\U0002fa1f"
)
PIECES = re.compile(rf"[{CJK}]|[^\s{CJK}]+")
SPANS_PER_LEAF = 32


class JiebaWords:
    """A pre-tokenizer for `tokenizers.PreTokenizer.custom`.

    A jieba word (dictionary only, no hidden Markov model) that the vocabulary holds stays whole. Any other word is cut
    into its CJK characters and the runs between them; white space disappears.

    Args:
        vocabulary: the tokens that stay whole.
    """

    def __init__(self, vocabulary: Container[str]) -> None:
        self.vocabulary = vocabulary
        self._tokenize: Any = import_extra("rjieba").tokenize

    def pre_tokenize(self, text: "PreTokenizedString") -> None:
        """Cut the text in place; called by `tokenizers`."""
        text.split(lambda _, part: cut(part, self.spans(str(part))))

    def spans(self, text: str) -> list[Span]:
        """Start and end of every piece, in characters of `text`."""
        spans: list[Span] = []
        for word, start, end in self._tokenize(text, hmm=False):
            if word in self.vocabulary:
                spans.append((start, end))
            else:
                spans.extend((start + piece.start(), start + piece.end()) for piece in PIECES.finditer(word))
        return spans


def cut(text: Any, spans: list[Span], origin: int = 0) -> list[Any]:
    """Slice a `NormalizedString` at `spans`, which count from `origin`.

    A slice costs the length of what it is cut from, so the text is halved first: n log n instead of n² in all.
    """
    if len(spans) <= SPANS_PER_LEAF:
        return [text[start - origin : end - origin] for start, end in spans]
    middle = len(spans) // 2
    slices = []
    for half in (spans[:middle], spans[middle:]):
        first, last = half[0][0], half[-1][1]
        slices += cut(text[first - origin : last - origin], half, first)
    return slices
