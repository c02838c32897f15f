"""Compiled kernels on disk: for one user alone, never wrong, never in the way.

Every test runs fresh interpreters, because what is compiled in a process stays in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roformer_numpy.kernels import cache

# Turns pairs by hand and by kernel, and says whether compiled code came from disk.
SCRIPT = """
import json, sys, warnings
import numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from roformer_numpy.equations import rotary as definition
    from roformer_numpy.kernels import cache, rotary
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32)
    table = definition.rotary_table(np.arange(5), 4, np.float32)
    difference = np.abs(rotary.rotate(x, *table) - definition.rotate(x, *table)).max()
loaded = sum(rotary.turn_pairs.stats.cache_hits.values())
messages = [str(warning.message) for warning in caught]
print(json.dumps({"right": bool(difference < 1e-6), "loaded": loaded, "warnings": messages}))
"""
SCRIPT_COMMAND = [sys.executable, "-c"]


def environment(folder: Path) -> dict[str, str]:
    """This process's environment with the cache in `folder`."""
    return {**os.environ, cache.VARIABLE: str(folder)}


def run(folder: Path, prelude: str = "") -> dict[str, Any]:
    """What a fresh interpreter reports with the cache in `folder`, `prelude` run first."""
    done = subprocess.run(
        [*SCRIPT_COMMAND, prelude + SCRIPT], env=environment(folder), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def files(folder: Path) -> list[Path]:
    """All files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that one process has filled; tests copy it."""
    folder = tmp_path_factory.mktemp("filled") / "cache"
    report = run(folder)
    assert report == {"right": True, "loaded": 0, "warnings": []}
    return folder


@pytest.fixture
def copied(filled: Path, tmp_path: Path) -> Path:
    """A copy of the filled cache."""
    return Path(shutil.copytree(filled, tmp_path / "cache"))


def test_second_process_loads_what_the_first_compiled(copied: Path) -> None:
    """One file for each function and type, found again."""
    assert len(files(copied)) == 1
    assert run(copied) == {"right": True, "loaded": 1, "warnings": []}


def test_a_process_that_finds_all_kernels_does_not_read_in_what_compiling_needs(copied: Path) -> None:
    """A module that numba imports for compiling alone is not there; compiling afterwards works."""
    check = """
import numba
needless = "numba.np.polynomial.polynomial_core" in sys.modules
print(json.dumps([loaded, needless, numba.njit(lambda x: x + 1)(1)]))
"""
    done = subprocess.run(
        [*SCRIPT_COMMAND, SCRIPT + check], env=environment(copied), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [1, False, 2]


def test_cache_is_made_for_the_user_alone(filled: Path) -> None:
    """The folders have mode 0700, the files 0600."""
    assert {stat.S_IMODE(path.stat().st_mode) for path in (filled, files(filled)[0].parent)} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(filled)} == {0o600}


def with_digest(payload: bytes) -> bytes:
    """A file that is intact and holds something else."""
    return hashlib.sha256(payload).digest() + payload


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "shorter than a digest": lambda content: content[:7],
    "one bit": lambda content: content[:-900] + bytes([content[-900] ^ 1]) + content[-899:],
    "zeros": lambda content: bytes(len(content)),
    "no pickle": lambda content: with_digest(b"\x80garbage"),
    "another pickle": lambda content: with_digest(b"\x80\x04]\x94."),
    "an empty payload": lambda content: with_digest(b""),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_cache_is_compiled_anew_and_mended(copied: Path, damage: str) -> None:
    """Right in the process that finds the damage, whole again for the next."""
    sound = {path: path.read_bytes() for path in files(copied)}
    for path, content in sound.items():
        path.write_bytes(DAMAGES[damage](content))
    assert run(copied) == {"right": True, "loaded": 0, "warnings": []}
    assert list(sound) == files(copied)
    assert run(copied)["loaded"] == 1


@pytest.mark.parametrize(("mode", "inner"), [(0o777, False), (0o1770, False), (0o770, True)])
def test_cache_that_others_can_write_to_is_refused(copied: Path, mode: int, inner: bool) -> None:
    """Nothing is loaded from there or written to it, one warning says so."""
    (files(copied)[0].parent if inner else copied).chmod(mode)
    report = run(copied)
    assert (report["right"], report["loaded"]) == (True, 0)
    assert len(report["warnings"]) == 1
    assert "others can write to it" in report["warnings"][0]
    assert len(files(copied)) == 1


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX owners")
def test_cache_of_somebody_else_is_refused(copied: Path) -> None:
    """A folder of another user is neither read nor written."""
    report = run(copied, "import os; os.getuid = lambda: 12345\n")
    assert (report["right"], report["loaded"]) == (True, 0)
    assert len(report["warnings"]) == 1
    assert "belongs to user" in report["warnings"][0]


def test_no_place_for_a_cache_costs_one_warning(tmp_path: Path) -> None:
    """A path below a file cannot be made a folder: everything is compiled."""
    (tmp_path / "file").touch()
    report = run(tmp_path / "file" / "cache")
    assert (report["right"], report["loaded"], len(report["warnings"])) == (True, 0, 1)
    assert cache.VARIABLE in report["warnings"][0]


FAILURES = {
    "full disk": "import os; os.replace = lambda *_: (_ for _ in ()).throw(OSError(28, 'No space left on device'))\n",
    "read-only": "import tempfile; tempfile.mkstemp = lambda **_: (_ for _ in ()).throw(OSError(30, 'Read-only'))\n",
    "no folder": "import pathlib; pathlib.Path.mkdir = lambda *_, **__: (_ for _ in ()).throw(OSError(13, 'No'))\n",
    "other numba": "from roformer_numpy.kernels import cache\ndel cache._reduce\n",
}


@pytest.mark.parametrize("failure", FAILURES)
def test_failure_to_write_costs_one_warning(tmp_path: Path, failure: str) -> None:
    """The answer is right, nothing half-written stays behind."""
    report = run(tmp_path / "cache", FAILURES[failure])
    assert (report["right"], report["loaded"], len(report["warnings"])) == (True, 0, 1)
    assert files(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write anywhere")
def test_read_only_cache_is_still_read(copied: Path) -> None:
    """What somebody prepared can be used without being written to."""
    folder = files(copied)[0].parent
    folder.chmod(0o500)
    try:
        assert run(copied)["loaded"] == 1
    finally:
        folder.chmod(0o700)


def test_changed_source_is_compiled_anew(copied: Path) -> None:
    """With another stamp of the sources nothing is found, and a new file stands beside the old one."""
    prelude = "from roformer_numpy.kernels import cache\ncache.source_stamp = lambda: 'edited'\n"
    assert run(copied, prelude) == {"right": True, "loaded": 0, "warnings": []}
    assert len(files(copied)) == 2


@pytest.mark.parametrize("edited", ["kernels/elementary.py", "kernels/jit.py", "equations/activations.py"])
def test_stamp_sees_every_module_that_ends_up_in_a_kernel(
    edited: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit in a sibling changes the stamp, although the file that defines the kernel stays the same."""
    package = Path(cache.__file__).parents[1]
    for folder in ("kernels", "equations"):
        shutil.copytree(package / folder, tmp_path / folder)
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "kernels" / "cache.py"))
    before = cache.source_stamp.__wrapped__()
    with (tmp_path / edited).open("a") as file:
        file.write("\n# edited\n")
    assert cache.source_stamp.__wrapped__() not in (before, None)


def test_processes_that_compile_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Three start with no cache; all are right, and what they leave is sound."""
    folder = tmp_path / "cache"
    children = [
        subprocess.Popen([*SCRIPT_COMMAND, SCRIPT], env=environment(folder), stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    reports = [json.loads(child.communicate()[0]) for child in children]
    assert all(report["right"] and not report["warnings"] for report in reports)
    assert len(files(folder)) == 1
    assert run(folder)["loaded"] == 1


def test_importing_compiles_nothing_and_touches_no_folder(tmp_path: Path) -> None:
    """The cache folder does not even exist after the import."""
    script = "from roformer_numpy.kernels import rotary, losses; print(rotary.turn_pairs.signatures)"
    done = subprocess.run(
        [*SCRIPT_COMMAND, script], env=environment(tmp_path / "cache"), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert not (tmp_path / "cache").exists()


def test_flush_deletes_the_files_of_one_kernel(copied: Path) -> None:
    """numba's own way to drop a cache works."""
    script = "from roformer_numpy.kernels import losses, rotary; losses.label_losses._cache.flush(); "
    command = [*SCRIPT_COMMAND, script + "rotary.turn_pairs._cache.flush()"]
    subprocess.run([*SCRIPT_COMMAND, script], env=environment(copied), check=True)
    assert len(files(copied)) == 1
    subprocess.run(command, env=environment(copied), check=True)
    assert files(copied) == []
