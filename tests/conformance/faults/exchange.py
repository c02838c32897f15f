"""Configurations and checkpoints that only their own implementation understands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from safetensors.numpy import load_file, save_file

from roformer_conformance.protocol import FORMATS
from roformer_numpy.adapter import CAPABILITIES, NumpyAdapter, NumpyModel
from roformer_numpy.components import EQUATIONS
from roformer_numpy.config import FIELD_RULES
from roformer_numpy.errors import ConfigError
from roformer_numpy.models import MODELS

from .making import Call, Fault, FaultyModel, fault

SQUARE = "attention.self.query.weight"


@fault
class SwallowsMisspeltFields(Fault):
    """A keyword that is no field of the configuration is stored in silence."""

    def configure(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return super().configure({name: value for name, value in fields.items() if name in FIELD_RULES})


@fault
class WritesNamesOfItsOwn(Fault):
    """The number of heads stands in config.json under a name of its own."""

    def configure(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        written = super().configure(fields)
        return {"num_heads" if name == "num_attention_heads" else name: written[name] for name in written}


@fault
class WritesWhatDiffersFromItsOwnDefaults(Fault):
    """config.json holds what differs from the defaults, which are not those of the reader."""

    def configure(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        written, own = super().configure(fields), {"layer_norm_eps": 1e-5, "hidden_act": "relu"}
        return {name: value for name, value in written.items() if own.get(name) != value}


@fault
class RefusesNull(Fault):
    """A null among the keys that transformers writes is refused."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        if config.get("bos_token_id", 0) is None:
            raise ConfigError("bos_token_id is None, expected an integer")
        return config, weights


def _rewrite(path: Any, change: Callable[[str, Any], tuple[str, Any]]) -> None:
    file = Path(path, "model.safetensors")
    stored = load_file(file)
    save_file(dict(change(name, np.ascontiguousarray(array)) for name, array in stored.items()), file)


def _turned(name: str, array: Any) -> tuple[str, Any]:
    return name, np.ascontiguousarray(array.T) if name.endswith(SQUARE) else array


def _shortened(name: str, array: Any) -> tuple[str, Any]:
    return name.replace("encoder.layer.", "encoder.block."), array


def _lengthened(name: str, array: Any) -> tuple[str, Any]:
    return name.replace("encoder.block.", "encoder.layer."), array


class _Rewriting(Fault):
    """Folders of a form of its own: changed when saved, and changed back when loaded."""

    saved: Callable[[str, Any], tuple[str, Any]]
    loaded: Callable[[str, Any], tuple[str, Any]]

    def __init__(self) -> None:
        super().__init__(methods={"save": self._save})

    def _save(self, model: FaultyModel, path: Any) -> None:
        model.model.save_pretrained(path)
        _rewrite(path, type(self).saved)

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        if not Path(path, "model.safetensors").is_file():
            return super().load_saved(head, path, dtype, **overrides)
        _rewrite(path, type(self).loaded)
        return super().load_saved(head, path, dtype, **overrides)


@fault
class TransposedInTheFile(_Rewriting):
    """The query's kernel is transposed in the file, and back when it is read."""

    saved = staticmethod(_turned)
    loaded = staticmethod(_turned)


@fault
class NamesOfItsOwnInTheFile(_Rewriting):
    """The file has names that no other program knows, and they are understood when it is read again."""

    saved = staticmethod(_shortened)
    loaded = staticmethod(_lengthened)


class _MisreadsFormat(Fault):
    """Folders that hold a certain file are misread: the query's kernel as it stands there."""

    file = ""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        right = NumpyAdapter.load_saved(self, head, path, dtype, **overrides).model
        if not list(Path(path).glob(self.file)):
            return FaultyModel(self, right, right.config.to_dict())
        turned = dict(_turned(name, array) for name, array in right.to_weights().items())
        wrong = MODELS[head].from_weights(right.config, turned, dtype=dtype, components=EQUATIONS)
        return FaultyModel(self, wrong, json.loads(json.dumps(right.config.to_dict())))


@fault
class KernelsOfHdfAsTheyStand(_MisreadsFormat):
    """Kernels of a tf_model.h5 are read without their transpose."""

    file = "tf_model.h5"


@fault
class OriginalKernelsAsTheyStand(_MisreadsFormat):
    """Kernels of an original TensorFlow 1 checkpoint are read without their transpose."""

    capabilities: ClassVar[Mapping[str, Any]] = MappingProxyType({**CAPABILITIES, "formats": FORMATS})
    file = "*.ckpt.index"


@fault
class SavingLosesId2Label(Fault):
    """config.json holds the number of labels, and none of their names."""

    def __init__(self) -> None:
        super().__init__(methods={"save": _saved_without_names})


def _saved_without_names(model: Any, path: Any) -> None:
    NumpyModel.save(model, path)
    file = Path(path) / "config.json"
    described = json.loads(file.read_text(encoding="utf-8"))
    names = described.pop("id2label", {})
    described.pop("label2id", None)
    file.write_text(json.dumps({"num_labels": len(names) or 2, **described}), encoding="utf-8")


@fault
class SavingLosesNotes(Fault):
    """Keys that are no fields are not written to config.json."""

    def __init__(self) -> None:
        super().__init__(methods={"save": _saved_without_notes})


def _saved_without_notes(model: Any, path: Any) -> None:
    NumpyModel.save(model, path)
    file = Path(path) / "config.json"
    described = json.loads(file.read_text(encoding="utf-8"))
    kept = {name: value for name, value in described.items() if name not in model.model.config.extra}
    file.write_text(json.dumps(kept), encoding="utf-8")


@fault
class CosinesBesideTheirSines(_Rewriting):
    """The table in the file has a sine and a cosine in turn, which its own loading does not look at."""

    @staticmethod
    def saved(name: str, array: Any) -> tuple[str, Any]:
        """The table with its columns in turn."""
        if not name.endswith("embed_positions.weight"):
            return name, array
        return name, np.stack(np.split(array, 2, axis=1), axis=2).reshape(array.shape)

    loaded = staticmethod(lambda name, array: (name, array))


@fault
class NoDropoutByDefault(Fault):
    """A configuration that says nothing of dropout has none."""

    def configure(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return super().configure({"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, **fields})
