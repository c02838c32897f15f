"""Truncation, and the overlapping windows that it cuts from a long text (TOK-3).

The settings of a `tokenizers` pipeline are shared by all threads; here a call's lengths are values of that call.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from ..errors import InputError
from .settings import Side, check_choice, check_length

if TYPE_CHECKING:
    from tokenizers import Encoding

TruncationStrategy = Literal["longest_first", "only_first", "only_second"]
Truncation = bool | TruncationStrategy


@dataclass(frozen=True)
class Window:
    """How much of a text fits.

    Args:
        strategy: which of the two sequences is shortened.
        length: the tokens of the text itself, special tokens not counted.
        stride: how many tokens a window shares with the one before.
        side: where tokens are cut off.
    """

    strategy: TruncationStrategy
    length: int
    stride: int
    side: Side


def plan_window(
    truncation: Truncation, max_length: int | None, special_tokens: int, stride: int, side: Side
) -> Window | None:
    """Check the arguments of a call and settle what fits; None when nothing is cut.

    Args:
        truncation: as the user gave it.
        max_length: the limit with special tokens.
        special_tokens: how many of them are added.
        stride: the overlap of two windows.
        side: where tokens are cut off.

    Raises:
        InputError: an unknown strategy, no length to truncate to, or one that leaves no room.
    """
    check_choice("truncation", truncation, (False, True, *get_args(TruncationStrategy)))
    check_length("stride", stride, least=0)
    if truncation is False:
        return None
    if max_length is None:
        raise InputError(f"truncation={truncation!r} needs a length: pass max_length=… (no model_max_length is known)")
    if max_length < special_tokens:
        raise InputError(
            f"max_length={max_length} is too small, {special_tokens} special tokens are added: expected at least"
            f" {special_tokens}, or pass add_special_tokens=False"
        )
    strategy: TruncationStrategy = "longest_first" if truncation is True else truncation
    return Window(strategy, max_length - special_tokens, stride, side)


def truncate(first: "Encoding", second: "Encoding | None", window: Window, *, overflow: bool) -> None:
    """Shorten the sequences in place; `tokenizers` keeps what was cut in their `overflowing`.

    Args:
        first: the tokens of the text.
        second: the tokens of its pair.
        window: what fits.
        overflow: whether the cut parts are wanted, and so the stride.

    Raises:
        InputError: the chosen sequence cannot be shortened enough, or the stride leaves no step forward.
    """
    kept = kept_lengths(len(first), None if second is None else len(second), window)
    for encoding, length in zip((first, second), kept, strict=True):
        if encoding is not None and length < len(encoding):
            stride = _checked_stride(window.stride, length) if overflow else 0
            encoding.truncate(length, stride=stride, direction=window.side)


def kept_lengths(first: int, second: int | None, window: Window) -> tuple[int, int]:
    """How many tokens of each sequence stay.

    Args:
        first: length of the first sequence.
        second: length of the second, None without a pair.
        window: what fits.

    Raises:
        InputError: the strategy has nothing left to cut.
    """
    if window.strategy == "only_second" and second is None:
        raise InputError("truncation='only_second' needs a text_pair, got None")
    excess = first + (second or 0) - window.length
    if excess <= 0:
        return first, second or 0
    if window.length == 0 or second is None:
        return window.length, 0
    if window.strategy == "longest_first":
        return _share(first, second, window.length)
    return _shorten_one(first, second, excess, window.strategy)


def _share(first: int, second: int, length: int) -> tuple[int, int]:
    """longest_first: the shorter one stays whole where that leaves the other as much; else both get half."""
    shorter = min(first, second)
    if length - shorter < shorter:
        shorter = length // 2
    longer = length - shorter
    return (longer, shorter) if first > second else (shorter, longer)


def _shorten_one(first: int, second: int, excess: int, strategy: TruncationStrategy) -> tuple[int, int]:
    """only_first, only_second: the whole excess comes from one sequence, which keeps at least one token."""
    kept = (first - excess, second) if strategy == "only_first" else (first, second - excess)
    if min(kept) <= 0 < excess:
        raise InputError(
            f"truncation={strategy!r} cannot remove {excess} tokens from sequences of {first} and {second} tokens:"
            " raise max_length or use truncation='longest_first'"
        )
    return kept


def _checked_stride(stride: int, length: int) -> int:
    if stride >= length:
        raise InputError(
            f"stride={stride} must be smaller than the {length} tokens of a window, or it never moves on: lower stride"
            " or raise max_length"
        )
    return stride
