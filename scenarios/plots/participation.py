"""Long-term participation in pictures: who stays how long, why owners go, cohorts, inequality, regimes.

Each function draws one tidy table of ``scenarios.analysis``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from scenarios.palette import (
    BLACK,
    BLUE,
    BROWN,
    GREEN,
    INK,
    MUTED,
    OLIVE,
    ORANGE,
    OTHER,
    PAPER,
    PURPLE,
    SKY,
    STATES,
    VERMILION,
    WINE,
    family_of,
    strategy_colours,
)
from scenarios.plots.canvas import canvas, label_ends, nothing_to_show, round_axis, span_of, styled

Families = Mapping[str, str]

_CAUSES = {
    "voluntary": STATES["left"],
    "quit": ORANGE,
    "expelled": STATES["expelled"],
    "bankrupt": STATES["bankrupt"],
    "detected": BLUE,
}
_OTHER_CAUSES = ("#009E73", "#6A4FB3", "#7A5C00", "#1B9AAA", "#C2185B", "#4A5A1A")
DISTINCT = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, BLACK, WINE, OLIVE, BROWN)
MOST_CELLS = 150
"""Cells up to which a matrix has numbers."""
MOST_BANDS = 4
"""Groups up to which confidence bands are drawn: more would hide each other."""


@styled
def survival_curves(curves: pd.DataFrame, ax: Axes | None = None, families: Families | None = None) -> Axes:
    """Share of each group still there by tenure, as of ``analysis.kaplan_meier``, with bands for few groups.

    Groups that are strategies have the colours that these have everywhere, others are told apart as well as may be.
    """
    title = "How long owners stay"
    if curves.empty:
        return nothing_to_show(ax, title, "nobody ever joined")
    ax = canvas(ax)
    groups = list(dict.fromkeys(curves["group"]))
    ends = []
    for name, colour in group_colours(groups, families).items():
        rows = curves[curves["group"] == name]
        ax.step(rows["time"], rows["survival"], where="post", color=colour, label=name)
        if len(groups) <= MOST_BANDS:
            ax.fill_between(rows["time"], rows["lower"], rows["upper"], step="post", color=colour, alpha=0.12, lw=0)
        ends.append((name, float(rows["time"].iloc[-1]), float(rows["survival"].iloc[-1]), colour))
    ax.axhline(0.5, color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    _share_axis(ax, title, "share still in the market", "tenure (windows)", float(curves["time"].max()))
    label_ends(ax, ends)
    return ax


def group_colours(groups: list[str], families: Families | None = None) -> dict[str, str]:
    """Colours of strategies if all groups are of a known family, else colours that differ as much as may be."""
    known = families or {}
    if all(family_of(name) != OTHER or name.split("+")[0] in known for name in groups):
        return strategy_colours(groups, families)
    return {name: DISTINCT[place % len(DISTINCT)] for place, name in enumerate(groups)}


@styled
def exit_causes(incidence: pd.DataFrame, ax: Axes | None = None, until: float | None = None) -> Axes:
    """Share that has gone for each cause by tenure, stacked, as of ``analysis.cumulative_incidence`` of one group.

    What is left above the stack is still there. ``until`` is the end of the axis, in windows.
    """
    title = "Why owners go"
    if incidence.empty:
        return nothing_to_show(ax, title, "nobody has left")
    ax = canvas(ax)
    course = incidence.pivot_table(index="time", columns="cause", values="incidence")
    end = float(course.index.max()) if until is None else max(until, float(course.index.max()))
    course.loc[end] = course.iloc[-1]
    colours = cause_colours(list(course.columns))
    order = course.iloc[-1].sort_values(ascending=False, kind="stable").index
    areas = ax.stackplot(
        course.index, [course[cause] for cause in order], colors=[colours[cause] for cause in order], step="post"
    )
    for area in areas:
        area.set(edgecolor=PAPER, linewidth=0.4)
    heights = np.cumsum([float(course[cause].iloc[-1]) for cause in order])
    middles = heights - np.array([float(course[cause].iloc[-1]) for cause in order]) / 2
    _share_axis(ax, title, "share that has left", "tenure (windows)", end)
    label_ends(ax, [
        (f"{cause} {course[cause].iloc[-1]:.0%}", end, float(middle), colours[cause])
        for cause, middle in zip(order, middles, strict=True)
    ])  # fmt: skip
    return ax


def cause_colours(causes: list[str]) -> dict[str, str]:
    """A colour for every cause of exit; the colour of a known cause never depends on which others are present."""
    others = [cause for cause in sorted(causes) if cause not in _CAUSES]
    return {cause: _CAUSES[cause] for cause in causes if cause in _CAUSES} | {
        cause: _OTHER_CAUSES[place % len(_OTHER_CAUSES)] for place, cause in enumerate(others)
    }


@styled
def churn(hazard: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Exits per owner and window by tenure, with exact intervals, as of ``analysis.churn_hazard`` of one group."""
    title = "Churn by tenure"
    if hazard.empty:
        return nothing_to_show(ax, title, "nobody was in the market")
    ax = canvas(ax)
    middle, width = (hazard["from"] + hazard["to"]) / 2, float((hazard["to"] - hazard["from"]).iloc[0])
    ax.bar(middle, hazard["hazard"], width=0.86 * width, color=BLUE, alpha=0.35)
    spread = np.abs(np.array([hazard["hazard"] - hazard["lower"], hazard["upper"] - hazard["hazard"]]))
    ax.errorbar(middle, hazard["hazard"], yerr=spread, fmt="o", color=BLUE, markersize=4, linewidth=1.2, capsize=2)
    ax.set_title(title)
    ax.set_ylabel("exits per owner and window")
    ax.set_xlabel("tenure (windows)")
    # A band that hardly anybody lived through has an interval that would flatten all others.
    ax.set_ylim(0, 1.6 * max(float(hazard["hazard"].max()), float(hazard["upper"].median())))
    ax.set_xlim(float(hazard["from"].min()), float(hazard["to"].max()))
    return ax


@styled
def retention_matrix(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of each cohort still there after each tenure, as of ``analysis.retention``; blank where it is unknown."""
    title = "Retention by cohort"
    if table.empty or table.shape[1] < 2:
        return nothing_to_show(ax, title, "no cohorts: the run is too short")
    ax = canvas(ax)
    stays = table.attrs.get("stays", {})
    shade = LinearSegmentedColormap.from_list("retention", [PAPER, BLUE])
    ax.pcolormesh(table.to_numpy(), vmin=0, vmax=1, cmap=shade, edgecolors=PAPER, linewidth=1.2)
    ax.invert_yaxis()
    if table.size <= MOST_CELLS:
        for (row, column), share in np.ndenumerate(table.to_numpy(dtype=np.float64)):
            if not np.isnan(share):
                ax.text(column + 0.5, row + 0.5, f"{share:.0%}", ha="center", va="center", fontsize=8,
                        color=PAPER if share > 0.55 else INK)  # fmt: skip
    ax.set_yticks(
        np.arange(len(table)) + 0.5,
        [f"{first:g}  ({stays.get(float(first), '?')} stays)" for first in table.index],
    )  # fmt: skip
    ax.set_xticks(np.arange(table.shape[1]) + 0.5, [f"{tenure:g}" for tenure in table.columns])
    ax.set_title(title)
    ax.set_ylabel("joined in window")
    ax.set_xlabel("tenure (windows)")
    return ax


@styled
def lorenz_curves(curves: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of the total that the poorest share of owners holds, as of ``analysis.lorenz``, one line per group."""
    title = "Inequality among owners"
    if curves.empty:
        return nothing_to_show(ax, title, "nothing to share")
    ax = canvas(ax)
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    palette = [BLUE, ORANGE, "#009E73", VERMILION]
    for place, (name, rows) in enumerate(curves.groupby("group", sort=False)):
        ax.plot(rows["owners"], rows["total"], color=palette[place % len(palette)], label=str(name))
    ax.legend(loc="upper left")
    _share_axis(ax, title, "share of the total", "share of owners, poorest first", 1.0)
    if float(curves["total"].min()) < 0:
        ax.set_ylim(float(curves["total"].min()) * 1.05, 1.02)
    return ax


@styled
def regime_course(rounds: pd.DataFrame, regimes: pd.DataFrame, column: str = "active", ax: Axes | None = None) -> Axes:
    """A column of the rounds table with the means of its regimes, as of ``analysis.regimes`` of that column."""
    label = "owners in the market" if column == "active" else column.replace("_", " ")
    title = f"Regimes: {label}"
    if regimes.empty:
        return nothing_to_show(ax, title, "no value was recorded")
    ax = canvas(ax)
    ax.plot(rounds["round"], rounds[column], color=MUTED, linewidth=1.0)
    columns = (regimes[name].to_list() for name in ("first_round", "last_round", "mean"))
    for place, (first, last, mean) in enumerate(zip(*columns, strict=True)):
        ax.plot([first, last], [mean, mean], color=BLUE, linewidth=2.4)
        if place:
            ax.axvline(first - 0.5, color=VERMILION, linewidth=1.0, linestyle=(0, (3, 2)))
        ax.annotate(f"{mean:.3g}", ((first + last) / 2, mean), xytext=(0, 5), textcoords="offset points",
                    ha="center", color=INK, fontsize=8.5)  # fmt: skip
    round_axis(ax, title, label, span_of(rounds))
    ax.margins(y=0.15)
    return ax


def _share_axis(ax: Axes, title: str, ylabel: str, xlabel: str, end: float) -> None:
    ax.set_title(title)
    ax.set_ylabel(ylabel)
    ax.set_xlabel(xlabel)
    ax.set_ylim(0, 1.02)
    ax.set_xlim(0, end if end > 0 else 1.0)
