"""How many threads the engine takes: cores counted once, quotas of containers, and the user's wish before all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from roformer_numpy import InputError
from roformer_numpy.threads import cores_of, thread_count, time_quota, usable_cores

EIGHT = frozenset(range(8))


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """The files of a machine of four cores with two hardware threads each: 0 and 4, 1 and 5, …"""
    for number in EIGHT:
        folder = tmp_path / f"sys/devices/system/cpu/cpu{number}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{number % 4},{number % 4 + 4}\n")
    return tmp_path


def grouped(system: Path, line: str, files: dict[str, str]) -> Path:
    """The machine with the process in a control group; files by their path below the folder of all groups."""
    (system / "proc/self").mkdir(parents=True, exist_ok=True)
    (system / "proc/self/cgroup").write_text(line + "\n")
    for name, text in files.items():
        path = system / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return system


@pytest.mark.parametrize(
    ("processors", "cores"), [(EIGHT, 4), ({0, 4}, 1), ({0, 1}, 2), ({1, 2, 5}, 2), ({3}, 1)], ids=str
)
def test_a_core_counts_once(system: Path, processors: set[int], cores: int) -> None:
    """However many of its hardware threads may be used."""
    assert cores_of(frozenset(processors), None, system) == cores


def test_where_nothing_is_known_of_cores_every_processor_is_one(tmp_path: Path) -> None:
    """Some containers hide the files."""
    assert cores_of(EIGHT, None, tmp_path) == 8


@pytest.mark.parametrize(("quota", "cores"), [(2.0, 2), (2.9, 2), (0.5, 1), (64.0, 4), (None, 4)])
def test_a_quota_allows_as_many_threads_as_it_has_whole_processors(
    system: Path, quota: float | None, cores: int
) -> None:
    """One more would be stopped while the others wait for it; one there always is."""
    assert cores_of(EIGHT, quota, system) == cores


@pytest.mark.parametrize(
    ("line", "files", "quota"),
    [
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3.0),
        ("0::/a/b", {"a/b/cpu.max": "200000 100000", "a/cpu.max": "300000 100000"}, 2.0),
        ("0::/not/seen/from/here", {"cpu.max": "400000 100000"}, 4.0),
        ("4:cpu,cpuacct:/", {"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, 2.5),
        ("4:cpu,cpuacct:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("4:cpuset:/", {"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("0::/", {}, None),
    ],
)
def test_quotas_of_both_versions_of_control_groups_are_read(
    system: Path, line: str, files: dict[str, str], quota: float | None
) -> None:
    """The least of a group and those above it."""
    assert time_quota(grouped(system, line, files)) == quota


def test_no_control_groups_no_quota(tmp_path: Path) -> None:
    """Their files may be missing."""
    assert time_quota(tmp_path) is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system ties no process to processors")
def test_a_process_tied_to_one_processor_takes_one_thread() -> None:
    """As under taskset, also where it is tied later."""
    script = """
import os
from roformer_numpy.threads import usable_cores
assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
assert usable_cores() == 1
"""
    environment = {name: value for name, value in os.environ.items() if name != "ROFORMER_NUM_THREADS"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


def test_the_wish_of_the_user_comes_before_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wish that is no number is an error that says what is allowed."""
    monkeypatch.delenv("ROFORMER_NUM_THREADS", raising=False)
    assert thread_count() == usable_cores() >= 1
    monkeypatch.setenv("ROFORMER_NUM_THREADS", "3")
    assert thread_count() == 3
    for wrong in ("0", "-1", "many", "1.5"):
        monkeypatch.setenv("ROFORMER_NUM_THREADS", wrong)
        with pytest.raises(InputError, match="is no number of threads from 1 to 1024"):
            thread_count()
