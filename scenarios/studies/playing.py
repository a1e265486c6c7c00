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
    """A run to play: its name, its scenario (resolved), its seed, where to train, the tables whose rows are kept.

    ``unfinished`` is where the checkpoints of runs are, and ``checkpoint_every`` how often this one takes some: as on
    the command line, None for never (but what has been left there is gone on from).
    """

    run: str
    scenario: Mapping[str, Any]
    seed: int
    device: str
    keep: frozenset[str]
    unfinished: Path
    checkpoint_every: str | None = None


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
    from scenarios.studies.keeping import is_kept, play_kept
    from scenarios.studies.store import OUT_OF_ROOM, commit

    folder = working / f"{task.run}-{os.getpid()}"
    try:
        if is_kept(task):
            folder = play_kept(task)
        else:
            play_into(folder, task)
        commit(folder, target)
    except OSError as problem:
        if problem.errno in OUT_OF_ROOM:
            return Outcome(task.run, "no room", f"{problem.filename or target}: {os.strerror(problem.errno)}")
        return _failed(task)
    except Exception:
        return _failed(task)
    return Outcome(task.run, "done")


def _failed(task: Task) -> Outcome:
    """The outcome of the error that is being handled; who plays the run again begins at its start."""
    from scenarios.studies.keeping import drop

    drop(task)
    return Outcome(task.run, "failed", traceback.format_exc())


def limit_threads() -> None:
    """One thread for every library that counts processors by itself; torch follows the scenario's ``threads``."""
    for name in THREAD_VARIABLES:
        os.environ[name] = "1"
