"""Packages of the extras are imported when first needed, with an error that says how to install them."""

import importlib
from types import ModuleType

EXTRA_OF_PACKAGE = {"tokenizers": "text", "rjieba": "text", "tensorflow": "tensorflow"}


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
