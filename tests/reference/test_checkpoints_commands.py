"""`roformer inspect` and `roformer convert`: what they say, write and refuse."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from roformer_numpy import CheckpointError, InputError, WeightsError
from roformer_numpy.checkpoints import convert_folder, inspect_folder
from roformer_numpy.cli import app, reading
from roformer_numpy.cli.sizes import bytes_of, shown_bytes

from ..support import CLASSES, HEADS, MODELS, config_of, good_call, published_shapes, same
from .conftest import Build
from .pytorch_archive import write_pytorch
from .tensorflow_files import write_h5

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def run(*arguments: Any) -> Any:
    """The command with these arguments, on a wide terminal."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def load(head: str, folder: Path, dtype: str = "float64") -> Any:
    """A model from a folder."""
    return MODELS[head].from_pretrained(folder, dtype=dtype, components="equations")


def edit_config(folder: Path, **changes: Any) -> None:
    """The configuration with `changes`; None takes a key out."""
    described = json.loads((folder / CONFIG).read_text(encoding="utf-8")) | changes
    kept = {name: value for name, value in described.items() if value is not None}
    (folder / CONFIG).write_text(json.dumps(kept), encoding="utf-8")


@pytest.fixture
def folder(build: Build, tmp_path: Path) -> Path:
    """A folder with a masked language model."""
    build("masked_lm").save_pretrained(tmp_path / "source")
    return tmp_path / "source"


# inspect


@pytest.mark.parametrize("head", HEADS)
def test_inspect_names_the_head_the_format_and_the_count(build: Build, tmp_path: Path, head: str) -> None:
    """Said by the configuration; the parameters are counted by hand, without the table of positions."""
    build(head).save_pretrained(tmp_path)
    found = inspect_folder(tmp_path)
    shapes = {name: shape for name, shape in published_shapes(config_of(), head).items() if "positions" not in name}
    assert (found.format, found.head, found.is_whole) == ("safetensors", head, True)
    assert found.head_from == f"architectures says {CLASSES[head]!r}"
    assert found.parameters == sum(int(np.prod(shape)) for shape in shapes.values())
    assert found.dtypes == {"float64": len(published_shapes(config_of(), head))}
    assert found.sinusoids == "equal"
    assert found.files == {WEIGHTS: (tmp_path / WEIGHTS).stat().st_size}


@pytest.mark.parametrize("head", HEADS)
def test_inspect_guesses_the_head_from_the_tensors(build: Build, tmp_path: Path, head: str) -> None:
    """Where the configuration names no class, the tensors tell; a decoder's language model is causal."""
    build(head, is_decoder=head == "causal_lm").save_pretrained(tmp_path)
    edit_config(tmp_path, architectures=None)
    assert inspect_folder(tmp_path).head == head


def test_inspect_holds_the_folder_against_every_head(folder: Path) -> None:
    """What each of the seven lacks and does not use, by name."""
    fits = inspect_folder(folder).fits
    assert list(fits) == list(HEADS)
    assert (fits["masked_lm"].missing, fits["masked_lm"].unused) == ([], [])
    assert fits["question_answering"].missing == ["qa_outputs.weight", "qa_outputs.bias"]
    assert "cls.predictions.transform.dense.weight" in fits["base"].unused


def test_inspect_tells_tied_from_untied_and_a_bent_table(build: Build, tmp_path: Path) -> None:
    """A stored copy of the word embeddings is tied; other weights are not; a changed sinusoid shows."""
    model = build("masked_lm")
    model.save_pretrained(tmp_path)
    assert inspect_folder(tmp_path).language_model == "tied"
    tensors = model.to_weights()
    count = inspect_folder(tmp_path).parameters
    words = tensors["roformer.embeddings.word_embeddings.weight"]
    save_file(tensors | {"cls.predictions.decoder.weight": words.copy()}, tmp_path / WEIGHTS)
    assert (inspect_folder(tmp_path).language_model, inspect_folder(tmp_path).parameters) == ("tied", count)
    save_file(tensors | {"cls.predictions.decoder.weight": words + 1}, tmp_path / WEIGHTS)
    found = inspect_folder(tmp_path)
    assert (found.language_model, found.parameters) == ("untied", count + words.size)
    table = "roformer.encoder.embed_positions.weight"
    save_file(tensors | {table: tensors[table] + 0.01}, tmp_path / WEIGHTS)
    assert inspect_folder(tmp_path).sinusoids == "different"
    del tensors[table]
    save_file(tensors, tmp_path / WEIGHTS)
    assert inspect_folder(tmp_path).sinusoids == "absent"


def test_the_command_prints_tables_that_say_it_all(folder: Path) -> None:
    """Format, file, sizes, head, count, precision, tying, table; the rows of the seven heads; exit code 0."""
    said = run("inspect", folder)
    assert said.exit_code == 0, said.output
    for text in (
        "safetensors", WEIGHTS, "hidden_size 18", "masked_lm: architectures says", "44 tensors float64",
        "tied to the word embeddings", "equal to the computed one", "missing: qa_outputs.*", *HEADS,
    ):  # fmt: skip
        assert text in said.output, text


def test_the_command_prints_json(folder: Path) -> None:
    """One object with everything, names of tensors included."""
    said = run("inspect", folder, "--json")
    described = json.loads(said.stdout)
    assert described["head"] == "masked_lm"
    assert described["fits"]["question_answering"]["missing"] == ["qa_outputs.weight", "qa_outputs.bias"]


def test_inspect_says_which_of_several_formats_it_chose(folder: Path) -> None:
    """The others are named beside it."""
    write_pytorch(folder / "pytorch_model.bin", load_file(folder / WEIGHTS))
    write_h5(folder / "tf_model.h5", load_file(folder / WEIGHTS), "masked_lm")
    assert "safetensors (chosen over pytorch, tensorflow, also there)" in run("inspect", folder).output
    (folder / WEIGHTS).unlink()
    assert "pytorch (chosen over tensorflow, also there)" in run("inspect", folder).output


def test_a_folder_that_lacks_tensors_is_shown_with_exit_code_2(folder: Path) -> None:
    """What is missing or misshapen is in the table."""
    tensors = load_file(folder / WEIGHTS)
    del tensors["roformer.encoder.layer.1.output.dense.bias"]
    tensors["cls.predictions.bias"] = np.zeros(7)
    save_file(tensors, folder / WEIGHTS)
    said = run("inspect", folder)
    assert said.exit_code == 2
    assert "missing: encoder.layer.1.output.dense.bias" in said.output
    words = " ".join(said.output.replace("│", " ").split())  # a line breaks where the longest path leaves it no room
    assert "misshapen: cls.predictions.bias has shape (7,), expected (29,)" in words


def test_the_second_version_is_refused(folder: Path, tmp_path: Path) -> None:
    """RoFormer V2 is another architecture, to inspect as to convert."""
    kept = {
        name: array
        for name, array in load_file(folder / WEIGHTS).items()
        if "LayerNorm" not in name and not name.endswith("bias")
    }
    save_file(kept, folder / WEIGHTS)
    for command in (("inspect", folder), ("convert", folder, tmp_path / "target")):
        said = run(*command)
        assert said.exit_code == 2
        assert "RoFormer V2" in said.output
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere", "nothing is downloaded"), ("file", "is a file"), ("empty", "it holds nothing")],
)
def test_where_there_is_no_model_one_line_says_so(tmp_path: Path, name: str, message: str) -> None:
    """No traceback: a line, and exit code 2, for either command."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    for command in (("inspect", tmp_path / name), ("convert", tmp_path / name, tmp_path / "target")):
        said = run(*command)
        assert said.exit_code == 2
        assert message in said.output
        assert "Traceback" not in said.output


def test_names_that_look_like_markup_are_printed_as_they_are(folder: Path, tmp_path: Path) -> None:
    """A folder called [red] is not a colour."""
    odd = tmp_path / "[red]odd[bold]"
    odd.mkdir()
    for name in (CONFIG, WEIGHTS):
        (odd / name).write_bytes((folder / name).read_bytes())
    save_file({**load_file(odd / WEIGHTS), "[/bold]": np.zeros(1)}, odd / WEIGHTS)
    said = run("inspect", odd)
    assert said.exit_code == 0, said.output
    assert "[/bold]" in said.output


# convert


def from_safetensors(model: Any, head: str, folder: Path) -> None:
    """The model as we save it."""
    model.save_pretrained(folder)


def from_pytorch(model: Any, head: str, folder: Path) -> None:
    """The model in a pytorch_model.bin."""
    model.save_pretrained(folder)
    write_pytorch(folder / "pytorch_model.bin", load_file(folder / WEIGHTS))
    (folder / WEIGHTS).unlink()


def from_tensorflow(model: Any, head: str, folder: Path) -> None:
    """The model in a tf_model.h5."""
    model.save_pretrained(folder)
    write_h5(folder / "tf_model.h5", load_file(folder / WEIGHTS), head)
    (folder / WEIGHTS).unlink()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("write", [from_safetensors, from_pytorch, from_tensorflow])
@pytest.mark.filterwarnings("ignore:pooler_output will be None")
def test_a_converted_folder_is_the_model(build: Build, tmp_path: Path, head: str, write: Any) -> None:
    """From every format, with the tokenizer's files, the same bits come out."""
    model = build(head)
    if write is from_tensorflow and head == "base":
        model = build(head, add_pooling_layer=False)
    write(model, head, tmp_path / "source")
    (tmp_path / "source" / "vocab.txt").write_text("[PAD]\n字\n", encoding="utf-8")
    said = run("convert", tmp_path / "source", tmp_path / "target")
    assert said.exit_code == 0, said.output
    assert {path.name for path in (tmp_path / "target").iterdir()} == {CONFIG, WEIGHTS, "vocab.txt"}
    assert (tmp_path / "target" / "vocab.txt").read_text(encoding="utf-8") == "[PAD]\n字\n"
    call = good_call(head, model.config)
    assert same(load(head, tmp_path / "target")(**call), model(**call))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_precision_can_be_chosen(folder: Path, tmp_path: Path, dtype: str) -> None:
    """Every tensor is the stored one, rounded; the configuration names the precision in every spelling it has."""
    edit_config(folder, dtype="float64")
    said = run("convert", folder, tmp_path / "target", "--dtype", dtype)
    assert said.exit_code == 0, said.output
    stored, written = load_file(folder / WEIGHTS), load_file(tmp_path / "target" / WEIGHTS)
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    assert all(array.dtype == kind for array in written.values())
    assert all(np.array_equal(written[name], stored[name].astype(kind)) for name in stored)
    described = json.loads((tmp_path / "target" / CONFIG).read_text(encoding="utf-8"))
    assert (described["torch_dtype"], described["dtype"]) == (dtype, dtype)


def test_what_a_model_has_no_place_for_is_said(folder: Path, tmp_path: Path) -> None:
    """The base model of a language model: the head is left out and named."""
    said = run("convert", folder, tmp_path / "target", "--head", "base")
    assert said.exit_code == 0, said.output
    assert "note: the base model does not use cls.predictions.bias" in said.output
    assert inspect_folder(tmp_path / "target").head == "base"
    assert not any(name.startswith("cls.") for name in load_file(tmp_path / "target" / WEIGHTS))


def test_a_conversion_draws_nothing(folder: Path, tmp_path: Path) -> None:
    """A head that the source lacks is an error, not a set of random numbers."""
    with pytest.raises(WeightsError, match=r"holds no token_classification head.*classifier\.weight"):
        convert_folder(folder, tmp_path / "target", head="token_classification")
    assert not (tmp_path / "target").exists()


def test_a_folder_that_is_not_empty_needs_force(folder: Path, tmp_path: Path) -> None:
    """Without --force nothing in it changes; with it, files of other names stay."""
    target = tmp_path / "target"
    target.mkdir()
    (target / "notes.txt").write_text("mine", encoding="utf-8")
    said = run("convert", folder, target)
    assert said.exit_code == 2
    assert "is not empty" in said.output
    assert os.listdir(target) == ["notes.txt"]
    assert run("convert", folder, target, "--force").exit_code == 0
    assert {path.name for path in target.iterdir()} == {CONFIG, WEIGHTS, "notes.txt"}


def test_a_folder_can_be_converted_in_place_with_force(build: Build, tmp_path: Path) -> None:
    """The old file stays, and the new one goes before it."""
    model = build("masked_lm")
    from_pytorch(model, "masked_lm", tmp_path)
    (tmp_path / "vocab.txt").write_text("a\n", encoding="utf-8")
    assert run("convert", tmp_path, tmp_path).exit_code == 2
    assert run("convert", tmp_path, tmp_path, "--force").exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {CONFIG, WEIGHTS, "pytorch_model.bin", "vocab.txt"}
    call = good_call("masked_lm", model.config)
    assert same(load("masked_lm", tmp_path)(**call), model(**call))


def test_shards_have_the_size_that_was_asked_for(folder: Path, tmp_path: Path) -> None:
    """--max-shard-size 10KB gives several files of about that size and an index."""
    assert run("convert", folder, tmp_path / "target", "--max-shard-size", "10KB").exit_code == 0
    shards = list((tmp_path / "target").glob("model-*.safetensors"))
    assert len(shards) > 3
    assert (tmp_path / "target" / "model.safetensors.index.json").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [("--head", "mlm"), ("--dtype", "int8"), ("--max-shard-size", "big"), ("--max-shard-size", "0")],
)
def test_wrong_options_are_usage_errors(folder: Path, tmp_path: Path, option: str, value: str) -> None:
    """Exit code 2, the value named, nothing written."""
    said = run("convert", folder, tmp_path / "target", option, value)
    assert said.exit_code == 2
    assert repr(value) in said.output
    assert not (tmp_path / "target").exists()


def test_a_damaged_source_writes_nothing(folder: Path, tmp_path: Path) -> None:
    """The target is not even made."""
    (folder / WEIGHTS).write_bytes(b"")
    with pytest.raises(CheckpointError):
        convert_folder(folder, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_large_folder_shows_a_bar_on_a_terminal_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First what is read, then that there is work left; nothing where nobody looks, and nothing for a small folder."""
    for number, (is_terminal, enough) in enumerate([(True, 1), (False, 1), (True, 10**9)]):
        shown = io.StringIO()
        monkeypatch.setattr(reading, "_errors", Console(file=shown, force_terminal=is_terminal))
        monkeypatch.setattr(reading, "WORTH_A_BAR", enough)
        assert run("convert", folder, tmp_path / str(number)).exit_code == 0
        assert ("reading" in shown.getvalue(), "working" in shown.getvalue()) == (number == 0, number == 0)


@pytest.mark.parametrize(
    ("text", "count"), [("1000", 1000), ("5GB", 5 * 10**9), ("200 MB", 2 * 10**8), ("1kib", 1024), ("7b", 7)]
)
def test_sizes_are_read_as_people_write_them(text: str, count: int) -> None:
    """Decimal and binary units, in either case."""
    assert bytes_of(text) == count


@pytest.mark.parametrize("text", ["", "-1", "1.5GB", "GB", "1TB", "1e9", "٣", "9" * 40])
def test_what_is_no_size_is_refused(text: str) -> None:
    """By value."""
    with pytest.raises(InputError, match="no size"):
        bytes_of(text)


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (25300, "25.3 kB"), (4.9e8, "490 MB")])
def test_sizes_are_shown_short(count: float, text: str) -> None:
    """Three digits and a unit."""
    assert shown_bytes(count) == text
