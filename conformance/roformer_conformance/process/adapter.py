"""A process that speaks the protocol, as an adapter like any other."""

from __future__ import annotations

import builtins
import logging
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..kit import PROTOCOL, STAYS_INSIDE, write_tensors
from ..protocol import AdapterError, ImplementationDied, Outputs, Unsupported
from .arguments import read_outputs, write_arguments
from .child import Child, Limits
from .frames import FrameError, read, written

# What a process warned of: for those who listen, such as the checks of warnings, and for no terminal.
_HEARD = logging.getLogger(__name__)
_HEARD.addHandler(logging.NullHandler())

# A process is started again after it died, but not for ever.
_LIVES = 3


class ImplementationError(Exception):
    """The implementation raised an exception that is none of Python's own."""


class ProcessAdapter:
    """Starts a process and has it load and call models; one that died is started again when it is needed next.

    Args:
        command: program and arguments.
        limits: what the process may take; from the environment by default.
        environment: variables added to our own.

    Raises:
        AdapterError: it cannot be started, or says something else than the protocol wants.
        ImplementationDied: it died, or did not answer in time.
    """

    def __init__(
        self, command: Sequence[str], limits: Limits | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        if not command:
            raise AdapterError("cmd: is followed by no command line")
        self.command, self.environment = tuple(command), dict(environment or {})
        self.limits = limits or Limits.from_environment()
        self.deaths: list[str] = []
        self.lives = 0  # how often the process was started: models belong to one life
        self.released: list[int] = []
        self._number = 0
        self._child: Child | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="roformer-conformance-"))
        self._end: Callable[[], Any] = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        described = self._start()
        self.name, self.version = str(described["name"]), str(described["version"])
        self.capabilities: Mapping[str, Any] = described["capabilities"]
        self.preparation = float(described.get("seconds", 0.0))
        self.runs_on: Mapping[str, str] = described.get("versions", {})  # what it says of its own environment
        inside = [name for name in STAYS_INSIDE if self.capabilities.get(name)]
        if inside:
            self.close()
            raise AdapterError(f"{self.name} claims {', '.join(inside)}: objects of its own, not seen from outside")

    def prepare(self) -> float:
        """The process prepared itself when it started; the seconds that it said this took."""
        return self.preparation

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> ProcessModel:
        """The model called `head`, in the process."""
        self._alive()
        path = self._file("weights")
        write_tensors(path, weights)
        return self._loaded("load", head=head, config=config, weights=path.name, dtype=dtype)

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> ProcessModel:
        """The model that was saved to the folder `path`."""
        return self._loaded("load_saved", head=head, folder=str(path), dtype=dtype, overrides=overrides)

    def configure(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """What config.json holds of a configuration that is built from `fields`."""
        return dict(self.ask("configure", fields=dict(fields))["config"])

    def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        """The process's answer to a command.

        Raises:
            Unsupported: it does not have what it was asked for.
            ImplementationDied: it died, broke a limit or the protocol.
            Exception: what the implementation raised, as the nearest of Python's own exceptions.
        """
        self._alive()
        self._release()
        answer = self._exchange({"command": command, "id": self._next(), **fields}, self.limits.command)
        for text in answer.get("warnings", ()):
            _HEARD.warning("%s", text)
        if "unsupported" in answer:
            raise Unsupported(answer["unsupported"])
        if "error" in answer:
            raise _raised(**answer["error"])
        return answer

    def ask_with(
        self, command: str, model: int, inputs: Mapping[str, Any], options: Mapping[str, Any], **fields: Any
    ) -> Outputs:
        """The arrays that a model answers arguments with."""
        self._alive()
        path = self._file("inputs")
        try:
            answer = self.ask(command, model=model, **write_arguments(path, inputs, options), **fields)
            return self._judged(lambda: read_outputs(self._folder, answer["outputs"]))
        finally:
            path.unlink(missing_ok=True)

    def close(self) -> int | None:
        """End the process; its exit code, None when it had to be killed or was not running."""
        child, self._child = self._child, None
        code = None
        if child is not None:
            self._watch.detach()
            code = child.stop(written({"command": "stop"}))
        self._end()
        return code

    def _start(self) -> dict[str, Any]:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self.lives += 1
        self.released.clear()
        self._child = Child(self.command, self._folder / "log.txt", self.limits, self.environment)
        self._watch = weakref.finalize(self, self._child.kill)
        message = {"command": "start", "protocol": PROTOCOL, "folder": str(self._folder)}
        return dict(self._exchange(message, self.limits.start)["implementation"])

    def _alive(self) -> None:
        """See to it that there is a process."""
        if self._child is not None:
            return
        if len(self.deaths) >= _LIVES:
            raise ImplementationDied(f"is not started again: it died {len(self.deaths)} times, last: {self.deaths[-1]}")
        self._start()

    def _exchange(self, message: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        child = self._child
        assert child is not None
        try:
            line = written(message)
        except TypeError as error:
            raise Unsupported(f"python_values: {error}") from error
        what = message["command"]
        return self._judged(lambda: read(child.exchange(line, what, seconds), message))

    def _judged(self, receive: Callable[[], Any]) -> Any:
        """What `receive` gives; a process that broke the protocol is ended, and every death is counted."""
        try:
            try:
                return receive()
            except FrameError as error:
                assert self._child is not None
                self._child.end(str(error))
        except ImplementationDied as death:
            self._watch.detach()
            self._child = None
            self.deaths.append(str(death))
            raise

    def _release(self) -> None:
        """Forget the models in the process that nobody here holds any more."""
        if self.released:
            models = [self.released.pop() for _ in range(len(self.released))]
            self._exchange({"command": "release", "id": self._next(), "models": models}, self.limits.command)

    def _loaded(self, command: str, **fields: Any) -> ProcessModel:
        try:
            self.ask(command, **fields)
        finally:
            if "weights" in fields:
                (self._folder / fields["weights"]).unlink(missing_ok=True)
        return ProcessModel(self, self._number)

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _file(self, what: str) -> Path:
        return self._folder / f"{self._number + 1}.{what}.safetensors"


class ProcessModel:
    """A model in the process of an adapter."""

    def __init__(self, adapter: ProcessAdapter, number: int) -> None:
        self._adapter, self._number, self._life = adapter, number, adapter.lives
        weakref.finalize(self, _forget, adapter, number, adapter.lives).atexit = False

    def __call__(
        self, inputs: Mapping[str, Any], *, style: str = "keywords", options: Mapping[str, Any] | None = None
    ) -> Outputs:
        """The outputs, spread out as `protocol.flatten` does."""
        return self._living.ask_with("call", self._number, inputs, options or {}, style=style)

    def execute(self, inputs: Mapping[str, Any], options: Mapping[str, Any], mode: str) -> Outputs:
        """The outputs of a call by keywords that is executed in one of `protocol.MODES`; needs graph."""
        return self._living.ask_with("call", self._number, inputs, options, style="keywords", mode=mode)

    def gradients(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Outputs:
        """The loss and its gradients by the names of weights and inputs."""
        return self._living.ask_with("gradients", self._number, inputs, options)

    def generate(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """The prompts with what the model wrote on."""
        return self._living.ask_with("generate", self._number, inputs, options)["generated"]

    def save(self, path: Any) -> None:
        """Write the model to the folder `path`."""
        self._living.ask("save", model=self._number, folder=str(path))

    def prune_heads(self, heads: Mapping[int, list[int]]) -> None:
        """Take attention heads out for good."""
        named = {str(layer): list(numbers) for layer, numbers in heads.items()}
        self._living.ask("prune_heads", model=self._number, heads=named)

    def resize_token_embeddings(self, vocab_size: int) -> None:
        """Grow or cut the vocabulary."""
        self._living.ask("resize", model=self._number, vocab_size=vocab_size)

    @property
    def _living(self) -> ProcessAdapter:
        if self._adapter.lives != self._life or self._adapter.deaths[self._life - 1 :]:
            raise ImplementationDied("the process that held this model died before")
        return self._adapter


def _forget(adapter: ProcessAdapter, number: int, life: int) -> None:
    if adapter.lives == life:
        adapter.released.append(number)


def _raised(kind: str, message: str) -> Exception:
    found = getattr(builtins, kind, None)
    if isinstance(found, type) and issubclass(found, Exception) and found is not Exception:
        try:
            return found(message)
        except TypeError:  # such as UnicodeDecodeError, which wants more than a text
            pass
    return ImplementationError(message if kind == "Exception" else f"{kind}: {message}")
