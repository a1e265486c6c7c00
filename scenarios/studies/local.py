"""Runs of a study in processes of this machine.

Each worker is spawned, not forked, and keeps its imports from run to run. After ``recycle`` runs it is replaced, as
processes grow (Mesa and torch keep caches); its successor warms up while it goes on playing. When a worker is killed,
its run is played again by another, and ends as an error after ``MOST_DEATHS`` deaths.
"""

from __future__ import annotations

import itertools
import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from scenarios.studies.playing import Outcome, Task
from scenarios.studies.store import BadStudy
from scenarios.studies.worker import READY, Seat, serve

MOST_DEATHS = 3
_BEAT_SECONDS = 5.0  # without an outcome, until the batch hears that it goes on
RECYCLE = 250


@dataclass(eq=False)
class Worker:
    """One process as the parent sees it."""

    process: BaseProcess
    connection: Connection[Any, Any]
    seat: Seat
    ready: bool = False
    task: Task | None = None
    played: int = 0
    successor: Worker | None = field(default=None, repr=False)


class LocalEngine:
    """Plays tasks in so many ``workers``; a context manager that ends them."""

    def __init__(self, seats: list[Seat], *, recycle: int = RECYCLE) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._recycle = recycle
        self._seats = seats
        self._workers: list[Worker] = []
        self._deaths: dict[str, int] = {}
        self._stillborn = 0

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            self._end(worker)
        self._workers.clear()

    @property
    def in_flight(self) -> int:
        """Runs being played now."""
        return sum(worker.task is not None for worker in self._workers)

    @property
    def process_ids(self) -> list[int]:
        """Of the workers, for tests and monitors."""
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def play(self, tasks: Iterator[Task]) -> Iterator[Outcome | None]:
        """Play all tasks; outcomes come as runs end, None now and then while none does.

        ``BadStudy`` where workers cannot even start.
        """
        waiting: deque[Task] = deque()
        while True:
            waiting.extend(itertools.islice(tasks, max(len(self._seats) - len(waiting), 0)))
            for worker in self._workers:
                if waiting and worker.ready and worker.task is None:
                    self._give(worker, waiting.popleft())
            if not waiting and not self.in_flight:
                return
            self._fill_seats(wanted=self.in_flight + len(waiting))
            yield from self._listen(waiting)

    # ---- workers --------------------------------------------------------------------------------------------------

    def _fill_seats(self, wanted: int) -> None:
        """Start a worker on each empty seat, but no more than there is work for."""
        taken = {id(worker.seat) for worker in self._workers}
        for seat in self._seats:
            if len(taken) >= wanted:
                return
            if id(seat) not in taken:
                self._workers.append(self._start(seat))
                taken.add(id(seat))

    def _start(self, seat: Seat) -> Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs, seat), daemon=True)
        process.start()
        theirs.close()
        return Worker(process, ours, seat)

    def _give(self, worker: Worker, task: Task) -> None:
        worker.task = task
        # A worker that has just died is noticed when we listen, and the task goes to another.
        with suppress(OSError):
            worker.connection.send(task)

    def _listen(self, waiting: deque[Task]) -> Iterator[Outcome | None]:
        """Wait until some worker says something, or dies."""
        heard = wait([worker.connection for worker in self._workers], _BEAT_SECONDS)
        if not heard:
            yield None
        for connection in heard:
            worker = next((w for w in self._workers if w.connection is connection), None)
            if worker is None:
                continue  # retired a moment ago
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                yield from self._bury(worker, waiting)
                continue
            if isinstance(message, Outcome):
                worker.task = None
                worker.played += 1
                self._deaths.pop(message.run, None)
                self._stillborn = 0  # workers can start here; those that do not were killed by somebody
                yield message
                self._recycled(worker)
            elif message == READY:
                worker.ready = True
                self._stillborn = 0
                self._succeed(worker)
            else:
                raise BadStudy(f"worker processes cannot start: {_last_line(message)}")

    def _recycled(self, worker: Worker) -> None:
        """Send for a successor of a worker that has played its share."""
        if worker.played >= self._recycle and worker.successor is None:
            worker.successor = self._start(worker.seat)
            self._workers.append(worker.successor)
        self._retire(worker)

    def _succeed(self, successor: Worker) -> None:
        for worker in list(self._workers):
            if worker.successor is successor:
                self._retire(worker)

    def _retire(self, worker: Worker) -> None:
        """End a worker whose successor is ready, once it has nothing to do."""
        if worker.task is None and worker.successor is not None and worker.successor.ready:
            self._workers.remove(worker)
            with suppress(OSError):
                worker.connection.send(None)
            worker.connection.close()

    def _bury(self, worker: Worker, waiting: deque[Task]) -> Iterator[Outcome]:
        """A worker is gone: its task is played again, or given up when it has cost too many workers."""
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join()
        if not worker.ready:
            self._stillborn += 1
            if self._stillborn >= MOST_DEATHS:
                raise BadStudy(f"worker processes end before they are ready ({_how(worker.process.exitcode)})")
        for other in self._workers:
            if other.successor is worker:
                other.successor = None
        task = worker.task
        if task is None:
            return
        self._deaths[task.run] = self._deaths.get(task.run, 0) + 1
        if self._deaths[task.run] < MOST_DEATHS:
            waiting.appendleft(task)
            return
        how = _how(worker.process.exitcode)
        yield Outcome(task.run, "failed", f"its worker process was lost {MOST_DEATHS} times, last {how}\n")

    def _end(self, worker: Worker) -> None:
        worker.process.kill()
        worker.process.join()
        worker.connection.close()


def make_seats(workers: int, working: Path, runs: Path, gpus: float, visible: list[str]) -> list[Seat]:
    """Seats for so many workers, each with its share of one of the ``visible`` GPUs; ``gpus`` 0 shares them all.

    ``BadStudy`` where runs want a GPU, or more GPUs each, than there are.
    """
    if not gpus:
        return [Seat(working, runs) for _ in range(workers)]
    if gpus > max(len(visible), 0):
        raise BadStudy(f"resources.gpus: {gpus:g}: this machine has {len(visible)}")
    if gpus >= 1:
        each = round(gpus)
        groups = [",".join(visible[k : k + each]) for k in range(0, len(visible) - each + 1, each)]
        return [Seat(working, runs, group, 1.0) for group in groups[:workers]]
    per_gpu = int(1 / gpus + 1e-9)
    slots = [name for _ in range(per_gpu) for name in visible]
    return [Seat(working, runs, name, gpus) for name in slots[:workers]]


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"by {signal.Signals(-exit_code).name}"
    return f"with exit code {exit_code}"


def _last_line(text: object) -> str:
    lines = str(text).strip().splitlines()
    return lines[-1] if lines else "unknown reason"
