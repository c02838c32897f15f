"""A run spread over processes: each makes the same list of attempts and is told which to run, one at a time.

Processes are spawned, never forked: an implementation may hold threads and locks that a fork would break. One that dies
takes a single attempt with it, which is recorded as failed, and another process takes its place. So it is with one that
has grown large: a compiler may keep every program that it ever made, and a run makes thousands.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from .protocol import AdapterError
from .records import Record
from .telling import NOT_EXPLAINED

# Bytes that a process may grow by before another takes its place.
GROWTH = 3 * 2**30

STATM = Path("/proc/self/statm")


@dataclass(frozen=True)
class Attempt:
    """Something to run, and its record in case the process that runs it dies."""

    lost: Record
    run: Callable[[], Record]


# Makes, in another process, the adapter and the same list of attempts.
Prepare = Callable[[], tuple[Any, Sequence[Attempt]]]


# The number of an attempt and its record, what died on the way, and whether the process has grown large; at first the
# count of attempts without a record.
_Message = tuple[int, Record | None, Sequence[str], bool]


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    number: int | None = None  # of the attempt that it is at; None until it is ready

    def give(self, number: int | None) -> None:
        """The next attempt, or nothing more; one that died meanwhile is found out when it is asked for a record."""
        self.number = number
        try:
            self.connection.send(number)
        except OSError:
            return


def spread(
    prepare: Prepare, attempts: Sequence[Attempt], workers: int, deaths: list[str] | None = None
) -> Iterator[tuple[int, Record]]:
    """Run `attempts` in `workers` processes: the number of each and its record, in the order in which they end.

    Args:
        prepare: makes the same attempts again in each process; it is pickled.
        attempts: in this process, to know how many there are and what is lost when a process dies.
        workers: how many processes at once.
        deaths: is told of each death of a process that the adapter itself started.

    Raises:
        AdapterError: a process cannot make the adapter.
    """
    waiting = deque(range(len(attempts)))
    crew = [_start(prepare) for _ in range(min(workers, len(attempts)))]
    try:
        while crew:
            for worker in _with_news(crew):
                done = _heard(worker, len(attempts))
                if done is None:
                    crew.remove(worker)
                    yield _lost(worker, attempts)
                    crew += [_start(prepare)] if waiting else []
                    continue
                number, record, died, grown = done
                if record is not None:
                    yield number, record
                (deaths if deaths is not None else []).extend(died)
                worker.give(waiting.popleft() if waiting and not grown else None)
                if worker.number is None:
                    crew.remove(worker)
                    worker.process.join()
                    crew += [_start(prepare)] if waiting else []
    finally:
        for worker in crew:
            worker.process.terminate()
            worker.process.join()


def _start(prepare: Prepare) -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, prepare), daemon=False)
    process.start()
    there.close()
    return _Worker(process, here)


def _with_news(crew: list[_Worker]) -> list[_Worker]:
    ready = wait([worker.connection for worker in crew])
    return [worker for worker in crew if worker.connection in ready]


def _heard(worker: _Worker, count: int) -> _Message | None:
    """What a worker says: that it is ready, or a record; None when it is dead."""
    try:
        message: _Message = worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join()
        if worker.number is None:
            raise AdapterError(f"a worker {_cause(worker.process)} before it was ready") from None
        return None
    if message[1] is None and message[0] != count:
        raise AdapterError(
            f"a worker cannot start: {' '.join(message[2]) or f'it finds {message[0]} of {count} attempts'}"
        )
    return message


def _lost(worker: _Worker, attempts: Sequence[Attempt]) -> tuple[int, Record]:
    assert worker.number is not None
    message = f"the process that ran this check {_cause(worker.process)}"
    told = (f"{NOT_EXPLAINED}: trying it here could end this process too",)
    return worker.number, replace(attempts[worker.number].lost, status="failed", message=message, diagnosis=told)


def _cause(process: BaseProcess) -> str:
    code = process.exitcode or 0
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _work(connection: Connection, prepare: Prepare) -> None:
    """The life of a worker: get ready, run what one is told, until there is nothing more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    try:
        adapter, attempts = prepare()
    except Exception as error:  # whatever an implementation's module raises when it is imported
        connection.send((-1, None, [f"{type(error).__name__}: {error}"], False))
        return
    connection.send((len(attempts), None, [], False))
    known, most = 0, _held() + GROWTH
    while (number := _next(connection)) is not None:
        record = attempts[number].run()
        deaths = list(getattr(adapter, "deaths", ()))
        connection.send((number, record, deaths[known:], _held() > most))
        known = len(deaths)


def _held() -> int:
    """The memory that this process holds, in bytes; 0 where the system has no such file, and nobody is replaced.

    Not the peak that getrusage tells: a new process inherits that of the one that started it.
    """
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _next(connection: Connection) -> int | None:
    try:
        number: int | None = connection.recv()
    except EOFError:  # the process that started this one is gone
        return None
    return number
