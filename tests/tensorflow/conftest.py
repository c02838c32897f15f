"""The tests of the TensorFlow implementation, which need the extra [tensorflow]."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

MISSING = find_spec("tensorflow") is None or find_spec("roformer_tensorflow") is None

collect_ignore_glob = ["test_*.py"] if MISSING else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was not run, and how to run it."""
    if MISSING:
        terminalreporter.write_line(
            "not run: the TensorFlow implementation in tests/tensorflow, for want of tensorflow; run them after: "
            'pip install "roformer-reference[tensorflow]"'
        )
