"""What people read: examples run, links lead somewhere, commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
PAGES = [ROOT / name for name in LISTED if name.endswith(".md")]
TEXT_FILES = [
    ROOT / name for name in LISTED if name.endswith((".py", ".md", ".toml", ".yml", ".json", "Makefile", "run"))
]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """The command's output, in the repository's root."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_first_example_of_the_readme_runs() -> None:
    """What a newcomer pastes first works, and prints what its comments say."""
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    finished = run(sys.executable, "-W", "error", "-c", code)
    assert finished.returncode == 0, finished.stderr
    shape, difference = finished.stdout.splitlines()
    assert shape.startswith("(2, 4, 100)")
    assert float(difference) < 1e-5


def test_the_first_sentence_goes_through_tokenizer_and_model() -> None:
    """The demo's second half prints tokens, ids and logits."""
    finished = run(sys.executable, "-W", "error", "docs/examples/first_sentence.py")
    assert finished.returncode == 0, finished.stderr
    for word in ("tokens", "[MASK]", "ids", "logits", "float32"):
        assert word in finished.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    """No link of a page points to a file that is not there."""
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_commands_on_the_pages_exist() -> None:
    """Every `make` target that a page names is in the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"`make ([a-z ]+)`|^make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
        for words in named:
            assert set("".join(words).split()) <= targets, f"{page.name} names make {''.join(words)}"


def test_no_file_names_a_path_of_one_machine() -> None:
    """What is committed works anywhere."""
    pattern = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|tmp)/\w")
    found = [path.name for path in TEXT_FILES if pattern.search(path.read_text(encoding="utf-8"))]
    assert found == []
