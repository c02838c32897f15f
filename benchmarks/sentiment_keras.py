"""The Keras side of sentiment_reviews.py: TFRoFormerForSequenceClassification and fit."""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sentiment_data import BATCH, LEARNING_RATE, SIZES, Corpus

from roformer_tensorflow import RoFormerConfig, TFRoFormerForSequenceClassification

History = list[dict[str, float]]


def trained(corpus: Corpus, arguments: argparse.Namespace) -> tuple[float, History]:
    """The held-out accuracy, and what Keras reports of each epoch."""
    model = fresh(corpus, arguments)
    history = [epoch(model, corpus, arguments, number) for number in range(arguments.epochs)]
    return model.evaluate(**parts(corpus.held_out), verbose=0, return_dict=True)["accuracy"], history


def resumed(corpus: Corpus, arguments: argparse.Namespace) -> History:
    """The history of a run that was saved and loaded after its first epoch."""
    model = fresh(corpus, arguments)
    history = [epoch(model, corpus, arguments, 0)]
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        model = keras.saving.load_model(Path(folder) / "model.keras")
    return history + [epoch(model, corpus, arguments, number) for number in range(1, arguments.epochs)]


def fresh(corpus: Corpus, arguments: argparse.Namespace) -> Any:
    config = RoFormerConfig(vocab_size=corpus.vocab_size, num_labels=2, **SIZES)
    model = TFRoFormerForSequenceClassification(config, seed=arguments.seed)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), metrics=["accuracy"], jit_compile=False)
    return model


def parts(rows: dict[str, np.ndarray]) -> dict[str, Any]:
    """Inputs and labels, as Keras names them."""
    return {"x": {name: value for name, value in rows.items() if name != "labels"}, "y": rows["labels"]}


def epoch(model: Any, corpus: Corpus, arguments: argparse.Namespace, number: int) -> dict[str, float]:
    """One epoch, in an order that depends on the seed and the epoch's number alone; what Keras reports of it."""
    order = np.random.default_rng((arguments.seed, number)).permutation(len(corpus.train["labels"]))
    data = parts({name: value[order] for name, value in corpus.train.items()})
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 1 if sys.stdout.isatty() else 2}
    history = model.fit(**data, initial_epoch=number, epochs=number + 1, **options).history
    return {name: values[-1] for name, values in history.items()}
