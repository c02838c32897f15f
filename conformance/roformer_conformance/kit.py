"""Turns a Python adapter into a process that the suite can check, in an environment of its own.

This one file needs Python 3.11, NumPy and safetensors and nothing of ours; it may be copied. The suite starts it:

    roformer-conformance check "cmd:/env/bin/python kit.py my_adapter.py"

`my_adapter.py` defines a class `Adapter` (or, as `my_adapter.py:NAME`, whatever else makes an adapter): an object with
name, version, capabilities and load, as `conformance/README.md` shows. It may print what it wants: frames travel on
descriptors of their own. An exception whose class is called `Unsupported` says that the implementation does not have
what it was asked for. The messages are described by `process/messages.schema.json`.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import json
import logging
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

PROTOCOL = 1
# The suite writes here the numbers of the descriptors that its frames and the answers travel on.
DESCRIPTORS = "ROFORMER_CONFORMANCE_DESCRIPTORS"
# Packages whose versions are told where the adapter has imported them; of others its own `versions` may tell.
FRAMEWORKS = ("numpy", "torch", "tensorflow", "keras", "jax", "flax", "transformers", "onnxruntime", "openvino")
# Claims about objects that only one process can see: they are not passed on.
STAYS_INSIDE = ("python_values", "output_objects", "tokenizer", "keras")


def spread(name: str, value: Any, tensors: dict[str, Any], values: dict[str, Any]) -> None:
    """Sort one argument or output: arrays into `tensors`, tuples item by item as name.0, name.1, plain values aside."""
    if isinstance(value, tuple):
        for number, item in enumerate(value):
            spread(f"{name}.{number}", item, tensors, values)
    elif value is None or type(value) in (bool, int, float, str):
        values[name] = value
    else:
        tensors[name] = value


def gather(named: Mapping[str, Any]) -> dict[str, Any]:
    """What `spread` took apart: name.0, name.1 are a tuple again, with None where a number is missing."""
    whole: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for name, value in named.items():
        first, _, rest = name.partition(".")
        if rest and all(number.isdigit() and len(number) < 5 for number in rest.split(".")):
            parts.setdefault(first, {})[rest] = value
            whole[first] = None  # its place among the others
        else:
            whole[name] = value
    for name, items in parts.items():
        inner = {int(number): item for number, item in gather(items).items()}
        whole[name] = tuple(inner.get(number) for number in range(max(inner) + 1))
    return whole


def write_tensors(path: str | Path, tensors: Mapping[str, Any]) -> None:
    """Write arrays to a safetensors file; it holds no strides, so they are copied into the plain order first."""
    save_file({name: np.array(array, order="C", copy=True) for name, array in tensors.items()}, path)


def kind_of(error: BaseException) -> str:
    """The nearest of Python's own exceptions that the error is one of: ValueError and TypeError mean bad input."""
    return next(cls.__name__ for cls in type(error).__mro__ if getattr(builtins, cls.__name__, None) is cls)


def versions_of(adapter: Any) -> dict[str, str]:
    """What an adapter runs on here, for reports: Python, frameworks that are imported, and what it says itself."""
    there = {name: getattr(sys.modules.get(name), "__version__", None) for name in FRAMEWORKS}
    known = {"python": platform.python_version(), **{name: found for name, found in there.items() if found}}
    return {str(name): str(found)[:200] for name, found in {**known, **getattr(adapter, "versions", {})}.items()}


class Server:
    """Answers the suite's messages with what an adapter does."""

    def __init__(self, adapter: Any) -> None:
        self.adapter = adapter
        self.folder = Path()
        self.models: dict[int, Any] = {}

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one message; an exception of the adapter is an answer too."""
        if message["command"] == "start":
            return self.start(message)
        answer: dict[str, Any] = {"id": message["id"]}
        with self._heard() as heard:
            try:
                answer |= getattr(self, message["command"])(message)
            except Exception as error:  # whatever the adapter raises is for the suite to judge
                answer |= _refusal(error)
        return answer | ({"warnings": heard} if heard else {})

    def start(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Who answers, and what it claims."""
        self.folder = Path(message["folder"])
        claims = {name: claim for name, claim in dict(self.adapter.capabilities).items() if name not in STAYS_INSIDE}
        described = {"name": self.adapter.name, "version": str(self.adapter.version), "language": "Python"}
        preparation = self.adapter.prepare() if hasattr(self.adapter, "prepare") else 0.0
        described |= {"capabilities": claims, "seconds": preparation, "versions": versions_of(self.adapter)}
        return {"protocol": PROTOCOL, "implementation": described}

    def load(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A model from a configuration and weights."""
        weights = load_file(self.folder / message["weights"])
        return self._keep(message, self.adapter.load(message["head"], message["config"], weights, message["dtype"]))

    def load_saved(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A model from the folder that `save` wrote."""
        overrides = message["overrides"]
        model = self.adapter.load_saved(message["head"], message["folder"], message["dtype"], **overrides)
        return self._keep(message, model)

    def release(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Models that nobody will ask for again."""
        for number in message["models"]:
            self.models.pop(number, None)
        return {"done": True}

    def call(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs of a model, which `execute` computes where the message says how."""
        inputs, options = self._arguments(message)
        model = self._model(message)
        if "mode" in message:
            return self._outputs(message, model.execute(inputs, options, message["mode"]))
        return self._outputs(message, model(inputs, style=message["style"], options=options))

    def gradients(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The loss and its gradients."""
        return self._outputs(message, self._model(message).gradients(*self._arguments(message)))

    def generate(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The prompts with what was written on."""
        return self._outputs(message, {"generated": self._model(message).generate(*self._arguments(message))})

    def save(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The model in a folder."""
        self._model(message).save(message["folder"])
        return {"done": True}

    def prune_heads(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The model without some heads; JSON has strings for the layers' numbers."""
        self._model(message).prune_heads({int(layer): heads for layer, heads in message["heads"].items()})
        return {"done": True}

    def resize(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The model with another number of words."""
        self._model(message).resize_token_embeddings(message["vocab_size"])
        return {"done": True}

    def configure(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """What config.json holds of a configuration."""
        return {"config": dict(self.adapter.configure(message["fields"]))}

    def _keep(self, message: Mapping[str, Any], model: Any) -> dict[str, Any]:
        self.models[message["id"]] = model
        return {"done": True}

    def _model(self, message: Mapping[str, Any]) -> Any:
        return self.models[message["model"]]

    def _arguments(self, message: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Inputs in the order that the caller gave them, and options: tensors from the file, plain values beside."""
        named = load_file(self.folder / message["inputs"]) | message["values"]
        ordered = {name: named[name] for name in message["order"]}
        sides = (
            {name.removeprefix(side): value for name, value in ordered.items() if name.startswith(side)}
            for side in ("inputs/", "options/")
        )
        inputs, options = map(gather, sides)
        return inputs, options

    def _outputs(self, message: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
        if not hasattr(outputs, "items"):
            raise AttributeError(f"the call returned a {type(outputs).__name__}, expected output names to arrays")
        tensors: dict[str, Any] = {}
        for name, value in outputs.items():
            _flatten(name, value, tensors)
        file = f"{message['id']}.outputs.safetensors"
        write_tensors(self.folder / file, tensors)
        return {"outputs": file}

    @contextmanager
    def _heard(self) -> Iterator[list[str]]:
        """The texts of warnings, where the adapter claims that its warnings are Python's."""
        if not dict(self.adapter.capabilities).get("warnings"):
            yield []
            return
        heard: list[str] = []
        listener = _Listener(heard)
        logging.getLogger().addHandler(listener)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                yield heard
                heard += [str(warning.message) for warning in caught]
        finally:
            logging.getLogger().removeHandler(listener)


def _flatten(name: str, value: Any, tensors: dict[str, Any]) -> None:
    if isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _flatten(f"{name}.{number}", item, tensors)
    elif value is not None:
        array = np.asarray(value)
        tensors[name] = array.astype(np.float32) if array.dtype.name == "bfloat16" else array


class _Listener(logging.Handler):
    def __init__(self, heard: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


def _refusal(error: Exception) -> dict[str, Any]:
    if type(error).__name__ == "Unsupported":
        return {"unsupported": str(error) or "what was asked for"}
    kind = kind_of(error)
    own = "" if type(error).__name__ == kind else f"{type(error).__name__}: "
    return {"error": {"kind": kind, "message": f"{own}{error}"}}


def serve(adapter: Any) -> None:
    """Answer the suite's messages until it says stop or goes away.

    Raises:
        SystemExit: the process was not started by the suite.
    """
    if DESCRIPTORS not in os.environ:
        raise SystemExit('this is started by the suite: roformer-conformance check "cmd:COMMAND LINE"')
    descriptors = [int(number) for number in os.environ[DESCRIPTORS].split(",")]
    for number in descriptors:
        os.set_inheritable(number, False)  # a child of the adapter's that outlives it must not hold them open
    server = Server(adapter)
    with open(descriptors[0], "rb") as messages, open(descriptors[1], "wb") as answers:
        for line in messages:
            message = json.loads(line)
            if message["command"] == "stop":
                return
            answers.write(json.dumps(server.answer(message)).encode() + b"\n")
            answers.flush()


def find(place: str) -> Any:
    """The adapter in `file.py`, `file.py:NAME` or `module:NAME`; NAME is Adapter when it is left out.

    A file inside packages is imported as their module, so that it may import its neighbours relatively.
    """
    path, _, name = place.partition(":")
    found = getattr(
        _import_file(Path(path)) if path.endswith(".py") else importlib.import_module(path), name or "Adapter"
    )
    return found if hasattr(found, "load") and not isinstance(found, type) else found()


def _import_file(path: Path) -> Any:
    path = path.resolve()
    packages = list(_packages_above(path))
    name = ".".join([*(folder.name for folder in reversed(packages)), path.stem])
    for depth, folder in enumerate(reversed(packages), 1):
        _load(".".join(name.split(".")[:depth]), folder / "__init__.py", [str(folder)])
    if not packages:
        sys.path.insert(0, str(path.parent))  # as for a script: its neighbours can be imported
    return _load(name, path)


def _packages_above(path: Path) -> Iterable[Path]:
    for folder in path.parents:
        if not (folder / "__init__.py").exists():
            return
        yield folder


def _load(name: str, path: Path, folders: list[str] | None = None) -> Any:
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=folders)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main(arguments: list[str], make: Callable[[str], Any] = find) -> None:
    """Serve the adapter that the one argument names."""
    if len(arguments) != 1:
        raise SystemExit("usage: python kit.py my_adapter.py[:NAME]")
    # started as a script, this file's folder comes first, and would hide modules with everyday names
    here = str(Path(__file__).parent)
    sys.path[:] = [folder for folder in sys.path if folder != here]
    serve(make(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
