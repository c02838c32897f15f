"""What the package may import, what importing it costs, and what it says where TensorFlow is missing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import roformer_tensorflow

FOLDER = Path(roformer_tensorflow.__file__).parent
MODULES = sorted(FOLDER.glob("*.py"))

# What of the reference may be shared: names, shapes, rules and files, but none of its arithmetic.
SHARED = {"config", "errors", "checkpoints", "validation", "weights", "tokenization"}


def imports_of(path: Path) -> set[str]:
    """Every absolute dotted name that a module imports, `from a import b` as a.b."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_arithmetic_of_the_reference_is_imported(path: Path) -> None:
    """Two implementations that share a formula would share its mistakes, and their agreement would prove nothing."""
    parts = {name.split(".")[1] for name in imports_of(path) if name.startswith("roformer_numpy")}
    assert parts <= SHARED


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_the_suite_is_not_imported(path: Path) -> None:
    """Whoever is judged does not know the judge."""
    assert not any(name.startswith("roformer_conformance") for name in imports_of(path))


@pytest.mark.parametrize("package", ["tensorflow", "keras"])
def test_a_missing_package_is_an_error_that_says_what_to_install(package: str) -> None:
    """`import roformer_tensorflow` on a bare install names the extra."""
    code = f"import sys; sys.modules[{package!r}] = None; import roformer_tensorflow"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert 'ImportError: roformer_tensorflow needs TensorFlow: pip install "roformer-reference[tensorflow]"' in (
        finished.stderr
    )
