"""`roformer train`: a model trained on rows of text, as a Hugging Face folder."""

from __future__ import annotations

import json as json_module
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ..models_in_the_box import names
from ..training import Settings, Trainer, Update
from ..training.plan import CHECKPOINT, Plan, Prepared, prepare
from ..training.result import Result, finish
from .app import app, console, usage_errors

_errors = Console(stderr=True)  # a result may go through a pipe


class Task(StrEnum):
    """What a model is trained for."""

    MASKED_LM = "masked-lm"
    CAUSAL_LM = "causal-lm"
    SEQUENCE_CLASSIFICATION = "sequence-classification"
    TOKEN_CLASSIFICATION = "token-classification"


Model = Annotated[
    str,
    typer.Argument(
        help=f"a model folder, a model in the box ({', '.join(names())}), or a config.json for fresh weights",
        metavar="MODEL",
        show_default=False,
    ),
]
Data = Annotated[Path, typer.Argument(help="a UTF-8 file with one JSON object a line", metavar="DATA.jsonl")]
Output = Annotated[Path, typer.Option(help="a folder that is new or empty", show_default=False)]
Epochs = Annotated[int | None, typer.Option(help="passes over the rows; 3 without --steps", show_default=False)]
Steps = Annotated[int | None, typer.Option(help="in place of --epochs: how often the weights move")]
HeldOut = Annotated[str, typer.Option(help="rows to judge by: a file like DATA, or the share of DATA; 0 for none")]
MaxLength = Annotated[int | None, typer.Option(help="tokens of a row; 128 where MODEL takes them")]
Vocabulary = Annotated[
    Path | None, typer.Option(help="a vocab.txt or a folder, where the tokenizer does not lie beside MODEL")
]


@app.command(epilog="Example: roformer train tang-mini reviews.jsonl --task sequence-classification --output reviews")
def train(
    model: Model,
    data: Data,
    task: Annotated[Task, typer.Option(help="what the rows ask for", show_default=False)],
    output: Output,
    epochs: Epochs = None,
    steps: Steps = None,
    batch_size: Annotated[int, typer.Option(help="rows of one update")] = 16,
    accumulate: Annotated[int, typer.Option(help="the parts that a batch is computed in, to save memory")] = 1,
    learning_rate: Annotated[float, typer.Option(help="the highest")] = 1e-4,
    warm_up: Annotated[float, typer.Option(help="steps up to the highest rate; below 1 a share of all")] = 0.1,
    weight_decay: Annotated[float, typer.Option(help="of kernels and embeddings")] = 0.01,
    clip: Annotated[float, typer.Option(help="the longest gradient; 0 for no limit")] = 1.0,
    seed: Annotated[int, typer.Option(help="of fresh weights, split, order, masks, dropout")] = 0,
    max_length: MaxLength = None,
    held_out: HeldOut = "0.1",
    tokenizer: Vocabulary = None,
    checkpoint_every: Annotated[int, typer.Option(help="updates between two checkpoints; 0: none", min=0)] = 200,
    resume: Annotated[bool, typer.Option("--resume", help="go on from the checkpoint in --output")] = False,
    force: Annotated[bool, typer.Option("--force", help="write into a folder that is not empty")] = False,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object instead of a table")] = False,
) -> None:
    """Train MODEL on the rows of DATA and write it to a folder that transformers loads too.

    A row is {"text"} for masked-lm and causal-lm, {"text", "label"} for
    sequence-classification, {"tokens", "labels"} for token-classification.
    AdamW, linear warm-up and decay; the same seed gives the same model. A run
    that was stopped goes on with --resume as if it had not been stopped.
    Beside the model lie history.json and loss.png.
    """
    with usage_errors():
        settings = Settings(
            epochs=3 if epochs is None and steps is None else epochs, steps=steps, batch_size=batch_size,
            accumulate=accumulate, learning_rate=learning_rate, warm_up=warm_up, weight_decay=weight_decay,
            clip=clip or None, seed=seed,
        )  # fmt: skip
        head = task.value.replace("-", "_")
        plan = Plan(model, data, head, output, settings, held_out, max_length, tokenizer, resume, force)
        prepared = prepare(plan)
        for note in prepared.notes:
            _note(note)
        _run(prepared.trainer, output / CHECKPOINT, checkpoint_every)
        result = finish(prepared, plan)
    _report(result, prepared, as_json=json)


class _Stopped(Exception):
    """The user asked for the end of the run."""


def _run(trainer: Trainer, checkpoint: Path, every: int) -> None:
    """To the end of the run, with a bar; stopped by the user it leaves a checkpoint."""
    try:
        with _bar(trainer) as show, _interrupts() as stop_if_asked:

            def after(update: Update) -> None:
                show(update)
                stop_if_asked()

            trainer.run(on_update=after, checkpoint=checkpoint, checkpoint_every=every)
    except _Stopped:
        trainer.save(checkpoint)
        _note(f"stopped after update {trainer.step} of {trainer.steps}; the same command with --resume goes on")
        raise typer.Exit(130) from None


@contextmanager
def _interrupts() -> Iterator[Callable[[], None]]:
    """Ctrl-C ends the run where its state is whole, between two updates; a second one ends it at once, unsaved."""
    asked: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: Any) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, before)

    def stop_if_asked() -> None:
        if asked:
            raise _Stopped

    signal.signal(signal.SIGINT, note)
    try:
        yield stop_if_asked
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _bar(trainer: Trainer) -> Iterator[Callable[[Update], None]]:
    if not _errors.is_terminal:
        yield lambda update: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_errors, transient=True) as progress:
        bar = progress.add_task("training", total=trainer.steps, completed=trainer.step)

        def show(update: Update) -> None:
            judged = trainer.history.evaluations
            held_out = f", held out {judged[-1]['loss']:.3f}" if judged else ""
            progress.update(bar, completed=update.step, description=f"loss {update.loss:.3f}{held_out}")

        yield show


def _report(result: Result, prepared: Prepared, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json_module.dumps(result.to_dict(), indent=2, ensure_ascii=False))
    else:
        console.print(_table(result))
    for note in result.notes[len(prepared.notes) :]:
        _note(note)


def _table(result: Result) -> Table:
    table = Table("", result.output, show_edge=False)
    table.add_row("rows", f"{result.rows:,} to train on, {result.held_out_rows:,} held out")
    table.add_row("updates", f"{result.updates:,}")
    table.add_row("loss", f"{result.first_loss:.4f} in the first tenth, {result.last_loss:.4f} in the last")
    if result.held_out is not None:
        table.add_row("held-out loss", f"{result.held_out.loss:.4f}")
        table.add_row("held-out accuracy", f"{result.held_out.accuracy:.2%} of {result.held_out.predictions:,}")
        table.add_row("always the most frequent", f"{result.majority:.2%}")
    table.add_row("files", ", ".join(result.files))
    return table


def _note(text: Any) -> None:
    _errors.print(f"note: {text}", markup=False, highlight=False, soft_wrap=True)
