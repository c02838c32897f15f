"""`roformer bench` from end to end, with competitors that a test makes; no test depends on how long anything takes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roformer_numpy.benchmarking import inputs, process
from roformer_numpy.benchmarking.competitors import COMPONENTS, EAGER, ENGINE, EQUATIONS, Competitor
from roformer_numpy.benchmarking.process import CompetitorError, Process, environment
from roformer_numpy.benchmarking.race import Entry, race
from roformer_numpy.benchmarking.session import Session
from roformer_numpy.cli import app
from roformer_numpy.config import RoFormerConfig
from roformer_numpy.errors import InputError

MADE = """
import os
import numpy as np

def imports():
    pass

def load(kind, folder, head, threads):
    if kind == "refuses":
        raise OSError("no such library")
    if kind == "dies":
        print("out of luck", flush=True)
        os._exit(7)

    def prepare(batches, mode):
        def run():
            if kind == "dies later":
                os._exit(9)
            if kind == "noisy":
                print("{}")
            return [np.full((*ids.shape, 16), 0.5) for ids, mask in batches]
        return run
    return kind, prepare
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Sizes of a model that is quick to compute."""
    RoFormerConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    ).to_json_file(tmp_path / "config.json")
    return tmp_path / "config.json"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the other side, with a module whose competitors do as they are told."""
    folder = tmp_path / "peer_side"
    folder.mkdir()
    (folder / "serve.py").write_text((process.PEER_SIDE / "serve.py").read_text())
    (folder / "made.py").write_text(MADE)
    monkeypatch.setattr(process, "PEER_SIDE", folder)
    return folder


def started(kind: str) -> Process:
    """A made competitor; it needs no model."""
    return Process(Competitor(kind, "made", kind), sys.executable, Path("nowhere"), "base", 1)


def test_the_command_prints_everybody_and_says_who_could_not_run(config: Path, tmp_path: Path) -> None:
    """Two shapes, three of ours and one who has no Python; the same in the folder that was asked for."""
    arguments = [
        str(config),
        "--shapes",
        "1x4,2x3",
        "--rounds",
        "2",
        "--threads",
        "1",
        "--output",
        str(tmp_path / "out"),
    ]
    done = CliRunner().invoke(
        app, ["bench", *arguments, "--competitors", "engine; components; NumPy eq; eager", "--json"]
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "out" / "results.json").read_text())
    timed = [(line["case"], line["name"], len(line["seconds"])) for line in found["results"] if not line["reason"]]
    who = ("engine", "components", "NumPy equations")
    assert timed == [(case, name, 2) for case in ("1x4", "2x3") for name in who]
    assert all(line["error"] < 1e-5 for line in found["results"] if not line["reason"])
    assert {line["reason"] for line in found["results"] if line["reason"]} == {"no Python was given for it (--peers)"}
    assert "PyTorch eager" in (tmp_path / "out" / "results.md").read_text()


def test_the_table_is_printed_without_json(config: Path) -> None:
    """A line for each, under its shape; who is absent for one reason is named in one."""
    arguments = ["bench", str(config), "--shapes", "1x4", "--rounds", "1", "--threads", "1", "--competitors"]
    done = CliRunner().invoke(app, [*arguments, "engine; eager; ONNX Runtime"])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert any(line.split()[:1] == ["1x4"] for line in lines)
    assert any(line.split()[:1] == ["engine"] for line in lines)
    assert "PyTorch eager; ONNX Runtime not timed at 1x4: no Python was given for it (--peers)" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["huge"], "MODEL 'huge' is neither a folder nor"),
        (["tiny", "--shapes", "16"], "shapes: number 1 is '16'"),
        (["tiny", "--peers", "/nowhere/python"], "is no Python that answers"),
        (["tiny", "--competitors", "nobody"], "'nobody' names 0 of them"),
    ],
)
def test_a_wrong_argument_is_named_with_exit_code_2(arguments: list[str], message: str) -> None:
    """One line, no traceback."""
    done = CliRunner().invoke(app, ["bench", *arguments])
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("refuses", "OSError: no such library"), ("dies", "it ended with status 7: out of luck")],
)
def test_who_cannot_start_says_why(made: Path, kind: str, reason: str) -> None:
    """His own error, or the last line that he wrote."""
    with started(kind) as competitor, pytest.raises(CompetitorError, match=reason):
        competitor.ask("time", work="w", mode="", calls=1, before=0)


def test_who_dies_or_differs_is_named_and_the_others_are_timed(made: Path, tmp_path: Path) -> None:
    """The race goes on without him."""
    work = inputs.dense(1, 4, 50)
    with started("first") as first, started("dies later") as dead, started("noisy") as noisy:
        entries = [Entry(name, one, work) for name, one in (("first", first), ("dead", dead), ("noisy", noisy))]
        lines = {line.name: line for line in race("1x4", entries, tmp_path, 3)}
    assert lines["dead"].reason.startswith("it ended with status 9")
    assert not lines["noisy"].reason
    assert [len(lines[name].seconds) for name in ("first", "dead", "noisy")] == [3, 0, 3]


def test_another_result_is_not_timed(made: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Halves everywhere are no RoFormer's states; lower precision is judged by its reader."""
    work = inputs.dense(1, 4, 50)
    wrong, rounded = Competitor("wrong", "made", "x"), Competitor("rounded", "made", "x", float32=False)
    (made / "with_engine.py").write_text((Path(process.__file__).parent / "peer_side" / "with_engine.py").read_text())
    with Session(str(config), [], 1) as session:
        entries, unable = session.entries([ENGINE, wrong, rounded], work)
        lines = race("1x4", entries, session.folder, 1)
    assert not unable
    assert lines[1].reason.startswith("its result differs from the engine's by")
    assert not lines[1].seconds
    assert lines[2].error == lines[1].error
    assert len(lines[2].seconds) == 1


def test_the_engine_has_to_run(made: Path, tmp_path: Path) -> None:
    """Without the first there is nothing to compare with."""
    with started("refuses") as first, pytest.raises(CompetitorError, match="first: OSError: no such library"):
        race("1x4", [Entry("first", first, inputs.dense(1, 4, 50))], tmp_path, 1)


def test_no_rounds_are_refused(tmp_path: Path) -> None:
    """By name and value."""
    with pytest.raises(InputError, match="rounds=0 is below 1"):
        race("1x4", [], tmp_path, 0)


def test_buckets_are_compared_sequence_by_sequence(config: Path) -> None:
    """The order of a sorted arrangement is undone before results are held against each other."""
    lengths = [5, 2, 9, 3]
    with Session(str(config), [], 1) as session:
        engine, equations = session.process(ENGINE), session.process(EQUATIONS)
        one = Entry("padded", engine, inputs.padded("padded", lengths, 50))
        other = Entry("buckets", equations, inputs.bucketed("buckets", lengths, 50, 2))
        lines = race("ragged", [one, other], session.folder, 1)
    assert not lines[1].reason
    assert lines[1].error is not None
    assert lines[1].error < 1e-5


def test_memory_is_asked_of_a_process(config: Path) -> None:
    """Peaks are above what was there before."""
    with Session(str(config), [], 1) as session:
        work = str(inputs.dense(1, 64, 50).save(session.folder))
        found = session.process().ask("memory", work=work, mode="")
    assert found["ever"] >= found["peak"] >= found["before"] > 1_000_000


def test_everybody_gets_the_same_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a foreign Python none of our paths."""
    monkeypatch.setenv("PYTHONPATH", "/ours")
    ours, theirs = environment(COMPONENTS, 3), environment(EAGER, 3)
    for name in process.THREAD_VARIABLES:
        assert ours[name] == theirs[name] == "3"
    assert ours["PYTHONPATH"] == "/ours"
    assert "PYTHONPATH" not in theirs
    assert ours["ROFORMER_INSTRUCTION_SET"] == "none"
