"""Who is there and how they fare, by strategy: population, reputation, utility."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scenarios.palette import INK, MUTED, PAPER, strategy_colours
from scenarios.plots.canvas import (
    after_rounds,
    canvas,
    label_ends,
    nothing_to_show,
    present,
    readable,
    round_axis,
    span_of,
    styled,
    thousands,
)

Families = Mapping[str, str]
"""Strategy name -> family (``honest``, ``misreporter``, ``free_rider``, ...); guessed from names when not given."""


def _active(owners: pd.DataFrame) -> pd.DataFrame:
    rows = after_rounds(owners)
    return rows[rows["status"] == "active"]


@styled
def population_by_strategy(
    owners: pd.DataFrame,
    ax: Axes | None = None,
    families: Families | None = None,
    rounds: pd.DataFrame | None = None,
) -> Axes:
    """Stacked numbers of active owners per strategy over the rounds (of the recorded owners).

    The rounds table, if given, tells how long the run was and when the market was empty.
    """
    title = "Population by strategy"
    rows = _active(owners)
    if rows.empty:
        return nothing_to_show(ax, title, "no active owners recorded")
    ax = canvas(ax)
    span, recorded = span_of(rows, rounds), after_rounds(owners)["round"].unique()
    if rounds is not None:
        recorded = np.union1d(recorded, rounds.loc[rounds["active"] == 0, "round"])
    counts = rows.groupby(["round", "strategy"]).size().unstack(fill_value=0).reindex(np.sort(recorded), fill_value=0)
    colours = strategy_colours(counts.columns, families)
    # A round is a step one round wide; the last recorded one goes on to the end.
    steps = np.append(counts.index, span[1] + 1) - 0.5
    stacks = [np.append(counts[name], counts[name].iloc[-1]) for name in colours]
    areas = ax.stackplot(steps, stacks, colors=list(colours.values()), labels=list(colours), step="post")
    for area in areas:
        area.set(edgecolor=PAPER, linewidth=0.4)
    round_axis(ax, title, "active owners", span)
    ax.set_ylim(0)
    handles = list(zip(areas, colours, strict=True))[::-1]
    ax.legend(*zip(*handles, strict=True), loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


@styled
def reputation(
    owners: pd.DataFrame,
    ax: Axes | None = None,
    families: Families | None = None,
    rounds: pd.DataFrame | None = None,
) -> Axes:
    """Mean public standing of the active owners of each strategy; the rounds table tells how long the run was."""
    title = "Reputation by strategy"
    rows = _active(owners)
    if rows.empty:
        return nothing_to_show(ax, title, "no active owners recorded")
    ax = canvas(ax)
    ends = []
    for name, colour in strategy_colours(rows["strategy"].unique(), families).items():
        mean = rows[rows["strategy"] == name].groupby("round")["reputation"].mean()
        ax.plot(mean.index, mean, color=colour, label=name)
        ends.append((name, float(mean.index[-1]), float(mean.iloc[-1]), colour))
    round_axis(ax, title, "mean reputation", span_of(rows, rounds))
    ax.set_ylim(0, 1)
    label_ends(ax, ends)
    return ax


@styled
def utility_by_strategy(owners: pd.DataFrame, ax: Axes | None = None, families: Families | None = None) -> Axes:
    """Each owner's mean realised utility per round (a dot), and its mean over the strategy's owners (a bar)."""
    title = "Utility by strategy"
    rows = present(owners).dropna(subset=["utility"])
    if rows.empty:
        return nothing_to_show(ax, title, "no active owners recorded")
    ax = canvas(ax)
    per_owner = rows.groupby(["strategy", "owner"])["utility"].mean()
    colours = strategy_colours(rows["strategy"].unique(), families)
    for place, (name, colour) in enumerate(colours.items()):
        values = per_owner[name].sort_index().to_numpy(dtype=float)
        # Dots are spread by a fixed low-discrepancy sequence: the same picture every time.
        height = place + 0.56 * (np.arange(1, len(values) + 1) * 0.6180339887 % 1.0 - 0.5)
        ax.scatter(values, height, s=15, color=colour, alpha=0.7, edgecolors=readable(colour), linewidths=0.5)
        mean = float(values.mean())
        ax.plot([mean, mean], [place - 0.36, place + 0.36], color=PAPER, linewidth=4.5)
        ax.plot([mean, mean], [place - 0.36, place + 0.36], color=INK, linewidth=2.2)
        ax.annotate(f"{mean:.3g}", (1.0, place), xycoords=("axes fraction", "data"), xytext=(5, 0),
                    textcoords="offset points", va="center", color=INK, fontsize=8.5)  # fmt: skip
    ax.axvline(0, color=MUTED, linewidth=0.8)
    counts = [len(per_owner[name]) for name in colours]
    labels = [f"{name}\n{count} owner{'s' * (count > 1)}" for name, count in zip(colours, counts, strict=True)]
    ax.set_yticks(range(len(colours)), labels)
    ax.set_ylim(len(colours) - 0.5, -0.5)
    ax.grid(True, axis="x")
    ax.grid(False, axis="y")
    ax.set_title(title)
    ax.set_xlabel("mean realised utility per round (money)")
    thousands(ax.xaxis)
    ax.annotate("mean", (1.0, 1.0), xycoords="axes fraction", xytext=(5, 2), textcoords="offset points",
                va="bottom", color=MUTED, fontsize=8.5)  # fmt: skip
    return ax
