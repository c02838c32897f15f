"""A model's folder and the processes that have loaded it: started when they are first needed, ended together."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from ..config import RoFormerConfig
from .competitors import ENGINE, Competitor, Python, python_for, reason_for
from .inputs import Work
from .models import prepare_folder
from .process import CompetitorError, Process, export
from .race import Entry, Measured


class Session:
    """What several cases share: the folder of the model, and who runs."""

    def __init__(
        self, model: str, peers: Sequence[Python], threads: int, head: str = "base", query_scale: float = 1.0
    ) -> None:
        """Write the model and leave everything else for later.

        Raises:
            InputError, CheckpointError, ConfigError, WeightsError: of `models.prepare_folder`.
        """
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="roformer-bench-")))
        self.peers, self.threads, self.head = tuple(peers), threads, head
        try:
            self.config: RoFormerConfig = prepare_folder(model, self.folder / "model", head, query_scale)
        except BaseException:
            self._stack.close()
            raise
        self._processes: dict[tuple[Competitor, str], Process] = {}

    def entries(
        self, competitors: Sequence[Competitor], work: Work, head: str | None = None
    ) -> tuple[list[Entry], list[Measured]]:
        """Who takes part in a piece of work, and a line with the reason for each who cannot."""
        entries, unable = [], []
        for competitor in competitors:
            try:
                entries.append(Entry(competitor.name, self.process(competitor, head), work))
            except CompetitorError as error:
                unable.append(Measured(work.name, competitor.name, reason=str(error)))
        return entries, unable

    def process(self, competitor: Competitor = ENGINE, head: str | None = None) -> Process:
        """The process of a competitor.

        Raises:
            CompetitorError: no Python has what it needs, or the export for it failed.
        """
        key = (competitor, head or self.head)
        if key not in self._processes:
            self._processes[key] = self._stack.enter_context(self.fresh(*key))
        return self._processes[key]

    def fresh(self, competitor: Competitor, head: str | None = None) -> Process:
        """A new process; whoever asks for it ends it."""
        python = python_for(competitor, self.peers)
        if python is None:
            raise CompetitorError(reason_for(competitor, self.peers))
        if competitor.module in ("with_onnx_runtime", "with_openvino"):
            self._export(head or self.head)
        return Process(competitor, python, self.folder / "model", head or self.head, self.threads)

    def _export(self, head: str) -> None:
        from .competitors import EAGER

        python = python_for(EAGER, self.peers)
        if python is None:
            raise CompetitorError(f"export to ONNX: {reason_for(EAGER, self.peers)}")
        if not (self.folder / "model" / f"{head}.onnx").exists():
            export(python, self.folder / "model", head)

    def release(self, *competitors: Competitor) -> None:
        """End the processes of these; the next who asks for one gets a new."""
        for key in [key for key in self._processes if key[0] in competitors]:
            self._processes.pop(key).close()

    def close(self) -> None:
        """End all processes and remove the folder."""
        self._stack.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
