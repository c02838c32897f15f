"""Writing model folders that `folders` and the transformers library read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors.numpy import save_file

from ..config import RoFormerConfig
from ..errors import CheckpointError, InputError
from ..files import replacing
from ..weights import Array, Weights
from .folders import CONFIG_FILE, folder_path
from .formats import INDEX_FILE, WEIGHTS_FILE
from .trees import mapping_from_tree

ARCHITECTURES = {
    "base": "RoFormerModel",
    "masked_lm": "RoFormerForMaskedLM",
    "causal_lm": "RoFormerForCausalLM",
    "sequence_classification": "RoFormerForSequenceClassification",
    "token_classification": "RoFormerForTokenClassification",
    "multiple_choice": "RoFormerForMultipleChoice",
    "question_answering": "RoFormerForQuestionAnswering",
}

# Every file that weights are written to, so that no piece of an older save stays beside a newer one.
_WEIGHT_FILES = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?")


def write_folder(
    folder: str | os.PathLike[str], weights: Weights[Array], config: RoFormerConfig, head: str, max_shard_size: int
) -> None:
    """Write config.json and the weights; each file appears whole or not at all.

    Raises:
        InputError: `max_shard_size` is not a positive number of bytes.
        InputTypeError: `folder` is no path.
        CheckpointError: `folder` is a file, or the name of none.
    """
    if not isinstance(max_shard_size, int) or isinstance(max_shard_size, bool) or max_shard_size < 1:
        raise InputError(f"max_shard_size={max_shard_size!r} is not a positive number of bytes")
    root = folder_path(folder)
    if root.exists() and not root.is_dir():
        raise CheckpointError(f"{folder} is a file, expected a folder to write to")
    root.mkdir(parents=True, exist_ok=True)
    tensors = mapping_from_tree(weights, config, head)
    described = {**config.to_dict(), "architectures": [ARCHITECTURES[head]]}
    for key in {"torch_dtype", "dtype"} & {"torch_dtype", *described}:  # newer releases call it dtype
        described[key] = weights.embeddings.word.dtype.name
    _write_weights(root, tensors, max_shard_size)
    RoFormerConfig.from_dict(described).to_json_file(root / CONFIG_FILE)


def _write_weights(root: Path, tensors: Mapping[str, Array], max_shard_size: int) -> None:
    """One file, or shards with an index; what an earlier save in other pieces left behind goes."""
    shards = _shards(tensors, max_shard_size)
    files = [WEIGHTS_FILE]
    if len(shards) > 1:
        files = [f"model-{number:05d}-of-{len(shards):05d}.safetensors" for number in range(1, len(shards) + 1)]
    for file, shard in zip(files, shards, strict=True):
        with replacing(root / file) as temporary:
            save_file(shard, temporary, metadata={"format": "pt"})
    if len(shards) > 1:
        _write_index(root, dict(zip(files, shards, strict=True)))
        files.append(INDEX_FILE)
    for path in root.iterdir():
        if path.name not in files and _WEIGHT_FILES.fullmatch(path.name):
            path.unlink()


def _write_index(root: Path, shards: Mapping[str, Mapping[str, Array]]) -> None:
    total = sum(array.nbytes for shard in shards.values() for array in shard.values())
    weight_map = {name: file for file, shard in shards.items() for name in shard}
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    with replacing(root / INDEX_FILE) as temporary:
        temporary.write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _shards(tensors: Mapping[str, Array], max_shard_size: int) -> list[dict[str, Array]]:
    """The tensors in their order, cut where the next one would make a shard too large."""
    shards: list[dict[str, Array]] = [{}]
    for name, array in tensors.items():
        if shards[-1] and sum(item.nbytes for item in shards[-1].values()) + array.nbytes > max_shard_size:
            shards.append({})
        shards[-1][name] = array
    return shards
