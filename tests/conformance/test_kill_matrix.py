"""The record of what the suite sees: what it says, how it is made, and that what is recorded is so."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roformer_conformance import UsageError, cli
from roformer_conformance.kill_matrix import FaultRow, KillMatrix, header_line, read_matrix, row_line
from roformer_conformance.registry import all_checks
from roformer_conformance.resources import kill_matrix_file

from . import make_kill_matrix
from .faults import FAULTS

CHECKS = ("MASK-1/a", "MASK-2/b", "NUM-1.1/parity")
ROWS = (
    FaultRow("everywhere", "A mistake.", ("MASK-1/a", "NUM-1.1/parity"), 300.0, 1.0),
    FaultRow("masked", "Another.", ("MASK-1/a",), 1.5, 1.0),
    FaultRow("raising", "A third.", ("NUM-1.1/parity",), float("inf"), 1.0),
    FaultRow("unseen", "A fourth.", (), None, 1.0),
)
MATRIX = KillMatrix("smoke", CHECKS, 4, ROWS)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The matrix in a file."""
    path = tmp_path / "matrix.jsonl"
    path.write_text(header_line("smoke", CHECKS, 4) + "".join(map(row_line, ROWS)))
    return path


def test_a_matrix_is_read_as_it_was_written(file: Path) -> None:
    """Infinite grades and absent ones included."""
    assert read_matrix(file) == MATRIX


def test_survivors_and_idle_checks_are_named() -> None:
    """What no check sees, and what sees nothing; each family's share, and what it alone sees."""
    assert [row.fault for row in MATRIX.survivors] == ["unseen"]
    assert MATRIX.idle == ["MASK-2/b"]
    assert MATRIX.families() == {"MASK": (2, 2, 1), "NUM": (1, 2, 1)}


def test_the_kill_rate_falls_as_the_budget_grows() -> None:
    """A fault is seen by its grade, so that a wider budget lets some through."""
    assert [MATRIX.parity_kills(k) for k in (1, 4, 1000)] == [3, 2, 1]


def test_the_command_prints_what_survives(file: Path) -> None:
    """As tables for people, as an object for programs."""
    told = CliRunner().invoke(cli.app, ["faults", "--matrix", str(file)])
    assert told.exit_code == 0, told.output
    assert "3 of 4 faults are seen by 2 checks. These fail on none at this level: MASK-2/b." in told.output
    assert "survives: unseen: A fourth." in told.output
    found = json.loads(CliRunner().invoke(cli.app, ["faults", "--matrix", str(file), "--json"]).output)
    assert (found["killed"], found["survivors"], found["parity_kills"]["4"]) == (3, ["unseen"], 2)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 2}', "nonsense"])
def test_what_is_no_matrix_is_refused(tmp_path: Path, text: str) -> None:
    """A usage error that names the file."""
    path = tmp_path / "other.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"other\.jsonl"):
        read_matrix(path)
    assert CliRunner().invoke(cli.app, ["faults", "--matrix", str(path)]).exit_code == 2


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The faults that were tried and on how many checks; each is seen by the first of them."""
    calls: list[tuple[str, int]] = []

    def row_of(name: str, checks: Sequence[str]) -> FaultRow:
        calls.append((name, len(checks)))
        return FaultRow(name, make_kill_matrix.mistake_of(name), (checks[0],), None, 0.0)

    monkeypatch.setattr(make_kill_matrix, "row_of", row_of)
    return calls


def test_making_is_gone_on_with_where_it_was_stopped(tmp_path: Path, made: list[tuple[str, int]]) -> None:
    """Faults that are in the file stay as they are."""
    path, every = tmp_path / "matrix.jsonl", len(all_checks())
    assert make_kill_matrix.extend(path, ["base_9999"]) == 1
    assert make_kill_matrix.extend(path, ["base_9999", "tanh_gelu"]) == 1
    assert made == [("base_9999", every), ("tanh_gelu", every)]
    assert [row.fault for row in read_matrix(path).rows] == ["base_9999", "tanh_gelu"]


def test_only_checks_that_came_later_are_tried_on_known_faults(tmp_path: Path, made: list[tuple[str, int]]) -> None:
    """A check that is gone is taken out, a new one tried, and one that is named is tried again."""
    path, first = tmp_path / "matrix.jsonl", next(iter(all_checks()))
    make_kill_matrix.extend(path, ["base_9999"])
    path.write_text(path.read_text().replace("NUM-1.1/parity-long", "NUM-1.1/parity-short"))
    assert make_kill_matrix.extend(path, []) == 0
    assert read_matrix(path).rows[0].untried == ("NUM-1.1/parity-long",)
    assert make_kill_matrix.extend(path, ["base_9999"], again=[first]) == 1
    assert made[1:] == [("base_9999", 2)]
    assert read_matrix(path).rows[0].killed_by == (first,)
    assert read_matrix(path).rows[0].untried == ()


def test_a_fault_that_means_another_mistake_now_is_made_anew(tmp_path: Path, made: list[tuple[str, int]]) -> None:
    """What was recorded is about something else."""
    path = tmp_path / "matrix.jsonl"
    make_kill_matrix.extend(path, ["base_9999"])
    path.write_text(path.read_text().replace(make_kill_matrix.mistake_of("base_9999"), "Another."))
    assert make_kill_matrix.extend(path, ["base_9999"]) == 1


RECORDED = read_matrix(kill_matrix_file())


def test_the_recorded_faults_are_the_seeded_ones() -> None:
    """No row is about a fault that is gone or means another mistake, none names a check that does not exist."""
    for row in RECORDED.rows:
        assert row.mistake == " ".join((FAULTS[row.fault].__doc__ or "").split())
        assert set(row.killed_by) <= all_checks().keys()


def test_the_record_is_whole() -> None:
    """Every fault met every check; each check sees some fault; the few that need more cases or heads are known."""
    assert {row.fault for row in RECORDED.rows} == FAULTS.keys()
    assert not [row.fault for row in RECORDED.rows if row.untried]
    assert list(RECORDED.checks) == list(all_checks())
    assert not RECORDED.idle
    assert {row.fault for row in RECORDED.survivors} == {
        "prompt_unmasked", "sampling_too_warm", "spans_and_choices_drop", "unanswered_rows_are_not_counted",
    }  # fmt: skip


def test_the_page_tells_what_is_recorded() -> None:
    """Between the marks, word for word."""
    page = (Path(__file__).parents[2] / "docs" / "power.md").read_text(encoding="utf-8")
    told = page.partition(make_kill_matrix.BEGIN)[2].partition(make_kill_matrix.END)[0].strip()
    assert told == make_kill_matrix.told(RECORDED)


@pytest.mark.parametrize("row", RECORDED.rows[:: max(1, len(RECORDED.rows) // 3)], ids=lambda row: row.fault)
def test_what_is_recorded_is_so(row: FaultRow) -> None:
    """Of some of the faults: the first check that is said to see it does, at smoke level."""
    if row.killed_by:
        assert make_kill_matrix.tried(row.fault, all_checks()[row.killed_by[0]])[0]
