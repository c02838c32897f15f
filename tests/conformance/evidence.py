"""What a long search for false alarms has seen so far: a file with a line for each check and floating-point type."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Row:
    """One check in one type: the seeds it was drawn from, and what came of it for each implementation by its name."""

    check: str
    dtype: str
    seeds: list[list[int]] = field(default_factory=list)  # [first, last], in the order of drawing
    draws: dict[str, int] = field(default_factory=dict)
    largest: dict[str, float] = field(default_factory=dict)  # R, where the check compares with the oracle
    alarms: list[dict[str, object]] = field(default_factory=list)  # variant, head, seed, message

    @property
    def least(self) -> int:
        """The draws of the implementation that had the fewest."""
        return min(self.draws.values(), default=0)

    def next_seed(self, asked: int) -> int:
        """The first seed of `asked` or more that comes after all that were drawn from."""
        return max([asked, *(last + 1 for _, last in self.seeds)])

    def add(self, turn: Turn) -> None:
        """Count what one more seed gave."""
        if self.seeds and self.seeds[-1][1] + 1 == turn.seed:
            self.seeds[-1][1] = turn.seed
        else:
            self.seeds.append([turn.seed, turn.seed])
        for name, number in turn.draws.items():
            self.draws[name] = self.draws.get(name, 0) + number
        for name, grade in turn.largest.items():
            self.largest[name] = max(self.largest.get(name, 0.0), round(grade, 3))
        self.alarms += turn.alarms


@dataclass
class Turn:
    """What one seed gave on one check and type."""

    seed: int
    draws: dict[str, int] = field(default_factory=dict)
    largest: dict[str, float] = field(default_factory=dict)
    alarms: list[dict[str, object]] = field(default_factory=list)


def read(path: Path) -> dict[tuple[str, str], Row]:
    """The rows of the file by check and type; none when there is no file."""
    if not path.exists():
        return {}
    rows = [Row(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(row.check, row.dtype): row for row in rows}


def write(path: Path, rows: Iterable[Row]) -> None:
    """The whole file, so that whoever reads it, or stops this program, finds a whole one."""
    part = path.with_name(path.name + ".part")
    lines = [json.dumps(asdict(row)) + "\n" for row in rows if row.seeds]
    part.write_text("".join(lines), encoding="utf-8")
    part.replace(path)


def table(rows: Iterable[Row], described: Mapping[tuple[str, str], str]) -> str:
    """What was found, in Markdown: a line for each implementation that is `described` by its type and name."""
    known = list(rows)
    lines = ["| type | implementation | draws | checks | fewest on a check | largest R (fails at 4) | alarms |"]
    lines += ["|---|---|---:|---:|---:|---:|---:|"]
    for (dtype, name), text in described.items():
        seen = [row for row in known if row.dtype == dtype and row.draws.get(name)]
        draws = [row.draws[name] for row in seen]
        largest = max((row.largest.get(name, 0.0) for row in seen), default=0.0)
        alarms = sum(alarm["variant"] == name for row in seen for alarm in row.alarms)
        figures = f"{sum(draws)} | {len(draws)} | {min(draws, default=0)} | {largest:.2f} | {alarms}"
        lines += [f"| {dtype} | {text} | {figures} |"] if seen else []
    return "\n".join(lines)
