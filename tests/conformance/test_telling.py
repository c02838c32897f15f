"""Failures that tell most are explained and shown first, and what most of them look like is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from roformer_conformance import check_implementation, failures
from roformer_conformance.diagnosis import Diagnosis
from roformer_conformance.records import Record, Result
from roformer_conformance.report import document, print_result, write_pages
from roformer_conformance.telling import NOT_EXPLAINED, in_order_of_computing, most_telling, suspicion
from roformer_numpy.adapter import NumpyAdapter
from roformer_numpy.components import EQUATIONS

HALF = "half-split rotary"


def failure(identifier: str, head: str = "base", **fields) -> Record:
    """A made-up failure."""
    return replace(Record(identifier, identifier.partition("/")[0], head, "float32", "failed"), **fields)


def test_arithmetic_comes_before_bad_input_and_one_of_each_family_first() -> None:
    """Every family is heard once, earliest in the computation first; a check on a second head comes last."""
    names = ["CFG-3.1/a", "ERR-2/ids", "ERR-3/types", "NUM-1.1/parity", "NUM-1.1/parity", "ROT-2.1/probe", "ROT-2.2/b"]
    told = most_telling([*names, "CFG-2.1/vector-base-plain", "EMB-1.1/vector-base-plain"], str)
    assert told == [
        "ROT-2.1/probe", "NUM-1.1/parity", "CFG-2.1/vector-base-plain", "CFG-3.1/a", "ERR-2/ids", "ROT-2.2/b",
        "EMB-1.1/vector-base-plain", "ERR-3/types", "NUM-1.1/parity",
    ]  # fmt: skip


def test_items_of_pytest_begin_with_arithmetic() -> None:
    """They are explained as they come, so that they come in the order of computing, families together."""
    names = ["ATT-3.1/a", "CFG-3.1/a", "ERR-2/ids", "NUM-1.1/parity", "ATT-3.1/b", "EMB-1.1/sum"]
    assert in_order_of_computing(names, str) == [
        "EMB-1.1/sum", "ATT-3.1/a", "ATT-3.1/b", "NUM-1.1/parity", "CFG-3.1/a", "ERR-2/ids",
    ]  # fmt: skip


def test_the_mistake_that_most_failures_look_like_is_named_with_its_count() -> None:
    """Failures that nobody had time for are not counted."""
    alike = [failure(f"ROT-2.{number}/a", looks_like=(HALF,), diagnosis=("first",)) for number in range(3)]
    other = failure("ROT-2.4/a", looks_like=("no rotation",), diagnosis=("first",))
    late = failure("ERR-2/ids", diagnosis=(f"{NOT_EXPLAINED}: others took the 15 s",))
    told = suspicion([vars(record) for record in (*alike, other, late)])
    assert told == f"most likely: {HALF}: 3 of 4 failures that were looked into look like it"


def test_nothing_is_suspected_where_nothing_is_alike() -> None:
    """No failure like a mistake, fewer than half of them, or too many mistakes that explain all alike: no sentence."""
    assert suspicion([{"diagnosis": ("first",)}]) == ""
    alike = {"looks_like": (HALF,), "diagnosis": ("first",)}
    assert suspicion([alike, {"diagnosis": ("first",)}]) != ""
    assert suspicion([alike, {"diagnosis": ("first",)}, {"diagnosis": ("first",)}]) == ""
    assert suspicion([{"looks_like": tuple("abcdef"), "diagnosis": ("first",)}]) == ""


def test_words_that_most_failures_share_are_told_once_above_them() -> None:
    """A mistyped name in an adapter fails everything with one exception: that is the news."""
    typo = {"message": "KeyError: 'last_hidden_states'\nadapter.py:7 in call: return outputs['last_hidden_states']"}
    assert suspicion([typo, typo, {"message": "other"}]) == "2 of 3 failures say: KeyError: 'last_hidden_states'"
    assert suspicion([typo, {"message": "one"}, {"message": "two"}]) == ""
    assert suspicion([typo]) == ""
    assert suspicion([]) == ""


def test_a_place_where_most_failures_begin_is_told_where_no_mistake_is_known() -> None:
    """An unknown mistake in the embeddings shows there first, whatever is checked."""
    place = "that is the embeddings: rows, token types, LayerNorm, projection"
    here, there = {"message": "a", "diagnosis": ("first", place)}, {"message": "b", "diagnosis": ("first", place)}
    late = {"message": "c", "diagnosis": (f"{NOT_EXPLAINED}: others took the 15 s",)}
    told = "2 of 2 failures that were looked into begin in the embeddings: rows, token types, LayerNorm, projection"
    assert suspicion([here, there, late]) == told
    assert suspicion([{**here, "looks_like": (HALF,)}, {**there, "looks_like": (HALF,)}]).startswith("most likely")


def test_the_time_goes_to_arithmetic_and_not_to_what_runs_first(monkeypatch) -> None:
    """A configuration's checks run before those of the rotation; with time for one, the rotation's is explained."""
    explained = []

    def diagnosis(examiner: failures.Examiner, record: Record) -> Diagnosis:
        explained.append(record.id)
        return Diagnosis()

    def half_split(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
        a, b = np.split(x, 2, axis=-1)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)

    monkeypatch.setattr(failures.Examiner, "_diagnosis", diagnosis)
    faulty = NumpyAdapter(replace(EQUATIONS, name="half-split", rotate=half_split))
    seen = []
    result = check_implementation(
        faulty, level="smoke", clauses=("ERR-4.2/longest", "DEC-5.3/by-hand", "ROT-2.1/plane-probe"),
        progress=lambda record, total: seen.append((record.id, total)),
    )  # fmt: skip
    assert {record.id for record in result.failed} == {"ERR-4.2/longest", "DEC-5.3/by-hand", "ROT-2.1/plane-probe"}
    assert explained[:3] == ["ROT-2.1/plane-probe", "DEC-5.3/by-hand", "ERR-4.2/longest"]
    assert len(seen) == len(result.records) + len(result.failed) == seen[-1][1]


def test_the_page_and_the_summary_name_it_too(tmp_path: Path) -> None:
    """In the card of the implementation, and above the list of failures."""
    records = (failure("ERR-2/ids"), failure("ROT-2.1/probe", looks_like=(HALF,), diagnosis=("first",)))
    pages = write_pages([document(Result("mine", "1", "smoke", 0, records, ("ERR-2", "ROT-2.1")))], tmp_path)
    for path in pages[:2]:
        told = path.read_text(encoding="utf-8").replace("\\", "")
        assert told.index(f"most likely: {HALF}") < told.rindex("ROT-2.1/probe") < told.rindex("ERR-2/ids")


def test_the_terminal_begins_with_what_is_most_likely() -> None:
    """The first line names it, and so does the line above the verdict; the rotation's failure stands first."""
    records = (failure("ERR-2/ids"), failure("ROT-2.1/probe", looks_like=(HALF,), diagnosis=("first",)))
    console = Console(record=True, width=120)
    print_result(Result("mine", "1", "smoke", 0, records, ("ERR-2", "ROT-2.1")), console)
    lines = console.export_text().splitlines()
    assert lines[0] == lines[-2] == f"most likely: {HALF}: 1 of 1 failures that were looked into look like it"
    panels = [line for line in lines if line.startswith("╭")]
    assert ["ROT-2.1/probe" in panels[0], "ERR-2/ids" in panels[1]] == [True, True]
