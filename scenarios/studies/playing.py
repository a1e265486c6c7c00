"""One run of a study, in whatever process plays it: from a task to a whole run folder, or to an error as text.

Imports nothing heavy by itself, so that a worker process can choose threads and devices first.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from scenarios.recorder import Recorder

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """A run to play: its name, its scenario (resolved), its seed, where to train, the tables whose rows are kept."""

    run: str
    scenario: Mapping[str, Any]
    seed: int
    device: str
    keep: frozenset[str]


@dataclass(frozen=True)
class Outcome:
    """How a run ended. ``text`` is the traceback of a failed one, or what is wrong with the place of the results."""

    run: str
    status: Literal["done", "failed", "no room"]
    text: str = ""


class KeptTables:
    """Passes the rows of some tables on to a recorder and drops the others; all files are there nevertheless."""

    def __init__(self, recorder: Recorder, keep: Set[str]) -> None:
        self._recorder = recorder
        self._keep = keep | {"runs"}

    def write(self, table: str, columns: Mapping[str, object]) -> None:
        """Append rows, see ``TableSink.write``."""
        if table in self._keep:
            self._recorder.write(table, columns)

    def close(self, resolved_scenario: str, info: Mapping[str, Any]) -> Path:
        """End the run; its folder."""
        return self._recorder.close(resolved_scenario, info)

    def abort(self) -> None:
        """Give the run up and leave nothing behind."""
        self._recorder.abort()


def play_into(folder: Path, task: Task) -> None:
    """Play a run into a new folder; nothing is left there after an error, which is passed on."""
    from scenarios.recorder import Recorder
    from scenarios.schema import Scenario
    from scenarios.simulation import Simulation

    scenario = Scenario.model_validate(dict(task.scenario) | {"seed": task.seed})
    recorder = Recorder(folder)
    try:
        Simulation(scenario=scenario, device=task.device, recorder=KeptTables(recorder, task.keep)).run()
    except BaseException:
        recorder.abort()
        raise


def attempt(task: Task, working: Path, target: Path) -> Outcome:
    """Play a run and commit it to its place; every error becomes an outcome."""
    from scenarios.studies.store import OUT_OF_ROOM, commit

    folder = working / f"{task.run}-{os.getpid()}"
    try:
        play_into(folder, task)
        commit(folder, target)
    except OSError as problem:
        if problem.errno in OUT_OF_ROOM:
            return Outcome(task.run, "no room", f"{problem.filename or target}: {os.strerror(problem.errno)}")
        return Outcome(task.run, "failed", traceback.format_exc())
    except Exception:
        return Outcome(task.run, "failed", traceback.format_exc())
    return Outcome(task.run, "done")


def limit_threads() -> None:
    """One thread for every library that counts processors by itself; torch follows the scenario's ``threads``."""
    for name in THREAD_VARIABLES:
        os.environ[name] = "1"
