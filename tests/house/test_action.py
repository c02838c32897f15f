"""The GitHub action says what the command understands, and nothing of what it is given is read as a script."""

import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roformer_conformance import cli

ROOT = Path(__file__).parents[2]
ACTION = (ROOT / ".github/actions/check/action.yml").read_text(encoding="utf-8")
PAGE = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
INPUTS = re.findall(r"^  (\w+):$", ACTION.partition("outputs:")[0], re.MULTILINE)


@pytest.mark.parametrize("option", sorted(set(re.findall(r"(?<![\w-])--[a-z]+(?= \")", ACTION)) - {"--quiet"}))
def test_every_option_of_the_action_is_one_of_the_command(option: str) -> None:
    """An option that is renamed is renamed here too."""
    known = CliRunner().invoke(cli.app, ["check", "--help"], env={"COLUMNS": "200"}).output
    assert re.search(rf"{option}\b", re.sub(r"\x1b\[[0-9;]*m", "", known))


def test_inputs_reach_the_scripts_as_variables() -> None:
    """An expression inside a script would run whatever a caller puts there."""
    scripts = [line for line in ACTION.splitlines() if "${{" in line]
    assert len(scripts) > 8
    assert all(re.fullmatch(r"\s+(?:[A-Z]+|value): \$\{\{ [\w.]+ \}\}\S*", line) for line in scripts)


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_is_explained(name: str) -> None:
    """The page lists what the action takes."""
    assert f"| `{name}` |" in PAGE


def test_every_input_reaches_the_command(tmp_path: Path) -> None:
    """The action's own script, with an interpreter that says how it is called; what is empty says nothing."""
    interpreter = tmp_path / "python"
    interpreter.write_text('#!/bin/sh\nfor given in "$@"; do echo "$given"; done\n')
    interpreter.chmod(0o755)
    script = textwrap.dedent(ACTION.rpartition("run: |\n")[2])
    said = _said(script, {name.upper(): f"<{name}>" for name in INPUTS} | {"PYTHON": str(interpreter)})
    assert said[:5] == ["-P", "-m", "roformer_conformance", "check", "<implementation>"]
    options = {name: f"<{name}>" for name in set(INPUTS) - {"implementation", "clauses", "python"}}
    assert dict(zip(said[5::2], said[6::2], strict=True)) == {
        **{f"--{name}": value for name, value in options.items()}, "--clause": "<clauses>",
    }  # fmt: skip
    bare = _said(script, dict.fromkeys(map(str.upper, INPUTS), "") | {"PYTHON": str(interpreter), "LEVEL": "smoke"})
    assert bare[5:] == ["--level", "smoke", "--workers", "", "--report", ""]


def _said(script: str, given: dict[str, str]) -> list[str]:
    run = subprocess.run(
        ["bash", "-c", script], env={**os.environ, **given}, capture_output=True, text=True, check=True
    )
    return run.stdout.splitlines()
