"""Prints how far we are from other people's implementations, head by head."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The largest difference of each head over all variants, by release and direction."""
    largest: dict[tuple[str, str, str], float] = {}
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "largest difference":
                peer, direction, head, _, difference = value
                key = (peer, direction, head)
                largest[key] = max(largest.get(key, 0.0), difference)
    for (peer, direction, head), difference in sorted(largest.items()):
        terminalreporter.write_line(f"largest difference, {peer}, {direction}: {head} {difference:.1e}")
