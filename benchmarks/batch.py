"""What a batch costs beside the runs themselves, and how well it uses two cores.

Run ``python -m benchmarks.batch``. Played is the quickstart market, made long enough for about one second per run.
*Overhead*: processor time per run of a batch with one warm worker (worker and parent together) beside that of the same
runs played one after the other in a process of their own, which writes the same folders; medians of ``--repeats``.
Processor time, for other work on the machine stretches wall time. *Cores*: wall time of the same study with one worker
over that with two, from the first run that ends to the last, so that starting up does not count; it says something
only on a machine that is otherwise idle, so the load average is told.
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
    """When runs ended: wall seconds, and processor seconds of this process and, by pid, of its workers."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.engine: LocalEngine | None = None

    def tell(self, standing: Standing) -> None:
        """A run has ended."""
        self.wall.append(time.perf_counter())
        pids = [] if self.engine is None else self.engine.process_ids
        self.cpu.append(time.process_time() + sum(map(cpu_seconds, pids)))


def cpu_seconds(process: int) -> float:
    """Processor time of a process so far, by Linux's counters (in hundredths)."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def plan(place: Path, runs: int, horizon: int) -> Plan:
    """So many replications of the quickstart market over so many windows."""
    path = place / "study.yaml"
    path.write_text(write_yaml({"scenarios": ["quickstart"], "set": {"horizon": horizon}, "replications": runs}))
    return make_plan(*load_study(path))


def batch(wanted: Plan, folder: Path, workers: int) -> Times:
    """Play the plan with so many workers; when its runs ended."""
    store, times = Store(folder), Times()
    with store.begin(), LocalEngine([Seat(store.working, folder / RUNS) for _ in range(workers)]) as engine:
        times.engine = engine
        Batch(wanted, store).play(engine, lambda total: times)
        times.engine = None
    return times


def alone(wanted: Plan, folder: Path) -> Times:
    """Play the same runs here, one after the other, as ``datagora run`` would."""
    times = Times()
    for run in wanted.runs(wanted.first_replications()):
        task = Task(run.id, run.cell.resolved(), run.seed, "cpu", frozenset(wanted.study.keep))
        play_into(folder / run.id, task)
        times.tell(Standing(0, 0, 0, 0, 0, None))
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
    shares, seconds, ratios = [], [], []
    print(f"load average before: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    for _ in range(options.repeats):
        with folder() as place:
            wanted = plan(place, options.runs, options.horizon)
            own = alone(wanted, place / "alone")
            one = batch(wanted, place / "one", 1)
            two = batch(wanted, place / "two", 2)
        shares.append(per_run(one.cpu) / per_run(own.cpu) - 1)
        seconds.append(per_run(own.cpu))
        ratios.append(per_run(one.wall) / per_run(two.wall))
        print(
            f"a run {seconds[-1]:.3f} s of processor time; overhead of the batch {100 * shares[-1]:+.1f} %; "
            f"two workers {ratios[-1]:.2f} times as fast as one"
        )
    verdict = "reached" if statistics.median(shares) < ASKED_OVERHEAD else "missed"
    print(f"median overhead {100 * statistics.median(shares):+.1f} % (asked: below 5 %: {verdict})")
    print(f"median ratio of two workers to one {statistics.median(ratios):.2f}")
    print(f"load average after: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    print(f"largest memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
