"""What is lost on the way through a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from safetensors.numpy import load_file

from roformer_numpy.adapter import NumpyModel

from .making import Fault, fault


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
