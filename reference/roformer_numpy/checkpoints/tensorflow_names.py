"""TensorFlow's names of weights and PyTorch's, for the models of transformers 4.37 and the original ones.

Both say `kernel` [in, out] where PyTorch says `weight` [out, in], and `gamma` and `beta` where it says `weight` and
`bias`; transformers writes `layer_._3` for the third layer, the originals `layer_3`.
"""

from __future__ import annotations

import re

from ..weights import Array

# Where the name of a part of a model begins; what stands before is the model's own name, and a group of the file.
_ROOTS = ("roformer", "mlm___cls", "classifier", "qa_outputs")
_LEAVES = {"kernel": "weight", "gamma": "weight", "beta": "bias", "embeddings": "weight"}

# The originals' names in the order in which they are tried; most are those of BERT's first release.
_ORIGINALS = (
    (r"^bert\.", "roformer."),
    (r"^roformer\.encoder\.embedding_hidden_mapping_in\.", "roformer.embeddings_project."),
    (r"^roformer\.encoder\.layer_(\d+)\.", r"roformer.encoder.layer.\1."),
    (r"\.output_bias$", ".bias"),
    (r"\.output_weights$", ".weight"),
    (r"\.(word|token_type)_embeddings$", r".\1_embeddings.weight"),
)


def keras_name(name: str) -> str:
    """The PyTorch name of a variable of transformers' TensorFlow models, `…/layer_._0/…/kernel:0`."""
    parts = name.removesuffix(":0").split("/")
    start = max((index for index, part in enumerate(parts) if part in _ROOTS), default=0)
    joined = ".".join([*parts[start:-1], _LEAVES.get(parts[-1], parts[-1])])
    return re.sub(r"\.layer_\._(\d+)\.", r".layer.\1.", re.sub(r"^mlm___cls\.", "cls.", joined))


def original_name(name: str) -> str:
    """The PyTorch name of a variable of the original checkpoints, `bert/encoder/layer_0/…/kernel`."""
    parts = name.split("/")
    joined = ".".join([*parts[:-1], _LEAVES.get(parts[-1], parts[-1])])
    for pattern, replacement in _ORIGINALS:
        joined = re.sub(pattern, replacement, joined)
    return joined


def keras_tensor(name: str, array: Array) -> tuple[str, Array]:
    """A variable of transformers' TensorFlow models as PyTorch has it."""
    return keras_name(name), _as_pytorch(name, array)


def original_tensor(name: str, array: Array) -> tuple[str, Array]:
    """A variable of the original checkpoints as PyTorch has it."""
    return original_name(name), _as_pytorch(name, array)


def _as_pytorch(name: str, array: Array) -> Array:
    """The array of the TensorFlow variable `name` in PyTorch's layout."""
    return array.T if name.removesuffix(":0").rpartition("/")[2] == "kernel" else array
