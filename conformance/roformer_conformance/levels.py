"""How much is tried, and which examples: the levels, and where a run's seed comes from."""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType


class UsageError(ValueError):
    """The suite was asked for something that does not exist."""


# Cases that each check is tried on, on each head: a typical one, and what is left drawn by Hypothesis.
LEVELS: Mapping[str, int] = MappingProxyType({"smoke": 1, "default": 10, "deep": 150})

# The heads that smoke tries a check on which is about more of them.
SMOKE_HEADS = 3

# Checks of this effort, or less, are slow ones.
SLOW = 0.2

# The seed where nobody asks for another one: the same examples on every machine and every day.
FIXED_SEED = 0

# What a command line says for a seed that was never tried before.
FRESH = "fresh"


def examples(level: str, effort: float) -> int:
    """The cases of a check at a level, at least the typical one."""
    return max(1, round(LEVELS[level] * effort))


def all_types(level: str, family: str, effort: float = 1.0) -> bool:
    """Whether a check runs in every type; at smoke level agreement with the oracle (NUM) alone, if it is not slow."""
    return level != "smoke" or (family == "NUM" and effort > SLOW)


def some_heads(heads: Sequence[str], level: str, identifier: str, seed: int) -> Sequence[str]:
    """The heads that a check runs on: all of them, at smoke level three in a row that each check begins elsewhere.

    Checks and seeds take turns, so that every head is tried. Agreement with the oracle (NUM) is tried on all of them.
    """
    if all_types(level, identifier.partition("-")[0]) or len(heads) <= SMOKE_HEADS:
        return heads
    first = zlib.crc32(f"{seed} {identifier}".encode()) % len(heads)
    return [heads[(first + number) % len(heads)] for number in range(SMOKE_HEADS)]


def seed_for(level: str, asked: str = "") -> int:
    """The seed of a run: the one that is asked for; else a fresh one at deep level, but a fixed one in CI.

    Args:
        level: one of LEVELS.
        asked: a number, "fresh", or nothing.

    Raises:
        UsageError: `asked` is neither a number of 0 or more nor "fresh".
    """
    if asked == FRESH or (not asked and level == "deep" and not os.environ.get("CI")):
        return secrets.randbelow(2**31)
    if not asked:
        return FIXED_SEED
    if not (asked.isascii() and asked.isdigit()):
        raise UsageError(f"--seed {asked!r} is neither a number of 0 or more nor {FRESH!r}")
    return int(asked)
