"""Small wrong implementations, a file a family: each makes one mistake that somebody has made, or could.

`FAULTS` holds all of them by name, as functions or classes that make an adapter; a docstring names the mistake.
"""

import importlib
import pkgutil

from .making import FAULTS, Fault

__all__ = ["FAULTS", "Fault"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
