"""Weights that stay in their file: the same numbers, no memory until they are read, no harm when it is replaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from roformer_numpy import RoFormerConfig, RoFormerForMaskedLM
from roformer_numpy.mapped import POSSIBLE, is_mapped, mapped_tensors, release
from roformer_numpy.weights import named_leaves

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="on this system files are read into memory")

SIZES = {"vocab_size": 53, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}


@pytest.fixture
def saved(tmp_path: Path) -> RoFormerForMaskedLM:
    """A model whose copy lies in `tmp_path`."""
    model = RoFormerForMaskedLM(RoFormerConfig(**SIZES, intermediate_size=131), seed=3)
    model.save_pretrained(tmp_path)
    return model


def test_float32_weights_stay_in_the_file(saved: RoFormerForMaskedLM, tmp_path: Path) -> None:
    """All of them, read-only; another type is a copy in memory."""
    for dtype, mapped in (("float32", True), ("float64", False)):
        leaves = named_leaves(RoFormerForMaskedLM.from_pretrained(tmp_path, dtype=dtype).weights)
        assert {is_mapped(array) for array in leaves.values()} == {mapped}
        assert not any(array.flags.writeable for array in leaves.values())


@pytest.mark.parametrize("options", [{}, {"output_attentions": True}], ids=str)
def test_a_loaded_model_computes_what_the_saved_one_does(
    saved: RoFormerForMaskedLM, tmp_path: Path, options: dict[str, Any]
) -> None:
    """Bit for bit, by the engine and by the components."""
    ids = np.random.default_rng(0).integers(0, 53, (3, 50))
    loaded = RoFormerForMaskedLM.from_pretrained(tmp_path)
    assert np.array_equal(loaded(ids, **options).logits, saved(ids, **options).logits)


def test_saving_over_the_file_of_a_loaded_model_changes_nothing(saved: RoFormerForMaskedLM, tmp_path: Path) -> None:
    """A new file takes the place of the old one, which the model keeps."""
    ids = np.random.default_rng(0).integers(0, 53, (3, 50))
    expected, loaded = saved(ids).logits, RoFormerForMaskedLM.from_pretrained(tmp_path)
    RoFormerForMaskedLM(saved.config, seed=4).save_pretrained(tmp_path)
    assert np.array_equal(loaded(ids).logits, expected)
    loaded.save_pretrained(tmp_path)
    assert np.array_equal(RoFormerForMaskedLM.from_pretrained(tmp_path)(ids).logits, expected)


def test_what_was_let_go_is_read_again(tmp_path: Path) -> None:
    """Arrays over many pages, small ones, and such as lie in no file."""
    tensors = {"large": np.arange(100_000, dtype=np.float32), "small": np.ones(3, np.float32)}
    save_file(tensors, tmp_path / "file")
    found = mapped_tensors(tmp_path / "file")
    for name, array in found.items():
        release(array)
        release(array[1:])
        assert np.array_equal(array, tensors[name])
    release(np.ones(10_000))


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="this system does not say what is in memory")
def test_what_was_let_go_takes_no_memory(tmp_path: Path) -> None:
    """64 MB are resident when they were read, and not any more when they were let go."""
    save_file({"large": np.ones(16_000_000, np.float32)}, tmp_path / "file")

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    array = mapped_tensors(tmp_path / "file")["large"]
    before = resident()
    assert array.sum() == 16_000_000
    read = resident()
    release(array)
    assert read - before > 50_000_000
    assert resident() - before < 10_000_000


def test_tensors_of_other_types_are_left_to_the_reader(tmp_path: Path) -> None:
    """Integers, and tensors without elements, are no weights that could stay where they are."""
    tensors = {"ids": np.arange(3), "none": np.ones((0, 2), np.float32), "some": np.ones((2, 2), np.float64)}
    save_file(tensors, tmp_path / "file")
    assert list(mapped_tensors(tmp_path / "file")) == ["some"]
    assert np.array_equal(mapped_tensors(tmp_path / "file")["some"], load_file(tmp_path / "file")["some"])
