"""The messages between the suite and a process: their schemas are what is really sent."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

from roformer_conformance import cli, kit
from roformer_conformance.process import ProcessAdapter, adapter, frames

FOLDER = Path(__file__).parent / "processes"
ECHO = f"{sys.executable} {kit.__file__} {FOLDER / 'echo.py'}"
WEIGHTS = {"embeddings.word_embeddings.weight": np.ones((4, 3)), "pooler.dense.weight": np.eye(3)}


def test_the_schema_file_is_a_schema() -> None:
    """Every message and every answer but that to stop is in it."""
    document = json.loads(frames.SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    messages = {name.removesuffix("_message") for name in document["$defs"] if name.endswith("_message")}
    answers = {name.removesuffix("_answer") for name in document["$defs"] if name.endswith("_answer")}
    assert messages - answers == {"stop"}
    assert {"start", "load", "call", "save", "load_saved", "gradients", "prune_heads", "resize", "generate"} < messages


def test_every_message_that_is_sent_keeps_the_schema(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A whole session, each message held against what other languages read in the schema."""
    sent: list[str] = []

    def watched(message: Any) -> bytes:
        line = frames.written(message)
        frames.validate_message(json.loads(line))
        sent.append(message["command"])
        return line

    monkeypatch.setattr(adapter, "written", watched)
    process = ProcessAdapter(ECHO.split())
    model = process.load("base", {"pruned_heads": {0: [1]}, "num_labels": np.int64(3)}, WEIGHTS, "float32")
    inputs = {"input_ids": np.array([[1]]), "head_mask": None, "past_key_values": ((np.ones(1), np.ones(1)),)}
    model(inputs, style="dict", options={"use_cache": True, "labels": np.ones(1)})
    model.execute(inputs, {}, "traced xla")
    model.save(tmp_path)
    process.load_saved("base", tmp_path, "float32", num_labels=3)
    model.prune_heads({0: [1]})
    model.resize_token_embeddings(7)
    model.gradients(inputs, {})
    with pytest.raises(AttributeError, match="generate"):
        model.generate(inputs, {"max_new_tokens": 3})
    process.close()
    assert set(sent) == {
        *("start", "load", "call", "save", "load_saved", "prune_heads", "resize", "gradients", "generate", "release"),
        "stop",
    }


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"a": 1, "b": None, "c": "text"},
        {"past": ((1, 2), (3, 4)), "ids": 5},
        {"hidden": (1, None, 3)},
        {"encoder.layer.0.weight": 1},
    ],
)
def test_tuples_are_taken_apart_and_put_together(named: dict[str, Any]) -> None:
    """Names of tensors that hold dots stay what they are; None keeps its place in a tuple."""
    tensors: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, value in named.items():
        kit.spread(name, value, tensors, values)
    assert kit.gather(tensors | values) == named


def test_a_missing_number_is_none_in_the_tuple() -> None:
    """What had no place in the file has one in the tuple; a number that nobody can mean makes no tuple."""
    assert kit.gather({"hidden.2": 1}) == {"hidden": (None, None, 1)}
    assert kit.gather({"hidden.99999999": 1}) == {"hidden.99999999": 1}


def test_the_kit_needs_numpy_and_safetensors_alone() -> None:
    """The file is copied into environments that have nothing of ours."""
    blocked = ["jsonschema", "typer", "rich", "hypothesis", "roformer_numpy", "roformer_conformance"]
    alone = f"import sys; sys.modules.update(dict.fromkeys({blocked})); sys.path.insert(0, sys.argv[1]); import kit"
    command = [sys.executable, "-c", alone, str(Path(kit.__file__).parent)]
    finished = subprocess.run(command, check=False)
    assert finished.returncode == 0


def test_the_kit_says_who_should_start_it() -> None:
    """Started by hand it explains itself instead of waiting for ever."""
    finished = subprocess.run(
        [sys.executable, kit.__file__, str(FOLDER / "echo.py")], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1
    assert finished.stderr.strip() == 'this is started by the suite: roformer-conformance check "cmd:COMMAND LINE"'


def test_a_file_in_a_package_imports_its_neighbours(tmp_path: Path) -> None:
    """Relative imports work without the package being installed."""
    (tmp_path / "mine" / "inner").mkdir(parents=True)
    for name, text in {
        "mine/__init__.py": "",
        "mine/shared.py": "value = 3",
        "mine/inner/__init__.py": "",
        "mine/inner/adapter.py": "from ..shared import value\nclass Adapter:\n    load = value",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    code = (
        f"from roformer_conformance import kit; assert kit.find({str(tmp_path / 'mine/inner/adapter.py')!r}).load == 3"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def run(*arguments: str) -> Any:
    """The command with these arguments."""
    return CliRunner().invoke(cli.app, list(arguments))


def test_the_rehearsal_passes_who_speaks_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every claimed message has its line; exit code 0."""
    monkeypatch.setenv("COLUMNS", "200")
    result = run("protocol", f"cmd:{ECHO}")
    for line in (
        "load, call base float32",
        "call as dict",
        "error",
        "save, load_saved",
        "resize",
        "stop",
        "exit code 0",
    ):
        assert line in result.output
    assert "AssertionError" in result.output  # this model wants to be pruned in its own way
    assert result.exit_code == 1


def test_the_rehearsal_asks_a_plain_encoder_for_no_decoder() -> None:
    """What the adapter's guide shows speaks the protocol: nobody is asked for a decoder who has no cache."""
    result = run("protocol", f"cmd:{ECHO}:Encoder")
    assert result.exit_code == 0, result.output
    assert "unsupported" not in result.output
    assert "encoder 1 speaks the protocol" in result.output


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (f"cmd:{ECHO}:Exits", 3, "exited with code 7"),
        (f"cmd:{ECHO}:DiesAtStart", 3, "no libraries here"),
        (f"cmd:{sys.executable} {FOLDER / 'liar.py'} garbage", 3, "is no JSON"),
        ("cmd:no-such-program", 2, "cannot be started"),
        ("numpy-equations", 2, "does not run in a process of its own"),
    ],
)
def test_the_rehearsal_names_what_is_wrong(command: str, code: int, told: str) -> None:
    """A dead implementation is exit code 3, wrong usage 2."""
    result = run("protocol", command)
    assert result.exit_code == code, result.output
    assert told in " ".join(result.output.split())


def test_a_death_during_a_check_is_exit_code_3() -> None:
    """The run goes on, the table is printed, and the cause is told."""
    result = run("check", f"cmd:{ECHO}:Exits", "--level", "smoke", "--clause", "MASK-1")
    assert result.exit_code == 3
    assert "exited with code 7" in result.output
    assert "the implementation died" in result.output
    assert f"check 'cmd:{ECHO}:Exits' --clause" in result.output
