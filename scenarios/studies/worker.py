"""The worker process of a batch: warms up once, then plays one run after the other until told to stop.

Nothing heavy is imported at the top: threads and the GPU must be chosen first.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
import traceback
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from scenarios.studies.playing import Outcome, Task, attempt, limit_threads

READY = "ready"

_SETTLING = 2
"""Runs after which a worker has loaded all that it keeps."""


@dataclass(frozen=True)
class Seat:
    """What a worker gets: where runs are written, and its share of a GPU (``visible`` as CUDA names it) if any."""

    working: Path
    runs: Path
    visible: str | None = None
    share: float = 0.0


def serve(connection: Connection[Any, Any], seat: Seat) -> None:
    """Answer ``READY``, or a traceback if nothing can be played here; then an ``Outcome`` for each ``Task``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    limit_threads()
    if seat.visible is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = seat.visible
    try:
        _warm_up(seat)
    except Exception:
        connection.send(traceback.format_exc())
        return
    connection.send(READY)
    played = 0
    while True:
        try:
            task: Task | None = connection.recv()
        except EOFError:
            return
        if task is None:
            return
        outcome: Outcome = attempt(task, seat.working, seat.runs / task.run)
        connection.send(outcome)
        gc.collect()  # a finished simulation is full of cycles
        played += 1
        if played <= _SETTLING:
            gc.freeze()  # what is left are imports and data that stay: later collections need not look at them


def _warm_up(seat: Seat) -> None:
    """Import what every run needs."""
    import scenarios.simulation

    del scenarios
    if seat.share:
        import torch

        torch.cuda.set_per_process_memory_fraction(min(seat.share, 1.0))


def _end_with_the_parent() -> None:
    """End at once when the parent is gone, however it went."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
