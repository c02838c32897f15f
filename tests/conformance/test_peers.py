"""Other people's implementations: their descriptions, and the environments that they run in."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from roformer_conformance import cli
from roformer_conformance.expectations import load_expectations
from roformer_conformance.peers import environments
from roformer_conformance.peers.manifests import Peer, all_peers, read_peer
from roformer_conformance.protocol import AdapterError
from roformer_conformance.registry import all_checks
from roformer_conformance.vectors import load_vectors

PEERS = list(all_peers().values())
ADAPTER = Path(__file__).parent / "processes" / "echo.py"


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """A peer of our own that needs no package, and a cache of our own."""
    folder = tmp_path / "nobody"
    folder.mkdir()
    (folder / "requirements.txt").write_text("# nothing\n")
    (folder / "adapter.py").write_text(ADAPTER.read_text())
    (folder / "peer.toml").write_text(
        'title = "Nobody"\nversion = "1"\nlink = "https://example.org"\nvariable = "NOBODYS_PYTHON"\n'
        f'python = ["{sys.version_info.major}.{sys.version_info.minor}"]\n'
    )
    monkeypatch.setattr(environments.platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    return read_peer(folder / "peer.toml")


def run(*arguments: str) -> Any:
    """The command with these arguments."""
    return CliRunner().invoke(cli.app, list(arguments), env={"COLUMNS": "200"})


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_peer_is_described_and_pinned(peer: Peer) -> None:
    """A link, a version, an adapter, and packages of exactly one version each."""
    assert peer.link.startswith("https://")
    assert peer.adapter.is_file()
    if peer.runtime == "node":
        wanted = json.loads((peer.folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
        locked = json.loads(peer.requirements.read_text(encoding="utf-8"))["packages"]
        assert peer.version in wanted.values()
        assert all(re.fullmatch(r"[\d.]+", version) for version in wanted.values())
        assert all("integrity" in package for place, package in locked.items() if place)
        return
    lines = [line for line in peer.requirements.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert any(line.endswith(f"=={peer.version}") for line in lines)


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.expected], ids=lambda peer: peer.name)
def test_every_known_difference_names_a_check_and_says_why(peer: Peer) -> None:
    """Id, reason, version and link; an id twice on one head would hide something."""
    assert peer.expected is not None
    entries = load_expectations(peer.expected)
    known = {*all_checks(), *(vector.check_id for vector in load_vectors())}
    for entry in entries:
        assert entry.id in known
        assert entry.version == peer.version
        assert entry.link.startswith("https://")
        assert len(entry.reason) > 15
    assert len({(entry.id, entry.head) for entry in entries}) == len(entries)


def test_the_list_names_every_peer() -> None:
    """With version, Python and whether its environment is there."""
    result = run("peers", "list")
    assert result.exit_code == 0
    for peer in PEERS:
        assert peer.name in result.output


def test_the_list_names_every_peer_on_a_narrow_terminal() -> None:
    """80 columns cut no name: it is what `peers setup` and `peers check` ask for."""
    result = CliRunner().invoke(cli.app, ["peers", "list"], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    for peer in PEERS:
        assert peer.name in result.output


@pytest.mark.parametrize("command", [("peers", "check", "nobody"), ("peers", "setup", "nobody"), ("check", "nobody")])
def test_an_unknown_peer_is_wrong_usage(command: tuple[str, ...]) -> None:
    """The known ones are listed."""
    result = run(*command)
    assert result.exit_code == 2
    assert "transformers_pytorch_5" in result.output


def test_an_environment_is_made_once_and_again_when_its_packages_change(peer: Peer) -> None:
    """Before that, the message says how to make it; afterwards the peer answers from there."""
    with pytest.raises(AdapterError, match="`roformer-conformance peers setup nobody`"):
        environments.interpreter_of(peer)
    told: list[str] = []
    python = environments.set_up(peer, told.append)
    assert python == environments.interpreter_of(peer)
    assert told[0].startswith("making ")
    peer.requirements.write_text("# something else\n")
    assert not environments.is_set_up(peer)


def test_a_variable_names_an_interpreter(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who has the packages needs no second copy of them."""
    monkeypatch.setenv("NOBODYS_PYTHON", sys.executable)
    adapter = environments.start_peer(peer)
    assert adapter.name == "echo"
    assert adapter.close() == 0
    monkeypatch.setenv("NOBODYS_PYTHON", "no-such-python")
    with pytest.raises(AdapterError, match="NOBODYS_PYTHON is 'no-such-python', which is no file"):
        environments.start_peer(peer)


def test_what_pip_says_is_told_when_it_fails(peer: Peer) -> None:
    """A package that is no package: the last lines say which; the environment does not count as set up."""
    peer.requirements.write_text("./there-is-no-such-folder\n")
    with pytest.raises(AdapterError, match=r"failed with code 1:(.|\n)*there-is-no-such-folder"):
        environments.set_up(peer)
    assert not environments.is_set_up(peer)


def test_a_missing_python_is_named(peer: Peer) -> None:
    """Packages that exist for old interpreters alone need one."""
    with pytest.raises(AdapterError, match=r"nobody needs Python 2\.1: none of them is on the path"):
        environments.set_up(replace(peer, versions=("2.1",)))


@pytest.mark.parametrize(("text", "told"), [("title =", "cannot be read"), ('title = "x"', "expected title, version")])
def test_a_broken_description_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """The file is named."""
    (tmp_path / "peer.toml").write_text(text)
    with pytest.raises(AdapterError, match=told):
        read_peer(tmp_path / "peer.toml")
