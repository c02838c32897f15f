"""Trains TFRoFormerForSequenceClassification on real labelled reviews with Keras' fit, from random weights.

    .venv/bin/python benchmarks/sentiment_reviews.py [--rows 4000] [--epochs 3] [--repeat] [--resume]

Prints the held-out accuracy beside that of always guessing the more frequent label. --repeat trains a second time from
the same seed and compares the histories; --resume trains a second time with a save and a load after the first epoch.
--rows 0 takes all 34 thousand different reviews instead of a sample that one core gets through in minutes.

Exit code 0: better than the baseline, and equal where that was asked. 1: not.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sentiment_data import Corpus, prepare

from roformer_tensorflow import RoFormerConfig, TFRoFormerForSequenceClassification

SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256}
BATCH = 32


def main() -> None:
    arguments = parse_arguments()
    corpus = prepare(arguments.rows or None, arguments.seed, arguments.max_length, arguments.cache)
    print(f"{len(corpus.train['labels']):,} reviews to train on, {len(corpus.held_out['labels']):,} held out")
    model, history = trained(corpus, arguments)
    accuracy = model.evaluate(**parts(corpus.held_out), verbose=0, return_dict=True)["accuracy"]
    print(f"held-out accuracy {accuracy:.4f}, always the more frequent label {corpus.majority:.4f}")
    fine = accuracy > corpus.majority
    if arguments.repeat:
        fine &= same("the same seed again", history, trained(corpus, arguments)[1])
    if arguments.resume:
        fine &= same("saved and loaded after the first epoch", history, resumed(corpus, arguments))
    sys.exit(0 if fine else 1)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4000, help="how many reviews, 0 for all (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--max-length", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0, help="of sample, split, weights, shuffling and dropout")
    parser.add_argument("--cache", type=Path, help="folder for the reviews (default: the user's cache)")
    parser.add_argument("--repeat", action="store_true", help="train again from the same seed and compare")
    parser.add_argument("--resume", action="store_true", help="train again in two parts and compare")
    return parser.parse_args()


def fresh(corpus: Corpus, arguments: argparse.Namespace) -> Any:
    config = RoFormerConfig(vocab_size=corpus.vocab_size, num_labels=2, **SIZES)
    model = TFRoFormerForSequenceClassification(config, seed=arguments.seed)
    model.compile(keras.optimizers.Adam(1e-3), metrics=["accuracy"], jit_compile=False)
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


def trained(corpus: Corpus, arguments: argparse.Namespace) -> tuple[Any, list[dict[str, float]]]:
    model = fresh(corpus, arguments)
    return model, [epoch(model, corpus, arguments, number) for number in range(arguments.epochs)]


def resumed(corpus: Corpus, arguments: argparse.Namespace) -> list[dict[str, float]]:
    model = fresh(corpus, arguments)
    history = [epoch(model, corpus, arguments, 0)]
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        model = keras.saving.load_model(Path(folder) / "model.keras")
    return history + [epoch(model, corpus, arguments, number) for number in range(1, arguments.epochs)]


def same(what: str, first: list[dict[str, float]], second: list[dict[str, float]]) -> bool:
    """Whether two histories are equal to the last bit; printed with their largest difference."""
    gap = max(abs(one[name] - two[name]) for one, two in zip(first, second, strict=True) for name in one)
    print(f"{what}: {'the same history' if gap == 0 else f'differs by up to {gap:.3g}'}")
    return gap == 0


if __name__ == "__main__":
    main()
