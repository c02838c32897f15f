"""What is lost on the way through a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from safetensors.numpy import load_file

from roformer_conformance.oracle import schema
from roformer_numpy.adapter import NumpyModel
from roformer_numpy.components import EQUATIONS
from roformer_numpy.config import FIELD_RULES

from .making import Call, Fault, fault


class _Loading(Fault):
    """Looks at the names in a folder before it is read, and has fields of its own for what is not read."""

    lost: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def look(self, head: str, names: list[str]) -> None:
        """Refuse what is not understood."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        file = Path(path) / "model.safetensors"
        if file.exists():
            self.look(head, list(load_file(file)))
        return super().load_saved(head, path, dtype, **{**self.lost, **overrides})


@fault
class SavingLosesExtras(_Loading):
    """output_hidden_states is a matter of the call, and not saved."""

    lost: ClassVar = {"output_hidden_states": False}


@fault
class SavingLosesDropout(_Loading):
    """Probabilities of dropout are a matter of training, and not saved."""

    lost: ClassVar = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}


@fault
class SavingLosesTheEnd(_Loading):
    """The eos token is a matter of generation, and not saved."""

    lost: ClassVar = {"eos_token_id": None}


@fault
class SavingLosesCrossAttention(_Loading):
    """add_cross_attention is not saved, so that the folder is read as a decoder without it."""

    lost: ClassVar = {"add_cross_attention": False}


@fault
class OneFolderOneModel(Fault):
    """A folder that holds a model is not written again."""

    def __init__(self) -> None:
        super().__init__(methods={"save": _save_once})


def _save_once(model: Any, path: Any) -> None:
    if not (Path(path) / "config.json").exists():
        NumpyModel.save(model, path)


@fault
class HeadsNeedTheirPrefix(_Loading):
    """A head cannot be put on a base model, whose names have no prefix."""

    def look(self, head: str, names: list[str]) -> None:
        if head != "base" and not any(name.startswith("roformer.") for name in names):
            raise KeyError("roformer.embeddings.word_embeddings.weight")


@fault
class BaseKnowsNoPrefix(_Loading):
    """A base model cannot be read from a model with a head, whose names have a prefix."""

    def look(self, head: str, names: list[str]) -> None:
        if head == "base" and any(name.startswith("roformer.") for name in names):
            raise KeyError("embeddings.word_embeddings.weight")


@fault
class TheLastPruningIsSaved(Fault):
    """A folder names the heads of the last pruning alone: those of an earlier one are there again."""

    def __init__(self) -> None:
        super().__init__(methods={"prune_heads": _pruned, "save": _saved_last})


def _pruned(model: Any, heads: Any) -> None:
    model.memory.setdefault("whole", (model.model.config, model.model.to_weights()))
    model.memory["last"] = heads
    NumpyModel.prune_heads(model, heads)


def _saved_last(model: Any, path: Any) -> None:
    if "whole" not in model.memory:
        NumpyModel.save(model, path)
        return
    config, weights = model.memory["whole"]
    own = type(model.model).from_weights(config, weights, dtype=model.model.dtype, components=EQUATIONS)
    own.prune_heads(model.memory["last"])
    own.save_pretrained(path)


@fault
class ResizingUnties(Fault):
    """Resizing leaves a tied head with a matrix of its own, 0 for new words."""

    def __init__(self) -> None:
        super().__init__(methods={"resize_token_embeddings": _untied})


def _untied(model: Any, size: int) -> None:
    old = model.model.weights.embeddings.word
    NumpyModel.resize_token_embeddings(model, size)
    weights = model.model.weights
    if getattr(weights.head, "decoder", old) is None:
        own = np.zeros((size, old.shape[1]), old.dtype)
        own[: len(old)] = old[:size]
        model.model.weights = dataclasses.replace(weights, head=dataclasses.replace(weights.head, decoder=own))


@fault
class LabelsAloneOverride(Fault):
    """Of keywords at loading num_labels is read, and nothing else."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        kept = {name: value for name, value in overrides.items() if name in ("num_labels", "honour_call_flags")}
        return super().load_saved(head, path, dtype, **kept)


@fault
class MissingHeadsAreZero(Fault):
    """A head that is missing is 0, so that every class scores alike."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        if head == "base" or not all(name.startswith("roformer.") for name in weights):
            return config, weights
        shapes = schema(config, head)
        fresh = {name: np.zeros(shape) for name, shape in shapes.items() if not name.startswith("roformer.")}
        return config, {**fresh, **weights}


@fault
class FrozenAfterLoading(Fault):
    """The embeddings of a model that was loaded are not trained any more."""

    def __init__(self) -> None:
        super().__init__(methods={"gradients": _frozen})

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        model = super().load_saved(head, path, dtype, **overrides)
        model.was_loaded = True
        return model


def _frozen(model: Any, inputs: Any, options: Any) -> Any:
    found = NumpyModel.gradients(model, inputs, options)
    if not getattr(model, "was_loaded", False):
        return found
    return {name: np.zeros_like(array) if "embeddings." in name else array for name, array in found.items()}


@fault
class UnknownOverridesIgnored(Fault):
    """A keyword at loading that is no field is passed over."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        known = {name: value for name, value in overrides.items() if name in FIELD_RULES}
        return super().load_saved(head, path, dtype, **known)


@fault
class AsLongAsItWasSaved(Fault):
    """max_position_embeddings is that of the folder, whatever is asked for."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        kept = {name: value for name, value in overrides.items() if name != "max_position_embeddings"}
        return super().load_saved(head, path, dtype, **kept)


@fault
class SavingLosesTuples(_Loading):
    """return_dict is a matter of the call, and not saved."""

    lost: ClassVar = {"return_dict": True}


@fault
class SavingLosesTheRange(_Loading):
    """initializer_range is a matter of making a model, and not saved."""

    lost: ClassVar = {"initializer_range": 0.02}


@fault
class SavingLosesTheLength(_Loading):
    """max_position_embeddings is not saved, so that a loaded model takes sequences that the saved one refuses."""

    lost: ClassVar = {"max_position_embeddings": 1536}


@fault
class LoadingLosesWhatIsNoField(Fault):
    """Keys of a folder's config.json that no field knows are not read, so that saving again loses them."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        model = super().load_saved(head, path, dtype, **overrides)
        model.model.config = model.model.config.replace(extra={})
        return model
