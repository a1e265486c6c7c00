"""What a batch costs beside the runs themselves, and how well it uses two cores.

Run ``python -m benchmarks.batch``. Played is the quickstart market, made long enough for about one second per run, by a
batch with one warm worker, by one with two, and one run after the other in this process, which writes the same folders.
Each is measured from the moment when all workers play to the last one when they do, so that starting up does not count;
medians of ``--repeats``. *Overhead* compares a batch of one worker with the runs alone in three ways:

- processor time per run, worker and parent together: what the batch computes by itself;
- free time per run: wall time less what the scheduler let the worker, and the parent for which it waits, wait for a
  processor: wall time on a machine that does nothing else. It has what processor time has not, such as flushing files;
- wall time, which says something only on an idle machine, so the load average is told.

*Cores*: how much faster two workers are than one, in free and in wall time.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scenarios.studies.batch import Batch
from scenarios.studies.loading import load_study
from scenarios.studies.local import LocalEngine
from scenarios.studies.planning import Plan, make_plan
from scenarios.studies.playing import Task, limit_threads, play_into
from scenarios.studies.progress import Standing
from scenarios.studies.store import RUNS, Store
from scenarios.studies.worker import Seat
from scenarios.yaml_text import write_yaml

ASKED_OVERHEAD = 0.05
WARM = 2  # first runs that are not counted


class Times:
    """When runs ended while all workers played: wall seconds; free seconds, see above; and processor seconds of this
    process and its workers."""

    def __init__(self, engine: LocalEngine | None = None, workers: int = 1) -> None:
        self.wall: list[float] = []
        self.free: list[float] = []
        self.cpu: list[float] = []
        self._engine, self._workers = engine, workers
        self._ended = 0

    def tell(self, standing: Standing) -> None:
        """A run has ended, or nothing has for a while."""
        ended = standing.done + standing.failed
        if ended == self._ended or (self._engine is not None and self._engine.in_flight < self._workers - 1):
            return
        self._ended = ended
        pids = [os.getpid()] if self._engine is None else self._engine.process_ids
        own = 0.0 if self._engine is None else time.process_time()
        self.wall.append(time.perf_counter())
        # Of several workers, one at a time waits for the parent.
        parent = 0.0 if self._engine is None else queue_seconds(os.getpid()) / self._workers
        self.free.append(self.wall[-1] - statistics.mean(map(queue_seconds, pids)) - parent)
        self.cpu.append(own + sum(map(cpu_seconds, pids)))


def cpu_seconds(process: int) -> float:
    """Processor time of a process so far, by Linux's counters (in hundredths)."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def queue_seconds(process: int) -> float:
    """How long the main thread of a process has waited for a processor so far, by Linux's scheduler."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9


def plan(place: Path, runs: int, horizon: int) -> Plan:
    """So many replications of the quickstart market over so many windows."""
    path = place / "study.yaml"
    path.write_text(write_yaml({"scenarios": ["quickstart"], "set": {"horizon": horizon}, "replications": runs}))
    return make_plan(*load_study(path))


def batch(wanted: Plan, folder: Path, workers: int) -> Times:
    """Play the plan with so many workers; when its runs ended."""
    store = Store(folder)
    with store.begin(), LocalEngine([Seat(store.working, folder / RUNS) for _ in range(workers)]) as engine:
        times = Times(engine, workers)
        Batch(wanted, store).play(engine, lambda total: times)
    return times


def alone(wanted: Plan, folder: Path) -> Times:
    """Play the same runs here, one after the other, as ``datagora run`` would."""
    times = Times()
    for number, run in enumerate(wanted.runs(wanted.first_replications()), start=1):
        task = Task(run.id, run.cell.resolved(), run.seed, "cpu", frozenset(wanted.study.keep))
        play_into(folder / run.id, task)
        times.tell(Standing(0, number, 0, 0, 0, None))
    return times


def per_run(moments: list[float]) -> float:
    """Mean distance of the moments after the first ones, which warm up."""
    return (moments[-1] - moments[WARM - 1]) / (len(moments) - WARM)


@contextmanager
def folder() -> Iterator[Path]:
    """A place for one measurement."""
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--horizon", type=int, default=60)
    options = parser.parse_args()
    limit_threads()
    overheads: dict[str, list[float]] = {"cpu": [], "free": [], "wall": []}
    ratios: dict[str, list[float]] = {"free": [], "wall": []}
    print(f"load average before: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    for _ in range(options.repeats):
        with folder() as place:
            wanted = plan(place, options.runs, options.horizon)
            own = alone(wanted, place / "alone")
            one = batch(wanted, place / "one", 1)
            two = batch(wanted, place / "two", 2)
        for kind, found in overheads.items():
            found.append(per_run(getattr(one, kind)) / per_run(getattr(own, kind)) - 1)
        for kind, found in ratios.items():
            found.append(per_run(getattr(one, kind)) / per_run(getattr(two, kind)))
        print(
            f"a run {per_run(own.cpu):.3f} s of processor time, {per_run(own.wall):.3f} s of wall time; overhead "
            + ", ".join(f"{kind} {100 * found[-1]:+.1f} %" for kind, found in overheads.items())
            + "; two workers to one "
            + ", ".join(f"{kind} {found[-1]:.2f}" for kind, found in ratios.items())
        )
    for kind, found in overheads.items():
        verdict = "reached" if statistics.median(found) < ASKED_OVERHEAD else "missed"
        print(f"median overhead in {kind} time {100 * statistics.median(found):+.1f} % (asked: below 5 %: {verdict})")
    for kind, found in ratios.items():
        print(f"median ratio of two workers to one in {kind} time {statistics.median(found):.2f}")
    print(f"load average after: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    print(f"largest memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
