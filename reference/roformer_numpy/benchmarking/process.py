"""A competitor in a process of its own, which stays alive between its turns."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

from ..errors import RoFormerError
from .competitors import Competitor

PEER_SIDE = Path(__file__).parent / "peer_side"
# Loading a model and compiling it for one shape takes tens of seconds at most; what takes this long hangs.
LIMIT = 600.0
THREAD_VARIABLES = ("ROFORMER_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class CompetitorError(RoFormerError, RuntimeError):
    """A competitor could not answer; the message is its own reason."""


class Process:
    """Starts at once and loads the model in the background; the first request waits for it."""

    def __init__(self, competitor: Competitor, python: str, folder: Path, head: str, threads: int) -> None:
        self.competitor, self.started = competitor, time.perf_counter()
        self._log: IO[str] = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (open as long as the process)
        command = [python, PEER_SIDE / "serve.py", competitor.module, competitor.kind, folder, head, threads]
        self._process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
            env=environment(competitor, threads),
        )  # fmt: skip
        self._version: str | None = None
        self.imported = 0  # bytes that it had before it loaded the model, known as soon as its version is

    @property
    def version(self) -> str:
        """What it says it is; waits until the model is loaded.

        Raises:
            CompetitorError: it cannot be loaded.
        """
        if self._version is None:
            answer = self._answer()
            self._version, self.imported = str(answer["version"]), int(answer["imported"])
        return self._version

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """The answer to a request of `peer_side/serve.py`.

        Raises:
            CompetitorError: it said why not, died, or took longer than LIMIT.
        """
        assert self.version is not None
        assert self._process.stdin is not None
        try:
            print(json.dumps({"do": do, **request}), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise CompetitorError(self._cause_of_death()) from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watch = threading.Timer(LIMIT, self._process.kill)
        watch.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watch.cancel()
        if not line:
            raise CompetitorError(self._cause_of_death())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise CompetitorError(answer["error"])
        return answer

    def _cause_of_death(self) -> str:
        """Its exit status and the last line that it wrote."""
        self._process.kill()
        status = self._process.wait()
        self._log.seek(0)
        lines = [line.strip() for line in self._log if line.strip()] or ["it wrote nothing"]
        return f"it ended with status {status}: {lines[-1][:300]}"

    def close(self) -> None:
        """End it, by the end of its input if it still listens."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def environment(competitor: Competitor, threads: int) -> dict[str, str]:
    """Ours, with the number of threads, without our paths for a foreign Python, and nothing to be downloaded."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH" or not competitor.needs}
    counts = dict.fromkeys(THREAD_VARIABLES, str(threads))
    quiet = {"HF_HUB_OFFLINE": "1", "TF_CPP_MIN_LOG_LEVEL": "2", "TOKENIZERS_PARALLELISM": "false"}
    return {**kept, **counts, **quiet, **competitor.environment}


def export(python: str, folder: Path, head: str) -> None:
    """Have the model written as ONNX beside its folder, by a Python with torch and transformers.

    Raises:
        CompetitorError: the export failed.
    """
    command = [python, PEER_SIDE / "with_pytorch.py", folder, head]
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise CompetitorError(f"export to ONNX: not done after {LIMIT:.0f} s") from None
    if done.returncode:
        raise CompetitorError(f"export to ONNX: {(done.stderr.strip().splitlines() or ['no reason'])[-1][:300]}")
