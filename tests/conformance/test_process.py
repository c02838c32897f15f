"""Implementations in processes of their own: what crosses the border, and what happens to those that misbehave."""

import dataclasses
import os
import platform
import re
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from roformer_conformance import kit
from roformer_conformance.process import Limits, ProcessAdapter
from roformer_conformance.process.adapter import ImplementationError
from roformer_conformance.protocol import (
    MODES,
    AdapterError,
    Capabilities,
    ImplementationDied,
    Unsupported,
    cache_of,
    find_adapter,
    flatten,
)
from roformer_conformance.runner import check_implementation, environment
from roformer_conformance.trial import heard_warnings
from roformer_numpy.adapter import NumpyAdapter

FOLDER = Path(__file__).parent / "processes"
TABLE = np.arange(12.0).reshape(4, 3)
WEIGHTS = {"embeddings.word_embeddings.weight": TABLE, "pooler.dense.weight": np.eye(3)}
IDS = {"input_ids": np.array([[1, 3]])}
LIMITS = Limits(start=60.0, command=60.0)


def command(name: str = "Adapter") -> list[str]:
    """What starts one of the adapters."""
    return [sys.executable, kit.__file__, f"{FOLDER / 'echo.py'}:{name}"]


def started(name: str = "Adapter", **limits: float) -> ProcessAdapter:
    """One of the adapters in its process."""
    return ProcessAdapter(command(name), dataclasses.replace(LIMITS, **limits))


@pytest.fixture(scope="module")
def echo() -> Iterator[ProcessAdapter]:
    """The adapter without a fault."""
    adapter = started()
    yield adapter
    assert adapter.close() == 0
    assert adapter.deaths == []


def death_of(name: str, **limits: float) -> tuple[ProcessAdapter, str]:
    """The adapter after its model was called, and what is said about its death."""
    adapter = started(name, **limits)
    model = adapter.load("base", {}, WEIGHTS, "float32")
    with pytest.raises(ImplementationDied) as caught:
        model(IDS)
    return adapter, str(caught.value)


def test_a_process_says_who_it_is_and_claims_nothing_that_stays_inside(echo: ProcessAdapter) -> None:
    """Name, version and capabilities arrive; that values are handed over as they are is not passed on."""
    assert (echo.name, echo.version) == ("echo", "1")
    capabilities = Capabilities.of(echo)
    assert capabilities.heads == ("base",)
    assert capabilities.claims("cache")
    assert not capabilities.claims("python_values")


def test_a_call_says_how_it_is_executed(echo: ProcessAdapter) -> None:
    """Graph mode is seen from outside, too: inputs and options arrive with the way in which they are to be computed."""
    model = echo.load("base", {}, WEIGHTS, "float32")
    for mode in MODES:
        got = flatten(model.execute(IDS, {"return_dict": True}, mode))
        np.testing.assert_array_equal(got["last_hidden_state"], TABLE[IDS["input_ids"]])
        assert got["mode"] == len(mode)


def test_arrays_arrive_and_return_as_they_were(echo: ProcessAdapter) -> None:
    """Every type, any strides, no elements, no axes; prints of the adapter do not disturb."""
    model = echo.load("base", {"vocab_size": 4}, WEIGHTS, "float64")
    for dtype in ("int8", "uint64", "int32"):
        ids = np.asfortranarray(np.array([[3, 0], [1, 2]], dtype))[:, ::-1]
        np.testing.assert_array_equal(model({"input_ids": ids})["last_hidden_state"], TABLE[ids])
    mask = {"attention_mask": np.ones((1, 2), np.float16), "token_type_ids": np.bool_(True), "head_mask": None}
    assert model({**IDS, **mask})["given"].tolist() == [9, 9, 14, 14]
    assert echo.deaths == []


def test_outputs_keep_their_tuples_and_lose_what_is_none(echo: ProcessAdapter) -> None:
    """A cache goes there and back; return_dict=False is the one name "tuple"."""
    model = echo.load("base", {}, WEIGHTS, "float32")
    got = model(IDS, options={"use_cache": True})
    assert sorted(got) == ["given", "last_hidden_state", "past_key_values"]
    past = cache_of(flatten(got))
    again = model({**IDS, "past_key_values": past}, options={"use_cache": True})
    np.testing.assert_array_equal(again["past_key_values"][0][1], TABLE.astype("float32") + 1)
    assert isinstance(model(IDS, options={"return_dict": False})["tuple"], tuple)


def test_errors_are_raised_again_as_what_they_were(echo: ProcessAdapter) -> None:
    """A ValueError is one here, with its message; an implementation that raises is alive."""
    model = echo.load("base", {}, WEIGHTS, "float32")
    with pytest.raises(ValueError, match="input_ids holds 9, allowed are 0 to 3"):
        model({"input_ids": np.array([[9]])})
    with pytest.raises(KeyError, match="word_embeddings"):
        echo.load("base", {}, {"pooler.dense.weight": TABLE}, "float32")
    assert model(IDS)["last_hidden_state"].shape == (1, 2, 3)


def test_exceptions_of_the_implementations_own_are_the_nearest_of_pythons() -> None:
    """The class's own name stays in the message."""
    with pytest.raises(IndexError, match="OutOfRangeError: word 99"):
        started("OwnException").load("base", {}, WEIGHTS, "float32")(IDS)


def test_warnings_cross_over(echo: ProcessAdapter, capfd: pytest.CaptureFixture[str]) -> None:
    """A warning in the process is heard by a check that listens, and else by nobody."""
    without = {"embeddings.word_embeddings.weight": TABLE}
    with heard_warnings() as heard:
        echo.load("base", {}, without, "float32")
    assert heard == ["pooler.dense is missing"]
    echo.load("base", {}, without, "float32")
    assert capfd.readouterr() == ("", "")


def test_models_are_saved_loaded_pruned_and_resized(echo: ProcessAdapter, tmp_path: Path) -> None:
    """Each in its process; the loaded one with other fields."""
    model = echo.load("base", {}, WEIGHTS, "float64")
    model.save(tmp_path)
    np.testing.assert_array_equal(
        echo.load_saved("base", tmp_path, "float64", scale=3)(IDS)["last_hidden_state"], 3 * TABLE[IDS["input_ids"]]
    )
    model.prune_heads({0: [1]})
    model.resize_token_embeddings(3)
    with pytest.raises(ValueError, match="0 to 2"):
        model(IDS)
    assert list(model.gradients(IDS, {})) == ["embeddings.word_embeddings.weight", "loss"]


def test_what_no_file_holds_is_unsupported_not_passed(echo: ProcessAdapter) -> None:
    """Lists, sets and texts stay here: the check that needs them was not tried."""
    model = echo.load("base", {}, WEIGHTS, "float32")
    for value in ([[1, 2]], {1}, np.array(["a"])):
        with pytest.raises(Unsupported, match="python_values: input_ids as"):
            model({"input_ids": value})
    with pytest.raises(ImplementationError, match=r'SafetensorError: .*"object"'):
        started("ObjectArrays").load("base", {}, WEIGHTS, "float32")(IDS)


def test_models_that_nobody_holds_are_released(echo: ProcessAdapter) -> None:
    """A dropped model is forgotten on the other side with the next message."""
    model = echo.load("base", {}, WEIGHTS, "float32")
    number = model._number
    del model
    echo.load("base", {}, WEIGHTS, "float32")
    with pytest.raises(KeyError, match=str(number)):
        echo.ask_with("call", number, IDS, {}, style="keywords")


def test_an_unsupported_answer_counts_as_not_claimed() -> None:
    """A check that the process declines is neither passed nor failed, and says why."""
    result = check_implementation(started("Refuses"), level="smoke", clauses=["MASK-1"])
    assert {record.status for record in result.records} == {"not_claimed"}
    assert any(record.message == "needs a gpu" for record in result.records)


@pytest.mark.parametrize(
    ("name", "limits", "cause"),
    [
        ("Hangs", {"command": 1.0}, "gave no answer to call within 1 seconds"),
        ("KilledBySignal", {}, "was killed by SIGKILL; it printed last:\nthe last words"),
        ("Exits", {}, "exited with code 7"),
        ("TakesMemory", {"memory": 400 * 2**20}, r"used 0\.[3-9]\d GiB of memory, 0\.39 are allowed"),
        ("Prints", {"prints": 2**20}, "printed more than 1048576 bytes"),
    ],
)
def test_the_cause_of_death_is_named(name: str, limits: dict[str, float], cause: str) -> None:
    """Limits, signals and exit codes, with the last lines that were printed; the process is gone."""
    adapter, told = death_of(name, **limits)
    assert re.search(cause, told), told
    assert len(adapter.deaths) == 1
    assert not processes_of(adapter)


def test_a_process_that_cannot_start_says_why() -> None:
    """The traceback's last line is part of the cause; a command that does not exist is wrong usage."""
    with pytest.raises(ImplementationDied, match=r"exited with code 1; it printed last:(.|\n)*no libraries here"):
        started("DiesAtStart")
    with pytest.raises(AdapterError, match="'no-such-program --flag' cannot be started"):
        find_adapter("cmd:no-such-program --flag")
    with pytest.raises(AdapterError, match="no command line"):
        find_adapter("cmd: ")


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("garbage", "answered load with what is no JSON: b'this is no JSON'"),
        ("deep", "answered load with what is no JSON"),
        ("array", r"is not of type 'object'"),
        ("neither", "is not valid under any of the given schemas"),
        ("both", "valid under each of"),
        ("wrong-id", "answered load number 1 with the answer to 99"),
        ("endless", "and no end of line in answer to load"),
        ("escapes", r"named the outputs '\.\./secret.safetensors'|does not match"),
        ("link", "named the outputs 'link', which is no file"),
        ("no-file", "named the outputs 'none', which is no file"),
        ("no-tensors", "wrote outputs that cannot be read"),
    ],
)
def test_a_process_that_breaks_the_protocol_is_ended(fault: str, cause: str) -> None:
    """Garbage, answers to other questions, files that are none: each is named, and nothing is read into it."""
    adapter = ProcessAdapter([sys.executable, str(FOLDER / "liar.py"), fault], LIMITS)
    with pytest.raises(ImplementationDied) as caught:
        adapter.load("base", {}, WEIGHTS, "float32")(IDS)
    assert re.search(cause, str(caught.value)), caught.value
    assert not processes_of(adapter)


@pytest.mark.parametrize(("fault", "error"), [("hello", ImplementationDied), ("claims", AdapterError)])
def test_a_process_that_introduces_itself_wrongly_is_refused(fault: str, error: type[Exception]) -> None:
    """No JSON, or a claim about objects that nobody can see from outside."""
    with pytest.raises(error, match=r"no JSON: b'hello'|claims output_objects"):
        ProcessAdapter([sys.executable, str(FOLDER / "liar.py"), fault], LIMITS)


def test_orphans_are_ended_too() -> None:
    """A child that moved to a session of its own does not outlive the run."""
    adapter = started("LeavesAnOrphan")
    orphan = int(adapter.load("base", {}, WEIGHTS, "float32")(IDS)["last_hidden_state"][0])
    assert Path(f"/proc/{orphan}").exists()
    adapter.close()
    deadline = time.monotonic() + 10
    while is_running(orphan) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(orphan)


def test_a_dead_process_is_started_again_but_not_for_ever() -> None:
    """A model of the dead process is gone; after three deaths nothing is started any more, and the run goes on."""
    adapter, _ = death_of("Exits")
    model = adapter.load("base", {}, WEIGHTS, "float32")
    with pytest.raises(ImplementationDied, match="exited with code 7"):
        model(IDS)
    with pytest.raises(ImplementationDied, match="the process that held this model died before"):
        model(IDS)
    result = check_implementation(adapter, level="default", clauses=["MASK-1"])
    assert result.failed
    assert not result.passed
    assert len(adapter.deaths) == 3
    assert "is not started again: it died 3 times" in result.failed[-1].message
    assert all(record.examples == 1 for record in result.failed)  # nobody looks for a smaller case that kills


def test_limits_come_from_the_environment() -> None:
    """Seconds for a command and GiB of memory; what is no number above 0 is refused."""
    given = {"ROFORMER_CONFORMANCE_SECONDS": "2.5", "ROFORMER_CONFORMANCE_GIB": "0.5"}
    assert Limits.from_environment(given) == Limits(command=2.5, memory=2**29)
    assert Limits.from_environment({}) == Limits()
    for text in ("fast", "0", "-1", "nan"):
        with pytest.raises(AdapterError, match="ROFORMER_CONFORMANCE_SECONDS is "):
            Limits.from_environment({"ROFORMER_CONFORMANCE_SECONDS": text})


def test_the_folder_of_a_session_is_private_and_removed() -> None:
    """Nobody else reads the weights, and nothing stays behind."""
    adapter = started()
    folder = adapter._folder
    assert folder.stat().st_mode & 0o777 == 0o700
    model = adapter.load("base", {}, WEIGHTS, "float32")
    model(IDS)
    assert [path.name for path in folder.iterdir()] == ["log.txt"]
    adapter.close()
    assert not folder.exists()


def is_running(number: int) -> bool:
    """Whether a process computes: what ended and was not collected by its parent does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def processes_of(adapter: ProcessAdapter) -> list[str]:
    """Running processes whose command line names the adapter's folder or program."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if int(entry.name) != os.getpid() and arguments[: len(adapter.command)] == list(adapter.command):
            found += [entry.name] if is_running(int(entry.name)) else []
    return found


def test_no_warning_is_left_behind() -> None:
    """Making and closing an adapter leaks no descriptor and no child."""
    before = set(os.listdir("/proc/self/fd"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        started().close()
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_process_says_what_it_runs_on() -> None:
    """Its Python and its packages stand in the result beside the suite's own, and so do words of the adapter's."""
    process = started()
    assert process.runs_on == {"python": platform.python_version(), "numpy": np.__version__, "engine": "7.1"}
    told = environment(process)
    assert told["implementation: engine"] == "7.1"
    assert told["implementation: numpy"] == told["numpy"] == np.__version__
    process.close()


def test_a_process_that_says_nothing_of_itself_is_not_given_the_suites_packages() -> None:
    """Another language has no Python; silence stays silence."""
    process = started()
    process.runs_on = {}
    assert not [name for name in environment(process) if name.startswith("implementation: ")]
    process.close()


def test_an_implementation_beside_the_suite_says_what_it_runs_on_too() -> None:
    """What its adapter knows, and frameworks that are imported."""

    class Mine(NumpyAdapter):
        versions: ClassVar = {"blas": "0.3"}

    told = environment(Mine("equations"))
    assert (told["implementation: blas"], told["implementation: numpy"]) == ("0.3", np.__version__)
