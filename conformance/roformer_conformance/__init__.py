"""Property-based checks that hold any RoFormer implementation against the contract.

from roformer_conformance import check_implementation, parametrize_with_checks
result = check_implementation(adapter, level="default")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .levels import UsageError
    from .protocol import Adapter, AdapterError, Model
    from .records import Record, Result
    from .runner import check_implementation
    from .testing import parametrize_with_checks
    from .trial import Violation

__all__ = [
    "Adapter",
    "AdapterError",
    "Model",
    "Record",
    "Result",
    "Unsupported",
    "UsageError",
    "Violation",
    "check_implementation",
    "parametrize_with_checks",
]

_HOMES = {
    "Adapter": "protocol",
    "AdapterError": "protocol",
    "Model": "protocol",
    "Record": "records",
    "Result": "records",
    "Unsupported": "protocol",
    "UsageError": "levels",
    "Violation": "trial",
    "check_implementation": "runner",
    "parametrize_with_checks": "testing",
}


def __getattr__(name: str) -> Any:
    """Import a public name when somebody asks for it: the suite's packages come with the extra `[conformance]`."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("roformer"):
            raise
        raise ImportError(
            f'{name} needs the package {error.name}: pip install "roformer-reference[conformance]"'
        ) from error
    return getattr(module, name)
