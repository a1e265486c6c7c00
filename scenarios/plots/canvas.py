"""What all pictures share: style, size, empty pictures, labels at line ends. No pyplot, no global settings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from scenarios.palette import BLACK, FAINT, INK, MUTED, PAPER, mix, rgb

STYLE: Any = {
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 1.2,
    "legend.columnspacing": 1.2,
}

WIDTH, HEIGHT = 6.6, 3.9
"""Inches of an ordinary picture."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def styled(plot: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorator: draw within the project's style and leave matplotlib's settings as they were."""

    @functools.wraps(plot)
    def draw(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with matplotlib.rc_context(STYLE):
            return plot(*args, **kwargs)

    return draw


def canvas(ax: Axes | None, width: float = WIDTH, height: float = HEIGHT) -> Axes:
    """The given axes, or the axes of a new figure of this size (inches)."""
    return ax if ax is not None else Figure(figsize=(width, height), layout="constrained").add_subplot()


def nothing_to_show(ax: Axes | None, title: str, reason: str, width: float = WIDTH) -> Axes:
    """An empty picture, low if it is its own, that says why it is empty."""
    ax = canvas(ax, width, 0.9)
    ax.set_title(title)
    ax.set_axis_off()
    ax.text(0.5, 0.5, reason, ha="center", va="center", transform=ax.transAxes, color=MUTED)
    return ax


def round_axis(ax: Axes, title: str, ylabel: str, span: tuple[int, int]) -> None:
    """Title, y label, and whole rounds on the x axis, from the first to the last of the span."""
    ax.set_title(title)
    ax.set_ylabel(ylabel)
    ax.set_xlabel("round")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    ax.set_xlim(span[0] - 0.5, span[1] + 0.5)


def span_of(shown: pd.DataFrame, rounds: pd.DataFrame | None = None) -> tuple[int, int]:
    """First and last round of the run, by its rounds table; without one, of the rows that are shown."""
    numbers = shown["round"] if rounds is None or rounds.empty else rounds["round"]
    return int(numbers.min()), int(numbers.max())


def after_rounds(owners: pd.DataFrame) -> pd.DataFrame:
    """The rows of the owners table that were taken after a settlement, with plain strings for labels."""
    rows = owners[owners["moment"] == "round"]
    return rows.assign(**{name: rows[name].astype(object) for name in ("moment", "status", "strategy", "upload")})


def present(owners: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``after_rounds`` of owners that were in the market in that round, even if they left at its end."""
    rows = after_rounds(owners)
    return rows[(rows["status"] == "active") | rows["took_part"]]


def smoothed(values: Iterable[float], window: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Centred moving average that ignores NaN; same length."""
    series = pd.Series(list(values), dtype=float)
    return series.rolling(window, center=True, min_periods=1).mean().to_numpy(dtype=float)


def thousands(axis: Axis) -> None:
    """Plain numbers with thousands separators and the minus of all other numbers on an axis."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def spread(places: Sequence[float], gap: float, ceiling: float) -> list[float]:
    """Ascending places moved to be at least ``gap`` apart and, as far as there is room, below ``ceiling``."""
    pushed: list[float] = []
    for place in places:
        pushed.append(max(place, pushed[-1] + gap) if pushed else place)
    for index in range(len(pushed) - 1, -1, -1):
        pushed[index] = min(pushed[index], ceiling)
        ceiling = pushed[index] - gap
    return pushed


def label_ends(ax: Axes, lines: Sequence[tuple[str, float, float, str]], gap: float = 0.062) -> None:
    """Write each line's name at the right edge of the finished axes, moved apart where names would overlap.

    ``lines``: name, x and y of the last point, colour. A thread ties the name to its line; a line that ends early gets
    a dotted one. ``gap`` is the least distance of names as a share of the axes' height.
    """
    if not lines:
        return
    ax.get_ylim()  # settles a pending autoscale, which the transform below would not see
    right = ax.get_xlim()[1]
    to_share = ax.transData + ax.transAxes.inverted()
    order = sorted(lines, key=lambda line: line[2])
    heights = spread([float(to_share.transform((x, y))[1]) for _, x, y, _ in order], gap, 1.0)
    for (name, x, y, colour), height in zip(order, heights, strict=True):
        if right - x > 1:
            ax.plot([x, right], [y, y], color=colour, linewidth=0.8, linestyle=":")
        thread = {"arrowstyle": "-", "color": colour, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)}
        ax.annotate(
            name, (x if right - x <= 1 else right, y), xytext=(1.045, height), textcoords="axes fraction",
            va="center", ha="left", color=readable(colour), fontsize=8.5, annotation_clip=False, arrowprops=thread,
        )  # fmt: skip


def readable(colour: str) -> str:
    """A text colour that can be read on white: the colour itself unless it is light, then a darker one."""
    red, green, blue = rgb(colour)
    lightness = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return mix(colour, BLACK, 0.4) if lightness > 0.55 else colour
