"""Files of TensorFlow models made by hand: transformers' tf_model.h5 and safetensors, and the originals' checkpoints.

The names are written out from the published table, so that they witness the package's own translation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from safetensors.numpy import save_file

from ..support import CLASSES

Arrays = Mapping[str, np.ndarray]
SCOPES = {
    head: "tf" + re.sub("([A-Z])", r"_\1", name).lower().replace("l_m", "lm") for head, name in CLASSES.items()
}  # RoFormerForMaskedLM → tf_ro_former_for_masked_lm


def keras_arrays(tensors: Arrays, scope: str) -> dict[str, np.ndarray]:
    """The tensors as transformers' TensorFlow model of that name holds them, `SCOPE/roformer/…/kernel:0`."""
    renamed = {}
    for name, array in tensors.items():
        if name.startswith("pooler") or "decoder" in name:  # their models have neither
            continue
        full = name if name.startswith(("roformer.", "cls.", "classifier", "qa_outputs")) else f"roformer.{name}"
        leaf = leaf_of(full)
        parts = ["mlm___cls" if part == "cls" else part for part in full.split(".")[:-1]]
        path = re.sub(r"/layer/(\d+)/", r"/layer_._\1/", "/".join([scope, *parts, leaf]))
        renamed[f"{path}:0"] = array.T if leaf == "kernel" else array
    return renamed


def leaf_of(name: str) -> str:
    """What TensorFlow calls the last part of a name."""
    if "LayerNorm" in name:
        return "gamma" if name.endswith("weight") else "beta"
    if name.endswith("word_embeddings.weight"):
        return "weight"
    if name.endswith(("token_type_embeddings.weight", "embed_positions.weight")):
        return "embeddings"
    return "kernel" if name.endswith(".weight") else "bias"


def write_h5(path: Path, tensors: Arrays, head: str) -> None:
    """A tf_model.h5: a group for each layer of the model, embeddings again under the language model's."""
    arrays = keras_arrays(tensors, SCOPES[head])
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            group = name.split("/")[1]
            file[f"{group}/{name}"] = array
            if head in ("masked_lm", "causal_lm") and "/roformer/embeddings/" in name:
                file[f"mlm___cls/{name}"] = array
        file.create_group("top_level_model_weights")


def write_keras_safetensors(path: Path, tensors: Arrays) -> None:
    """A model.safetensors of a TensorFlow model: no scope, no groups, a mark in the metadata."""
    arrays = {name[2:]: np.ascontiguousarray(array) for name, array in keras_arrays(tensors, "x").items()}
    save_file(arrays, path, metadata={"format": "tf"})


ORIGINALS = {
    "embeddings.word_embeddings.weight": "bert/embeddings/word_embeddings",
    "embeddings.token_type_embeddings.weight": "bert/embeddings/token_type_embeddings",
    "embeddings_project.weight": "bert/encoder/embedding_hidden_mapping_in/kernel",
    "embeddings_project.bias": "bert/encoder/embedding_hidden_mapping_in/bias",
    "cls.predictions.bias": "cls/predictions/output_bias",
}


def original_arrays(tensors: Arrays) -> dict[str, np.ndarray]:
    """The tensors under the names of the original checkpoints, which have no table of sinusoids."""
    renamed = {}
    for name, array in tensors.items():
        short = name.removeprefix("roformer.")
        if "embed_positions" in name:
            continue
        leaf = leaf_of(short)
        full = short if short.startswith("cls.") else f"bert.{short}"
        parts = re.sub(r"\.layer\.(\d+)\.", r".layer_\1.", full).split(".")
        renamed[ORIGINALS.get(short, "/".join([*parts[:-1], leaf]))] = array.T if leaf == "kernel" else array
    return renamed


def write_tensorflow1(prefix: Path, arrays: Arrays) -> None:
    """A checkpoint of the kind that TensorFlow 1's Saver writes."""
    import tensorflow as tf

    names = list(arrays)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[np.ascontiguousarray(arrays[name]) for name in names],
    )
