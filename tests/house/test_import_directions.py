"""What a module may import, enforced by reading the source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "roformer_numpy": ROOT / "reference",
    "roformer_conformance": ROOT / "conformance",
    "roformer_tensorflow": ROOT / "implementations",
}
MODULES = sorted(path for folder in PACKAGES.values() for path in folder.rglob("*.py"))

# Third-party packages, and the only places that may import them.
HOMES = {
    "numba": ("roformer_numpy/kernels/",),
    "llvmlite": ("roformer_numpy/kernels/",),
    "platformdirs": ("roformer_numpy/kernels/", "roformer_conformance/peers/"),
    "safetensors": (
        "roformer_numpy/checkpoints/",
        "roformer_numpy/training/checkpoint.py",
        "roformer_conformance/vectors.py",
        "roformer_conformance/checks/exchange.py",
        "roformer_conformance/kit.py",
        "roformer_conformance/process/arguments.py",
        "roformer_conformance/failures.py",
        "roformer_conformance/golden.py",
        "roformer_peers/",
    ),
    "ml_dtypes": ("roformer_numpy/checkpoints/",),
    "msgspec": ("roformer_numpy/config.py",),
    "tokenizers": ("roformer_numpy/tokenization/",),
    "rjieba": ("roformer_numpy/tokenization/",),
    "hypothesis": ("roformer_conformance/",),
    "jinja2": ("roformer_conformance/report/",),
    "markupsafe": ("roformer_conformance/report/",),
    "matplotlib": ("roformer_conformance/report/", "roformer_numpy/training/curve.py"),
    "jsonschema": (
        "roformer_conformance/vectors.py",
        "roformer_conformance/process/frames.py",
        "roformer_conformance/report/",
    ),
    "typer": (
        "roformer_conformance/cli.py",
        "roformer_conformance/terminal.py",
        "roformer_conformance/process/commands.py",
        "roformer_conformance/peers/",
        "roformer_conformance/profiles/",
        "roformer_conformance/cli_diagnosis.py",
        "roformer_conformance/cli_report.py",
        "roformer_conformance/cli_faults.py",
        "roformer_numpy/cli/",
    ),
    "rich": (
        "roformer_conformance/cli.py",
        "roformer_conformance/report/",
        "roformer_conformance/terminal.py",
        "roformer_conformance/process/commands.py",
        "roformer_conformance/peers/",
        "roformer_conformance/profiles/",
        "roformer_conformance/cli_diagnosis.py",
        "roformer_conformance/cli_report.py",
        "roformer_conformance/cli_faults.py",
        "roformer_numpy/cli/",
    ),
    "pytest": ("roformer_conformance/testing.py",),
    "tensorflow": (
        "roformer_tensorflow/",
        "roformer_peers/",
        "roformer_numpy/checkpoints/tensorflow1.py",
        "roformer_numpy/benchmarking/peer_side/",
    ),
    "keras": ("roformer_tensorflow/",),
    "ptloader": ("roformer_numpy/checkpoints/pytorch_files.py",),
    "torch": (
        "roformer_numpy/checkpoints/pytorch_files.py",
        "roformer_peers/",
        "roformer_numpy/benchmarking/peer_side/",
    ),
    "h5py": ("roformer_numpy/checkpoints/hdf5_files.py",),
    "transformers": ("roformer_peers/", "roformer_numpy/benchmarking/peer_side/"),
    "onnxruntime": ("roformer_peers/", "roformer_numpy/benchmarking/peer_side/"),
    "openvino": ("roformer_peers/", "roformer_numpy/benchmarking/peer_side/"),
}

# Parts of the reference, and what each may import of the others; `kernels` may look up its twin's constants.
DIRECTIONS = {
    "errors": set(),
    "files": set(),
    "json_files": set(),
    "config": {"errors", "files", "json_files"},
    "weights": {"config", "errors"},
    "equations": {"weights"},
    "components": {"equations", "weights"},
    "arithmetic": {"components", "errors", "kernels"},
    "kernels": {"components", "equations", "weights"},
    "inputs": {"weights"},
    "encoder": {"components", "config", "inputs", "weights"},
    "engine": {
        "arithmetic",
        "components",
        "config",
        "encoder",
        "errors",
        "inputs",
        "kernels",
        "packing",
        "threads",
        "weights",
    },
    "packing": {"config", "kernels", "mapped", "packed_files", "threads", "weights"},
    "threads": {"errors"},
    "heads": {"components", "config", "encoder", "inputs", "weights"},
    "outputs": {"inputs", "weights"},
    "validation": {"config", "equations", "errors", "inputs", "weights"},
    "checkpoints": {"config", "equations", "errors", "files", "json_files", "mapped", "models_in_the_box", "weights"},
    "backward": {
        "checkpoints",
        "components",
        "config",
        "encoder",
        "equations",
        "errors",
        "heads",
        "inputs",
        "kernels",
        "validation",
        "weights",
    },
    "mapped": {"weights"},
    "packed_files": {"kernels", "mapped", "weights"},
    "ragged": {"config", "errors", "inputs", "validation", "weights"},
    "surgery": {"config", "errors", "weights"},
    "tokenization": {"errors", "json_files", "models_in_the_box"},
}


def name_of(path: Path) -> str:
    """The module's path below its root, `roformer_numpy/equations/rotary.py`."""
    root = next(folder for folder in PACKAGES.values() if path.is_relative_to(folder))
    return path.relative_to(root).as_posix()


def imports_of(path: Path) -> set[str]:
    """Every imported module by its absolute dotted name."""
    package = name_of(path).split("/")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from . import x` may import the module x
            found |= {module} if node.module else {f"{module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_third_party_packages_are_imported_at_home_only(path: Path) -> None:
    """Each dependency is known to one place: the rest of the code works without it."""
    for imported in imports_of(path):
        package = imported.split(".")[0]
        if package in HOMES:
            assert name_of(path).startswith(HOMES[package]), f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_oracle_knows_the_reference(path: Path) -> None:
    """The suite judges anybody, so nothing but its oracle may import our model; the model never imports the suite."""
    imported = {name.split(".")[0] for name in imports_of(path)}
    if not name_of(path).startswith("roformer_conformance"):
        assert "roformer_conformance" not in imported
    elif name_of(path) != "roformer_conformance/oracle.py":
        assert "roformer_numpy" not in imported


@pytest.mark.parametrize("path", [path for path in MODULES if name_of(path).startswith("roformer_peers/")], ids=name_of)
def test_adapters_to_peers_import_nothing_of_ours(path: Path) -> None:
    """They run where nothing of ours is installed."""
    own = {name for name in imports_of(path) if name.startswith("roformer_") and not name.startswith("roformer_peers")}
    assert not own


def part_of(path: Path) -> str:
    """The part of its package that a module belongs to, `equations` for `roformer_numpy/equations/rotary.py`."""
    return name_of(path).split("/")[1].removesuffix(".py")


# Modules of the reference that stand below the models; what stands on top may import everything of its own package.
LAYERED = [path for path in MODULES if name_of(path).startswith("roformer_numpy/") and part_of(path) in DIRECTIONS]


@pytest.mark.parametrize("path", LAYERED, ids=name_of)
def test_the_reference_is_built_in_layers(path: Path) -> None:
    """A layer imports what stands below it, never what stands above."""
    own = {name.split(".")[1] for name in imports_of(path) if name.startswith("roformer_numpy.")}
    above = own - DIRECTIONS[part_of(path)] - {part_of(path)}
    assert not above, f"{part_of(path)} may not import {sorted(above)}"
