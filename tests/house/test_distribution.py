"""What a user gets: the contents of the wheel, and what importing it costs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TOP_LEVEL = {
    ".ci", ".github", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "benchmarks",
    "conformance", "docs", "fixtures", "implementations", "pyproject.toml", "reference", "tests",
}  # fmt: skip


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in the built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl"))).namelist()


def test_the_wheel_holds_our_packages_and_nothing_else(wheel: list[str]) -> None:
    """Four import packages and the metadata; no tests, no benchmarks, no stray top-level names."""
    tops = {name.split("/")[0] for name in wheel}
    packages = {name for name in tops if not name.endswith(".dist-info")}
    assert packages == {"roformer_numpy", "roformer_conformance", "roformer_tensorflow", "roformer_peers"}
    assert len(tops - packages) == 1


@pytest.mark.parametrize(
    "file",
    [
        "roformer_numpy/py.typed",
        "roformer_numpy/equations/rotary.py",
        "roformer_numpy/kernels/attention.py",
        "roformer_numpy/models_in_the_box/tang-mini/model.safetensors",
        "roformer_numpy/models_in_the_box/tang-mini/tokenizer.json",
        "roformer_conformance/py.typed",
        "roformer_conformance/SPEC.md",
        "roformer_conformance/process/messages.schema.json",
        "roformer_conformance/fixtures/case.schema.json",
        "roformer_conformance/fixtures/vectors/base-plain.json",
        "roformer_conformance/fixtures/weights/plain.safetensors",
        "roformer_peers/transformers_pytorch_5/peer.toml",
        "roformer_peers/transformers_pytorch_5/requirements.txt",
    ],
)
def test_the_wheel_holds_what_the_commands_read(wheel: list[str], file: str) -> None:
    """The specification and the golden vectors travel with the code that reads them."""
    assert file in wheel


def test_every_golden_vector_is_in_the_wheel(wheel: list[str]) -> None:
    """No vector is lost on the way to a user."""
    here = {path.name for path in (ROOT / "fixtures" / "vectors").iterdir()}
    there = {name.rsplit("/", 1)[1] for name in wheel if "/fixtures/vectors/" in name}
    assert here == there


def test_fixtures_stay_below_five_megabytes() -> None:
    """Golden vectors are small enough for everybody to install."""
    assert sum(path.stat().st_size for path in (ROOT / "fixtures").rglob("*") if path.is_file()) < 5_000_000


def test_the_top_level_holds_what_the_house_plan_names() -> None:
    """A newcomer sees the architecture from the folder names."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert {name.split("/")[0] for name in listed} <= TOP_LEVEL


@pytest.mark.parametrize("package", ["tensorflow", "torch", "numba", "tokenizers", "hypothesis", "typer", "rich"])
def test_importing_the_reference_imports_no(package: str) -> None:
    """`import roformer_numpy` is quick and needs the bare install alone."""
    code = f"import roformer_numpy, sys; sys.exit({package!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_version_is_said_once() -> None:
    """The package, its metadata and the changelog name the same version."""
    from importlib.metadata import version

    import roformer_numpy

    assert roformer_numpy.__version__ == version("roformer-reference")
    assert f"## {version('roformer-reference')}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", ["hypothesis", "typer", "rich", "jsonschema"])
def test_the_command_says_which_extra_it_needs(package: str) -> None:
    """On a bare install the command names the package and the pip command, and exits as for wrong usage."""
    code = f"import sys; sys.modules[{package!r}] = None; from roformer_conformance.command import main; main()"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert finished.stderr.strip() == (
        f'roformer-conformance needs {package}: pip install "roformer-reference[conformance]"'
    )


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_the_model_command_says_which_extra_it_needs(package: str) -> None:
    """So does the command that uses models."""
    code = f"import sys; sys.modules[{package!r}] = None; from roformer_numpy.command import main; main()"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert finished.stderr.strip() == f'roformer needs {package}: pip install "roformer-reference[cli]"'


def test_the_suite_says_which_extra_it_needs() -> None:
    """On a bare install `from roformer_conformance import check_implementation` names the pip command too."""
    code = "import sys; sys.modules['hypothesis'] = None; from roformer_conformance import check_implementation"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'needs the package hypothesis: pip install "roformer-reference[conformance]"' in finished.stderr


def test_importing_the_suite_imports_nothing_heavy() -> None:
    """Its public names are imported when they are asked for."""
    code = "import roformer_conformance, sys; sys.exit(any(name in sys.modules for name in ('numpy', 'hypothesis')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
