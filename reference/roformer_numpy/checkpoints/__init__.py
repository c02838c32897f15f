"""Model folders of every format and flat weight names: nothing else in this package knows foreign names or layouts.

A folder holds safetensors, PyTorch's or TensorFlow's own files, or an original checkpoint; whatever it holds is read
as a mapping of PyTorch names (`roformer.encoder.layer.0.attention.self.query.weight`) to arrays in PyTorch's layout,
kernels [out, in]. The tree has its own names and kernels [in, out]. Nothing here touches the network.
"""

from .conversion import convert_folder
from .folders import format_of, read_config, read_tensors
from .inspection import inspect_folder
from .saving import write_folder
from .trees import mapping_from_tree, tree_from_mapping

__all__ = [
    "convert_folder",
    "format_of",
    "inspect_folder",
    "mapping_from_tree",
    "read_config",
    "read_tensors",
    "tree_from_mapping",
    "write_folder",
]
