"""The commands that look for false alarms and for runs that differ do what they say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from roformer_conformance import running
from roformer_conformance.oracle import Oracle
from roformer_conformance.planning import Job, plan
from roformer_conformance.protocol import Capabilities
from roformer_conformance.recall import recalled, remembering
from roformer_conformance.records import Record
from roformer_conformance.registry import all_checks
from roformer_conformance.running import drawn_cases, run_case, run_job
from roformer_conformance.trial import Trial
from roformer_numpy.adapter import NumpyAdapter
from roformer_numpy.components import EQUATIONS

from . import no_false_alarm
from .arithmetics import DESCRIBED, VARIANTS, reordered
from .evidence import Row, Turn, read, table, write
from .repeat import timeless

SOME = ("NUM-1.1/parity", "MASK-4.1/row-alone", "DEC-4/every-split", "TRAIN-2.1/parity")


def test_sums_in_another_order_are_another_arithmetic() -> None:
    """Correct to rounding, and not to the last bit: else the variant would show nothing."""
    draw = np.random.default_rng(0)
    x, kernel, bias = (draw.normal(size=shape).astype("float32") for shape in ((5, 64), (64, 32), (32,)))
    right, other = EQUATIONS.dense(x, kernel, bias), reordered().components.dense(x, kernel, bias)
    np.testing.assert_allclose(other, right, atol=1e-4)
    assert not np.array_equal(other, right)


@pytest.mark.parametrize("identifier", ["NUM-1.1/parity", "TRAIN-2.1/parity"])
def test_the_reordered_definition_is_not_accused(identifier: str) -> None:
    """Of the outputs and of the gradients, at smoke level."""
    adapter = reordered()
    jobs = plan([all_checks()[identifier]], Capabilities.of(adapter), "smoke")
    assert {run_job(adapter, job, "smoke", seed=7).status for job in jobs} == {"passed"}


@pytest.mark.parametrize(
    ("identifier", "dtype", "seed"),
    [
        ("MASK-5/masked-queries", "float16", 8),  # no weight of the keys that are left was more than 0
        ("ROT-2.6/mask-moves-no-position", "float16", 9),
        ("TRAIN-2.3/every-weight", "float32", 106),  # what shifts all choices had a gradient of exactly 0
    ],
)
def test_who_was_wrongly_accused_once_is_not_any_more(identifier: str, dtype: str, seed: int) -> None:
    """The draws on which it happened."""
    turn = no_false_alarm.turn(identifier, dtype, seed)
    assert sum(turn.draws.values()) > 0
    assert not turn.alarms


@pytest.mark.parametrize("identifier", SOME)
def test_judging_together_gives_the_records_of_judging_apart(identifier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the records of the suite's own run from the same seed: as many draws, the same largest grade."""
    monkeypatch.setattr(running, "examples", lambda level, effort: 3)
    monkeypatch.setattr(no_false_alarm, "CASES", 3)
    check, adapters = all_checks()[identifier], {"equations": NumpyAdapter("equations"), "reordered": reordered()}
    monkeypatch.setattr(no_false_alarm, "adapters_of", lambda dtype: adapters)
    heads = check.heads_for(Capabilities.of(adapters["equations"]))
    job = Job(check, heads[11 % len(heads)], "float32")
    cases = drawn_cases(job, 11, 3)
    apart = {name: [_told(run_case(one, check, case, "float32")) for case in cases] for name, one in adapters.items()}
    together: dict[str, list[object]] = {name: [] for name in adapters}
    for case in cases:
        with remembering():
            for name, adapter in adapters.items():
                together[name].append(_told(run_case(adapter, check, case, "float32")))
    assert together == apart
    turn = no_false_alarm.turn(identifier, "float32", 11)
    for name, adapter in adapters.items():
        record = run_job(adapter, job, "default", 11, shrink=False)
        assert (turn.draws[name], turn.largest.get(name)) == (record.examples, record.grade)
    assert not turn.alarms


def _told(record: Record) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name != "seconds"}


def test_an_oracle_is_asked_once_for_equal_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of models that are equal, whoever made them; other inputs, weights or types are other questions."""
    asked: list[str] = []
    case = all_checks()["NUM-1.1/parity"].typical("base", 0)

    def run(oracle: Oracle, inputs: object, options: object, dtype: str, components: object) -> dict[str, object]:
        asked.append(dtype)
        return {}

    monkeypatch.setattr(Oracle, "_run", run)
    weights, inputs = Trial(NumpyAdapter("equations"), "float32").weights(case), case.inputs()
    first = next(iter(weights))
    other = {**weights, first: weights[first] + 1.0}
    with remembering():
        for given in (weights, dict(weights), other, other):
            Oracle("base", case.config, given).run(dict(inputs), {})
        Oracle("base", case.config, weights).run({"input_ids": inputs["input_ids"]}, {})
        assert asked == ["float64"] * 3
    Oracle("base", case.config, weights).run(inputs, {})
    Oracle("base", case.config, weights).run(inputs, {})
    assert asked == ["float64"] * 5


def test_what_is_remembered_is_forgotten_at_the_end() -> None:
    """Nothing outlives the block."""
    for _ in range(2):
        with remembering():
            assert recalled(lambda: ("a", 1), lambda: [0]) is recalled(lambda: ("a", 1), lambda: [0])
    assert recalled(lambda: "a", lambda: [0]) is not recalled(lambda: "a", lambda: [0])


def test_a_false_alarm_is_kept_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong implementation among the variants shows that an alarm would be seen."""
    wrong = NumpyAdapter(dataclasses.replace(EQUATIONS, name="wrong", activate=lambda x, name: x))
    monkeypatch.setattr(no_false_alarm, "adapters_of", lambda dtype: {"wrong": wrong})
    monkeypatch.setattr(no_false_alarm, "CASES", 1)
    found = no_false_alarm.turn("HEAD-1.1/by-hand", "float32", 5)
    assert [(alarm["variant"], alarm["seed"]) for alarm in found.alarms] == [("wrong", 5)]


def test_no_time_means_no_draws(tmp_path: Path) -> None:
    """The command ends when its time is over, whatever is left."""
    rows = no_false_alarm.known(tmp_path / "none.jsonl")
    no_false_alarm.draw(rows, tmp_path / "file.jsonl", ["float32"], 0, 0.0)
    assert not any(row.seeds for row in rows)


def test_a_search_goes_on_where_it_ended(tmp_path: Path) -> None:
    """Seeds are counted on, figures added up, and a seed that is asked for is never drawn from twice."""
    row, file = Row("A-1/b", "float32"), tmp_path / "file.jsonl"
    row.add(Turn(row.next_seed(7), {"x": 10}, {"x": 1.5}))
    write(file, [row, Row("A-1/c", "float32")])
    (again,) = read(file).values()
    again.add(Turn(again.next_seed(0), {"x": 9}, {"x": 1.2}))
    again.add(Turn(again.next_seed(20), {"x": 1}, {}, [{"variant": "x"}]))
    assert again == Row("A-1/b", "float32", [[7, 8], [20, 20]], {"x": 20}, {"x": 1.5}, [{"variant": "x"}])


def test_the_table_counts_what_the_file_holds() -> None:
    """Draws, checks, the fewest on one, the largest grade, alarms; a line for each implementation that was tried."""
    rows = [
        Row("A-1/b", "float32", [[0, 1]], {"x": 20, "y": 19}, {"x": 1.5}),
        Row("A-1/c", "float32", [[0, 0]], {"x": 10}, {"x": 4.5}, [{"variant": "x"}]),
    ]
    told = table(rows, {("float32", "x"): "the first", ("float32", "y"): "the second", ("float64", "x"): "none"})
    assert told.splitlines()[2:] == [
        "| float32 | the first | 30 | 2 | 10 | 4.50 | 1 |",
        "| float32 | the second | 19 | 1 | 19 | 0.00 | 0 |",
    ]


def test_everyone_who_is_tried_is_described() -> None:
    """In the table."""
    assert set(DESCRIBED) == {(dtype, name) for dtype, variants in VARIANTS.items() for name in variants}


def test_the_kept_search_found_no_alarm() -> None:
    """What is committed covers every check of the families, and names no correct implementation."""
    rows = no_false_alarm.known(no_false_alarm.FILE)
    assert any(row.seeds for row in rows)
    assert not [alarm for row in rows for alarm in row.alarms]


def test_times_are_all_that_is_left_out_of_a_comparison() -> None:
    """At any depth of the document."""
    document = {"seconds": 1.0, "records": [{"id": "a", "seconds": 2.0}], "preparation_seconds": 0.5, "level": "smoke"}
    assert timeless(document) == {"records": [{"id": "a"}], "level": "smoke"}
