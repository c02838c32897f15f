"""The vocabulary: one token a line, the line number is the id."""

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path

from ..errors import CheckpointError, InputError, InputTypeError
from .settings import SPECIAL_TOKEN_NAMES, TokenizerSettings

SHOWN = 5


def load_vocabulary(source: str | PathLike[str] | Mapping[str, int]) -> dict[str, int]:
    """Read a vocab.txt, or take a mapping, and check it.

    Args:
        source: path of a vocab.txt, or token → id.

    Returns:
        token → id, in the order of the ids, which are 0 … n − 1 without a gap.

    Raises:
        InputTypeError: neither a path nor a mapping, or a mapping of something else than str → int.
        CheckpointError: no such file, not UTF-8, or lines that are empty or stand there twice.
        InputError: the ids of a mapping have gaps or duplicates.
    """
    if isinstance(source, Mapping):
        return check_ids(source)
    if isinstance(source, (str, PathLike)):
        return read_vocabulary(Path(source))
    raise InputTypeError(
        f"vocab_file must be the path of a vocab.txt or a mapping of token to id, got {type(source).__name__}"
    )


def read_vocabulary(path: Path) -> dict[str, int]:
    """Read a vocab.txt: token → line number.

    Raises:
        CheckpointError: no such file, not UTF-8, or lines that are empty or stand there twice.
    """
    if not path.is_file():
        hint = f"; to load a folder use RoFormerTokenizer.from_pretrained({str(path)!r})" if path.is_dir() else ""
        raise CheckpointError(f"vocab_file: expected a vocab.txt, {str(path)!r} is not a file{hint}")
    try:
        # Not splitlines(): it also breaks at U+2028 and U+0085, which are tokens of real vocabularies.
        lines = path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path}: expected UTF-8, {error}; convert it first, e.g. iconv -f GB18030") from error
    check_lines(path, lines)
    return {token: index for index, token in enumerate(lines)}


def check_lines(path: Path, lines: list[str]) -> None:
    """Refuse empty lines and tokens that stand there twice: every id behind them would be in doubt.

    Raises:
        CheckpointError: names the first few lines of each kind.
    """
    empty = [f"line {number}" for number, token in enumerate(lines, 1) if not token]
    first_line: dict[str, int] = {}
    twice = [
        f"{token!r} on lines {first_line[token]} and {number}"
        for number, token in enumerate(lines, 1)
        if token and first_line.setdefault(token, number) != number
    ]
    problems = [f"{len(empty)} empty ({shown(empty)})"] * bool(empty)
    problems += [f"{len(twice)} more than once ({shown(twice)})"] * bool(twice)
    if problems:
        raise CheckpointError(
            f"{path}: expected a different token on every line, found {'; '.join(problems)}. The line number is the id:"
            " give each such line a placeholder, for example [unused1]; only at the end of the file may it be deleted"
        )


def check_ids(vocabulary: Mapping[str, int]) -> dict[str, int]:
    """Check that the ids are 0 … n − 1 and return the tokens in their order.

    Raises:
        InputTypeError: a token is not a string or an id not an integer.
        InputError: the mapping is empty, or its ids have gaps or duplicates.
    """
    for token, index in vocabulary.items():
        if not isinstance(token, str) or not isinstance(index, int) or isinstance(index, bool):
            raise InputTypeError(f"vocabulary: expected str → int, got {token!r} → {index!r}")
    by_id = sorted(vocabulary.items(), key=lambda item: item[1])
    wrong = [f"{token!r} has {index}" for place, (token, index) in enumerate(by_id) if place != index]
    if wrong or not by_id:
        found = f"from some token on they do not: {shown(wrong)}" if wrong else "the vocabulary is empty"
        raise InputError(f"vocabulary: the ids must run from 0 to n − 1 without gap or duplicate, {found}")
    return dict(by_id)


def check_special_tokens(known: Iterable[str], settings: TokenizerSettings) -> None:
    """Refuse special tokens that have no id: giving them a new one would index past the model's embedding.

    Raises:
        InputError: names every special token that is missing.
    """
    known = set(known)
    missing = {name: getattr(settings, name) for name in SPECIAL_TOKEN_NAMES}
    listed = [f"{name}={token!r}" for name, token in missing.items() if token not in known]
    if listed:
        raise InputError(
            f"{', '.join(listed)} not in the vocabulary of {len(known)} tokens: pass the token that it uses instead,"
            " or check that this is the right vocab.txt"
        )


def shown(items: list[str]) -> str:
    """The first few items, and how many more there are."""
    rest = f", … {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + rest
