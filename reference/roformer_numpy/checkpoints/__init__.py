"""Hugging Face folders and flat weight names: nothing else in this package knows foreign names or layouts.

A foreign mapping has PyTorch names (`roformer.encoder.layer.0.attention.self.query.weight`) and kernels stored
[out, in]; the tree has its own names and kernels [in, out]. Nothing here touches the network.
"""

from .folders import read_config, read_tensors
from .saving import write_folder
from .trees import mapping_from_tree, tree_from_mapping

__all__ = ["mapping_from_tree", "read_config", "read_tensors", "tree_from_mapping", "write_folder"]
