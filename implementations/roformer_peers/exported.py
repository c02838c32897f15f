"""What the adapters to exported files share: which arguments a file takes, and which of its outputs a call asks for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

# Arguments of the library that no exported file has; what is called by another name is left to the file to refuse.
ABSENT = (
    "head_mask", "inputs_embeds", "labels", "start_positions", "end_positions", "past_key_values",
    "encoder_hidden_states", "encoder_attention_mask", "training", "seed", "use_cache",
)  # fmt: skip

Run = Callable[[Mapping[str, Any], list[str]], Mapping[str, Any]]
Open = Callable[[Path], tuple[list[str], Run]]


class Unsupported(Exception):
    """A file does not have what it was asked for."""


class ExportedAdapter:
    """Files that `exporting.py` made, in the folder that ROFORMER_PEER_EXPORT names; `opened` gives outputs and run."""

    def __init__(self, name: str, version: str, opened: Open) -> None:
        self.name, self.version, self.opened = name, version, opened
        self.folder = Path(os.environ["ROFORMER_PEER_EXPORT"])
        heads = [path.stem for path in sorted(self.folder.glob("*.onnx"))]
        self.capabilities = {"heads": heads, "dtypes": ["float32"], "call_styles": ["keywords"], "fixed_weights": True}

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> ExportedModel:
        """The file of this head; its weights are inside."""
        return ExportedModel(*self.opened(self.folder / f"{head}.onnx"))


class ExportedModel:
    """One file, ready to run."""

    def __init__(self, names: list[str], run: Run) -> None:
        self.names, self.run = names, run

    def __call__(self, inputs: Mapping[str, Any], *, style: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs that the options ask for. A file has no defaults: they are those that its users write down."""
        given = {name: value for name, value in inputs.items() if value is not None}
        for name, value in {**given, **options}.items():
            if name in ABSENT and value is not None and value is not False:
                raise Unsupported(f"{name}: the exported file does not take it")
        if options.get("return_dict") is False:
            raise Unsupported("return_dict: a file's outputs have names")
        if "input_ids" in given:
            shape = np.shape(given["input_ids"])
            given = {"attention_mask": np.ones(shape, np.int64), "token_type_ids": np.zeros(shape, np.int64), **given}
        asked = [name for name in self.names if "." not in name or options.get(f"output_{name.partition('.')[0]}")]
        return dict(self.run(given, asked))
