"""The originals' checkpoints of TensorFlow 1 under bert4keras' names, read right or refused by name (LIFE-4.4)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roformer_numpy import CheckpointError
from roformer_numpy.checkpoints import convert_folder, inspect_folder, read_tensors
from roformer_numpy.checkpoints.tensorflow_names import original_name

from ..support import MODELS, SIZES, good_call, same
from .conftest import Build
from .pytorch_archive import write_pytorch
from .tensorflow_files import original_arrays, write_h5, write_tensorflow1

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
pytestmark = pytest.mark.skipif(find_spec("tensorflow") is None, reason="the extra [tensorflow] is not installed")

PREFIX = "bert_model.ckpt"
BERT_CONFIG = {  # as a bert_config.json has it: no model_type, keys that only BERT knows
    **{name: value for name, value in SIZES.items() if name != "num_labels"},
    "attention_probs_dropout_prob": 0.1, "directionality": "bidi", "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
    "initializer_range": 0.02, "pooler_fc_size": 768, "pooler_type": "first_token_transform",
}  # fmt: skip


def load(head: str, folder: Path) -> Any:
    """A model from a folder, in double precision."""
    return MODELS[head].from_pretrained(folder, dtype="float64", components="equations")


@pytest.fixture
def folder(build: Build, tmp_path: Path) -> Path:
    """A published folder: language model, pooler, next-sentence head, an optimizer's slots, a step counter."""
    model, base = build("masked_lm"), build("base", seed=5)
    pooler = {f"roformer.{name}": array for name, array in base.to_weights().items() if name.startswith("pooler")}
    arrays = original_arrays(model.to_weights() | pooler)
    generator = np.random.default_rng(3)
    arrays |= {
        "cls/seq_relationship/output_weights": generator.normal(size=(2, 18)),
        "cls/seq_relationship/output_bias": generator.normal(size=2),
        "bert/encoder/layer_0/attention/self/query/kernel/adam_m": generator.normal(size=(18, 18)),
        "bert/encoder/layer_0/attention/self/query/kernel/adam_v": generator.normal(size=(18, 18)),
        "global_step": np.array(7),
    }
    write_tensorflow1(tmp_path / PREFIX, arrays)
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{PREFIX}"\n', encoding="utf-8")
    (tmp_path / "bert_config.json").write_text(json.dumps(BERT_CONFIG), encoding="utf-8")
    return tmp_path


def test_the_language_model_is_the_one_that_was_stored(folder: Path, build: Build) -> None:
    """The same bits; what a language model has no place for is named in one warning, an optimizer's slots are not."""
    with pytest.warns(UserWarning, match="does not use") as caught:
        model = load("masked_lm", folder)
    assert [str(item.message) for item in caught] == [
        "the masked_lm model does not use cls.seq_relationship.bias, cls.seq_relationship.weight, pooler.dense.bias, "
        "pooler.dense.weight"
    ]
    expected = build("masked_lm")
    call = good_call("masked_lm", expected.config)
    assert same(model(**call), expected(**call))


def test_the_base_model_has_the_stored_pooler(folder: Path, build: Build) -> None:
    """pooler_output is tanh of the stored dense layer, written out by hand."""
    with pytest.warns(UserWarning, match="does not use"):
        model = load("base", folder)
    pooler = build("base", seed=5).to_weights()
    out = model(**good_call("base", model.config))
    first = out.last_hidden_state[:, 0]
    expected = np.tanh(first @ pooler["pooler.dense.weight"].T + pooler["pooler.dense.bias"])
    assert np.abs(out.pooler_output - expected).max() < 1e-14


def test_the_projection_is_read_under_its_other_name(folder: Path, build: Build) -> None:
    """embedding_hidden_mapping_in is embeddings_project, its kernel turned."""
    tensors = read_tensors(folder)
    stored = build("masked_lm").to_weights()["roformer.embeddings_project.weight"]
    assert np.array_equal(tensors["roformer.embeddings_project.weight"], stored)
    assert stored.shape == (SIZES["hidden_size"], SIZES["embedding_size"])


def test_the_next_sentence_head_keeps_its_layout(folder: Path) -> None:
    """It is stored [out, in] already, unlike every kernel."""
    assert read_tensors(folder)["cls.seq_relationship.weight"].shape == (2, SIZES["hidden_size"])


def test_the_keys_of_bert_config_are_understood_or_kept(folder: Path) -> None:
    """Sizes are fields; what only BERT knows is kept beside them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = load("masked_lm", folder).config
    assert {name: getattr(config, name) for name in SIZES if name != "num_labels"} == {
        name: value for name, value in SIZES.items() if name != "num_labels"
    }
    assert config.extra["pooler_type"] == "first_token_transform"


@pytest.mark.parametrize(
    ("original", "ours"),
    [
        ("bert/embeddings/word_embeddings", "roformer.embeddings.word_embeddings.weight"),
        ("bert/embeddings/token_type_embeddings", "roformer.embeddings.token_type_embeddings.weight"),
        ("bert/embeddings/LayerNorm/gamma", "roformer.embeddings.LayerNorm.weight"),
        ("bert/encoder/embedding_hidden_mapping_in/kernel", "roformer.embeddings_project.weight"),
        ("bert/encoder/layer_11/attention/self/key/kernel", "roformer.encoder.layer.11.attention.self.key.weight"),
        ("bert/encoder/layer_0/output/LayerNorm/beta", "roformer.encoder.layer.0.output.LayerNorm.bias"),
        ("bert/pooler/dense/bias", "roformer.pooler.dense.bias"),
        ("cls/predictions/transform/LayerNorm/gamma", "cls.predictions.transform.LayerNorm.weight"),
        ("cls/predictions/output_bias", "cls.predictions.bias"),
        ("cls/seq_relationship/output_weights", "cls.seq_relationship.weight"),
        ("cls/seq_relationship/output_bias", "cls.seq_relationship.bias"),
    ],
)
def test_the_published_table_of_names(original: str, ours: str) -> None:
    """Row by row, as published."""
    assert original_name(original) == ours


def test_of_several_checkpoints_the_note_names_the_one_that_counts(folder: Path, build: Build) -> None:
    """Without a note there is no telling, and the message names them; a note's folder is not followed."""
    other = build("masked_lm", seed=8)
    write_tensorflow1(folder / "model.ckpt-9", original_arrays(other.to_weights()))
    for note in ("model.ckpt-9", "/somewhere/else/model.ckpt-9"):
        (folder / "checkpoint").write_text(f'model_checkpoint_path: "{note}"\n', encoding="utf-8")
        found = read_tensors(folder)
        assert np.array_equal(found["cls.predictions.bias"], other.to_weights()["cls.predictions.bias"])
    (folder / "checkpoint").unlink()
    with pytest.raises(CheckpointError, match=r"several checkpoints \(bert_model\.ckpt\.index, model\.ckpt-9\.index\)"):
        read_tensors(folder)


def test_every_other_format_goes_before_the_originals(folder: Path, build: Build) -> None:
    """A folder that was converted in place is read from what it was converted to."""
    other = build("masked_lm", seed=8)
    other.save_pretrained(folder)
    ids = good_call("masked_lm", other.config)["input_ids"]
    assert same(load("masked_lm", folder)(ids), other(ids))


INDEX, DATA = f"{PREFIX}.index", f"{PREFIX}.data-00000-of-00001"


def cut(file: str, share: float) -> Callable[[Path], None]:
    """A file cut to a share of itself."""

    def damage(folder: Path) -> None:
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[: int(len(content) * share)])

    return damage


def poisoned(folder: Path) -> None:
    """One variable with a number that is none."""
    write_tensorflow1(folder / PREFIX, {"bert/pooler/dense/bias": np.array([1.0, np.nan])})


def second_version(folder: Path) -> None:
    """RoFormer V2: kernels alone."""
    tensors = {name: np.ones((18, 18)) for name in ("bert/encoder/layer_0/attention/self/query/kernel",)}
    write_tensorflow1(folder / PREFIX, tensors)


DAMAGED: dict[str, tuple[Callable[[Path], None], str]] = {
    "an empty index": (cut(INDEX, 0), INDEX),
    "half an index": (cut(INDEX, 0.5), INDEX),
    "a web page for an index": (lambda folder: (folder / INDEX).write_bytes(b"<html>404</html>" * 99) and None, INDEX),
    "half the numbers": (cut(DATA, 0.5), "declares"),
    "no numbers": (cut(DATA, 0), "declares"),
    "NaN": (poisoned, "pooler/dense/bias.*not finite"),
    "the second version": (second_version, "RoFormer V2"),
    "numbers that are not there": (lambda folder: (folder / DATA).unlink(), "no weights"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_checkpoint_is_refused_by_name(folder: Path, name: str) -> None:
    """TensorFlow's bare errors come out as ours."""
    damage, message = DAMAGED[name]
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        load("masked_lm", folder)


def test_tensorflow_is_named_when_it_is_not_installed_and_imported_only_here(folder: Path) -> None:
    """Importing us never imports TensorFlow; reading an original without it says the pip command."""
    code = (
        "import sys, roformer_numpy\n"
        "assert 'tensorflow' not in sys.modules\n"
        "sys.modules['tensorflow'] = None\n"
        f"roformer_numpy.RoFormerForMaskedLM.from_pretrained({str(folder)!r})"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert re.search(r"needs TensorFlow to be read: pip install .roformer-reference\[tensorflow-cpu\]", finished.stderr)


def test_inspect_reports_the_next_sentence_head_and_convert_says_that_it_is_left_out(
    folder: Path, tmp_path: Path
) -> None:
    """The tensors that no RoFormer class holds are named by both; the base model keeps the pooler."""
    found = inspect_folder(folder)
    assert (found.format, found.head, found.sinusoids) == ("tensorflow1", "masked_lm", "absent")
    assert found.head_from == "the tensors of a language model"
    assert set(found.files) == {f"{PREFIX}.index", f"{PREFIX}.data-00000-of-00001"}
    next_sentence, pooler = ["cls.seq_relationship.bias", "cls.seq_relationship.weight"], "pooler.dense.weight"
    assert set(next_sentence) <= set(found.fits["base"].unused)
    assert pooler not in found.fits["base"].unused
    written = convert_folder(folder, tmp_path / "masked_lm")
    assert written.left_out == [*next_sentence, "pooler.dense.bias", pooler]
    assert written.remarks == [f"the masked_lm model does not use {', '.join(written.left_out)}"]
    convert_folder(folder, tmp_path / "base", head="base")
    assert np.array_equal(read_tensors(tmp_path / "base")[pooler], read_tensors(folder)[f"roformer.{pooler}"])


@pytest.mark.parametrize("name", ["pytorch_model.bin", "tf_model.h5", PREFIX])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorFlow's own, at import
def test_our_tensorflow_models_read_the_same_files(build: Build, tmp_path: Path, name: str) -> None:
    """TFRoFormerForMaskedLM.from_pretrained takes every format, with the weights that were stored."""
    from roformer_tensorflow import TFRoFormerForMaskedLM

    model = build("masked_lm")
    model.save_pretrained(tmp_path)
    tensors = model.to_weights()
    (tmp_path / "model.safetensors").unlink()
    if name == PREFIX:
        write_tensorflow1(tmp_path / name, original_arrays(tensors))
    elif name == "tf_model.h5":
        write_h5(tmp_path / name, tensors, "masked_lm")
    else:
        write_pytorch(tmp_path / name, tensors)
    loaded = TFRoFormerForMaskedLM.from_pretrained(tmp_path, dtype="float64").to_weights()
    assert loaded.keys() == tensors.keys()
    assert all(np.array_equal(loaded[name], tensors[name]) for name in tensors)
