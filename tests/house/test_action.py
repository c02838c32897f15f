"""The GitHub action says what the command understands, and nothing of what it is given is read as a script."""

import re
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
