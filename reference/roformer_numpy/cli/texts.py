"""What the commands on texts share: their arguments, the model with its tokenizer, a bar."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..arithmetic import COMPUTE, FULL
from ..errors import CheckpointError, InputError
from ..models import RoFormerBase
from ..models_in_the_box import names, resolve

if TYPE_CHECKING:
    from ..tokenization import RoFormerTokenizer

WORTH_A_BAR = 200  # fewer texts are done before anybody could look at a bar
DRAWN = "the weights hold no fitting"  # how `from_pretrained` begins to say that it drew a head

errors = Console(stderr=True)  # a result may go through a pipe

Input = Annotated[
    Path | None, typer.Option("--input", help="a UTF-8 file with one text a line; empty lines are left out")
]
Model = Annotated[
    str,
    typer.Argument(
        help=f"a model folder, or a model in the box: {', '.join(names())}", metavar="MODEL", show_default=False
    ),
]
Compute = Annotated[
    str,
    typer.Option(
        help=f"what products multiply: {' or '.join(COMPUTE)}, which has two to three digits, needs AVX512-BF16 and "
        "is 1.5 to 1.8 times as fast"
    ),
]
Kind = TypeVar("Kind", bound=RoFormerBase)


def given_texts(texts: list[str] | None, file: Path | None) -> list[str]:
    """Those of the command line, then those of the file.

    Raises:
        InputError: there is none, or the file is not UTF-8.
    """
    given = [*(texts or []), *(_lines(file) if file else [])]
    if not given:
        raise InputError("no text: give one or more TEXT, or --input FILE")
    return given


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            f"--input {path} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}"
        ) from error
    return [line for line in lines if line.strip()]


def loaded(
    kind: type[Kind], model: str, silent: tuple[str, ...] = (), compute: str = FULL
) -> tuple[Kind, RoFormerTokenizer]:
    """Model and tokenizer; what loading warns of is a note on the terminal, but for what contains one of `silent`.

    Raises:
        CheckpointError: the folder lacks the head, which loading would draw at random.
        InputError: the tokenizer's packages, an extra, are not installed; this machine cannot compute so.
    """
    folder = resolve(model)
    try:
        from ..tokenization import RoFormerTokenizer

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            network = kind.from_pretrained(folder, compute=compute)
        tokenizer = RoFormerTokenizer.from_pretrained(folder)
    except ImportError as error:
        raise InputError(str(error)) from error
    for message in (str(warning.message) for warning in caught if warning.category is UserWarning):
        if message.startswith(DRAWN):
            raise CheckpointError(
                f"{model} holds no {kind.head} head, and a random one is no use: missing {message.rpartition(': ')[2]}"
            )
        if not any(part in message for part in silent):
            note(message)
    return network, tokenizer


def note(message: str) -> None:
    """One line beside the result."""
    errors.print(f"note: {message}", markup=False, highlight=False, soft_wrap=True)


def name_unknown(text: str, unknown: tuple[str, ...]) -> None:
    """Say what the vocabulary lacks."""
    if unknown:
        errors.print(f"read as [UNK] in {text}: {', '.join(unknown)}", markup=False, highlight=False)


@contextmanager
def text_bar(doing: str, total: int) -> Iterator[Callable[[int], None] | None]:
    """What to call with the number of texts that are done; on a terminal, and for many texts only."""
    if total < WORTH_A_BAR or not errors.is_terminal:
        yield None
        return
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda count: progress.advance(task, count)
