"""Trains a sequence classifier on real labelled reviews, from random weights: with Keras' fit, or in NumPy alone.

    .venv/bin/python benchmarks/sentiment_reviews.py [--engine keras|numpy] [--rows 4000] [--epochs 3] [--repeat]

Prints the held-out accuracy beside that of always guessing the more frequent label. --repeat trains a second time from
the same seed and compares the histories; --resume trains a second time with a save and a load after the first epoch.
--rows 0 takes all 34 thousand different reviews instead of a sample that one core gets through in minutes. The reviews
are downloaded with pip into a cache at the first run. --engine numpy needs no TensorFlow.

Exit code 0: better than the baseline, and equal where that was asked. 1: not.
"""

import argparse
import importlib
import sys
import time
from pathlib import Path

from sentiment_data import prepare

ENGINES = ("keras", "numpy")


def main() -> None:
    arguments = parse_arguments()
    engine = importlib.import_module(f"sentiment_{arguments.engine}")
    corpus = prepare(arguments.rows or None, arguments.seed, arguments.max_length, arguments.cache)
    print(f"{len(corpus.train['labels']):,} reviews to train on, {len(corpus.held_out['labels']):,} held out")
    start = time.perf_counter()
    accuracy, history = engine.trained(corpus, arguments)
    print(*history, f"{arguments.epochs} epochs in {time.perf_counter() - start:.0f} s", sep="\n")
    print(f"held-out accuracy {accuracy:.4f}, always the more frequent label {corpus.majority:.4f}")
    fine = accuracy > corpus.majority
    if arguments.repeat:
        fine &= same("the same seed again", history, engine.trained(corpus, arguments)[1])
    if arguments.resume:
        fine &= same("saved and loaded after the first epoch", history, engine.resumed(corpus, arguments))
    sys.exit(0 if fine else 1)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=ENGINES, default="keras", help="who trains (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=4000, help="how many reviews, 0 for all (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--max-length", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0, help="of sample, split, weights, shuffling and dropout")
    parser.add_argument("--cache", type=Path, help="folder for the reviews (default: the user's cache)")
    parser.add_argument("--repeat", action="store_true", help="train again from the same seed and compare")
    parser.add_argument("--resume", action="store_true", help="train again in two parts and compare")
    return parser.parse_args()


def same(what: str, first: list[dict[str, float]], second: list[dict[str, float]]) -> bool:
    """Whether two histories are equal to the last bit; printed with their largest difference."""
    gap = max(abs(one[name] - two[name]) for one, two in zip(first, second, strict=True) for name in one)
    print(f"{what}: {'the same history' if gap == 0 else f'differs by up to {gap:.3g}'}")
    return gap == 0


if __name__ == "__main__":
    main()
