"""When a checkpoint is due, and taking it: after every so many rounds, or minutes, at the end of a window."""

from __future__ import annotations

import gc
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from scenarios.checkpoints.capturing import Snapshot, capture
from scenarios.checkpoints.files import Checkpoint, write_checkpoint
from scenarios.checkpoints.origins import fingerprint
from scenarios.checkpoints.places import place_of, windows_kept
from scenarios.checkpoints.recording import KeptRecorder
from scenarios.checkpoints.restoring import restore
from scenarios.errors import BadInput
from scenarios.loading import resolved_yaml
from scenarios.simulation import Simulation
from scenarios.versions import versions

EVERY = "--checkpoint-every"
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Interval:
    """So many rounds or so many seconds of the wall clock; the other is None."""

    rounds: int | None = None
    seconds: float | None = None

    @classmethod
    def read(cls, text: str) -> Interval:
        """From what stands on the command line: ``10``, ``30s``, ``5min``, ``2h``. Raises ``BadInput``."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h)?", text.strip())
        expected = "a number of rounds, or a time such as 30s, 5min or 2h"
        if match is None or len(text) > 20 or float(match[1]) <= 0:
            raise BadInput(EVERY, "", text, expected)
        if match[2]:
            return cls(seconds=float(match[1]) * _SECONDS[match[2]])
        if "." in match[1]:
            raise BadInput(EVERY, "", text, expected)
        return cls(rounds=int(match[1]))


class Keeper:
    """Takes the checkpoints of one run as they fall due, and drops all but the newest ``keep`` (None: none)."""

    def __init__(self, simulation: Simulation, recorder: KeptRecorder, every: Interval, keep: int | None) -> None:
        self._simulation = simulation
        self._recorder = recorder
        self._every = every
        self._keep = keep
        self._built_from = fingerprint(simulation)
        self._rounds = simulation.world.rounds_closed
        self._since = time.monotonic()

    def after_window(self) -> None:
        """Take a checkpoint if it is due. One that cannot be written is told of; the run goes on with the last."""
        if not self._due():
            return
        try:
            self.take()
        except OSError as problem:
            reason = problem.strerror or problem
            print(
                f"no checkpoint after window {self._simulation.steps}: {reason}; the last one is kept", file=sys.stderr
            )

    def take(self) -> None:
        """Take a checkpoint now. OSError if it cannot be written; the earlier ones are as they were then."""
        self._rounds, self._since = self._simulation.world.rounds_closed, time.monotonic()
        folder = self._recorder.partial
        write_checkpoint(place_of(folder, self._simulation.steps), self._checkpoint())
        if self._keep is not None:
            for _, place in windows_kept(folder)[self._keep :]:
                shutil.rmtree(place)

    def _due(self) -> bool:
        if self._every.rounds is not None:
            return self._simulation.world.rounds_closed - self._rounds >= self._every.rounds
        assert self._every.seconds is not None
        return time.monotonic() - self._since >= self._every.seconds

    def _checkpoint(self) -> Checkpoint:
        world = self._simulation.world
        facts = {
            "window": self._simulation.steps,
            "rounds_closed": world.rounds_closed,
            "next_round": world.rounds_closed + (world.round is not None),
            "seed": self._simulation.scenario.seed,
            "device": self._simulation.device,
            "built_from": self._built_from,
            "rows": self._recorder.marks(),
            **versions(),
        }
        return Checkpoint(
            facts, resolved_yaml(self._simulation.resolved), taken(self._simulation, self._recorder.buffers)
        )


def taken(simulation: Simulation, buffers: Any) -> Snapshot:
    """All that must be kept of a simulation between two windows, and of the rows that wait to be written."""
    with _no_collection():
        return capture({"simulation": simulation, "buffers": buffers})


def put_back(snapshot: Snapshot, simulation: Simulation, buffers: Any) -> None:
    """Set a freshly built simulation, and empty buffers, to what was taken. Raises ``BadCheckpoint``."""
    with _no_collection():
        restore(snapshot, {"simulation": simulation, "buffers": buffers})


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python does not look for garbage again and again while a large graph is being walked."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
