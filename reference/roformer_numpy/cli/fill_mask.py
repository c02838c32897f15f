"""`roformer fill-mask`: what a masked language model would write in the place of each [MASK]."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ..errors import InputError
from ..models import RoFormerForMaskedLM
from ..models_in_the_box import names, resolve
from ..pipelines import FilledText, fill_mask
from .app import app, console, usage_errors

WORTH_A_BAR = 200  # fewer texts are done before anybody could look at a bar

_errors = Console(stderr=True)  # a result may go through a pipe

Texts = Annotated[list[str] | None, typer.Argument(help="one or more texts with [MASK]", metavar="TEXT")]
Input = Annotated[
    Path | None, typer.Option("--input", help="a UTF-8 file with one text a line; empty lines are left out")
]
Model = Annotated[
    str,
    typer.Argument(
        help=f"a model folder, or a model in the box: {', '.join(names())}", metavar="MODEL", show_default=False
    ),
]


@app.command("fill-mask", epilog="Example: roformer fill-mask tang-mini '床前[MASK]月光'")
def fill_mask_command(
    model: Model,
    texts: Texts = None,
    top_k: Annotated[int, typer.Option(help="how many predictions each mask gets", min=1)] = 5,
    file: Input = None,
    targets: Annotated[str | None, typer.Option(help="choose among these only, such as 明,白")] = None,
    batch_size: Annotated[int, typer.Option(help="texts computed at once", min=1)] = 32,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object instead of tables")] = False,
) -> None:
    """Predict the token behind every [MASK].

    Each mask of a text gets predictions of its own, the others left masked:
    the best of two masks need not be the best pair. Percentages are of the
    whole vocabulary, also with --targets. A piece of a text that the
    vocabulary does not know is read as [UNK] and named.
    """
    with usage_errors():
        given = [*(texts or []), *(_lines(file) if file else [])]
        if not given:
            raise InputError("no text: give one or more TEXT, or --input FILE")
        network, tokenizer = _load(resolve(model))
        wanted = [target.strip() for target in targets.split(",")] if targets is not None else None
        with _bar(len(given)) as advance:
            found = fill_mask(network, tokenizer, given, top_k, targets=wanted, batch_size=batch_size, on_batch=advance)
    if json:
        results = [asdict(text) for text in found]
        typer.echo(json_module.dumps({"model": model, "results": results}, indent=2, ensure_ascii=False))
    else:
        _print(found)


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            f"--input {path} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}"
        ) from error
    return [line for line in lines if line.strip()]


def _load(folder: Path) -> tuple[RoFormerForMaskedLM, Any]:
    """Model and tokenizer; the tokenizer's packages are an extra."""
    try:
        from ..tokenization import RoFormerTokenizer

        network = RoFormerForMaskedLM.from_pretrained(folder)
        return network, RoFormerTokenizer.from_pretrained(folder)
    except ImportError as error:
        raise InputError(str(error)) from error


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None] | None]:
    if total < WORTH_A_BAR or not _errors.is_terminal:
        yield None
        return
    columns = (TextColumn("filling"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_errors, transient=True) as progress:
        task = progress.add_task("filling", total=total)
        yield lambda count: progress.advance(task, count)


def _print(found: list[FilledText]) -> None:
    for text in found:
        for number, mask in enumerate(text.masks, 1):
            which = f", mask {number} of {len(text.masks)}" if len(text.masks) > 1 else ""
            table = Table("token", "probability", "text", title=escape(f"{text.text}{which}"), title_justify="left")
            table.columns[1].justify = "right"
            for guess in mask.predictions:
                table.add_row(escape(guess.token), f"{guess.probability:.1%}", escape(guess.filled))
            console.print(table)
        if text.unknown:
            _errors.print(f"read as [UNK] in {text.text}: {', '.join(text.unknown)}", markup=False, highlight=False)
