"""A saved failure can be tried again alone, and read as a short program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from roformer_conformance import check_implementation, cli
from roformer_conformance.failures import load_failure
from roformer_conformance.replay import tried_again
from roformer_conformance.reproduction import reproduction
from roformer_numpy.adapter import NumpyAdapter

from .faults import FAULTS

ROOT = Path(__file__).parents[2]


def half_split() -> NumpyAdapter:
    """LLaMA's pairs."""
    return FAULTS["half_split_rotary"]()


def clamping() -> NumpyAdapter:
    """Ids beyond the vocabulary are clamped in place of refused."""
    return FAULTS["clamps_integers"]()


def past_lost() -> NumpyAdapter:
    """The cache's positions are forgotten."""
    return FAULTS["cache_without_offset"]()


def run(*arguments: object) -> Result:
    """The command with these arguments."""
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def saved(make: str, clause: str, folder: Path, level: str = "smoke") -> list[Path]:
    """The files of the failures of one of this module's implementations."""
    result = run("check", f"{__name__}:{make}", "--level", level, "--clause", clause, "--failures", folder)
    assert result.exit_code == 1, result.output
    assert "roformer-conformance replay FILE" in result.output
    return sorted(folder.glob("*.json"))


def program(path: Path) -> subprocess.CompletedProcess[str]:
    """The reproduction, run in a Python of its own."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{reproduction(load_failure(path))}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_every_failure_is_saved_with_what_was_found(tmp_path: Path) -> None:
    """One file a failure: what was claimed, tried and found, the call beside it, and no failure without a file."""
    result = check_implementation(
        half_split(),
        level="smoke",
        clauses=["ROT-2.2/gauge", "ROT-2.1/plane-probe"],
        failures=tmp_path,
        replay_name="mine",
    )
    assert len(result.failed) > 1
    assert sorted(record.saved for record in result.failed) == sorted(map(str, tmp_path.glob("*.json")))
    for record in result.failed:
        failure = load_failure(record.saved)
        assert failure.described["implementation"] == "mine"
        assert failure.described["id"] == record.id
        assert failure.case == record.tried
    explained = load_failure(result.failed[0].saved)
    assert any("half-split" in line for line in explained.described["diagnosis"])
    names = {name.partition("/")[0] for name in explained.arrays()}
    assert names == {"weights", "inputs", "expected", "got"}


def test_a_saved_failure_fails_again_and_passes_when_mended(tmp_path: Path) -> None:
    """`replay FILE` shows the failure, exit code 1; `replay FILE numpy-equations` tells that the definition passes."""
    path = saved("half_split", "ROT-2.2/gauge", tmp_path)[0]
    again = run("replay", path)
    assert again.exit_code == 1
    assert "half-split" in again.output
    assert "import numpy as np" in again.output
    mended = run("replay", path, "numpy-equations")
    assert mended.exit_code == 0
    assert "passes what it failed on" in " ".join(mended.output.split())


def test_the_program_shows_the_failure_alone(tmp_path: Path) -> None:
    """At most 25 lines that load, call and compare, and end in an AssertionError for the wrong implementation."""
    path = saved("half_split", "ROT-2.1/plane-probe", tmp_path)[0]
    text = reproduction(load_failure(path))
    assert len(text.splitlines()) <= 25
    assert "run_case" not in text
    shown = program(path)
    assert shown.returncode == 1
    assert "AssertionError" in shown.stderr
    assert "expected" in shown.stdout
    right = json.loads(path.read_text())
    path.write_text(json.dumps({**right, "implementation": "numpy-equations"}))
    assert program(path).returncode == 0


def test_a_call_with_a_cache_can_be_written_down(tmp_path: Path) -> None:
    """Tuples of arrays are put together again by the program."""
    path = saved("past_lost", "ROT-2.7/cached-offset", tmp_path)[0]
    assert "cache_of" in reproduction(load_failure(path))
    assert "AssertionError" in program(path).stderr


def test_a_failure_without_numbers_is_replayed_by_its_check(tmp_path: Path) -> None:
    """An error that is not raised: the program makes the call, and the replay fails the check."""
    path = saved("clamping", "ERR-2/ids", tmp_path)[0]
    assert tried_again(path, clamping()).status == "failed"
    assert tried_again(path, NumpyAdapter("equations")).status == "passed"
    assert len(reproduction(load_failure(path)).splitlines()) <= 25


def test_a_golden_vector_is_replayed_too(tmp_path: Path) -> None:
    """A vector is found again by its id."""
    check_implementation(half_split(), level="smoke", clauses=["base-plain"], failures=tmp_path)
    (path,) = tmp_path.glob("*.json")
    assert load_failure(path).case is None
    assert tried_again(path, half_split()).status == "failed"
    assert tried_again(path, NumpyAdapter("equations")).status == "passed"


def test_a_shrunk_failure_is_small_enough_to_read(tmp_path: Path) -> None:
    """At default level what is saved is the smallest case that fails: a few tokens, one row, one layer, one head."""
    result = check_implementation(half_split(), clauses=["ROT-2.2/gauge"], failures=tmp_path)
    case = next(record.tried for record in result.failed if record.dtype == "float32")
    assert case is not None
    assert (case.batch, case.config["num_attention_heads"], case.config["num_hidden_layers"]) == (1, 1, 1)
    assert case.seq_len <= 6  # two are enough, and sizes differ from each other


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1}'])
def test_a_file_that_is_no_failure_is_refused(tmp_path: Path, content: str) -> None:
    """Exit code 2, and the file is named."""
    path = tmp_path / "failure.json"
    path.write_text(content)
    result = run("replay", path)
    assert result.exit_code == 2
    assert "failure.json" in result.stderr
    assert run("replay", tmp_path / "nowhere.json").exit_code == 2
