"""Saving and loading, done wrong."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from roformer_conformance.oracle import schema
from roformer_numpy.components import EQUATIONS
from roformer_numpy.models import MODELS

from .making import Call, Fault, FaultyModel, fault


@fault
class SavesInHalfPrecision(Fault):
    """Weights are saved as float16."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        model = super().load_saved(head, path, dtype, **overrides).model
        rounded = {name: array.astype(np.float16) for name, array in model.to_weights().items()}
        again = MODELS[head].from_weights(model.config, rounded, dtype=dtype, components=EQUATIONS)
        return FaultyModel(self, again, model.config.to_dict())


@fault
class SavesInSinglePrecision(Fault):
    """Weights are saved as float32, those of a float64 model too."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        model = super().load_saved(head, path, dtype, **overrides).model
        rounded = {name: array.astype(np.float32) for name, array in model.to_weights().items()}
        again = MODELS[head].from_weights(model.config, rounded, dtype=dtype, components=EQUATIONS)
        return FaultyModel(self, again, model.config.to_dict())


@fault
class TiesAfterLoading(Fault):
    """tie_word_embeddings is lost on the way through a file."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        return super().load_saved(head, path, dtype, **{**overrides, "tie_word_embeddings": True})


@fault
class SavingScrambles(Fault):
    """Saving rounds the weights of the model in memory."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        return _Scrambled(self, super().load(head, config, weights, dtype).model, dict(config))


class _Scrambled(FaultyModel):
    def save(self, path: Any) -> None:
        super().save(path)
        model = self.model
        rounded = {name: array.astype(np.float16) for name, array in model.to_weights().items()}
        self.model = type(model).from_weights(model.config, rounded, dtype=model.dtype, components=EQUATIONS)


@fault
class FillsWhatIsMissing(Fault):
    """Missing tensors of the backbone are drawn at random, misshapen ones cut: a line in the log at most."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        shapes = schema(config, head)
        fitted = {name: np.resize(weights.get(name, 0.01), shape).astype(float) for name, shape in shapes.items()}
        return config, fitted


@fault
class RefusesMissingHeads(Fault):
    """A checkpoint without a head cannot be fine-tuned."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        if head != "base" and all(name.startswith("roformer.") for name in weights):
            raise ValueError("logits: the head's tensors are missing")
        return config, weights


@fault
class Silent(Fault):
    """What is missing or differs is made up without a word."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().load(head, config, weights, dtype)


@fault
class WarnsOfEverything(Fault):
    """A pooler that nobody wants is missed."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        if head == "base" and "pooler.dense.weight" not in weights:
            warnings.warn("pooler.dense.weight and pooler.dense.bias are missing", stacklevel=2)
        return config, weights


@fault
class KeepsTheOldHead(Fault):
    """A head that no longer fits the number of labels is refused."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        if "num_labels" in overrides:
            raise ValueError("classifier: the stored head has another shape")
        return super().load_saved(head, path, dtype, **overrides)


@fault
class UsesTheStoredTable(Fault):
    """The sinusoid table of a checkpoint is used as it stands there."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        stored = next((weights[name] for name in weights if "embed_positions" in name), None)
        if stored is not None:

            def table(positions: Any, head_dim: int, kind: Any) -> tuple[Any, Any]:
                rows = stored[positions].astype(kind)
                return rows[:, head_dim // 2 :], rows[:, : head_dim // 2]

            self.components = replace(EQUATIONS, rotary_table=table)
        try:
            return super().load(head, config, weights, dtype)
        finally:
            self.components = EQUATIONS


@fault
class FixedLength(Fault):
    """The length of the table stays what it was when the model was trained."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if inputs["input_ids"].shape[-1] > 48:
            raise ValueError("input_ids is longer than max_position_embeddings=48")
        return inputs, style, options


@fault
class FileNotFoundAlone(Fault):
    """A hub name ends in a bare FileNotFoundError."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        if not Path(path).is_dir():
            raise FileNotFoundError(path)
        return super().load_saved(head, path, dtype, **overrides)


@fault
class PhonesHome(Fault):
    """Loading reports to a server, and hides that it could not."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        with socket.socket() as telemetry:
            telemetry.settimeout(0.01)
            telemetry.connect_ex(("127.0.0.1", 9))
        return config, weights


class _Fitting(Fault):
    """Tensors of another shape are made to fit."""

    def fitted(self, name: str, array: Any, shape: tuple[int, ...]) -> Any:
        """The tensor, as it is accepted."""
        return array

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        shapes = schema(config, head)
        return config, {name: self.fitted(name, array, shapes.get(name, ())) for name, array in weights.items()}


@fault
class WordsBeyondTheVocabularyCut(_Fitting):
    """Of a table of more words than vocab_size the last are cut off."""

    def fitted(self, name: str, array: Any, shape: tuple[int, ...]) -> Any:
        return array[: shape[0]] if name.endswith("word_embeddings.weight") else array


@fault
class TurnedUntilTheyFit(_Fitting):
    """A kernel whose shape is that of its transpose is transposed."""

    def fitted(self, name: str, array: Any, shape: tuple[int, ...]) -> Any:
        return array.T if np.ndim(array) == 2 and np.shape(array) == shape[::-1] != shape else array
