"""Property-based checks that hold any RoFormer implementation against the contract.

from roformer_conformance import check_implementation, parametrize_with_checks
result = check_implementation(adapter, level="default")
"""

from .protocol import Adapter, AdapterError, Model
from .records import Record, Result
from .runner import UsageError, check_implementation
from .testing import parametrize_with_checks
from .trial import Violation

__all__ = [
    "Adapter",
    "AdapterError",
    "Model",
    "Record",
    "Result",
    "UsageError",
    "Violation",
    "check_implementation",
    "parametrize_with_checks",
]
