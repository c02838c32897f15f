"""pytorch_model.bin: read without unpickling anything, in every layout and precision, or refused by name (LIFE-4)."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from roformer_numpy import CheckpointError, WeightsError
from roformer_numpy.checkpoints import read_tensors

from ..support import HEADS, MODELS, config_of, good_call, same, strong_weights
from .conftest import Build
from .pytorch_archive import ORDERED_DICT, archive, integer, state_dict, tensor, text, write_pytorch, zipped_twice

WEIGHTS, INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"


def load(head: str, folder: Path) -> Any:
    """A model from a folder, in double precision."""
    return MODELS[head].from_pretrained(folder, dtype="float64", components="equations")


def save(model: Any, folder: Path) -> None:
    """The model's folder, its weights as PyTorch stores them, word embeddings as a transposed view."""
    model.save_pretrained(folder)
    tensors = model.to_weights()
    name = next(name for name in tensors if name.endswith("word_embeddings.weight"))
    tensors[name] = np.asfortranarray(tensors[name])
    write_pytorch(folder / WEIGHTS, tensors)
    (folder / "model.safetensors").unlink()


@pytest.fixture
def folder(build: Build, tmp_path: Path) -> Path:
    """A folder with a base model in PyTorch's format."""
    save(build("base"), tmp_path)
    return tmp_path


@pytest.mark.parametrize("head", HEADS)
def test_every_head_is_read_from_a_bin(build: Build, tmp_path: Path, head: str) -> None:
    """The same bits as the model that was stored."""
    model = build(head)
    save(model, tmp_path)
    call = good_call(head, model.config)
    assert same(load(head, tmp_path)(**call), model(**call))


def test_shards_are_read_together(build: Build, tmp_path: Path) -> None:
    """pytorch_model-0000x-of-0000y.bin and their index are one model; a lost shard is named."""
    model = build("masked_lm")
    model.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    tensors = model.to_weights()
    files = {name: f"pytorch_model-0000{1 + number % 2}-of-00002.bin" for number, name in enumerate(tensors)}
    for file in set(files.values()):
        write_pytorch(tmp_path / file, {name: array for name, array in tensors.items() if files[name] == file})
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": files}), encoding="utf-8")
    call = good_call("masked_lm", model.config)
    assert same(load("masked_lm", tmp_path)(**call), model(**call))
    (tmp_path / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(CheckpointError, match=r"'pytorch_model-00002-of-00002\.bin', expected a file"):
        load("masked_lm", tmp_path)


def test_safetensors_goes_before_bin(folder: Path, build: Build) -> None:
    """A folder with both is read from safetensors."""
    other = build("base", seed=9)
    other.save_pretrained(folder)
    ids = good_call("base", other.config)["input_ids"]
    assert same(load("base", folder)(ids), other(ids))


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16, "float32", "float64"])
def test_every_precision_is_read(tmp_path: Path, dtype: Any) -> None:
    """The values are those that were stored, bfloat16 included."""
    array = np.arange(12.0).reshape(3, 4).astype(dtype) / 3
    write_pytorch(tmp_path / WEIGHTS, {"a": array.astype(dtype)})
    (found,) = read_tensors(tmp_path).values()
    assert found.dtype == np.dtype(dtype)
    assert np.array_equal(found, array.astype(dtype))


def test_views_of_one_storage_come_back_right(tmp_path: Path) -> None:
    """Whole, transposed, a block, every second column, one row repeated: what NumPy's own views say."""
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    views = {
        "whole": (base, (6, 1), 0),
        "transposed": (base.T, (1, 6), 0),
        "block": (base[1:3, 2:5], (6, 1), 8),
        "steps": (base[:, ::2], (6, 2), 0),
        "repeated": (np.broadcast_to(base[0, :3], (4, 3)), (0, 1), 0),
        "scalar": (base[2, 3], (), 15),
    }
    items = {name: tensor("0", "Float", 24, np.shape(view), steps, at) for name, (view, steps, at) in views.items()}
    archive(tmp_path / WEIGHTS, state_dict(items), {"0": base.tobytes()})
    found = read_tensors(tmp_path)
    assert {name: array.tolist() for name, array in found.items()} == {
        name: view.tolist() for name, (view, _, _) in views.items()
    }


# hostile and damaged files


def calls(module: str, name: str, argument: str) -> bytes:
    """A pickle that calls something when it is unpickled."""
    return b"\x80\x02" + f"c{module}\n{name}\n".encode() + b"(" + text(argument) + b"tR."


def laughs() -> bytes:
    """Forty dictionaries, each of which holds the one before twice: 2**40 when written out."""
    content = ORDERED_DICT + b"q\x00"
    for number in range(40):
        slot, before = bytes([number + 1]), bytes([number])
        content += ORDERED_DICT + b"(" + text("a") + b"h" + before + text("b") + b"h" + before + b"uq" + slot
    return b"\x80\x02" + content + b"."


ONE = np.ones(4, np.float32).tobytes()
HOSTILE: dict[str, tuple[bytes, str]] = {
    "os.system": (calls("os", "system", "touch HERE"), "names 'os.system'"),
    "posix.system": (calls("posix", "system", "touch HERE"), "names 'posix.system'"),
    "eval": (calls("builtins", "eval", "open('HERE', 'w')"), "names 'builtins.eval'"),
    "torch.load": (calls("torch", "load", "HERE"), "names 'torch.load'"),
    "a call by stack": (b"\x80\x04" + text("os") + text("system") + b"\x93.", "instruction STACK_GLOBAL"),
    "an instance": (b"(" + text("touch HERE") + b"ios\nsystem\n.", "instruction INST"),
    "an extension": (b"\x80\x02\x82\x01.", "instruction EXT1"),
    "a memo slot of gigabytes": (b"\x80\x02}r\xff\xff\xff\x7f.", "memo slot"),
    "a string of gigabytes": (b"\x80\x02X\xff\xff\xff\x7fabc", "cannot be read"),
    "dictionaries within dictionaries": (laughs(), "one container twice"),
    "a list": (b"\x80\x02].", "list"),
    "a training checkpoint": (
        b"\x80\x02}" + text("model") + ORDERED_DICT + b"s" + text("epoch") + integer(3) + b"s.",
        "OrderedDict under 'model'",
    ),
    "a storage that is not there": (state_dict({"a": tensor("7", "Float", 4, (4,), (1,))}), "data/7"),
    "more numbers than the storage has": (state_dict({"a": tensor("0", "Float", 9, (9,), (1,))}), "cannot be read"),
    "a tensor beyond its storage": (state_dict({"a": tensor("0", "Float", 4, (5,), (1,))}), "cannot be read"),
    "an offset beyond the storage": (state_dict({"a": tensor("0", "Float", 4, (4,), (1,), 1)}), "cannot be read"),
    "a negative offset": (state_dict({"a": tensor("0", "Float", 4, (1,), (1,), -1)}), "cannot be read"),
    "a negative stride": (state_dict({"a": tensor("0", "Float", 4, (4,), (-1,))}), "cannot be read"),
    "a negative size": (state_dict({"a": tensor("0", "Float", 4, (-4,), (1,))}), "cannot be read"),
    "a billion copies of a number": (state_dict({"a": tensor("0", "Float", 4, (2**40,), (0,))}), "8 times"),
    "an unknown precision": (state_dict({"a": tensor("0", "Complex", 4, (4,), (1,))}), "torch.ComplexStorage"),
    "NaN": (state_dict({"a": tensor("nan", "Float", 1, (1,), (1,))}), "not finite"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_refused_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whatever the pickle asks for, nothing happens but one of our errors, naming the file."""
    monkeypatch.chdir(tmp_path)
    content, message = HOSTILE[name]
    nan = np.array([np.nan], np.float32).tobytes()
    archive(tmp_path / WEIGHTS, content, {"0": ONE, "nan": nan})
    with pytest.raises(CheckpointError, match=message) as caught:
        read_tensors(tmp_path)
    assert WEIGHTS in str(caught.value)
    assert len(str(caught.value)) < 500
    assert os.listdir(tmp_path) == [WEIGHTS]


def compressed(path: Path) -> None:
    """A megabyte of zeros in a kilobyte."""
    archive(path, state_dict({}), {"0": bytes(2**20)}, zipfile.ZIP_DEFLATED)


def two_pickles(path: Path) -> None:
    """Two roots, each with a pickle."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("one/data.pkl", state_dict({}))
        file.writestr("two/data.pkl", state_dict({}))


def no_pickle(path: Path) -> None:
    """A zip archive of something else."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")


def script(path: Path) -> None:
    """A TorchScript archive, which has constants beside its data and classes in its pickle."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/constants.pkl", b"\x80\x02).")
        file.writestr("archive/data.pkl", b"\x80\x02c__torch__\nModel\n)\x81}b.")


def with_a_bigger_entry(path: Path) -> None:
    """The central directory declares a storage of gigabytes."""
    content = path.read_bytes()
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(b"archive/data/0"))
    path.write_bytes(content[: at + 20] + struct.pack("<II", 2**31, 2**31) + content[at + 28 :])


ARCHIVES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "begins with b''"),
    "a web page": (lambda path: path.write_bytes(b"<html>404</html>"), "begins with b'<h'"),
    "half": (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "begins with b'PK'"),
    "a name twice": (zipped_twice, "names a file twice"),
    "compressed": (compressed, "compressed"),
    "two pickles": (two_pickles, "2 files data.pkl"),
    "no pickle": (no_pickle, "0 files data.pkl"),
    "TorchScript": (script, "names '__torch__.Model'"),
    "a storage of gigabytes": (with_a_bigger_entry, "more bytes than the file has"),
    "one bit turned": (lambda path: path.write_bytes(path.read_bytes().replace(ONE, ONE[:-1] + b"\1")), "CRC"),
    "the older format": (lambda path: path.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."), "install torch"),
}


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile's own, about what we write here
def test_a_damaged_archive_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """Every kind of damage is a CheckpointError that names the file and what is wrong with it."""
    damage, message = ARCHIVES[name]
    archive(tmp_path / WEIGHTS, state_dict({"a": tensor("0", "Float", 4, (4,), (1,))}), {"0": ONE})
    damage(tmp_path / WEIGHTS)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_tensors(tmp_path)
    assert WEIGHTS in str(caught.value)


def test_a_bin_cut_anywhere_is_refused(folder: Path) -> None:
    """No prefix of a file is a model."""
    content = (folder / WEIGHTS).read_bytes()
    for length in range(0, len(content), len(content) // 40):
        (folder / WEIGHTS).write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=WEIGHTS):
            load("base", folder)


def test_noise_in_the_pickle_is_refused_in_our_words(folder: Path) -> None:
    """200 pickles with bytes exchanged at random load as finite numbers or raise our errors, nothing else."""
    with zipfile.ZipFile(folder / WEIGHTS) as file:
        content = file.read("archive/data.pkl")
        storages = {name[13:]: file.read(name) for name in file.namelist() if name.startswith("archive/data/")}
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        noisy = np.frombuffer(content, np.uint8).copy()
        noisy[generator.integers(0, len(noisy), 3)] = generator.integers(0, 256, 3)
        archive(folder / WEIGHTS, noisy.tobytes(), storages)
        try:
            assert all(np.isfinite(array).all() for array in read_tensors(folder).values())
        except (CheckpointError, WeightsError):
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(("hidden", "message"), [("ptloader", r"pip install .roformer-reference\[pytorch-files\]")])
def test_what_reads_a_bin_is_named_when_it_is_not_installed(folder: Path, hidden: str, message: str) -> None:
    """Without the package the error says the pip command, and importing us needs none of it."""
    code = (
        f"import sys; sys.modules[{hidden!r}] = None; sys.modules['torch'] = None\n"
        "import roformer_numpy\n"
        f"roformer_numpy.RoFormerModel.from_pretrained({str(folder)!r})"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert re.search(message, finished.stderr)


def test_strong_weights_survive_the_hand_made_archive(tmp_path: Path) -> None:
    """The archive that these tests write by hand holds what it was given: it witnesses the reader."""
    tensors = strong_weights(config_of(), "masked_lm")
    write_pytorch(tmp_path / WEIGHTS, tensors)
    found = read_tensors(tmp_path)
    assert found.keys() == tensors.keys()
    assert all(np.array_equal(found[name], tensors[name]) for name in tensors)
