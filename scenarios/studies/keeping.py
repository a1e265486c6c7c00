"""Runs of a study that outlive their process: checkpoints on the way, and the way on from the newest of them.

What such a run has so far is in a hidden folder below ``unfinished`` in the study's, in the form of ``datagora run
--checkpoint-every``, with a note of what is played. It becomes a run like any other: with the same bytes, without
checkpoints.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios.studies.playing import KeptTables, Task, play_into

if TYPE_CHECKING:
    from scenarios.checkpoints.recording import KeptRecorder
    from scenarios.simulation import Simulation

NOTE = "task.json"
"""Beside the checkpoints: what is played, and how often it is kept."""


def is_kept(task: Task) -> bool:
    """Whether a run takes checkpoints, or has left some."""
    return task.checkpoint_every is not None or (task.unfinished / task.run).exists() or bool(_standing(task))


def play_kept(task: Task) -> Path:
    """Play a run from its newest checkpoint that is whole, or from its start; the folder that it has then.

    Where that ends in an error, the checkpoints stay.
    """
    from scenarios.recorder import holds_run

    folder = task.unfinished / task.run
    # One that was killed when all was done needs a name only; so does one that its old process has just ended.
    if not holds_run(folder) and not _gone_on(task, folder) and not holds_run(folder):
        drop(task)
        if task.checkpoint_every is None:
            play_into(folder, task)
        else:
            _begun(task, folder, task.checkpoint_every)
    return folder


def drop(task: Task) -> None:
    """Remove what a run has left."""
    for place in _standing(task):
        shutil.rmtree(place, ignore_errors=True)


def _standing(task: Task) -> list[Path]:
    return sorted(task.unfinished.glob(f".{task.run}.partial-*"))


def _begun(task: Task, folder: Path, every: str) -> None:
    from scenarios.checkpoints.recording import KeptRecorder
    from scenarios.recorder import CHECKPOINTS
    from scenarios.schema import Scenario
    from scenarios.simulation import Simulation
    from scenarios.writing import write_whole

    scenario = Scenario.model_validate(dict(task.scenario) | {"seed": task.seed})
    recorder = KeptRecorder(folder)
    with _alone(recorder.partial), _left_after_errors(recorder):
        note = {"task": _played(task), "every": every}
        write_whole(recorder.partial / CHECKPOINTS / NOTE, json.dumps(note).encode())
        simulation = Simulation(scenario=scenario, device=task.device, recorder=KeptTables(recorder, task.keep))
        _to_the_end(simulation, recorder, every)


def _gone_on(task: Task, folder: Path) -> bool:
    """Play a run on from where it stands; False where nothing is left of it that it could be gone on from."""
    from scenarios.checkpoints.kinds import BadCheckpoint

    for partial in _standing(task):
        try:
            with _alone(partial):
                every = _kept_every(task, partial)
                if every is not None and _from_checkpoint(task, folder, partial, every):
                    return True
        except FileNotFoundError:
            continue  # its process has ended it, or given it up, while we looked
        except BadCheckpoint as problem:
            print(f"{task.run}: {problem}; played again from the start", file=sys.stderr)
    return False


def _from_checkpoint(task: Task, folder: Path, partial: Path, every: str) -> bool:
    from scenarios.checkpoints.course import rebuilt
    from scenarios.checkpoints.places import drop_after, newest
    from scenarios.checkpoints.recording import KeptRecorder
    from scenarios.schema import Scenario
    from scenarios.yaml_text import read_yaml

    checkpoint = newest(partial)
    if checkpoint is None:
        return False
    drop_after(partial, int(checkpoint.facts["window"]))
    recorder = KeptRecorder(folder, partial=partial)
    with _left_after_errors(recorder):
        scenario = Scenario.model_validate(read_yaml(checkpoint.scenario))
        simulation = rebuilt(checkpoint, scenario, recorder, KeptTables(recorder, task.keep))
        recorder.go_back(checkpoint.facts["rows"])
        _to_the_end(simulation, recorder, every)
    return True


def _to_the_end(simulation: Simulation, recorder: KeptRecorder, every: str) -> None:
    from scenarios.checkpoints.playing import KEPT
    from scenarios.checkpoints.saving import Interval, Keeper

    keeper = Keeper(simulation, recorder, Interval.read(every), KEPT)
    for _ in simulation.play():
        keeper.after_window()
    simulation.finish()


def _kept_every(task: Task, partial: Path) -> str | None:
    """How often a run is kept, now or when it was begun; None where something else was played."""
    from scenarios.recorder import CHECKPOINTS

    try:
        note = json.loads((partial / CHECKPOINTS / NOTE).read_bytes())
        return task.checkpoint_every or str(note["every"]) if note["task"] == _played(task) else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _played(task: Task) -> Any:
    """What decides about the bytes of a run, as JSON has it."""
    played = {"scenario": task.scenario, "seed": task.seed, "device": task.device, "keep": sorted(task.keep)}
    return json.loads(json.dumps(played))


@contextmanager
def _left_after_errors(recorder: KeptRecorder) -> Iterator[None]:
    try:
        yield
    except BaseException:
        recorder.abort()
        raise


@contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """Hold the hidden folder of a run, as soon as the worker of a killed batch has let go of it, which ends soon."""
    from scenarios.recorder import CHECKPOINTS

    handle = os.open(partial / CHECKPOINTS, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
