"""What somebody asks for, made into a run: model, rows and tokenizer from their files."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoints import read_config
from ..config import RoFormerConfig
from ..errors import CheckpointError, InputError
from ..models import MODELS, RoFormerBase
from ..models_in_the_box import resolve
from .batches import UNLABELLED
from .encoding import encode, held_out_of, label_names
from .masking import Masking
from .rows import Row, read_rows
from .settings import Settings
from .trainer import Trainer

if TYPE_CHECKING:
    from ..tokenization import RoFormerTokenizer

CHECKPOINT = "checkpoint.safetensors"
DEFAULT_LENGTH = 128


@dataclass(frozen=True)
class Plan:
    """What somebody asks for."""

    model: str  # a folder, a model in the box, or a config.json
    data: Path
    head: str
    output: Path
    settings: Settings
    held_out: str = "0.1"  # a file or a share
    max_length: int | None = None
    tokenizer: Path | None = None  # a folder or a vocab.txt; None: beside the model
    resume: bool = False
    force: bool = False


@dataclass(frozen=True)
class Prepared:
    """A run that can start, or go on."""

    trainer: Trainer
    tokenizer: RoFormerTokenizer
    notes: tuple[str, ...]


def prepare(plan: Plan) -> Prepared:
    """Read everything, and go back to the checkpoint where that is asked for.

    Raises:
        RoFormerError: naming the file, the line, the field or the argument that is wrong.
    """
    _check_output(plan)
    config, tokenizer = _read_config(plan), _read_tokenizer(plan)
    if len(tokenizer) > config.vocab_size:
        raise InputError(f"the tokenizer has {len(tokenizer)} tokens, the model takes {config.vocab_size}")
    rows, held_out = _sides(plan)
    labels = None if plan.head in UNLABELLED else label_names(rows, config)
    model, notes = _model(plan, config, labels)
    numbers = None if labels is None else {name: number for number, name in enumerate(labels)}
    length = _length(plan, config)
    sides = [encode(side, tokenizer, length, numbers) for side in (rows, held_out)]
    if cut := sum(side.cut for side in sides):
        notes.append(f"{cut} of {len(rows) + len(held_out)} rows were cut to {length} tokens")
    masking = Masking.of(tokenizer, config.vocab_size) if plan.head == "masked_lm" else None
    trainer = Trainer(model, sides[0].examples, plan.settings, held_out=sides[1].examples, masking=masking)
    if plan.resume:
        trainer.resume(plan.output / CHECKPOINT)
    return Prepared(trainer, tokenizer, tuple(notes))


def _check_output(plan: Plan) -> None:
    checkpoint = plan.output / CHECKPOINT
    if plan.output.is_file():
        raise CheckpointError(f"{plan.output} is a file, expected a folder to write to")
    if plan.resume and not checkpoint.is_file():
        raise CheckpointError(f"{plan.output} has no {CHECKPOINT} to go on from; without --resume a run begins")
    if not plan.resume and not plan.force and plan.output.is_dir() and any(plan.output.iterdir()):
        way = "--resume goes on from its checkpoint; " if checkpoint.is_file() else ""
        raise CheckpointError(f"{plan.output} is not empty; {way}choose another folder, or --force to write into it")


def _read_config(plan: Plan) -> RoFormerConfig:
    return RoFormerConfig.from_json_file(plan.model) if _is_file(plan) else read_config(resolve(plan.model))


def _read_tokenizer(plan: Plan) -> RoFormerTokenizer:
    try:
        from ..tokenization import RoFormerTokenizer

        place = plan.tokenizer or (Path(plan.model).parent if _is_file(plan) else resolve(plan.model))
        if place.is_file():
            return RoFormerTokenizer(place)
        return RoFormerTokenizer.from_pretrained(place)
    except ImportError as error:
        raise InputError(str(error)) from error


def _is_file(plan: Plan) -> bool:
    return Path(plan.model).is_file()


def _sides(plan: Plan) -> tuple[list[Row], list[Row]]:
    """Rows to train on and rows to judge by."""
    rows = read_rows(plan.data, plan.head)
    try:
        share = float(plan.held_out)
    except ValueError:
        return rows, read_rows(plan.held_out, plan.head)
    if not 0 <= share < 1:
        raise InputError(f"--held-out {plan.held_out} is not a file, nor a share from 0 to below 1")
    return held_out_of(rows, share, plan.settings.seed) if share else (rows, [])


def _length(plan: Plan, config: RoFormerConfig) -> int:
    longest = config.max_position_embeddings
    length = min(DEFAULT_LENGTH, longest) if plan.max_length is None else plan.max_length
    if not 3 <= length <= longest:
        raise InputError(f"--max-length {length} is not allowed: expected 3 to {longest}, what the model takes")
    return length


def _model(plan: Plan, config: RoFormerConfig, labels: tuple[str, ...] | None) -> tuple[RoFormerBase, list[str]]:
    """The model to begin with, and what its loading had to say: a head that the folder lacks is drawn from the seed."""
    changes: dict[str, Any] = {}
    if labels is not None and labels != tuple(config.id2label[number] for number in range(config.num_labels)):
        changes = {"num_labels": len(labels), "id2label": dict(enumerate(labels))}
    if plan.head == "sequence_classification":
        changes["problem_type"] = "single_label_classification"
    if plan.head == "causal_lm":
        changes["is_decoder"] = True  # without it other libraries read the folder as bidirectional (DEC-1)
    kind, seed = MODELS[plan.head], plan.settings.seed
    if _is_file(plan):
        return kind(config.replace(**changes) if changes else config, seed=seed), []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = kind.from_pretrained(resolve(plan.model), seed=seed, **changes)
    return model, [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
