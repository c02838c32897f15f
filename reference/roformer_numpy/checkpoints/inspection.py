"""What a model folder holds, found out without making a model of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import RoFormerConfig
from ..errors import shown
from ..weights import HEADS, Array
from . import names
from .fitting import Fit, expected_shapes, fit, is_sinusoid_table, refuse_second_version, stripped
from .folders import existing_folder, format_of, formats_in, read_config, read_tensors
from .saving import ARCHITECTURES

SUMMARY = (
    *("vocab_size", "embedding_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("hidden_act", "max_position_embeddings", "type_vocab_size", "rotary_value", "is_decoder", "add_cross_attention"),
    *("tie_word_embeddings", "num_labels", "pruned_heads"),
)
HEAD_OF_CLASS = {name: head for head, name in ARCHITECTURES.items()}


@dataclass(frozen=True)
class Inspection:
    """What a folder holds; names of tensors are PyTorch's, without the backbone's prefix."""

    folder: str
    format: str
    other_formats: list[str]  # also in the folder, and not read
    files: dict[str, int]  # name to bytes
    config: dict[str, Any]
    head: str
    head_from: str
    parameters: int
    dtypes: dict[str, int]  # how many tensors of each
    language_model: str  # tied, untied or absent
    sinusoids: str  # equal to the computed table, different, or absent
    fits: dict[str, Fit]  # for each of the seven heads

    @property
    def is_whole(self) -> bool:
        """Whether the model that the folder says it is can be loaded without drawing anything."""
        return not (self.fits[self.head].missing or self.fits[self.head].misshapen)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        fits = {
            head: {"missing": found.missing, "misshapen": _described(found), "unexpected": found.unused}
            for head, found in self.fits.items()
        }
        return {**vars(self), "fits": fits}


def inspect_folder(folder: str | os.PathLike[str], on_read: Callable[[int], object] | None = None) -> Inspection:
    """Read everything that a folder holds and hold it against each of the seven models.

    Raises:
        CheckpointError: no model in the folder, a damaged file, or the weights of RoFormer V2.
        ConfigError: its configuration breaks a rule.
    """
    root, config = existing_folder(folder), read_config(folder)
    chosen = format_of(root)
    arrays = stripped(read_tensors(root, on_read), config)
    refuse_second_version(arrays)
    head, head_from = guessed_head(config, arrays)
    return Inspection(
        folder=str(folder),
        format=chosen.name,
        other_formats=[kind.name for kind in formats_in(root) if kind is not chosen],
        files={path.name: path.stat().st_size for path in chosen.files(root)},
        config={name: getattr(config, name) for name in SUMMARY},
        head=head,
        head_from=head_from,
        parameters=_parameters(arrays),
        dtypes=dict(Counter(array.dtype.name for array in arrays.values())),
        language_model=_tying(arrays),
        sinusoids=_sinusoids(arrays, config),
        fits={name: fit(arrays, expected_shapes(config, name, arrays), name, False) for name in HEADS},
    )


def guessed_head(config: RoFormerConfig, arrays: Mapping[str, Array]) -> tuple[str, str]:
    """The model that a folder holds, and what told: the configuration's `architectures`, or the tensors."""
    for written in config.extra.get("architectures") or ():
        name = str(written).removeprefix("TF").removeprefix("Flax")
        if name in HEAD_OF_CLASS:
            return HEAD_OF_CLASS[name], f"architectures says {shown(written)}"
    if "cls.predictions.transform.dense.weight" in arrays:
        return ("causal_lm" if config.is_decoder else "masked_lm"), "the tensors of a language model"
    for tensor, head in (
        ("classifier.out_proj.weight", "sequence_classification"),
        ("qa_outputs.weight", "question_answering"),
        ("classifier.weight", "token_classification"),
    ):
        if tensor in arrays:
            one_output = head == "token_classification" and arrays[tensor].shape[:1] == (1,) != (config.num_labels,)
            return ("multiple_choice" if one_output else head), f"the tensor {tensor}"
    return "base", "no tensor of a head"


def _described(found: Fit) -> dict[str, dict[str, list[int]]]:
    return {name: {"got": list(got), "expected": list(wanted)} for name, (got, wanted) in found.misshapen.items()}


def _parameters(arrays: Mapping[str, Array]) -> int:
    """How many numbers were trained: without the computed table and without copies of what is tied."""
    copies = {names.SINUSOIDS, names.DECODER_BIAS}
    if _tying(arrays) == "tied":
        copies.add(names.DECODER)
    return sum(array.size for name, array in arrays.items() if name not in copies)


def _tying(arrays: Mapping[str, Array]) -> str:
    decoder, words = arrays.get(names.DECODER), arrays.get(names.WORD_EMBEDDINGS)
    if names.LANGUAGE_MODEL_BIAS not in arrays:
        return "absent"
    return "tied" if decoder is None or (words is not None and np.array_equal(decoder, words)) else "untied"


def _sinusoids(arrays: Mapping[str, Array], config: RoFormerConfig) -> str:
    if names.SINUSOIDS not in arrays:
        return "absent"
    return "equal" if is_sinusoid_table(arrays[names.SINUSOIDS], config) else "different"
