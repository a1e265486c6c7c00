"""The conversation between the benchmark and one side of it, which runs in a process and an environment of its own.

The side reads one JSON command per line, ``{"do": "play", "times": 3}``, and answers with one JSON line. Whatever a
library prints goes to stderr, so that it cannot fall into the conversation.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

torch.set_num_threads(1)

Command = Callable[..., dict[str, Any]]


class Work:
    """The work folder: arrays that are the same for every side, and what to do with them.

    Rounds: ``x`` [N, *shape] float32, ``y`` [N] int64, ``sizes`` [S] samples per owner (the owners' rows follow each
    other), ``initial`` [P]; ``check_owners`` [K] and ``check_order`` [sum of their sizes] (rows of ``x``, owner after
    owner, in the order of the batches) pin one round. Coalitions: ``x`` and ``y`` are for testing, ``initial`` is the
    base model, ``uploads`` [K, P] and ``weights`` [K] what a round sent.
    """

    def __init__(self, folder: str) -> None:
        self.arrays = {path.stem: np.load(path) for path in sorted(Path(folder).glob("*.npy"))}
        self.plan: dict[str, Any] = json.loads((Path(folder) / "plan.json").read_text())
        self.x = torch.from_numpy(self.arrays["x"])
        self.y = torch.from_numpy(self.arrays["y"])
        self.initial = torch.from_numpy(self.arrays["initial"])

    @property
    def sizes(self) -> np.ndarray:
        return self.arrays["sizes"]

    def owners(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Every owner's samples and labels, as views of the whole."""
        sizes = self.sizes.tolist()
        return list(zip(self.x.split(sizes), self.y.split(sizes), strict=True))

    def pinned(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The data of the pinned cohort, each owner's in the order in which its batches take it."""
        ends = np.cumsum(self.sizes[self.arrays["check_owners"]])
        rows = np.split(self.arrays["check_order"], ends[:-1])
        return [(self.x[row], self.y[row]) for row in map(torch.from_numpy, rows)]


def put(module: torch.nn.Module, vector: torch.Tensor) -> torch.nn.Module:
    """Write a flat vector [P] into a module's weights; returns the module."""
    torch.nn.utils.vector_to_parameters(vector.clone(), module.parameters())
    for parameter in module.parameters():
        parameter.data = parameter.data.clone()  # memory of its own, not a view of the vector
    return module


def flat(module: torch.nn.Module) -> torch.Tensor:
    """A module's weights as one vector [P]."""
    return torch.nn.utils.parameters_to_vector(module.parameters()).detach().cpu().clone()


def cpu_seconds() -> float:
    """CPU time of this process; a side with helpers of its own passes another clock to ``serve``."""
    return time.process_time()


def peak_bytes() -> int:
    """Most memory that this process has held so far.

    From the kernel's own account where there is one: ``ru_maxrss`` of a child starts with its parent's.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def serve(commands: dict[str, Command], clock: Callable[[], float] = cpu_seconds) -> None:
    """Answer commands until the benchmark closes the line. ``play`` is timed, by CPU and by wall.

    Every command gets the other entries of its line as keywords and returns a dictionary for the answer.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    say({"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        command = commands[asked.pop("do")]
        try:
            cpu, wall = clock(), time.perf_counter()
            answer = command(**asked)
            answer |= {"wall": time.perf_counter() - wall, "cpu": clock() - cpu}
            answer["peak_bytes"] = peak_bytes()
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        say(answer)
