"""Golden vectors: what other people's implementations returned, and whether a model returns it too.

A vector was computed by the real transformers library in float64, or by a calculation that it shows. An implementation
in float64 has to meet its relative tolerance; one in float32 the budget that the oracle measures around it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from .budget import FAILS_AT
from .oracle import TRAINED, trained_weights
from .partial import Seen, lacking, unasked
from .protocol import Adapter, Array, Capabilities, Outputs, flatten, is_unsupported
from .records import Record
from .resources import fixtures_folder
from .vector_verdicts import concerned, message_of, verdicts_on


class VectorError(ValueError):
    """A golden vector is damaged: it breaks the schema, or a file is not the one that was recorded."""


@dataclass(frozen=True)
class Vector:
    """One recorded call: a model, its inputs, and what has to come out."""

    path: Path
    described: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The case's name."""
        return str(self.described["id"])

    @property
    def clauses(self) -> tuple[str, ...]:
        """Every clause that it bears on."""
        return tuple(self.described["clauses"])

    @property
    def check_id(self) -> str:
        """The id of the check that this vector is: its first clause and its name."""
        return f"{self.clauses[0]}/vector-{self.id}"

    @property
    def head(self) -> str:
        """Which model is called."""
        return str(self.described["head"])

    @cached_property
    def tensors(self) -> dict[str, Array]:
        """`inputs/…` and `outputs/…` by name."""
        return load_file(self.path.with_suffix(".safetensors"))

    def weights(self) -> dict[str, Array]:
        """Flat Hugging Face names to float64 arrays, of the backbone and of this head."""
        if self.described["weights"] == TRAINED.name:
            return dict(trained_weights(self.head))
        stored = _stored(self.path.parent.parent / "weights" / self.described["weights"])
        owned = {
            name.partition("/")[2]: array
            for name, array in stored.items()
            if name.split("/")[0] in ("backbone", self.head)
        }
        short = {
            name.removeprefix("roformer.") if self.head == "base" else name: array for name, array in owned.items()
        }
        return {name: array.astype(np.float64) for name, array in short.items()}

    def inputs(self) -> dict[str, Any]:
        """The arguments of the call, a cache put together again."""
        named = self._part("inputs/")
        cached = sorted(name for name in named if name.startswith("past_key_values."))
        layers: dict[str, list[Array]] = {}
        for name in cached:
            layers.setdefault(name.split(".")[1], []).append(named.pop(name))
        return named | ({"past_key_values": tuple(tuple(layer) for layer in layers.values())} if layers else {})

    def expected(self) -> Outputs:
        """The recorded outputs; the library's own mean of a loss is a witness, not an output."""
        return {name: array for name, array in self._part("outputs/").items() if name != "loss_mean"}

    def needs(self) -> list[str]:
        """The capabilities without which an implementation is not asked."""
        config, given = self.described["config"], self._part("inputs/")
        return [
            capability
            for capability, needed in (
                ("cache", self.described["options"].get("use_cache") or any("past_key" in name for name in given)),
                ("cross_attention", config["add_cross_attention"]),
                ("head_mask", "head_mask" in given),
                ("pruning", config.get("pruned_heads")),
            )
            if needed
        ]

    def rows(self) -> Array | None:
        """The query positions that are judged; None for all of them."""
        if self.described["judged"] == "all":
            return None
        named = self._part("inputs/")
        seen = np.logical_or.accumulate(named["attention_mask"].astype(bool), axis=1)
        return seen[:, -named["input_ids"].shape[1] :]

    def _part(self, prefix: str) -> dict[str, Array]:
        return {name.removeprefix(prefix): array for name, array in self.tensors.items() if name.startswith(prefix)}


@cache
def load_vectors(folder: Path | None = None, by_schema: bool = False) -> tuple[Vector, ...]:
    """Every golden vector, its files checked against their hashes; read once.

    Args:
        folder: of the fixtures; our own when left out.
        by_schema: check every description against the schema, too, which takes longer than to use them.

    Raises:
        VectorError: naming the file and what is wrong with it.
    """
    root = folder or fixtures_folder()
    validate = _validator(root / "case.schema.json") if by_schema else lambda described: ()
    paths = sorted((root / "vectors").glob("*.json"))
    if not paths:
        raise VectorError(f"no golden vectors in {root / 'vectors'}")
    hashes: dict[Path, str] = {}  # many vectors share their weights
    return tuple(_checked(path, validate, hashes) for path in paths)


def verify_vector(adapter: Adapter, vector: Vector, dtype: str, name: str = "", k: float = FAILS_AT) -> Record:
    """Hold an implementation against one golden vector.

    Args:
        adapter: the implementation.
        vector: the recorded call.
        dtype: floating-point type to compute in; float64 is judged by relative error, float32 by the budget.
        name: what a command line calls the adapter; its own name by default.
        k: the grade at which a float32 result fails.
    """
    capabilities = Capabilities.of(adapter)
    missing = [need for need in vector.needs() if not getattr(capabilities, need)]
    missing += [] if vector.head in capabilities.heads else [f"head {vector.head}"]
    if missing:
        return vector_record(vector, dtype, "not_claimed", f"needs {', '.join(missing)}")
    started, grade, also = time.perf_counter(), None, vector.clauses[1:]
    try:
        verdicts = verdicts_on(vector, _call(adapter, vector, dtype), dtype, k)
    except Exception as error:  # whatever an implementation throws at a legitimate call is its failure
        if is_unsupported(error):
            return vector_record(vector, dtype, "not_claimed", f"needs {error}")
        failure = f"{type(error).__name__}: {error}"
    else:
        grade = max(verdict.grade for verdict in verdicts)
        failure = message_of(vector, verdicts)
        also = concerned(vector.clauses, verdicts)[1:]
    replay = f"roformer-conformance vectors verify {name or adapter.name} --case {vector.id} --dtype {dtype}"
    return replace(
        vector_record(vector, dtype, "failed" if failure else "passed", failure),
        also=also,
        grade=grade,
        seconds=time.perf_counter() - started,
        replay=replay if failure else "",
    )


def _validator(schema: Path) -> Callable[[Any], Iterable[Any]]:
    import jsonschema  # a run that does not validate does not load it

    found: Any = jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    return lambda described: found.iter_errors(described)


def _checked(path: Path, validate: Callable[[Any], Iterable[Any]], hashes: dict[Path, str]) -> Vector:
    described = json.loads(path.read_text(encoding="utf-8"))
    for error in validate(described):
        raise VectorError(f"{path.name} breaks the schema at {error.json_path}: {error.message}")
    weights = path.parent.parent / "weights" / described["weights"]
    if described["weights"] == TRAINED.name:  # it lies in the package
        weights = TRAINED / "model.safetensors"
    for file, recorded in ((path.with_suffix(".safetensors"), "sha256"), (weights, "weights_sha256")):
        if file not in hashes:
            hashes[file] = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
        if hashes[file] != described[recorded]:
            raise VectorError(f"{path.name}: {file.name} is missing, or is not the file whose {recorded} was recorded")
    return Vector(path, described)


@cache
def _stored(path: Path) -> Mapping[str, Array]:
    """The tensors of a file of weights, which many vectors share; nobody writes to them."""
    return MappingProxyType(load_file(path))


def _call(adapter: Adapter, vector: Vector, dtype: str) -> Outputs:
    weights = {name: np.asarray(array, dtype) for name, array in vector.weights().items()}
    model = adapter.load(vector.head, dict(vector.described["config"]), weights, dtype)
    inputs = {name: _typed(value, dtype) for name, value in vector.inputs().items()}
    cached = Capabilities.of(adapter).cache  # who has no cache need not be told to keep none
    options = {name: value for name, value in vector.described["options"].items() if cached or name != "use_cache"}
    missing = lacking(Capabilities.of(adapter))
    return Seen(flatten(model(inputs, style="keywords", options=unasked(options, missing))), missing)


def _typed(value: Any, dtype: str) -> Any:
    """An argument with its floating-point arrays in the type that is computed in, those of a cache too."""
    if isinstance(value, tuple):
        return tuple(_typed(item, dtype) for item in value)
    return value.astype(dtype) if value.dtype.kind == "f" else value


def vector_record(vector: Vector, dtype: str, status: str, message: str) -> Record:
    """What came of one golden vector, but for its grade, seconds and replay line."""
    source = vector.described["source"]
    return Record(
        id=vector.check_id,
        clause=vector.clauses[0],
        head=vector.head,
        dtype=dtype,
        status=status,
        claim=f"Gives what {source['name']} {source['version']} gave in float64.",
        message=message,
        case=vector.id,
        examples=1,
        also=vector.clauses[1:],
    )
