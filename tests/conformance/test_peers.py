"""Other people's implementations: their descriptions, and the environments that they run in."""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from roformer_conformance import cli
from roformer_conformance.expectations import load_expectations
from roformer_conformance.levels import UsageError
from roformer_conformance.peers import environments, exports, tables
from roformer_conformance.peers import summaries as summary_module
from roformer_conformance.peers.manifests import Peer, all_peers, read_peer
from roformer_conformance.process.rehearsal import rehearse
from roformer_conformance.profiles import profile_expectations
from roformer_conformance.protocol import AdapterError, find_adapter
from roformer_conformance.registry import all_checks
from roformer_conformance.vectors import load_vectors

DOCS = Path(__file__).parents[2] / "docs" / "peers"
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


@pytest.fixture
def node_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """A peer in JavaScript that needs no package, and has our kit beside it."""
    kit = next(peer for peer in PEERS if peer.runtime == "node").folder / "kit.js"
    folder = tmp_path / "scripted"
    folder.mkdir()
    (folder / "kit.js").write_text(kit.read_text(encoding="utf-8"))
    (folder / "adapter.js").write_text((ADAPTER.parent / "scripted.js").read_text(encoding="utf-8"))
    (folder / "package.json").write_text('{"name": "scripted", "private": true}')
    (folder / "package-lock.json").write_text('{"name": "scripted", "lockfileVersion": 3, "packages": {"": {}}}')
    (folder / "peer.toml").write_text(
        'title = "S"\nversion = "1"\nlink = "https://example.org"\nvariable = "S_FOLDER"\n'
        'node = ["18", "20", "22", "24"]\n'
    )
    (tmp_path / "node_modules").mkdir()
    monkeypatch.setenv("S_FOLDER", str(tmp_path))
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
    entries = (*load_expectations(peer.expected), *profile_expectations(peer.profile))
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


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_an_adapter_in_javascript_speaks_the_protocol(node_peer: Peer) -> None:
    """The kit for Node carries every type and shape both ways, says what is not supported, and ends when told to."""
    steps = list(rehearse(environments.start_peer(node_peer)))
    assert [(step.name, step.status, step.detail) for step in steps if step.status != "passed"] == [
        ("call as dict", "unsupported", "dict")
    ]
    assert "last_hidden_state (4, 7, 32) float32" in {step.detail for step in steps}


ZEROS = """
const myModel = (config, weights, { input_ids: { dims, data } }) =>
  ({ dtype: "F32", dims: [...dims, config.hidden_size], data: new Float32Array(data.length * config.hidden_size) });
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_the_adapter_of_the_guide_is_checked_by_its_command_line(tmp_path: Path) -> None:
    """`cmd:node adapter.mjs`: the module of the guide, beside a copy of the kit, with a model of zeros."""
    guide = (DOCS.parents[1] / "conformance" / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"```js\n(.*?)```", guide, re.DOTALL)[0]
    node = next(peer for peer in PEERS if peer.runtime == "node").folder
    (tmp_path / "kit.js").write_text((node / "kit.js").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "adapter.mjs").write_text(shown + ZEROS, encoding="utf-8")
    command = f"cmd:node {tmp_path / 'adapter.mjs'}"
    spoken = run("protocol", command)
    assert spoken.exit_code == 0, spoken.output
    process = find_adapter(command)
    assert list(process.runs_on) == ["node"]
    process.close()
    checked = run("check", command, "--level", "smoke", "--clause", "OUT-1.1", "--clause", "MASK-3.1")
    assert checked.exit_code == 1, checked.output
    assert "mine 1.0 fails" in checked.output
    assert "last_hidden_state" in checked.output


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_another_node_is_refused(node_peer: Peer) -> None:
    """Binaries in packages are for some versions."""
    with pytest.raises(AdapterError, match=r"nobody needs Node 7 on the path: there is v\d+"):
        environments.start_peer(replace(node_peer, name="nobody", versions=("7",)))


def test_files_are_exported_once_for_each_checkpoint(
    tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the other peer's program, in its environment; a program that fails leaves nothing behind and says why."""
    monkeypatch.setenv("NOBODYS_PYTHON", sys.executable)
    monkeypatch.setattr(exports, "peer_named", lambda name: peer)
    program = peer.folder.parent / "exporting.py"
    program.write_text(
        "import pathlib, sys; pathlib.Path(sys.argv[1], 'told').write_text(str(sys.argv[2:])); print('x')"
    )
    told: list[str] = []
    runs_files = replace(peer, exported_by="nobody")
    first = exports.exported(runs_files, tell=told.append)
    assert (first / "told").read_text() == "[]"
    assert told == ["x"]
    assert exports.exported(runs_files, tell=told.append) == first
    assert told == ["x"]
    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(AdapterError, match=r"config\.json is no file: a checkpoint to export has"):
        exports.exported(runs_files, checkpoint)
    checkpoint.mkdir()
    for name in ("config.json", "model.safetensors"):
        (checkpoint / name).write_text("{}")
    assert (exports.exported(runs_files, checkpoint) / "told").read_text() == str([str(checkpoint)])
    program.write_text("raise SystemExit('no room')")
    with pytest.raises(AdapterError, match="no room"):
        exports.exported(runs_files)
    assert len(list(first.parent.iterdir())) == 2


def test_the_committed_pages_are_what_the_command_writes() -> None:
    """A page for each result that is kept, and the table in their overview."""
    summaries = summary_module.read_summaries(DOCS / "data")
    overview = (DOCS / "README.md").read_text(encoding="utf-8")
    assert tables.table(summaries, "") in overview
    for summary in summaries:
        page = DOCS / f"{summary['implementation']}.md"
        assert page.read_text(encoding="utf-8") == tables.page(summary)
    named = {summary["implementation"] for summary in summaries}
    assert {peer.name for peer in PEERS} | {"numpy", "tensorflow"} <= named


def test_our_own_rows_stand_first_with_the_name_that_commands_take() -> None:
    """The same counting for everybody; who has no title is shown by name."""
    shown = {"version": "1", "families": {"MASK": {"passed": 3}}, "level": "smoke", "date": "today", "link": ""}
    rows = [
        {**shown, "implementation": "numpy", "title": summary_module.OURS["numpy"]},
        {**shown, "implementation": "mine", "title": "mine"},
    ]
    lines = tables.table(rows, "").splitlines()
    assert lines[2] == "| This project: engine and numba kernels, `numpy` 1 | ✓ 3 | smoke, today |"
    assert lines[3] == "| `mine` 1 | ✓ 3 | smoke, today |"


def test_a_result_becomes_a_row_a_page_and_no_path_of_a_machine(tmp_path: Path) -> None:
    """--add keeps a result; the table leads from a red cell to the page that says what differs and how to see it."""
    result, docs, readme = tmp_path / "result.json", tmp_path / "pages", tmp_path / "front.md"
    checked = run("check", "numpy-equations", "--level", "smoke", "--clause", "MASK-1", "--json", str(result))
    assert checked.exit_code == 0
    document = json.loads(result.read_text(encoding="utf-8"))
    broken = next(record for record in document["records"] if record["clause"] == "MASK-1")
    broken |= {"status": "failed", "message": "got 1 | 2\nat /usr/lib/somebody/file.py"}
    result.write_text(json.dumps(document), encoding="utf-8")
    docs.mkdir()
    (docs / "README.md").write_text(f"# Them\n{tables.START}\nold\n{tables.END}\nafter\n", encoding="utf-8")
    readme.write_text("no markers\n", encoding="utf-8")
    written = run("peers", "table", "--add", str(result), "--docs", str(docs), "--readme", str(readme))
    assert written.exit_code == 0, written.output
    overview = (docs / "README.md").read_text(encoding="utf-8")
    assert overview.startswith(f"# Them\n{tables.START}\n| implementation | MASK | level, date |")
    assert overview.endswith(f"{tables.END}\nafter\n")
    assert re.search(r"\[✗ 1 of \d+\]\(numpy-equations\.md#mask\)", overview)
    page = (docs / "numpy-equations.md").read_text(encoding="utf-8")
    assert f"`{broken['id']}` ({broken['head']}): {broken['claim'].rstrip(': ')}" in page
    assert "check numpy-equations --clause MASK-1" in page
    assert "somebody" not in page
    assert readme.read_text(encoding="utf-8") == "no markers\n"
    assert run("peers", "table", "--docs", str(tmp_path / "none")).exit_code == 2


def test_the_guide_shows_the_adapter_that_is_tried() -> None:
    """What a newcomer copies from the guide is the file that tests/peers runs, and fits on a page."""
    adapter = (DOCS / "example" / "my_adapter.py").read_text(encoding="utf-8")
    guide = (DOCS.parents[1] / "implementations" / "README.md").read_text(encoding="utf-8")
    assert f"```python\n{adapter}```" in guide
    assert sum(bool(line.strip()) and '"""' not in line for line in adapter.splitlines()) <= 32


def test_one_marker_without_the_other_is_refused(tmp_path: Path) -> None:
    """Nothing behind a lost marker is overwritten."""
    page = tmp_path / "page.md"
    page.write_text(tables.START, encoding="utf-8")
    with pytest.raises(UsageError, match="without the other"):
        tables.put(page, "x")
    assert not tables.put(tmp_path / "absent.md", "x")


@pytest.mark.parametrize(("text", "told"), [("title =", "cannot be read"), ('title = "x"', "expected title, version")])
def test_a_broken_description_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """The file is named."""
    (tmp_path / "peer.toml").write_text(text)
    with pytest.raises(AdapterError, match=told):
        read_peer(tmp_path / "peer.toml")
