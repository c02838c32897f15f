"""Packages of the extras are imported when first needed, with an error that says how to install them."""

import importlib
import importlib.util
from types import ModuleType

EXTRA_OF_PACKAGE = {"tokenizers": "text", "rjieba": "text", "tensorflow": "tensorflow"}


def installed(*packages: str) -> bool:
    """Whether all of these packages are there; they are only looked for, not imported."""
    return all(importlib.util.find_spec(package) is not None for package in packages)


def reads_pytorch_files() -> bool:
    """Whether one of the packages is there that pytorch_model.bin is read with."""
    return installed("ptloader") or installed("torch")


def import_extra(package: str) -> ModuleType:
    """Import a package that a bare install does not have.

    Raises:
        ImportError: names the package and the command that installs it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        extra = EXTRA_OF_PACKAGE[package]
        raise ImportError(
            f'{package} is needed here and could not be imported ({error}): pip install "roformer-reference[{extra}]"'
        ) from error
