"""Model folders: exact round trips, shards, overrides, and files that are damaged or hostile (LIFE, CFG-4)."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from roformer_numpy import CheckpointError, ConfigError, InputError, RoFormerError, WeightsError

from ..support import CLASSES, HEADS, MODELS, SIZES, config_of, good_call, published_shapes, same, strong_weights
from .conftest import Build

WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
QUERY = "encoder.layer.0.attention.self.query.weight"
VARIANTS: dict[str, dict[str, Any]] = {
    "E < H": {},
    "E = H": {"embedding_size": SIZES["hidden_size"]},
    "untied": {"tie_word_embeddings": False},
    "cross-attention": {"is_decoder": True, "add_cross_attention": True},
    "pruned": {"pruned_heads": {0: [1]}},
    "rotary value": {"rotary_value": True, "hidden_act": "selu"},
}


def load(head: str, folder: Path, **options: Any) -> Any:
    """A model from a folder, in double precision unless told otherwise."""
    return MODELS[head].from_pretrained(folder, **{"dtype": "float64", "components": "equations", **options})


@pytest.fixture
def folder(build: Build, tmp_path: Path) -> Path:
    """A folder with a base model."""
    build("base").save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_save_and_load_is_exact(build: Build, tmp_path: Path, head: str, variant: str, dtype: str) -> None:
    """Every head and variant gives the same bits after a round trip, in either precision."""
    model = build(head, dtype=dtype, **VARIANTS[variant])
    model.save_pretrained(tmp_path)
    loaded = load(head, tmp_path, dtype=dtype)
    call = good_call(head, model.config)
    assert same(loaded(**call), model(**call))
    assert loaded.config.replace(extra={}) == model.config
    assert all(np.array_equal(array, model.to_weights()[name]) for name, array in loaded.to_weights().items())


@pytest.mark.parametrize("head", HEADS)
def test_a_saved_folder_says_what_it_holds(build: Build, tmp_path: Path, head: str) -> None:
    """Two files; the configuration names the architecture and the precision, the tensors have published names."""
    build(head, dtype="float32").save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CONFIG, WEIGHTS]
    described = json.loads((tmp_path / CONFIG).read_text(encoding="utf-8"))
    assert described["model_type"] == "roformer"
    assert described["architectures"] == [CLASSES[head]]
    assert described["torch_dtype"] == "float32"
    tensors = load_file(tmp_path / WEIGHTS)
    assert {name: array.shape for name, array in tensors.items()} == published_shapes(config_of(), head)
    assert {str(array.dtype) for array in tensors.values()} == {"float32"}
    assert header_of(tmp_path / WEIGHTS)["__metadata__"] == {"format": "pt"}


def header_of(path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length])


def rewrite_header(path: Path, change: Callable[[bytes], bytes]) -> None:
    """The same file with another header."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = change(content[8 : 8 + length])
    path.write_bytes(struct.pack("<Q", len(header)) + header + content[8 + length :])


@pytest.mark.parametrize("head", ["base", "masked_lm"])
@pytest.mark.parametrize("size", [1, 2000, 9000])
def test_a_model_in_shards_is_the_model(build: Build, tmp_path: Path, head: str, size: int) -> None:
    """Shards of at most the given size (one tensor at least), an index, the same bits."""
    model = build(head)
    model.save_pretrained(tmp_path, max_shard_size=size)
    index = json.loads((tmp_path / INDEX).read_text(encoding="utf-8"))
    tensors = model.to_weights()
    assert index["weight_map"].keys() == tensors.keys()
    assert index["metadata"]["total_size"] == sum(array.nbytes for array in tensors.values())
    for file in set(index["weight_map"].values()):
        shard = load_file(tmp_path / file)
        assert shard.keys() == {name for name, where in index["weight_map"].items() if where == file}
        assert len(shard) == 1 or sum(array.nbytes for array in shard.values()) <= size
    assert not (tmp_path / WEIGHTS).exists()
    call = good_call(head, model.config)
    assert same(load(head, tmp_path)(**call), model(**call))


def test_saving_again_leaves_nothing_of_the_first_save_behind(build: Build, tmp_path: Path) -> None:
    """Whole over shards and shards over whole: what is loaded is what was saved last."""
    first, second = build("base", seed=1), build("base", seed=2)
    ids = good_call("base", first.config)["input_ids"]
    for one, other in ((first, second), (second, first)):
        one.save_pretrained(tmp_path, max_shard_size=2000)
        other.save_pretrained(tmp_path)
        assert same(load("base", tmp_path)(ids), other(ids))
        one.save_pretrained(tmp_path, max_shard_size=2000)
        assert same(load("base", tmp_path)(ids), one(ids))


def test_a_folder_is_made_and_paths_of_any_kind_are_taken(build: Build, tmp_path: Path) -> None:
    """str and Path, with folders that do not exist yet, and names of any script."""
    model = build("base")
    target = tmp_path / "模型" / "a b"
    model.save_pretrained(str(target))
    assert load("base", str(target)).config.hidden_size == load("base", target).config.hidden_size


def test_saving_keeps_the_keys_that_a_file_brought(folder: Path, tmp_path: Path) -> None:
    """Unknown keys of config.json survive load and save; other files of the folder are left alone."""
    described = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    described["training_run"] = {"steps": [1, 2]}
    (folder / CONFIG).write_text(json.dumps(described), encoding="utf-8")
    (folder / "vocab.txt").write_text("[PAD]\n", encoding="utf-8")
    model = load("base", folder)
    model.save_pretrained(folder)
    assert json.loads((folder / CONFIG).read_text(encoding="utf-8"))["training_run"] == {"steps": [1, 2]}
    assert (folder / "vocab.txt").read_text(encoding="utf-8") == "[PAD]\n"


@pytest.mark.parametrize("size", [0, -1, 1.5, "1GB", None])
def test_a_shard_size_is_a_positive_number_of_bytes(build: Build, tmp_path: Path, size: Any) -> None:
    """Anything else is refused by value."""
    with pytest.raises(InputError, match="max_shard_size"):
        build("base").save_pretrained(tmp_path, max_shard_size=size)


def test_a_file_cannot_be_saved_into_or_loaded_from(build: Build, folder: Path) -> None:
    """A path of a file is refused as one, with what is expected."""
    with pytest.raises(CheckpointError, match=r"config\.json is a file"):
        build("base").save_pretrained(folder / CONFIG)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is a file"):
        load("base", folder / WEIGHTS)


# heads


@pytest.mark.parametrize("head", [head for head in HEADS if head != "base"])
def test_a_base_folder_starts_the_fine_tuning_of_every_head(folder: Path, head: str, build: Build) -> None:
    """The backbone is taken, the head is drawn from the seed, and one warning names its tensors and the pooler's."""
    with pytest.warns(UserWarning, match="drawn from seed|does not use") as caught:
        model = load(head, folder, seed=5)
    drawn = [str(item.message) for item in caught if "drawn from seed 5" in str(item.message)]
    assert len(drawn) == 1
    for name in published_shapes(config_of(), head):
        assert (name in drawn[0]) == (not name.startswith("roformer."))
    weights = build("base").to_weights()
    assert np.array_equal(model.to_weights()[f"roformer.{QUERY}"], weights[QUERY])


@pytest.mark.parametrize("head", ["sequence_classification", "token_classification"])
def test_another_number_of_labels_draws_a_new_output_layer(build: Build, tmp_path: Path, head: str) -> None:
    """num_labels=3 at load: backbone kept, output drawn with one warning, labels renamed, reproducible by seed."""
    build(head).save_pretrained(tmp_path)
    models = []
    for _ in range(2):
        with pytest.warns(UserWarning, match="drawn from seed 0") as caught:
            models.append(load(head, tmp_path, num_labels=3))
        assert len(caught) == 1
    model = models[0]
    assert model.config.num_labels == 3
    assert model.config.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    ids = good_call(head, model.config)["input_ids"]
    assert model(ids).logits.shape[-1] == 3
    assert same(models[1](ids), model(ids))


def test_label_names_at_load_set_their_number(build: Build, tmp_path: Path) -> None:
    """id2label= renames; with another count it draws a new output layer."""
    model = build("sequence_classification")
    model.save_pretrained(tmp_path)
    names = {number: f"类{number}" for number in range(SIZES["num_labels"])}
    assert load("sequence_classification", tmp_path, id2label=names).config.id2label == names
    with pytest.warns(UserWarning, match="drawn from seed"):
        assert load("sequence_classification", tmp_path, id2label={0: "坏", 1: "好"}).config.num_labels == 2


def test_a_misshapen_head_that_nobody_asked_to_change_is_an_error(build: Build, tmp_path: Path) -> None:
    """Without num_labels= a head of another shape is a damaged folder."""
    build("token_classification").save_pretrained(tmp_path)
    described = json.loads((tmp_path / CONFIG).read_text(encoding="utf-8"))
    described |= {"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1}}
    (tmp_path / CONFIG).write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"classifier\.weight has shape"):
        load("token_classification", tmp_path)


def test_more_positions_at_load_change_nothing_for_the_old_ones(folder: Path) -> None:
    """max_position_embeddings=64: longer inputs work, shorter ones give the same bits, without a warning."""
    short, longer = load("base", folder), load("base", folder, max_position_embeddings=64)
    ids = good_call("base", short.config)["input_ids"]
    assert same(longer(ids), short(ids))
    assert longer(np.zeros((1, 64), int)).last_hidden_state.shape[1] == 64


def test_an_override_must_be_a_field_and_fit_the_weights(folder: Path) -> None:
    """Misspelt overrides and sizes that the tensors do not have are refused."""
    with pytest.raises(ConfigError, match="did you mean 'num_labels'"):
        load("base", folder, num_label=3)
    with pytest.raises(WeightsError, match=r"word_embeddings\.weight has shape"):
        load("base", folder, vocab_size=30)
    with pytest.raises(WeightsError, match=r"missing: encoder\.layer\.2"):
        load("base", folder, num_hidden_layers=3)


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16, "float32", "float64"])
def test_files_of_every_precision_are_read(build: Build, folder: Path, dtype: Any) -> None:
    """float16 and bfloat16 tensors mean the numbers that they hold."""
    tensors = {name: array.astype(dtype) for name, array in load_file(folder / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS)
    model = load("base", folder)
    for name, array in model.to_weights().items():
        if "embed_positions" not in name:
            assert np.array_equal(array, tensors[name].astype(np.float64))


# where there is no model


@pytest.mark.parametrize("name", ["junnyu/roformer_chinese_base", "roformer_chinese_base", "no/such/folder"])
def test_a_hub_name_is_answered_with_how_to_download_it_and_no_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Nothing is fetched; the message says what to type."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=rf"hf download {name} --local-dir"):
        load("base", Path(name))


@pytest.mark.parametrize("folder_name", [None, 7, 3.5, [], {}, b"\xff\x00", "a\0b", "", "x" * 5000])
def test_a_path_that_is_none_is_refused_in_our_words(folder_name: Any) -> None:
    """No TypeError or OSError of the standard library comes out."""
    with pytest.raises(RoFormerError):
        load("base", folder_name)


def test_an_empty_folder_and_a_folder_without_weights_say_what_they_hold(folder: Path, tmp_path: Path) -> None:
    """The message lists the files that are there."""
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CheckpointError, match=r"no config\.json; it holds nothing"):
        load("base", empty)
    (folder / WEIGHTS).rename(folder / "flax_model.msgpack")
    with pytest.raises(CheckpointError, match=r"no weights.*model\.safetensors.*it holds.*flax_model\.msgpack"):
        load("base", folder)


def test_weights_without_a_configuration_are_refused(folder: Path) -> None:
    """config.json is needed."""
    (folder / CONFIG).unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json; it holds model\.safetensors"):
        load("base", folder)


# damaged files


def corrupt(function: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A change of the bytes of the weights file."""

    def damage(folder: Path) -> None:
        path = folder / WEIGHTS
        path.write_bytes(function(path.read_bytes()))

    return damage


def retensor(change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> Callable[[Path], None]:
    """A change of the tensors of the weights file."""
    return lambda folder: save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)


def reheader(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A change of the header of the weights file."""
    return lambda folder: rewrite_header(folder / WEIGHTS, change)


def replaced(make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Something else in the place of the weights file."""

    def damage(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        make(folder / WEIGHTS)

    return damage


def poisoned(value: float) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """One element of one tensor set to `value`."""

    def change(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        tensors[QUERY] = tensors[QUERY].copy()
        tensors[QUERY][1, 2] = value
        return tensors

    return change


def duplicate_key(header: bytes) -> bytes:
    """The header with its first tensor named twice."""
    name, entry = next((name, entry) for name, entry in json.loads(header).items() if name != "__metadata__")
    return header.rstrip()[:-1] + f",{json.dumps(name)}:{json.dumps(entry)}}}".encode()


def huge(header: bytes) -> bytes:
    """A header that declares more tensors than any model has, all empty."""
    empty = ",".join(f'"t{number}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for number in range(150_000))
    return header.rstrip()[:-1] + f",{empty}}}".encode()


DAMAGED: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (corrupt(lambda content: b""), WEIGHTS),
    "seven bytes": (corrupt(lambda content: content[:7]), WEIGHTS),
    "the length alone": (corrupt(lambda content: content[:8]), WEIGHTS),
    "half the header": (corrupt(lambda content: content[:200]), WEIGHTS),
    "half the numbers": (corrupt(lambda content: content[: len(content) // 2]), WEIGHTS),
    "one byte short": (corrupt(lambda content: content[:-1]), WEIGHTS),
    "one byte long": (corrupt(lambda content: content + b"\0"), WEIGHTS),
    "noise": (corrupt(lambda content: np.random.default_rng(0).bytes(5000)), WEIGHTS),
    "a web page": (corrupt(lambda content: b"<!DOCTYPE html><html>404</html>" * 20), WEIGHTS),
    "a pointer of git lfs": (
        corrupt(lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
        WEIGHTS,
    ),
    "an endless header": (corrupt(lambda content: b"\xff" * 8 + content[8:]), WEIGHTS),
    "a header of 2**62 bytes": (corrupt(lambda content: struct.pack("<Q", 2**62) + content[8:]), WEIGHTS),
    "a header that is no JSON": (reheader(lambda header: b"x" * len(header)), WEIGHTS),
    "a header that is a list": (reheader(lambda header: b"[1, 2, 3]"), WEIGHTS),
    "a header that is nested": (reheader(lambda header: b'{"a":' * 60_000 + b"1" + b"}" * 60_000), WEIGHTS),
    "a tensor named twice": (reheader(duplicate_key), WEIGHTS),
    "an offset beyond the end": (
        reheader(lambda header: header.replace(b'"data_offsets":[0,', b'"data_offsets":[9,', 1)),
        WEIGHTS,
    ),
    "an unknown type": (reheader(lambda header: header.replace(b'"F64"', b'"X64"', 1)), WEIGHTS),
    "150 thousand tensors": (reheader(huge), "150"),
    "NaN": (retensor(poisoned(np.nan)), QUERY),
    "infinity": (retensor(poisoned(np.inf)), QUERY),
    "integers": (retensor(lambda tensors: {**tensors, QUERY: tensors[QUERY].astype(np.int32)}), QUERY),
    "booleans": (retensor(lambda tensors: {**tensors, QUERY: tensors[QUERY] > 0}), QUERY),
    "no tensors": (retensor(lambda tensors: {}), "missing"),
    "a folder in its place": (
        replaced(Path.mkdir),
        WEIGHTS,
    ),
    "a link to nowhere": (
        replaced(lambda path: path.symlink_to("nowhere")),
        WEIGHTS,
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_of_weights_is_refused_by_name(folder: Path, name: str) -> None:
    """Every kind of damage is one of our errors, naming the file or the tensor, in a message that fits a screen."""
    damage, text = DAMAGED[name]
    damage(folder)
    with pytest.raises(RoFormerError) as caught:
        load("base", folder)
    assert isinstance(caught.value, CheckpointError | WeightsError)
    assert text in str(caught.value)
    if name != "no tensors":
        assert len(str(caught.value)) < 600


def test_a_file_cut_anywhere_is_refused(folder: Path) -> None:
    """No prefix of a weights file is a model."""
    content = (folder / WEIGHTS).read_bytes()
    for length in range(0, len(content), len(content) // 60):
        (folder / WEIGHTS).write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=WEIGHTS):
            load("base", folder)


@pytest.fixture
def sharded(build: Build, tmp_path: Path) -> Path:
    """A folder with a base model in shards."""
    build("base").save_pretrained(tmp_path / "sharded", max_shard_size=9000)
    return tmp_path / "sharded"


def edit_index(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """The index with `change` applied; a string is written as it is."""
    index = change(json.loads((folder / INDEX).read_text(encoding="utf-8")))
    (folder / INDEX).write_text(index if isinstance(index, str) else json.dumps(index), encoding="utf-8")


def moved(file: Any) -> Callable[[dict[str, Any]], Any]:
    """An index that looks for one tensor elsewhere."""
    return lambda index: {**index, "weight_map": {**index["weight_map"], QUERY: file}}


DAMAGED_INDEX: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a path out of the folder": (moved("../outside.safetensors"), "'../outside.safetensors'"),
    "an absolute path": (moved(os.path.abspath("outside.safetensors")), "outside.safetensors"),
    "a path below the folder": (moved("sub/model.safetensors"), "'sub/model.safetensors'"),
    "the parent folder": (moved(".."), "'..'"),
    "the folder itself": (moved("."), "'.'"),
    "an empty name": (moved(""), "''"),
    "a name with a null byte": (moved("a\0b"), "file in the same folder"),
    "a name that is a number": (moved(7), "weight_map"),
    "a shard that is not there": (moved("model-00009-of-00009.safetensors"), "00009-of-00009"),
    "a tensor that no shard holds": (
        lambda index: {
            **index,
            "weight_map": {**index["weight_map"], "ghost": next(iter(index["weight_map"].values()))},
        },
        "ghost",
    ),
    "no map": (lambda index: {"metadata": {}}, "weight_map"),
    "a map that is a list": (lambda index: {"weight_map": ["a"]}, "weight_map"),
    "a list": (lambda index: [1], INDEX),
    "nothing": (lambda index: "", INDEX),
    "half": (lambda index: '{"weight_map": {', INDEX),
    "a key given twice": (lambda index: '{"weight_map": {}, "weight_map": {}}', "twice"),
    "a tensor given twice": (lambda index: '{"weight_map": {"a": "x", "a": "y"}}', "twice"),
    "bottomless": (lambda index: '{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
    "an empty map": (lambda index: {"weight_map": {}}, "missing"),
}


@pytest.mark.parametrize("name", DAMAGED_INDEX)
def test_a_damaged_index_is_refused_and_leads_nowhere(sharded: Path, name: str) -> None:
    """An index names files of its own folder and tensors that they hold; anything else is refused by name."""
    change, text = DAMAGED_INDEX[name]
    shutil.copy(next(sharded.glob("model-*.safetensors")), sharded.parent / "outside.safetensors")
    edit_index(sharded, change)
    with pytest.raises(RoFormerError) as caught:
        load("base", sharded)
    assert text in str(caught.value)


def test_a_shard_that_was_lost_is_named(sharded: Path) -> None:
    """The message says which file is missing."""
    lost = sorted(sharded.glob("model-*.safetensors"))[1]
    lost.unlink()
    with pytest.raises(CheckpointError, match=lost.name):
        load("base", sharded)


def test_a_damaged_configuration_is_refused_before_the_weights_are_read(folder: Path) -> None:
    """A config.json that breaks a rule is a ConfigError, whatever the weights are."""
    (folder / WEIGHTS).write_bytes(b"")
    for content, text in (
        ("{", CONFIG),
        ('{"hidden_size": NaN}', "NaN"),
        ('{"hidden_size": 18, "hidden_size": 24}', "hidden_size"),
        ('{"model_type": "bert"}', "'bert'"),
        ('{"hidden_size": 19, "num_attention_heads": 3}', "hidden_size=19"),
    ):
        (folder / CONFIG).write_text(content, encoding="utf-8")
        with pytest.raises(ConfigError, match=text.replace("'", ".")):
            load("base", folder)


def test_a_failed_save_leaves_the_old_model_whole(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full the folder still holds the model of before, and no half-written file."""
    first, second = build("base", seed=1), build("base", seed=2)
    first.save_pretrained(tmp_path)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("roformer_numpy.checkpoints.saving.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        second.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CONFIG, WEIGHTS]
    ids = good_call("base", first.config)["input_ids"]
    assert same(load("base", tmp_path)(ids), first(ids))


def test_names_of_tensors_that_look_like_paths_are_only_names(folder: Path) -> None:
    """A tensor called ../../etc is not used, and warned about."""
    tensors = load_file(folder / WEIGHTS)
    save_file({**tensors, "../../etc": np.zeros(1)}, folder / WEIGHTS)
    with pytest.warns(UserWarning, match=r"does not use \.\./\.\./etc"):
        load("base", folder)


def test_a_repr_says_what_a_model_is(build: Build) -> None:
    """Class, sizes, precision and components."""
    assert repr(build("masked_lm")) == "RoFormerForMaskedLM(2 × 18, float64, equations)"


def test_strong_weights_are_strong() -> None:
    """The weights that these tests use have no tensor near zero: biases and scales count."""
    for name, array in strong_weights(config_of(), "masked_lm").items():
        assert np.abs(array).max() > 0.1, name


def test_saving_again_in_other_pieces_leaves_nothing_behind(build: Build, tmp_path: Path) -> None:
    """A folder holds one model: shards of an earlier save go, files that are not ours stay."""
    model = build("base")
    (tmp_path / "notes.txt").write_text("mine")
    model.save_pretrained(tmp_path, max_shard_size=2_000)
    assert len(list(tmp_path.glob("model-*"))) > 1
    model.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors", "notes.txt"}
    model.save_pretrained(tmp_path, max_shard_size=2_000)
    assert not (tmp_path / "model.safetensors").exists()
    assert (tmp_path / "model.safetensors.index.json").exists()
