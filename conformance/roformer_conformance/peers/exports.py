"""Files that one peer exports and another one runs: made once for each checkpoint, in the user's cache."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from ..protocol import AdapterError
from .environments import Tell, cache_folder, fingerprint, interpreter_of, lines_of, silent
from .manifests import Peer, peer_named

_CHECKPOINT = ("config.json", "model.safetensors")


def checkpoint_of(export: Path) -> Path:
    """The checkpoint that the files in a folder were made from."""
    return export / "checkpoint"


def exported(peer: Peer, checkpoint: Path | None = None, tell: Tell = silent) -> Path:
    """The folder of the files that a peer runs; they are exported when they are not there yet.

    Args:
        peer: one with `exported_by`.
        checkpoint: a folder with config.json and model.safetensors; a small drawn one when left out.
        tell: what the exporting program prints goes here.

    Raises:
        AdapterError: the exporting peer is not set up, the checkpoint is none, or the export fails.
    """
    exporter = peer_named(peer.exported_by)
    program = exporter.folder.parent / "exporting.py"
    folder = cache_folder() / "exports" / _key(exporter, program, checkpoint)
    if folder.is_dir():
        return folder
    python = interpreter_of(exporter)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix="unfinished-"))
    try:
        command = [str(python), str(program), str(unfinished), *([str(checkpoint)] if checkpoint else [])]
        for line in lines_of(command, dict(exporter.environment)):
            tell(line)
        os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _key(exporter: Peer, program: Path, checkpoint: Path | None) -> str:
    """Another checkpoint, another program or other packages make other files."""
    files = [checkpoint / name for name in _CHECKPOINT] if checkpoint else []
    for path in files:
        if not path.is_file():
            raise AdapterError(f"{path} is no file: a checkpoint to export has {' and '.join(_CHECKPOINT)}")
    return fingerprint(program, exporter.requirements, *files)[:16]
