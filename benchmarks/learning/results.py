"""Rows of figures as a table on the screen and as a dated section of ``benchmarks/RESULTS.md``."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

SAME = 1e-3
"""Relative distance up to which two results count as the same; float32 flips a ReLU or a max-pool choice at times."""

BARS: dict[tuple[str, str], float] = {
    ("softmax", "pfl"): 15.0,
    ("mlp", "pfl"): 6.0,
    ("lenet", "pfl"): 1.6,
    ("cnn", "pfl"): 2.0,
    ("mlp", "flower"): 60.0,
    ("softmax ragged", "loop"): 4.0,
    ("mlp ragged", "loop"): 4.0,
}
"""Ratios by CPU time on one core that the project holds itself to, by subject and peer."""

CUDA_BARS: dict[tuple[str, str], float] = {("mlp", "loop"): 20.0, ("lenet", "loop"): 20.0, ("cnn", "loop"): 3.0}
"""The same on a GPU, by wall time."""


@dataclass(frozen=True)
class Row:
    """Ours beside one other on one subject; aligned by repeat.

    ``ratios`` are by CPU time (by wall time on a GPU), ``wall_ratios`` by wall time; rates are steps or evaluations
    per second; ``difference`` is the relative distance of the two results; ``start_up`` is wall seconds up to the first
    answer, for a side that starts processes of its own. A row with a ``reason`` has no figures.
    """

    subject: str
    ours: str
    other: str
    ratios: Sequence[float] = ()
    wall_ratios: Sequence[float] = ()
    our_rates: Sequence[float] = ()
    rates: Sequence[float] = ()
    difference: float = 0.0
    start_up: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    reason: str = ""

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    def verdict(self, bars: dict[tuple[str, str], float]) -> str:
        """What is asked of this pair and whether it is reached, empty if nothing is asked."""
        bar = bars.get((self.subject, self.other))
        if bar is None or self.reason:
            return ""
        return f"at least {bar:g}: {'reached' if self.ratio >= bar else 'missed'}"


def figure(value: float) -> str:
    """Three digits that matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def spread(values: Sequence[float]) -> str:
    """Median, and in brackets the smallest and the largest."""
    return f"{figure(statistics.median(values))} ({figure(min(values))} to {figure(max(values))})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it also reads well on a screen."""
    width = [max(len(line[place]) for line in (head, *rows)) for place in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.ljust(width[place]) for place, cell in enumerate(cells))} |"

    rule = f"| {' | '.join('-' * wide for wide in width)} |"
    return "\n".join([line(head), rule, *map(line, rows)])


def comparison(
    rows: Sequence[Row], unit: str, device: str, scale: dict[str, float], bars: dict[tuple[str, str], float]
) -> str:
    """The table of rows. ``scale`` says how many counted things make one ``unit`` for a subject (default one)."""
    clock = "CPU s" if device == "cpu" else "s"
    lines = []
    for row in rows:
        if row.reason:
            lines.append([row.subject, row.ours, row.other, "-", "-", "-", "-", "-", row.reason])
            continue
        per = scale.get(row.subject, 1.0)
        same = figure(row.difference) if row.difference <= SAME else f"{figure(row.difference)}: differs"
        own, other = (figure(statistics.median(rates) / per) for rates in (row.our_rates, row.rates))
        verdict = row.verdict(bars)
        lines.append(
            [row.subject, row.ours, row.other, spread(row.ratios), spread(row.wall_ratios), own, other, same, verdict]
        )
    by = "CPU time" if device == "cpu" else "device time"
    head = ["work", "ours", "beside", f"ratio by {by}", "ratio by wall time"]
    return table([*head, f"our {unit} / {clock}", "its", "results differ by", "asked"], lines)


def machine(device: str) -> str:
    """The kind of machine in words, without names."""
    model = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    text = f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}, torch {torch.__version__}"
    return f"{torch.cuda.get_device_name()}; {text}" if device == "cuda" else text


def load_average() -> str:
    """What else the machine was doing, as far as the system tells."""
    return ", ".join(f"{load:.1f}" for load in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"


def append_section(path: Path, title: str, facts: Sequence[tuple[str, str]], parts: Sequence[tuple[str, str]]) -> None:
    """Add a dated section of facts and titled tables to the end of a Markdown file, which must exist."""
    lines = ["", f"## {title}", "", *(f"- {name}: {text}" for name, text in facts)]
    for name, body in parts:
        lines += ["", f"### {name}", "", body]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
