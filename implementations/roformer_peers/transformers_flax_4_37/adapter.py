"""The last Flax RoFormer of the library, as its documentation has it: six heads, no losses, no inputs_embeds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax
import jax
import numpy as np
import transformers
from safetensors import safe_open

from ..transformers_library import HEADS, called, model_folder

# Arguments of the specification that no Flax model documents. Any other name is the library's to refuse.
NOT_DOCUMENTED = {"inputs_embeds", "labels", "start_positions", "end_positions"}


class Unsupported(Exception):
    """What the library's Flax models do not have, and say so: an argument, or a projection of embeddings."""


class Adapter:
    """Loads and calls the library's Flax models."""

    name, projects = "transformers_flax_4_37", False
    version = f"{transformers.__version__} (Flax {flax.__version__}, JAX {jax.__version__})"

    def __init__(self) -> None:
        self.capabilities = {
            "heads": tuple(head for head in HEADS if head != "causal_lm"),
            "call_styles": ("keywords", "single"),
            **dict.fromkeys(("training", "head_mask", "saving", "overrides", "warnings"), True),
            "profile": "transformers-flax-4.37",
        }
        transformers.logging.enable_propagation()

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Model:
        """The model from a folder with these weights, in PyTorch's format: the library reads it without PyTorch."""
        with model_folder(config, weights) as folder:
            return self.load_saved(head, folder, dtype)

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Model:
        """The model from a folder; another number of labels is asked for in the documented way."""
        if not self.projects and _projects(Path(path) / "model.safetensors"):
            raise Unsupported("embedding_size other than hidden_size: there is no projection, and loading fails")
        overrides |= {"ignore_mismatched_sizes": True} if overrides else {}
        return Model(getattr(transformers, f"Flax{HEADS[head]}").from_pretrained(path, **overrides))


class Projecting(Adapter):
    """The same with embedding_size claimed, which the configuration documents: `adapter.py:Projecting`."""

    projects = True


class Model:
    """One of the library's models."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, inputs: Mapping[str, Any], *, style: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs as arrays; `train` and the key of its dropout are what the library calls training and seed."""
        absent = sorted(set(inputs) & NOT_DOCUMENTED)
        if absent:
            raise Unsupported(f"{absent[0]}: the Flax models do not take it")
        options = dict(options)
        if "training" in options:
            options["train"] = options.pop("training")
        if "seed" in options:
            options["dropout_rng"] = jax.random.PRNGKey(options.pop("seed"))
        output = called(self.model, inputs, style, options)
        if isinstance(output, tuple):
            return {"tuple": _to_numpy(output)}
        return {name: _to_numpy(value) for name, value in output.items()}

    def save(self, path: str) -> None:
        """save_pretrained, in the format that other frameworks are said to read."""
        self.model.save_pretrained(path, safe_serialization=True)


def _projects(path: Path) -> bool:
    """Whether a file, if there is one, holds a projection of embeddings to the width of the layers."""
    if not path.is_file():
        return False
    with safe_open(path, "numpy") as held:
        names = held.keys()
        return any("embeddings_project" in name for name in names)


def _to_numpy(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return tuple(map(_to_numpy, value))
    return None if value is None else np.asarray(value)
