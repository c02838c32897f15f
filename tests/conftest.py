"""Which tests need other people's installations, and what to say when they are not there."""

from __future__ import annotations

import os
import shutil

import pytest

PEERS = {
    "transformers 4.37": "ROFORMER_PEER_TRANSFORMERS_4_37",
    "transformers 5": "ROFORMER_PEER_TRANSFORMERS_5",
}
MISSING = [variable for variable in PEERS.values() if not os.environ.get(variable)]

BROWSER = shutil.which("chromium")

collect_ignore = [*(["peers"] if len(MISSING) == len(PEERS) else []), *([] if BROWSER else ["browser"])]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line which comparisons were not run, and how to run them."""
    if MISSING:
        terminalreporter.write_line(
            f"not run: the comparisons with transformers in tests/peers, for want of {' and '.join(MISSING)} "
            "(paths of Python interpreters that have it); run them with: make peers"
        )
    if not BROWSER:
        terminalreporter.write_line(
            "not run: the report in a real browser in tests/browser, for want of chromium on PATH"
        )
