"""The pytest plugin: options by which a run says how much `parametrize_with_checks` tries, without a change of code.

    pytest --conformance-level deep --conformance-seed 7

Every pytest run loads it where this package is installed; therefore it imports nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .records import Record


@dataclass
class ConformanceCheck:
    """One check on one head and type, as a function without arguments that fails as a test does."""

    attempt: Callable[[str, int], Record]
    level: str
    seed: int

    def __call__(self) -> None:
        """Run the check.

        Raises:
            AssertionError: the claim does not hold.
        """
        record = self.attempt(self.level, self.seed)
        case = f"\ncase: {record.case}" if record.case else ""
        explained = "".join(f"\n{line}" for line in record.diagnosis)
        assert record.status == "passed", f"{record.claim}\n{record.message}{case}{explained}"


def pytest_addoption(parser: Any) -> None:
    """The options, in a group of their own in `pytest --help`."""
    group = parser.getgroup("roformer-conformance", "RoFormer conformance checks")
    group.addoption("--conformance-level", choices=("smoke", "default", "deep"), help="how many examples a check tries")
    group.addoption("--conformance-seed", type=int, metavar="N", help="draws other examples")


def pytest_collection_modifyitems(config: Any, items: Iterable[Any]) -> None:
    """Give the checks among the items the level and the seed that were asked for."""
    level, seed = config.getoption("--conformance-level"), config.getoption("--conformance-seed")
    for item in items:
        for value in getattr(getattr(item, "callspec", None), "params", {}).values():
            if isinstance(value, ConformanceCheck):
                value.level = level or value.level
                value.seed = value.seed if seed is None else seed
