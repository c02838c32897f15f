"""What a person, a program and a CI server read of a result."""

from .files import write_json, write_junit
from .terminal import SHOWN_FAILURES, print_failure, print_result, verdict

__all__ = ["SHOWN_FAILURES", "print_failure", "print_result", "verdict", "write_json", "write_junit"]
