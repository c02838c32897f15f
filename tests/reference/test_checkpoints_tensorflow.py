"""tf_model.h5 and safetensors of transformers' TensorFlow models: read right, or refused by name (LIFE-4)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from roformer_numpy import CheckpointError
from roformer_numpy.checkpoints import read_tensors

from ..support import HEADS, MODELS, good_call, same
from .conftest import Build
from .tensorflow_files import write_h5, write_keras_safetensors

WEIGHTS, INDEX = "tf_model.h5", "tf_model.h5.index.json"
WORDS = "roformer/tf_ro_former_for_masked_lm/roformer/embeddings/word_embeddings/weight:0"
QUERY = "roformer/tf_ro_former_for_masked_lm/roformer/encoder/layer_._0/attention/self/query/kernel:0"


def load(head: str, folder: Path) -> Any:
    """A model from a folder, in double precision, without a word about the pooler that TensorFlow has not."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pooler_output will be None")
        return MODELS[head].from_pretrained(folder, dtype="float64", components="equations")


def save(model: Any, folder: Path, write: Callable[..., None], *arguments: Any) -> None:
    """The model's folder with its weights in another format."""
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    write(*arguments[:1], model.to_weights(), *arguments[1:])


@pytest.fixture
def folder(build: Build, tmp_path: Path) -> Path:
    """A folder with a masked language model in a tf_model.h5."""
    save(build("masked_lm"), tmp_path, write_h5, tmp_path / WEIGHTS, "masked_lm")
    return tmp_path


@pytest.mark.parametrize("head", HEADS)
def test_every_head_is_read_from_h5(build: Build, tmp_path: Path, head: str) -> None:
    """Groups and repeated embeddings included, the model is the one that was stored, bit for bit."""
    model = build(head, add_pooling_layer=False)
    save(model, tmp_path, write_h5, tmp_path / WEIGHTS, head)
    call = good_call(head, model.config)
    assert same(load(head, tmp_path)(**call), model(**call))


@pytest.mark.parametrize("head", HEADS)
def test_every_head_is_read_from_safetensors_of_tensorflow(build: Build, tmp_path: Path, head: str) -> None:
    """Kernels that are stored [in, out] under TensorFlow's names are turned."""
    model = build(head, add_pooling_layer=False)
    model.save_pretrained(tmp_path)
    write_keras_safetensors(tmp_path / "model.safetensors", model.to_weights())
    call = good_call(head, model.config)
    assert same(load(head, tmp_path)(**call), model(**call))


def test_shards_are_read_together(folder: Path) -> None:
    """tf_model-0000x-of-0000y.h5, whose paths have no scope while the index's names have, are one model."""
    expected = read_tensors(folder)
    with h5py.File(folder / WEIGHTS) as file:
        arrays: dict[str, np.ndarray] = {}
        file.visititems(lambda path, item: arrays.update({path: item[()]}) if isinstance(item, h5py.Dataset) else None)
    weight_map = {}
    shards = [h5py.File(folder / f"tf_model-0000{number}-of-00002.h5", "w") for number in (1, 2)]
    for number, (path, array) in enumerate(arrays.items()):
        _, scope, name = path.split("/", 2)
        if path.startswith("mlm___cls") and name.startswith("roformer"):
            continue
        shards[number % 2][name] = array
        weight_map[f"{scope}/{name}"] = Path(shards[number % 2].filename).name
    for shard in shards:
        shard.close()
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")
    found = read_tensors(folder)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_bin_and_safetensors_go_before_h5(folder: Path, build: Build) -> None:
    """A folder with several formats is read from safetensors."""
    other = build("masked_lm", seed=7)
    other.save_pretrained(folder)
    ids = good_call("masked_lm", other.config)["input_ids"]
    assert same(load("masked_lm", folder)(ids), other(ids))


# hostile files


def with_file(change: Callable[[h5py.File], Any]) -> Callable[[Path], None]:
    """A change of the open file."""

    def damage(path: Path) -> None:
        with h5py.File(path, "a") as file:
            change(file)

    return damage


def put(name: str, **options: Any) -> Callable[[h5py.File], Any]:
    """The dataset of that name made anew."""

    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file.create_dataset(name, **options)

    return change


def linked(make: Callable[[], Any]) -> Callable[[h5py.File], Any]:
    """A link in the place of the query kernel."""

    def change(file: h5py.File) -> None:
        del file[QUERY]
        file[QUERY] = make()

    return change


def virtual(file: h5py.File) -> None:
    """The query kernel assembled from another file."""
    layout = h5py.VirtualLayout(shape=(18, 18), dtype="f8")
    layout[:] = h5py.VirtualSource("other.h5", "secret", shape=(18, 18))
    del file[QUERY]
    file.create_virtual_dataset(QUERY, layout)


def circle(file: h5py.File) -> None:
    """A group that holds itself."""
    file["roformer/again"] = file["roformer"]


def brood(file: h5py.File) -> None:
    """Groups that each hold the next one ten times under other names: 10**9 paths."""
    groups = [file.create_group(f"brood{number}") for number in range(9)]
    for outer, inner in pairwise(groups):
        for number in range(10):
            outer[str(number)] = inner


def differing(file: h5py.File) -> None:
    """The second copy of the word embeddings is another one."""
    file[WORDS.replace("roformer/tf", "mlm___cls/tf", 1)][0, 0] = 42.0


def poisoned(file: h5py.File) -> None:
    """One number of the query kernel is none."""
    file[QUERY][1, 2] = np.nan


def truncated(path: Path) -> None:
    """The second half is lost."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a link to another file": (
        with_file(linked(lambda: h5py.ExternalLink("other.h5", "/secret"))),
        "links elsewhere at roformer/.*kernel:0",
    ),
    "a soft link": (with_file(linked(lambda: h5py.SoftLink(f"/{WORDS}"))), "links elsewhere"),
    "a link to nowhere": (with_file(linked(lambda: h5py.SoftLink("/nowhere"))), "links elsewhere"),
    "numbers of another file": (
        with_file(put(QUERY, shape=(18, 18), dtype="f8", external=[("other.raw", 0, 2592)])),
        "takes its numbers from elsewhere",
    ),
    "a virtual dataset": (with_file(virtual), "takes its numbers from elsewhere"),
    "8 GiB declared": (with_file(put(QUERY, shape=(2**15, 2**15), dtype="f8", chunks=(64, 64))), "declares 8589934592"),
    "1 GiB declared": (with_file(put(QUERY, shape=(2**14, 2**13), dtype="f8", chunks=(64, 64))), "and stores 0"),
    "zeros packed 1000 to 1": (
        with_file(put(QUERY, data=np.zeros((4000, 4000)), chunks=(4000, 4000), compression="gzip")),
        "and stores",
    ),
    "a filter from elsewhere": (with_file(put(QUERY, data=np.ones((18, 18)), compression="lzf")), "filters"),
    "text": (with_file(put(QUERY, data=["a", "b"])), "holds object"),
    "integers": (with_file(put(QUERY, data=np.ones((18, 18), int))), "holds int64"),
    "nothing": (with_file(put(QUERY, data=h5py.Empty("f8"))), "expected numbers"),
    "a circle": (with_file(circle), "16 deep"),
    "a brood": (with_file(brood), "declares 100001"),
    "two different copies": (with_file(differing), r"two different tensors that are both .*word_embeddings\.weight"),
    "NaN": (with_file(poisoned), "not finite"),
    "half": (truncated, "cannot be read as HDF5"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read as HDF5"),
    "a web page": (lambda path: path.write_bytes(b"<html>404</html>" * 99), "cannot be read as HDF5"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_by_name(folder: Path, name: str) -> None:
    """Nothing outside the file is read, nothing is allocated that is not stored; the message names the place."""
    with h5py.File(folder / "other.h5", "w") as other:
        other["secret"] = np.ones((18, 18))
    (folder / "other.raw").write_bytes(np.ones((18, 18)).tobytes())
    damage, message = HOSTILE[name]
    damage(folder / WEIGHTS)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_tensors(folder)
    assert len(str(caught.value)) < 500


def test_an_h5_with_bytes_exchanged_is_finite_or_refused(folder: Path) -> None:
    """60 files with noise in their first part load as finite numbers or raise our error, nothing else."""
    content = (folder / WEIGHTS).read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        noisy = np.frombuffer(content, np.uint8).copy()
        noisy[generator.integers(0, 4000, 20)] = generator.integers(0, 256, 20)
        (folder / WEIGHTS).write_bytes(noisy.tobytes())
        try:
            assert all(np.isfinite(array).all() for array in read_tensors(folder).values())
        except CheckpointError:
            refused += 1
    assert refused > 20


def test_h5py_is_named_when_it_is_not_installed(folder: Path) -> None:
    """Without the package the error says the pip command."""
    code = (
        "import sys; sys.modules['h5py'] = None\n"
        "import roformer_numpy\n"
        f"roformer_numpy.RoFormerForMaskedLM.from_pretrained({str(folder)!r})"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert re.search(r"needs the package h5py.*pip install .roformer-reference\[tensorflow-files\]", finished.stderr)


def test_a_tensor_of_two_names_is_refused(build: Build, tmp_path: Path) -> None:
    """TensorFlow names that mean one tensor, with different numbers, are no model."""
    model = build("base", add_pooling_layer=False)
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    write_keras_safetensors(path, model.to_weights())
    tensors = load_file(path)
    name = "roformer/embeddings/LayerNorm/gamma:0"
    save_file({**tensors, f"other/{name}": tensors[name] + 1}, path, metadata={"format": "tf"})
    with pytest.raises(CheckpointError, match=r"both roformer\.embeddings\.LayerNorm\.weight"):
        load("base", tmp_path)
