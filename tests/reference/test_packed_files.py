"""Packed weights on disk: the same bits, never those of other weights, and never in the way."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roformer_numpy import RoFormerConfig, RoFormerForMaskedLM, packed_files
from roformer_numpy.kernels import cache
from roformer_numpy.kernels.engine import machine
from roformer_numpy.mapped import POSSIBLE

pytestmark = pytest.mark.skipif(
    not POSSIBLE or machine.INSTRUCTION_SET is None,
    reason="packed weights on disk are an engine over mapped files",
)

CONFIG = RoFormerConfig(
    vocab_size=150, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=131
)
IDS = np.random.default_rng(0).integers(0, 150, (2, 20))
# two layers, the head's dense part and the vocabulary
FILES = 4


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for packed weights, however small these are."""
    path = tmp_path / "packed"
    path.mkdir()
    monkeypatch.setattr(packed_files, "folder", lambda: path)
    monkeypatch.setattr(packed_files, "LEAST", 0)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A saved model."""
    RoFormerForMaskedLM(CONFIG, seed=3).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def logits(model: Path, **settings: Any) -> Any:
    """What a freshly loaded model computes."""
    return RoFormerForMaskedLM.from_pretrained(model, **settings)(IDS).logits


def made(model: Path, **settings: Any) -> Any:
    """The same, the packed weights kept."""
    with packed_files.making():
        return logits(model, **settings)


@pytest.fixture
def packings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A list that grows with everything that is packed."""
    from roformer_numpy.kernels.engine import dense, model

    seen: list[Any] = []
    parts, packed = model._parts, dense.packed
    monkeypatch.setattr(model, "_parts", lambda *given: seen.append(1) or parts(*given))  # type: ignore[func-returns-value]
    monkeypatch.setattr(dense, "packed", lambda *given: seen.append(1) or packed(*given))  # type: ignore[func-returns-value]
    return seen


def test_nothing_is_kept_unasked(home: Path, model: Path) -> None:
    """Loading and calling a model writes no file."""
    logits(model)
    assert not list(home.iterdir())


def test_what_was_kept_is_mapped_and_gives_the_same_bits(home: Path, model: Path, packings: list[Any]) -> None:
    """Once packed, nothing is packed again; bit for bit the same with and without."""
    expected = logits(model)
    assert len(packings) == FILES
    assert np.array_equal(made(model), expected)
    assert len(list(home.iterdir())) == FILES
    packings.clear()
    assert np.array_equal(logits(model), expected)
    assert not packings


@pytest.mark.skipif(not machine.HAS_BFLOAT16, reason="this processor has no AVX512-BF16")
def test_those_of_another_arithmetic_are_others(home: Path, model: Path, packings: list[Any]) -> None:
    """Kept for float32 they are no use to bfloat16, and the other way round; each finds its own."""
    plain, narrow = made(model), logits(model, compute="bfloat16")
    assert not np.array_equal(plain, narrow)
    assert np.array_equal(made(model, compute="bfloat16"), narrow)
    assert len(list(home.iterdir())) == 2 * FILES
    packings.clear()
    assert np.array_equal(logits(model), plain)
    assert np.array_equal(logits(model, compute="bfloat16"), narrow)
    assert not packings


def test_deleting_them_harms_nobody(home: Path, model: Path) -> None:
    """Neither a model that has them mapped nor the next one."""
    expected = made(model)
    user = RoFormerForMaskedLM.from_pretrained(model)
    user(IDS)
    assert packed_files.clear() > 0
    assert not list(home.iterdir())
    assert np.array_equal(user(IDS).logits, expected)
    assert np.array_equal(logits(model), expected)


def rewritten(model: Path) -> None:
    """Other weights in a file of the same size and time, as a copy that keeps times would leave it."""
    path = model / "model.safetensors"
    before = path.stat()
    RoFormerForMaskedLM(CONFIG, seed=4).save_pretrained(model)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_other_weights_of_equal_size_and_time_are_packed_anew(home: Path, model: Path) -> None:
    """Replaced, or written over in place where nobody has the file mapped."""
    made(model)
    rewritten(model)
    expected = RoFormerForMaskedLM(CONFIG, seed=4)(IDS).logits
    assert np.array_equal(made(model), expected)
    path = model / "model.safetensors"
    before, content = path.stat(), path.read_bytes()
    with path.open("r+b") as file:
        file.write(content[:-4000] + np.full(1000, 0.5, np.float32).tobytes())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    shutil.copytree(model, model.parent / "copy")
    assert np.array_equal(logits(model), logits(model.parent / "copy"))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[: len(content) // 2],
    "one byte short": lambda content: content[:-1],
    "never written": lambda content: content[: packed_files.HEADER].ljust(len(content), b"\0"),
    "no header": lambda content: bytes(packed_files.HEADER) + content[packed_files.HEADER :],
    "another version": lambda content: content.replace(packed_files.MAGIC, b"RoFormer packed 0\n", 1),
    "no JSON": lambda content: content.replace(b"{", b"[", 1),
    "endless JSON": lambda content: (packed_files.MAGIC + b"[" * 4000).ljust(packed_files.HEADER) + content[4096:],
    "an array elsewhere": lambda content: re.sub(rb"\], (\d+)\d\]\]\}", rb"], \g<1>5]]}", content, count=1),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_not_used_and_mended(home: Path, model: Path, packings: list[Any], damage: str) -> None:
    """The answer stays the same, and whoever keeps packed weights makes the files anew."""
    expected = made(model)
    for path in home.iterdir():
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    packings.clear()
    assert np.array_equal(logits(model), expected)
    assert len(packings) == FILES
    made(model)
    packings.clear()
    assert np.array_equal(logits(model), expected)
    assert not packings


def test_a_file_under_the_name_of_another_is_not_used(home: Path, model: Path) -> None:
    """All files take the name of the next one."""
    expected = made(model)
    paths = sorted(home.iterdir())
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, [*contents[1:], contents[0]], strict=True):
        path.write_bytes(content)
    assert np.array_equal(logits(model), expected)


@pytest.mark.parametrize("what", ["source", "instruction set", "off"])
def test_those_of_another_version_or_processor_are_not_found(
    home: Path, model: Path, packings: list[Any], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor any at all by whoever wants none."""
    expected = made(model)
    if what == "source":
        monkeypatch.setattr(cache, "source_stamp", lambda: "edited")
    elif what == "off":
        monkeypatch.setenv(packed_files.VARIABLE, packed_files.OFF)
    else:
        monkeypatch.setattr(machine, "INSTRUCTION_SET", "another")
    packings.clear()
    assert np.array_equal(logits(model), expected)
    assert len(packings) == FILES


def test_a_full_disk_costs_a_warning(home: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is right, nothing half-written stays behind."""
    expected = logits(model)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.warns(RuntimeWarning, match="No space left"):
        assert np.array_equal(made(model), expected)
    assert not list(home.iterdir())


def test_what_was_used_longest_ago_makes_room(home: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for little, the newest stays; so does what somebody is just writing, unless it is an hour old."""
    for name, age in ((".fresh", 0), (".abandoned", 4000)):
        (home / name).write_bytes(b"x")
        os.utime(home / name, (1e9, (home / name).stat().st_mtime - age))
    monkeypatch.setattr(packed_files, "LIMIT", 1)
    expected = made(model)
    assert sorted(path.suffix or path.name for path in home.iterdir()) == [".fresh", ".packed"]
    assert np.array_equal(logits(model), expected)


def test_several_may_make_them_at_once(home: Path, model: Path) -> None:
    """All are right, and what they leave is sound and complete."""
    expected, results = logits(model), []
    threads = [threading.Thread(target=lambda: results.append(made(model))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert all(np.array_equal(result, expected) for result in results)
    assert len(list(home.iterdir())) == FILES


def test_weights_in_memory_leave_no_file(home: Path) -> None:
    """A model that was drawn, or pruned after loading, has nothing that could be found again."""
    with packed_files.making():
        RoFormerForMaskedLM(CONFIG)(IDS)
    assert not list(home.iterdir())


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`roformer warm-up` with its arguments, compiling left out."""
    testing, app = pytest.importorskip("typer.testing"), pytest.importorskip("roformer_numpy.cli").app
    for name in ("warm_up", "warm_up_engine"):
        monkeypatch.setattr(f"roformer_numpy.kernels.{name}", lambda *_given: 0.0)
    monkeypatch.setattr("roformer_numpy.kernels.gradients.warming.warm_up_gradients", lambda: 0.0)
    runner = testing.CliRunner()
    return lambda *arguments: runner.invoke(app, ["warm-up", *map(str, arguments)], env={"COLUMNS": "300"})


def test_warm_up_keeps_the_packed_weights_of_a_model(
    home: Path, model: Path, packings: list[Any], command: Callable[..., Any]
) -> None:
    """It says how many there are and where; `--clear` deletes them."""
    done = command(model)
    assert done.exit_code == 0, done.output
    assert str(home) in done.output
    packings.clear()
    logits(model)
    assert not packings
    assert command("--clear").exit_code == 0
    assert not list(home.iterdir())


@pytest.mark.skipif(not machine.HAS_BFLOAT16, reason="this processor has no AVX512-BF16")
def test_warm_up_keeps_those_of_bfloat16_where_asked(
    home: Path, model: Path, packings: list[Any], command: Callable[..., Any]
) -> None:
    """A model that is then loaded with the same arithmetic packs nothing."""
    assert command(model, "--compute", "bfloat16").exit_code == 0
    packings.clear()
    logits(model, compute="bfloat16")
    assert not packings


def test_warm_up_refuses_what_there_is_no_room_for(
    home: Path, model: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model above the limit, and a folder that is none, end with code 2 and a line that says why."""
    assert command(model / "missing").exit_code == 2
    assert "compute='half' is not one of" in command(model, "--compute", "half").output
    assert "Nothing to keep" in command("tang-mini").output  # half precision, by its name in the box
    monkeypatch.setattr(packed_files, "LIMIT", 1000)
    assert command(model).exit_code == 2
    assert not list(home.iterdir())
