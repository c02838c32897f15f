"""Everybody answers alike, then everybody is timed in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..weights import Array
from .figures import calls_in_a_turn, spread
from .inputs import Work
from .peer_side.with_engine import ASKED
from .process import CompetitorError, Process

# Two float32 computations of one model differ by 1e-5; what is further off than this computes something else.
TOLERANCE = 1e-3
# Threads that a library leaves spinning for its next call would take part in somebody else's turn: after a pause of
# 10 ms a call of 70 took 10 longer right after ONNX Runtime's than after a longer one.
PAUSE = 0.2
ROUNDS_BEFORE_LEAVING = 3
TURN = 0.1  # seconds that the calls of a turn fill, where one does not


@dataclass(frozen=True)
class Entry:
    """Somebody who takes part: a process, how it is asked, and with which arrangement of the batches."""

    name: str
    process: Process
    work: Work
    mode: str = ""
    stays: bool = False  # through all rounds, however slow


@dataclass
class Measured:
    """One line of the account."""

    case: str
    name: str
    version: str = ""
    seconds: list[float] = field(default_factory=list)  # a value a round, the median of the calls of a turn
    error: float | None = None  # greatest difference from the engine at real tokens
    note: str = ""
    reason: str = ""  # why it was not timed; empty when it was
    is_limit: bool = False
    float32: bool = True


def race(
    case: str,
    entries: Sequence[Entry],
    folder: Path,
    rounds: int,
    patience: float | None = None,
    on_turn: Callable[[str], None] = lambda name: None,
) -> list[Measured]:
    """Times of everybody at one piece of work, the first entry being the one that the others are held against.

    Args:
        case: the line's name.
        entries: who takes part; the works may be arranged differently but hold the same sequences.
        folder: where inputs and outputs are exchanged.
        rounds: how many turns each gets; every round begins with another one, and every other goes backwards, so that
            nobody always follows the same.
        patience: who takes this many times longer than the first entry in each of three rounds leaves with these, but
            for entries that stay, and those whose calls do not fill a turn: they cost no time; None: nobody.
        on_turn: called with the name of who has had his turn.

    Raises:
        CompetitorError: the first entry cannot run: the others would have nothing to be held against.
        InputError: rounds is below 1.
    """
    if rounds < 1:
        raise InputError(f"rounds={rounds} is below 1")
    lines: dict[str, Measured] = {}
    for entry in entries:
        lines[entry.name] = _agreed(case, entry, entries[0], folder, on_turn)
        if entry is entries[0] and lines[entry.name].reason:
            raise CompetitorError(f"{entry.name}: {lines[entry.name].reason}")
    calls: dict[str, int] = {}
    for number in range(rounds):
        running = [entry for entry in entries if not lines[entry.name].reason]
        order = running[number % len(running) :] + running[: number % len(running)]
        for entry in order[:: -1 if number % 2 else 1]:
            if entry.stays or not has_left(lines[entry.name], lines[entries[0].name], patience):
                _turn(entry, lines[entry.name], folder, calls)
            on_turn(entry.name)
    return list(lines.values())


def _agreed(case: str, entry: Entry, first: Entry, folder: Path, on_turn: Callable[[str], None]) -> Measured:
    """The line of an entry whose outputs were compared; its reason says where they differ, or why there are none."""
    competitor = entry.process.competitor
    line = Measured(case, entry.name, is_limit=competitor.is_limit, float32=competitor.float32)
    try:
        line.version = entry.process.version
        entry.process.ask(
            "outputs", work=str(entry.work.save(folder)), mode=entry.mode, to=str(outputs_path(folder, entry))
        )
        if not line.is_limit:
            line.error = difference(real_rows(folder, entry), real_rows(folder, first, entry.mode))
            if line.float32 and not line.error <= TOLERANCE:
                line.reason = f"its result differs from the engine's by {line.error:.2g}, more than {TOLERANCE}"
    except CompetitorError as error:
        line.reason = str(error)
    on_turn(entry.name)
    return line


def _turn(entry: Entry, line: Measured, folder: Path, calls: dict[str, int]) -> None:
    """One turn of an entry; the first call says how many calls its turns have, and is a turn where it fills one."""
    request = {"work": str(entry.work.save(folder)), "mode": entry.mode}
    time.sleep(PAUSE)
    try:
        if entry.name not in calls:
            answer = entry.process.ask("time", **request, calls=1, before=0)
            calls[entry.name] = calls_in_a_turn(answer["seconds"][0], TURN)
        if calls[entry.name] > 1:  # after one that fills the caches again; a long call fills them by itself
            answer = entry.process.ask("time", **request, calls=calls[entry.name], before=1)
        elif line.seconds:
            answer = entry.process.ask("time", **request, calls=1, before=0)
        line.seconds.append(spread(answer["seconds"]).middle)
        line.note = answer["note"]
    except CompetitorError as error:
        line.reason = str(error)


def has_left(line: Measured, first: Measured, patience: float | None) -> bool:
    """Whether somebody need not be asked further; see `race`."""
    early = line.seconds[:ROUNDS_BEFORE_LEAVING]
    if patience is None or line is first or len(early) < ROUNDS_BEFORE_LEAVING:
        return False
    return min(early) > max(TURN, patience * max(first.seconds[:ROUNDS_BEFORE_LEAVING]))


def difference(got: Array, expected: Array) -> float:
    """The greatest difference between the rows of real tokens, NaN where one is not a number.

    Raises:
        CompetitorError: they are not of one shape.
    """
    if got.shape != expected.shape:
        raise CompetitorError(f"its result has shape {got.shape} at real tokens, the engine's {expected.shape}")
    return float(np.abs(got - expected).max(initial=0.0))


def real_rows(folder: Path, entry: Entry, asked_as: str = "") -> Array:
    """The outputs of real tokens (n, width) float64, sequence by sequence, sorted: buckets have another order.

    Args:
        folder: where the entry has put its outputs.
        entry: whose; those of mode "logits_at" are of every seventh token alone.
        asked_as: "logits_at": give every seventh token alone.
    """
    with np.load(outputs_path(folder, entry)) as parts:
        outputs = [row for i in range(len(parts.files)) for row in parts[f"o{i}"]]
    sequences = [pair for batch in entry.work.batches for pair in zip(*batch, strict=True)]
    real = [
        (ids[mask > 0].tolist(), row[mask > 0] if len(row) == len(mask) else row)
        for (ids, mask), row in zip(sequences, outputs, strict=True)
    ]
    ordered = [row for _, row in sorted(real, key=lambda pair: (len(pair[0]), pair[0]))]
    step = ASKED if asked_as == "logits_at" and entry.mode != asked_as else 1
    return np.concatenate([row[::step] for row in ordered]).astype(np.float64)


def outputs_path(folder: Path, entry: Entry) -> Path:
    """Where an entry puts what it computes."""
    name = "".join(letter if letter.isalnum() else "-" for letter in f"{entry.name} {entry.work.name} {entry.mode}")
    return folder / f"outputs-{name}.npz"
