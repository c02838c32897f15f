"""A process of somebody else's: started in a group of its own, watched while it computes, ended with all it started.

Memory is what the process and everything it started hold in RAM, sampled while an answer is waited for. A limit that
the kernel enforces on address space (RLIMIT_AS) does not do: PyTorch and TensorFlow reserve many times what they use.
Where there is no /proc, memory is not limited, and a child that left the process group is not found.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..kit import DESCRIPTORS
from ..protocol import AdapterError, ImplementationDied

_MARK = "ROFORMER_CONFORMANCE_PROCESS"  # a process and everything it starts have it in their environments
_TICK = 0.2  # seconds between two looks at memory, prints and life
PATIENCE = 20.0  # seconds that a process has to end by itself when it is asked to
_LONGEST_LINE = 2**20
_TOLD_LINES = 4


@dataclass(frozen=True)
class Limits:
    """What a process may take: seconds to start, seconds for a command, bytes of memory, bytes of prints."""

    start: float = 300.0
    command: float = 120.0
    memory: int = 8 * 2**30
    prints: int = 64 * 2**20

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Limits:
        """ROFORMER_CONFORMANCE_SECONDS for a command, and ROFORMER_CONFORMANCE_GIB of memory, where they are set.

        Raises:
            AdapterError: one of them is no number above 0.
        """
        found = {}
        for field, name, unit in (("command", "SECONDS", 1), ("memory", "GIB", 2**30)):
            text = environment.get(f"ROFORMER_CONFORMANCE_{name}")
            if text is not None:
                found[field] = _positive(f"ROFORMER_CONFORMANCE_{name}", text) * unit
        return cls(**found)  # type: ignore[arg-type] # bytes may be a fraction


class Child:
    """A running process, and the two descriptors that frames travel on.

    Args:
        command: what to start.
        log: the file that everything it prints is written to.
        limits: what it may take.
        environment: added to our own.

    Raises:
        AdapterError: there is no such command.
    """

    def __init__(self, command: Sequence[str], log: Path, limits: Limits, environment: Mapping[str, str]) -> None:
        self.command, self.log, self.limits = list(command), log, limits
        self._mark = uuid.uuid4().hex
        self._unread = b""
        self._look_again = 0.0  # when the limits are looked at even if the process answers at once
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        os.set_blocking(self._to, False)
        marked = {**os.environ, **environment, DESCRIPTORS: f"{theirs_in},{theirs_out}", _MARK: self._mark}
        try:
            with log.open("wb") as prints:
                self._process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=prints,
                    stderr=subprocess.STDOUT,
                    env=marked,
                    pass_fds=(theirs_in, theirs_out),
                    start_new_session=True,
                )
        except OSError as error:
            self._close()
            raise AdapterError(f"{' '.join(command)!r} cannot be started: {error}") from error
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

    def exchange(self, line: bytes, what: str, seconds: float) -> bytes:
        """Send one line and wait for one.

        Raises:
            ImplementationDied: the process ended, or was ended because it broke a limit; the message says how.
        """
        deadline = _Deadline(what, seconds)
        self._send(line, deadline)
        while b"\n" not in self._unread:
            if len(self._unread) > _LONGEST_LINE:
                self.end(f"sent {len(self._unread)} bytes and no end of line in answer to {what}")
            if self._ready(deadline, reading=True) and not self._read():
                self.end(f"closed its end of the connection during {what}", patience=1.0)
        answer, _, self._unread = self._unread.partition(b"\n")
        return answer

    def end(self, cause: str, patience: float | None = None) -> NoReturn:
        """End the process and say why; how it ended says more, when it does so within `patience` seconds.

        Raises:
            ImplementationDied: always.
        """
        code = None if patience is None else self._wait(patience)
        last = self.last_printed()
        self.kill()
        told = _ended_by(code) or f"was ended: it {cause}"
        raise ImplementationDied(
            f"{Path(self.command[0]).name} {told}" + (f"; it printed last:\n{last}" if last else "")
        )

    def stop(self, line: bytes, patience: float = PATIENCE) -> int | None:
        """Ask the process to end, and end what is left of it; returns its exit code, None when it had to be killed."""
        try:
            self._send(line, _Deadline("stop", patience))
        except ImplementationDied:
            return None
        code = self._wait(patience)
        self.kill()
        return code

    def kill(self) -> None:
        """End the process and everything that it started, also what left its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for number in self._family():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self._process.wait()
        self._close()

    def last_printed(self) -> str:
        """The last lines that the process printed."""
        with self.log.open("rb") as prints:
            prints.seek(max(0, self.log.stat().st_size - 4096))
            lines = prints.read().decode("utf-8", "replace").strip().splitlines()
        return "\n".join(lines[-_TOLD_LINES:])

    def memory(self) -> int:
        """Bytes of RAM that the process and everything it started hold; 0 where nobody can say."""
        pages = 0
        for number in self._family():
            try:
                pages += int(Path(f"/proc/{number}/statm").read_text().split()[1])
            except (OSError, IndexError):
                continue
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _send(self, line: bytes, deadline: _Deadline) -> None:
        while line:
            if self._ready(deadline, reading=False):
                try:
                    line = line[os.write(self._to, line) :]
                except BrokenPipeError:
                    self.end(f"does not read {deadline.what}", patience=1.0)

    def _ready(self, deadline: _Deadline, *, reading: bool) -> bool:
        """Whether something can be read (or written), after one tick at most; every tick the limits are looked at."""
        waited = ([self._from], []) if reading else ([], [self._to])
        ready = any(select.select(*waited, [], _TICK))
        if ready and time.monotonic() < self._look_again:
            return True
        self._look_again = time.monotonic() + 5 * _TICK
        if not ready and self._process.poll() is not None:
            self.end("ended", patience=0.0)
        if deadline.is_over():
            self.end(f"gave no answer to {deadline.what} within {deadline.seconds:g} seconds")
        if self.log.stat().st_size > self.limits.prints:
            self.end(f"printed more than {self.limits.prints} bytes")
        used = self.memory()
        if used > self.limits.memory:
            self.end(f"used {used / 2**30:.2f} GiB of memory, {self.limits.memory / 2**30:.2f} are allowed")
        return ready

    def _read(self) -> bytes:
        received = os.read(self._from, 2**16)
        self._unread += received
        return received

    def _wait(self, seconds: float) -> int | None:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _family(self) -> Iterator[int]:
        mark = f"{_MARK}={self._mark}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)
            except OSError:  # it ended meanwhile, or belongs to somebody else
                continue

    def _close(self) -> None:
        for name in ("_to", "_from"):
            if (descriptor := getattr(self, name)) >= 0:
                os.close(descriptor)
                setattr(self, name, -1)


class _Deadline:
    def __init__(self, what: str, seconds: float) -> None:
        self.what, self.seconds = what, seconds
        self._end = time.monotonic() + seconds

    def is_over(self) -> bool:
        return time.monotonic() > self._end


def _ended_by(code: int | None) -> str:
    if code is None:
        return ""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _positive(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not number > 0:
        raise AdapterError(f"{name} is {text!r}, expected a number above 0")
    return number
