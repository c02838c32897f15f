"""A run on disk: one safetensors file with weights and moments; its header holds the history and whose run it is."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..errors import CheckpointError
from ..files import replacing
from ..weights import Array, Weights, map_leaves, named_leaves
from .batches import Example
from .optimizer import Moments

if TYPE_CHECKING:
    from .trainer import Trainer

FORMAT = "roformer training 1"


def save(trainer: Trainer, path: str | os.PathLike[str]) -> None:
    """See `Trainer.save`."""
    arrays = {f"{kind}.{name}": array for kind, part in _kinds(trainer).items() for name, array in part.items()}
    metadata = {
        "format": FORMAT,
        "updates": str(trainer.step),
        "run": json.dumps(identity(trainer)),
        "history": json.dumps(trainer.history.to_dict()),
    }
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(Path(path)) as temporary:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary, metadata)


def resume(trainer: Trainer, path: str | os.PathLike[str]) -> None:
    """See `Trainer.resume`."""
    arrays, metadata = _read(path)
    try:
        _refuse_another_run(path, json.loads(metadata["run"]), identity(trainer))
        kinds = {kind: _of_kind(arrays, kind, trainer) for kind in _kinds(trainer)}
        history = type(trainer.history).from_dict(json.loads(metadata["history"]))
        updates = int(metadata["updates"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is no whole checkpoint of a training run: {error!r}") from error
    trainer.model.weights = map_leaves(lambda name, leaf: kinds["weight"][name], trainer.model.weights)
    trainer.moments = Moments(updates, kinds["first"], kinds["second"])
    trainer.history = history


def identity(trainer: Trainer) -> dict[str, Any]:
    """What makes a run this one and no other, by name: a checkpoint of another is refused."""
    return {
        "head": trainer.model.head,
        "dtype": trainer.model.dtype.name,
        "components": trainer.model.components.name,
        "config": _digest(trainer.model.config.to_dict()),
        "first weights": trainer.origin,
        "rows to train on": _digest([_plain(example) for example in trainer.examples]),
        "rows held out": _digest([_plain(example) for example in trainer.held_out]),
        "masking": _digest(None if trainer.masking is None else asdict(trainer.masking)),
        **trainer.settings.to_dict(),
    }


def weights_digest(weights: Weights[Array]) -> str:
    """Of every weight, in the order of the tree."""
    found = hashlib.sha256()
    for leaf in named_leaves(weights).values():
        found.update(np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()[:32]


def _kinds(trainer: Trainer) -> dict[str, Mapping[str, Array]]:
    moments = trainer.moments
    return {"weight": named_leaves(trainer.model.weights), "first": moments.first, "second": moments.second}


def _refuse_another_run(path: object, stored: dict[str, Any], own: dict[str, Any]) -> None:
    different = [
        f"{name} was {stored.get(name)}, is {value}" for name, value in own.items() if stored.get(name) != value
    ]
    if different:
        raise CheckpointError(f"{path} belongs to another run: {'; '.join(different)}")


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, str]]:
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no mapping)
    except (SafetensorError, OSError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read as the checkpoint of a training run: {error}") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} is no checkpoint of a training run: its format is {metadata.get('format')!r}")
    return arrays, metadata


def _of_kind(arrays: dict[str, Array], kind: str, trainer: Trainer) -> dict[str, Array]:
    expected = named_leaves(trainer.model.weights)
    found = {name: arrays[f"{kind}.{name}"] for name in expected}
    for name, array in found.items():
        if (array.shape, array.dtype) != (expected[name].shape, expected[name].dtype):
            raise CheckpointError(
                f"{kind}.{name} is {array.dtype} of shape {array.shape}, expected {expected[name].dtype} of shape "
                f"{expected[name].shape}"
            )
    return found


def _plain(example: Example) -> list[Any]:
    return [example.input_ids, example.labels]


def _digest(value: Any) -> str:
    """The first half of a SHA-256, which is enough to tell two runs apart."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
