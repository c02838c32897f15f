"""What a person, a program and a CI server read of a result."""

from .documents import document, read_documents, schema
from .files import write_json, write_junit
from .folder import write_pages, write_report
from .terminal import SHOWN_FAILURES, print_failure, print_result, verdict

__all__ = [
    "SHOWN_FAILURES",
    "document",
    "print_failure",
    "print_result",
    "read_documents",
    "schema",
    "verdict",
    "write_json",
    "write_junit",
    "write_pages",
    "write_report",
]
