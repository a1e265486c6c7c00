"""Studies for tests: tiny markets without training, which take milliseconds to play."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scenarios.studies import open_study
from scenarios.studies.batch import Batch
from scenarios.studies.loading import load_study
from scenarios.studies.local import LocalEngine
from scenarios.studies.planning import Plan, make_plan
from scenarios.studies.playing import Outcome, Task, attempt
from scenarios.studies.progress import Silent, Standing
from scenarios.studies.results import StudyResults
from scenarios.studies.store import RUNS, Store
from scenarios.studies.worker import Seat
from scenarios.yaml_text import write_yaml

TINY: dict[str, Any] = {
    "title": "A tiny market",
    "horizon": 2,
    "population": {"initial": 6, "strategies": ["honest", {"name": "free_rider_global", "share": 0.8}]},
    "market": {"budget": 10},
    "enforcement": {"deposit": 2, "audit_rate": 0.5},
    "learning": {"enabled": False},
}


def write_study(folder: Path, name: str = "study.yaml", **content: Any) -> Path:
    """A study file about ``tiny.yaml``, which is written beside it."""
    (folder / "tiny.yaml").write_text(write_yaml(TINY))
    path = folder / name
    path.write_text(write_yaml({"scenarios": ["tiny.yaml"], **content}))
    return path


def plan_of(folder: Path, **content: Any) -> Plan:
    """The plan of such a study."""
    study, file = load_study(write_study(folder, **content))
    return make_plan(study, file)


def play(plan: Plan, folder: Path, workers: int = 1, recycle: int = 250) -> Standing:
    """Play a plan in worker processes into a folder."""
    store = Store(folder)
    with store.begin(), LocalEngine(seats(store, workers), recycle=recycle) as engine:
        return Batch(plan, store).play(engine, lambda total: Silent())


def seats(store: Store, workers: int) -> list[Seat]:
    """Seats for workers that write into a store."""
    return [Seat(store.working, store.folder / RUNS) for _ in range(workers)]


def results(folder: Path) -> dict[str, bytes]:
    """All files that results are read from, by path. Tracebacks are left out: they name who called whom."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.parent.name != "failed"}


class Here:
    """An engine that plays in this process: for tests that are not about processes."""

    in_flight = 0

    def __init__(self, store: Store) -> None:
        self._store = store

    def play(self, tasks: Iterator[Task]) -> Iterator[Outcome]:
        for task in tasks:
            yield attempt(task, self._store.working, self._store.run_folder(task.run))


def play_here(plan: Plan, folder: Path) -> StudyResults:
    """Play a plan in this process and open the results."""
    store = Store(folder)
    with store.begin():
        Batch(plan, store).play(Here(store), lambda total: Silent())
    return open_study(folder)
