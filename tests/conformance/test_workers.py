"""A run shared by processes: the same result as in one, and nothing lost when a process dies."""

from dataclasses import replace
from pathlib import Path

import pytest

from roformer_conformance import AdapterError, Record, UsageError, check_implementation
from roformer_conformance.protocol import find_adapter
from roformer_conformance.records import Result
from roformer_numpy.adapter import NumpyAdapter

MODULE = """
import os
import signal
import sys

from roformer_numpy.adapter import NumpyAdapter


class Doomed(NumpyAdapter):
    def __init__(self):
        super().__init__("equations")
        self.name = "doomed"
        self.capabilities = {"heads": ["base", "masked_lm", "causal_lm", "multiple_choice"], "dtypes": ["float32"]}

    def load(self, head, config, weights, dtype):
        if head == "masked_lm":
            os.kill(os.getpid(), signal.SIGKILL)
        if head == "multiple_choice":
            os._exit(7)
        return super().load(head, config, weights, dtype)


class Growing(NumpyAdapter):
    def load(self, head, config, weights, dtype):
        kept.append(os.getpid())
        with open(os.environ["PROCESSES"], "a") as file:
            print(os.getpid(), file=file)
        os.environ["GROW"] and kept.append(bytearray(os.urandom(1) * 2**28))
        return super().load(head, config, weights, dtype)


kept = []


def growing():
    import roformer_conformance.workers

    roformer_conformance.workers.GROWTH = 2**27
    return Growing("equations")


def absent_elsewhere():
    if "roformer_conformance.workers" not in sys.modules or "pytest" not in sys.modules:
        raise RuntimeError("no licence on this machine")
    return NumpyAdapter("equations")
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Implementations that other processes can import by name."""
    (tmp_path / "doomed_adapters.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def timeless(result: Result) -> list[Record]:
    """The records but for the seconds that they took."""
    return [replace(record, seconds=0.0) for record in result.records]


def test_two_workers_give_the_records_of_one_in_the_same_order() -> None:
    """Which process ran a check, and which ended first, cannot be told from a result."""
    adapter = NumpyAdapter("equations")
    one, two = (
        check_implementation(adapter, level="smoke", clauses=["FFN", "NUM-1.1/parity"], seed=3, workers=workers)
        for workers in (1, 2)
    )
    assert timeless(one) == timeless(two)
    assert len(one.records) > 20


def test_a_check_whose_process_dies_is_a_failure_and_the_others_go_on() -> None:
    """A record says how the process ended; each of the other checks has its record as well."""
    adapter = find_adapter("doomed_adapters:Doomed")
    result = check_implementation(
        adapter, level="smoke", clauses=["NUM-1.1/parity"], workers=2, replay_name="doomed_adapters:Doomed"
    )
    assert [(record.head, record.status) for record in result.records] == [
        ("base", "passed"), ("masked_lm", "failed"), ("causal_lm", "passed"), ("multiple_choice", "failed"),
    ]  # fmt: skip
    killed, ended = result.failed
    assert "was killed by SIGKILL" in killed.message
    assert "ended with exit code 7" in ended.message
    assert "check doomed_adapters:Doomed --clause NUM-1.1/parity --level smoke" in killed.replay
    assert killed.claim
    assert killed.diagnosis == ("not explained: trying it here could end this process too",)


def test_a_process_that_has_grown_large_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process does two attempts where each leaves 256 MiB behind and 128 are allowed; the records are the same."""
    processes = tmp_path / "processes"
    monkeypatch.setenv("PROCESSES", str(processes))
    counts, results = [], []
    for grow in ("", "yes"):
        monkeypatch.setenv("GROW", grow)
        processes.write_text("")
        options = {"level": "smoke", "clauses": ["FFN-4.2", "FFN-4.3"], "workers": 1 + bool(grow)}
        name = "doomed_adapters:growing"
        results.append(check_implementation(find_adapter(name), replay_name=name, **options))
        counts.append(len(set(processes.read_text().split())))
    assert timeless(results[0]) == timeless(results[1])
    assert counts == [1, len(results[1].records)]


def test_an_adapter_that_no_worker_can_make_is_an_error_with_its_reason() -> None:
    """What was made here and cannot be made elsewhere is said once, not as a thousand failures."""
    name = "doomed_adapters:absent_elsewhere"
    with pytest.raises(AdapterError, match="no licence on this machine"):
        check_implementation(find_adapter(name), level="smoke", clauses=["FFN"], workers=2, replay_name=name)


def test_an_adapter_that_cannot_be_pickled_is_refused_by_name() -> None:
    """It has no name to be found by and cannot travel: the message says what to do."""
    adapter = NumpyAdapter("equations")
    adapter.secret = lambda: None
    with pytest.raises(UsageError, match="numpy-equations cannot be taken to other processes, use workers=1"):
        check_implementation(adapter, level="smoke", clauses=["FFN"], workers=2)


def test_no_workers_is_refused() -> None:
    """Somebody has to do the work."""
    with pytest.raises(UsageError, match="workers=0"):
        check_implementation(NumpyAdapter("equations"), workers=0)
