"""Sides in turn, repeat by repeat: how much work each does per second, and whether it is the same work.

All sides of a comparison live at the same time and compute one after another, so that whatever else the machine does
meets all of them, and a ratio is that of two neighbours in time. CPU seconds count on a CPU (every side has one
thread), wall seconds with synchronisation on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.learning.environments import Absent
from benchmarks.learning.results import Row
from benchmarks.learning.sides import Side, command

MOST_TIMES = 2_000


def compare(
    subject: str,
    ours: Sequence[str],
    others: Sequence[str],
    work: Path,
    *,
    unit: str,
    repeats: int,
    seconds: float,
    device: str = "cpu",
    suffix: str = "",
    baseline: Path | None = None,
) -> list[Row]:
    """One row for every back-end of ``ours`` beside every side of ``others``.

    ``unit`` is the entry of a side's answer that is counted (``steps`` or ``evaluations``), ``seconds`` about how long
    one repeat of one side may take, ``suffix`` distinguishes the sides (``_coalitions``). ``baseline`` is a file with
    the initial weights: differences between results are then told relative to the way from there.
    A side that fails is a row with the reason.
    """
    clock = "cpu" if device == "cpu" else "wall"
    with ExitStack() as stack:
        running: dict[str, _Player] = {}
        absent: dict[str, str] = {}
        for backend in ours:
            _start(stack, running, absent, f"ours {backend}", f"ours{suffix}", work, device, backend)
        for name in others:
            _start(stack, running, absent, name, f"{name}{suffix}" if name == "loop" else name, work, device, "auto")
        for _ in range(repeats):
            for name in list(running):
                try:
                    running[name].repeat(unit, clock, seconds)
                except Absent as reason:
                    absent[name] = str(reason)
                    del running[name]
        return [
            _row(subject, f"ours {backend}", name, running, absent, baseline) for backend in ours for name in others
        ]


class _Player:
    """A running side with its figures: work per second, repeat by repeat, by CPU or device time and by wall time."""

    def __init__(self, side: Side, work: Path, name: str) -> None:
        self.side = side
        result = work / f"result of {name}.pt"
        first = side.ask("check", path=str(result))
        self.result: torch.Tensor = torch.load(result).double()
        self.versions = side.ask("versions")
        # Only a side that starts actors of its own says how long that took; its first answer waits for them too.
        self.start_up = self.versions["start_up"] + first["wall"] if "start_up" in self.versions else 0.0
        self.rates: list[float] = []
        self.wall_rates: list[float] = []
        side.ask("play", times=1)  # the first round of a side is not like the others
        self._per_time = float(side.ask("play", times=1)["wall"])

    def repeat(self, unit: str, clock: str, seconds: float) -> None:
        times = int(min(max(math.ceil(seconds / self._per_time), 1), MOST_TIMES))
        answer = self.side.ask("play", times=times)
        self._per_time = answer["wall"] / times
        self.rates.append(answer[unit] / answer[clock])
        self.wall_rates.append(answer[unit] / answer["wall"])


def _start(
    stack: ExitStack,
    running: dict[str, _Player],
    absent: dict[str, str],
    name: str,
    side: str,
    work: Path,
    device: str,
    backend: str,
) -> None:
    try:
        process = stack.enter_context(Side(command(side, work, device, backend), work / f"log of {name}.txt"))
        running[name] = _Player(process, work, name)
    except Absent as reason:
        absent[name] = str(reason)


def _row(
    subject: str, ours: str, other: str, running: dict[str, _Player], absent: dict[str, str], baseline: Path | None
) -> Row:
    missing = "; ".join(f"{name}: {absent[name]}" for name in (ours, other) if name in absent)
    if missing:
        return Row(subject, ours, other, reason=missing)
    left, right = running[ours], running[other]
    return Row(
        subject,
        f"{ours} ({left.versions['backend']}, {left.versions['chunk']})" if "backend" in left.versions else ours,
        other,
        ratios=[a / b for a, b in zip(left.rates, right.rates, strict=True)],
        wall_ratios=[a / b for a, b in zip(left.wall_rates, right.wall_rates, strict=True)],
        our_rates=left.rates,
        rates=right.rates,
        difference=_difference(left.result, right.result, baseline),
        start_up=right.start_up,
        versions={name: text for name, text in right.versions.items() if isinstance(text, str)},
    )


def _difference(ours: torch.Tensor, other: torch.Tensor, baseline: Path | None) -> float:
    """Distance of two results, relative to the way from the initial weights, or to the other's size without them."""
    gap = torch.linalg.vector_norm(ours - other)
    if baseline is None:
        return float(gap / torch.linalg.vector_norm(other))
    return float(gap / torch.linalg.vector_norm(other - torch.from_numpy(np.load(baseline)).double()))


def memory(work: Path, cohorts: Sequence[int], device: str) -> list[dict[str, Any]]:
    """Peak memory of our side in a fresh process per cohort size, and how much of it a round added.

    ``peak`` and ``before`` are bytes of the process on a CPU, ``device`` bytes that tensors took at most on a GPU.
    """
    rows = []
    for cohort in cohorts:
        with Side(command("ours", work, device), work / "log of memory.txt") as side:
            before = side.ask("versions")["peak_bytes"]
            answer = side.ask("play", times=1, cohort=cohort)
            peak = {"peak": answer["peak_bytes"], "before": before, "device": answer.get("device_bytes", 0)}
            rows.append({"cohort": cohort, **peak})
    return rows
