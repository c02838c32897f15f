"""The formats that weights are stored in, and which of a folder's files hold them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..errors import CheckpointError
from ..json_files import read_json_object
from . import hdf5_files, pytorch_files, safetensors_files, tensorflow1
from .tensorflow_names import keras_name
from .tensors import Tensors

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"


class Format(Protocol):
    """One way to store weights in a folder."""

    @property
    def name(self) -> str:
        """What the format is called."""

    @property
    def looked_for(self) -> str:
        """The files that tell it, for a message."""

    def is_in(self, root: Path) -> bool:
        """Whether the folder `root` holds weights in this format."""

    def files(self, root: Path) -> list[Path]:
        """The files with weights, in the order in which they are read."""

    def tensors(self, root: Path) -> Tensors:
        """Every tensor of the folder, under PyTorch's names and in PyTorch's layout."""


@dataclass(frozen=True)
class WholeOrSharded:
    """A whole file, or an index beside the shards that it names."""

    name: str
    whole: str
    index: str
    read: Callable[[Path], Tensors]
    translated: Callable[[str], str] = str  # a name in the index as `read` gives it

    @property
    def looked_for(self) -> str:
        """The two files that tell the format."""
        return f"{self.whole}, {self.index}"

    def is_in(self, root: Path) -> bool:
        """Whether one of the two is there."""
        return (root / self.whole).is_file() or (root / self.index).is_file()

    def files(self, root: Path) -> list[Path]:
        """The whole file, or every shard."""
        if (root / self.whole).is_file():
            return [root / self.whole]
        return [root / file for file in sorted(set(_weight_map(root / self.index).values()))]

    def tensors(self, root: Path) -> Tensors:
        """Every tensor; what the index promises must be there.

        Raises:
            CheckpointError: a damaged index or file, or a tensor that no shard holds.
        """
        names = set()
        for path in self.files(root):
            for name, array in self.read(path):
                names.add(name)
                yield name, array
        if not (root / self.whole).is_file():
            lost = sorted({self.translated(name) for name in _weight_map(root / self.index)} - names)
            if lost:
                raise CheckpointError(f"{self.index} names tensors that no shard holds: {', '.join(lost)}")


@dataclass(frozen=True)
class Original:
    """A checkpoint of TensorFlow 1: an index and its numbers, under any name."""

    name: str = "tensorflow1"
    looked_for: str = "*.ckpt.index with *.ckpt.data-*"

    def is_in(self, root: Path) -> bool:
        """Whether there is an index with numbers beside it."""
        return bool(tensorflow1.indices(root))

    def files(self, root: Path) -> list[Path]:
        """The index and its numbers."""
        return tensorflow1.files(root)

    def tensors(self, root: Path) -> Tensors:
        """Every variable of the model."""
        return tensorflow1.tensors(root)


# In the order of precedence: a folder that holds several is read in the first.
FORMATS: tuple[Format, ...] = (
    WholeOrSharded("safetensors", WEIGHTS_FILE, INDEX_FILE, safetensors_files.tensors),
    WholeOrSharded("pytorch", "pytorch_model.bin", "pytorch_model.bin.index.json", pytorch_files.tensors),
    WholeOrSharded("tensorflow", "tf_model.h5", "tf_model.h5.index.json", hdf5_files.tensors, keras_name),
    Original(),
)


def _weight_map(index: Path) -> dict[str, str]:
    """What an index says: tensor names to names of files in the same folder."""
    try:
        weight_map = read_json_object(index).get("weight_map")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{index.name} cannot be read: {error}") from error
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise CheckpointError(f"{index.name} has no weight_map of tensor names to file names")
    for file in sorted(set(weight_map.values())):
        if Path(file).name != file or not (index.parent / file).is_file():
            raise CheckpointError(f"{index.name} names {file!r}, expected a file in the same folder")
    return weight_map
