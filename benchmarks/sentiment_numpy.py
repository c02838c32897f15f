"""The NumPy side of sentiment_reviews.py: RoFormerForSequenceClassification and the Trainer; no TensorFlow."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from sentiment_data import BATCH, LEARNING_RATE, SIZES, Corpus

from roformer_numpy import RoFormerConfig, RoFormerForSequenceClassification
from roformer_numpy.training import Example, Settings, Trainer

History = list[dict[str, float]]


def trained(corpus: Corpus, arguments: argparse.Namespace) -> tuple[float, History]:
    """The held-out accuracy, and the losses of each epoch."""
    trainer = fresh(corpus, arguments)
    run(trainer)
    history = told(trainer)
    return history[-1]["accuracy"], history


def resumed(corpus: Corpus, arguments: argparse.Namespace) -> History:
    """The history of a run that was saved and loaded after its first epoch."""
    first, second = fresh(corpus, arguments), fresh(corpus, arguments)
    for _ in range(first.settings.steps_of_epoch(len(first.examples))):
        first.advance()
    with tempfile.TemporaryDirectory() as folder:
        first.save(Path(folder) / "checkpoint.safetensors")
        second.resume(Path(folder) / "checkpoint.safetensors")
    run(second)
    return told(second)


def fresh(corpus: Corpus, arguments: argparse.Namespace) -> Trainer:
    config = RoFormerConfig(vocab_size=corpus.vocab_size, num_labels=2, **SIZES)
    model = RoFormerForSequenceClassification(config, seed=arguments.seed)
    settings = Settings(
        epochs=arguments.epochs, batch_size=BATCH, learning_rate=LEARNING_RATE, seed=arguments.seed,
    )  # fmt: skip
    return Trainer(model, examples(corpus.train), settings, held_out=examples(corpus.held_out))


def examples(rows: dict[str, np.ndarray]) -> list[Example]:
    """The rows without their padding."""
    pairs = zip(rows["input_ids"], rows["attention_mask"], rows["labels"], strict=True)
    return [Example(tuple(ids[mask == 1].tolist()), int(label)) for ids, mask, label in pairs]


def run(trainer: Trainer) -> None:
    with bar(trainer) as show:
        trainer.run(on_update=show)


def told(trainer: Trainer) -> History:
    """Of each epoch the mean loss, and loss and accuracy on the rows held out at its end."""
    length, history = trainer.settings.steps_of_epoch(len(trainer.examples)), []
    for number, judged in enumerate(trainer.history.evaluations[1:]):
        loss = trainer.history.mean_loss(slice(number * length, (number + 1) * length))
        history.append({"loss": loss, "val_loss": judged["loss"], "accuracy": judged["accuracy"]})
    return history


@contextmanager
def bar(trainer: Trainer) -> Iterator[Any]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("training", total=trainer.steps, completed=trainer.step)
        yield lambda update: progress.update(task, completed=update.step, description=f"loss {update.loss:.3f}")
