"""Known failures: a file that is strict in both directions."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from roformer_conformance.expectations import Expectation, ExpectationError, judged, load_expectations
from roformer_conformance.records import Record

FAILED = Record("NUM-1.1/parity", "NUM-1.1", "base", "float32", "failed", message="pooler_output is missing")


@pytest.mark.parametrize(
    ("known", "record", "status"),
    [
        (Expectation("NUM-1.1/parity", "no pooler"), FAILED, "differs"),
        (Expectation("NUM-1.1/parity", "no pooler", says="pooler_output"), FAILED, "differs"),
        (Expectation("NUM-1.1/parity", "no pooler", says="logits"), FAILED, "failed"),
        (Expectation("NUM-1.1/parity", "no pooler", head="masked_lm"), FAILED, "failed"),
        (Expectation("NUM-1.1/parity", "no pooler"), replace(FAILED, status="passed"), "failed"),
        (Expectation("NUM-1.1/parity", "no pooler"), replace(FAILED, status="not_claimed"), "not_claimed"),
    ],
)
def test_only_the_expected_failure_is_one(known: Expectation, record: Record, status: str) -> None:
    """Another head, another message, or a pass, are not what was expected."""
    assert judged(record, [known]).status == status


def test_one_entry_may_name_several_checks_and_heads(tmp_path: Path) -> None:
    """Version and link at the top hold for all entries that have none of their own."""
    lines = (
        'version = "1"\nlink = "https://example.org"',
        '[[expected]]\nid = ["A-1/a", "B-1/b"]\nhead = ["base", "causal_lm"]\nreason = "so"',
        '[[expected]]\nid = "C-1/c"\nreason = "too"\nversion = "2"\n',
    )
    (tmp_path / "x.toml").write_text("\n".join(lines))
    entries = load_expectations(tmp_path / "x.toml")
    assert [(entry.id, entry.head, entry.version) for entry in entries] == [
        ("A-1/a", "base", "1"), ("A-1/a", "causal_lm", "1"), ("B-1/b", "base", "1"), ("B-1/b", "causal_lm", "1"),
        ("C-1/c", "", "2"),
    ]  # fmt: skip


@pytest.mark.parametrize("entry", ['id = "A-1/a"', 'reason = "x"', 'id = "A-1/a"\nreason = "x"\nwhen = "now"'])
def test_an_entry_without_id_or_reason_is_refused(tmp_path: Path, entry: str) -> None:
    """So is a field that nobody knows."""
    (tmp_path / "x.toml").write_text(f"[[expected]]\n{entry}\n")
    with pytest.raises(ExpectationError, match="an id, a reason and perhaps head, says, version, link, expires"):
        load_expectations(tmp_path / "x.toml")


EXPIRING = '[[expected]]\nid = ["A-1/a", "A-1/b"]\nreason = "so far"\nexpires = '


def test_an_entry_holds_until_its_day_and_is_an_error_afterwards(tmp_path: Path) -> None:
    """The last day counts; the error names the file, the checks, the day and the reason."""
    (tmp_path / "x.toml").write_text(f"{EXPIRING}2027-06-30\n")
    entries = load_expectations(tmp_path / "x.toml", today=date(2027, 6, 30))
    assert [entry.expires for entry in entries] == [date(2027, 6, 30)] * 2
    with pytest.raises(ExpectationError, match=r"x\.toml: the entry for A-1/a, A-1/b expired on 2027-06-30 \(so far\)"):
        load_expectations(tmp_path / "x.toml", today=date(2027, 7, 1))


def test_one_day_at_the_top_holds_for_all_entries(tmp_path: Path) -> None:
    """As version and link do."""
    (tmp_path / "x.toml").write_text('expires = 2001-01-01\n[[expected]]\nid = "A-1/a"\nreason = "long ago"\n')
    with pytest.raises(ExpectationError, match="expired on 2001-01-01"):
        load_expectations(tmp_path / "x.toml")


@pytest.mark.parametrize("day", ['"2027-06-30"', "2027", "2027-06-30T12:00:00"])
def test_a_day_that_is_none_is_refused(tmp_path: Path, day: str) -> None:
    """A text would be compared with nothing, and never expire."""
    (tmp_path / "x.toml").write_text(f"{EXPIRING}{day}\n")
    with pytest.raises(ExpectationError, match="expected a day without quotes, as in 2027-06-30"):
        load_expectations(tmp_path / "x.toml")
