"""Privacy for sale over time, from the rounds table: how much of it, and at what price."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scenarios.palette import BLUE, GREEN, MUTED, ORANGE, VERMILION
from scenarios.plots.canvas import canvas, label_ends, nothing_to_show, round_axis, span_of, styled


def sells_privacy(rounds: pd.DataFrame) -> bool:
    """Whether owners of this run have offered any."""
    return bool((rounds["epsilon_offered"] > 0).any())


@styled
def privacy_sold(rounds: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Epsilon of all owners together in each round: offered, sold, and really lost, forfeits included."""
    title = "Privacy offered, sold and lost"
    if not sells_privacy(rounds):
        return nothing_to_show(ax, title, "no privacy was for sale")
    lines = {
        "offered": (rounds["epsilon_offered"], MUTED, 1.8),
        "sold": (rounds["epsilon_sold"], BLUE, 4.5),  # broad: where all is well the next line lies on top of it
        "lost": (rounds["epsilon_lost"] + rounds["epsilon_forfeited"], VERMILION, 1.8),
    }
    return _courses(canvas(ax), title, "epsilon per round", rounds, lines)


@styled
def privacy_price(rounds: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Money per epsilon in each round: paid for what was sold, its cost to those who lost it, and the mean bid."""
    title = "Price of privacy"
    if not sells_privacy(rounds):
        return nothing_to_show(ax, title, "no privacy was for sale")
    sold, lost = (rounds[name].where(rounds[name] > 0) for name in ("epsilon_sold", "epsilon_lost"))
    lines = {
        "mean valuation claimed": (rounds["mean_field_valuation"], ORANGE, 1.8),
        "paid": (rounds["paid"] / sold, BLUE, 1.8),
        "cost to owners": (rounds["privacy_cost"] / lost, GREEN, 1.8),
    }
    return _courses(canvas(ax), title, "money per epsilon", rounds, lines)


def _courses(
    ax: Axes, title: str, unit: str, rounds: pd.DataFrame, lines: dict[str, tuple[pd.Series, str, float]]
) -> Axes:
    """A line for each column, its colour and width; name and last value at its end, gaps where there is no number."""
    ends = []
    for name, (column, colour, width) in lines.items():
        ax.plot(rounds["round"], column, color=colour, linewidth=width, marker="o", markersize=2.5, label=name)
        if len(known := column.dropna()):
            last = known.index[-1]
            ends.append((f"{name} {known[last]:.3g}", float(rounds["round"][last]), float(known[last]), colour))
    round_axis(ax, title, unit, span_of(rounds))
    ax.set_ylim(bottom=0, top=max(1e-12, 1.05 * float(np.nanmax([column.max() for column, *_ in lines.values()]))))
    label_ends(ax, ends)
    return ax
