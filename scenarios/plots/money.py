"""Where the money goes, from the ledger's postings."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from market.money import from_micro
from scenarios.palette import flow_colours
from scenarios.plots.canvas import (
    canvas,
    label_ends,
    nothing_to_show,
    readable,
    round_axis,
    smoothed,
    styled,
    thousands,
)

MOST_KINDS = 10
MONEY_SMOOTHING = 5


@styled
def money_flows(transfers: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Money moved per round and kind of transfer, on a logarithmic axis: audit costs stand beside endowments.

    Dots are rounds; lines are means over ``MONEY_SMOOTHING`` rounds and leave out what was posted at the very start.
    """
    title = "Money flows"
    if transfers.empty:
        return nothing_to_show(ax, title, "no money was moved")
    ax = canvas(ax)
    moved = pd.DataFrame({
        "round": transfers["round"],
        "kind": transfers["kind"].astype(object),
        "amount": from_micro(transfers["amount_micro"].to_numpy()),
        "opening": transfers["tick"] == 0,
    })  # fmt: skip
    rounds = np.arange(moved["round"].min(), moved["round"].max() + 1)
    largest = moved.groupby("kind")["amount"].sum().sort_values(ascending=False, kind="stable").head(MOST_KINDS)
    ends = []
    for kind, colour in flow_colours(largest.index).items():
        flow = moved[moved["kind"] == kind]
        each = flow.groupby("round")["amount"].sum()
        ax.scatter(each.index, each, s=7, color=colour, alpha=0.35, linewidths=0)
        running = flow[~flow["opening"]].groupby("round")["amount"].sum().reindex(rounds, fill_value=0.0)
        mean = pd.Series(smoothed(running, MONEY_SMOOTHING), index=rounds)
        mean = mean.where(mean > 0)
        ax.plot(rounds, mean, color=colour, linewidth=1.5, label=kind)
        known = mean.dropna() if mean.notna().any() else each
        end = float(known.index.to_numpy()[-1]), float(known.iloc[-1])
        ends.append((f"{kind} {largest[kind]:,.0f}", *end, readable(colour)))
    ax.set_yscale("log")
    thousands(ax.yaxis)
    ax.yaxis.set_minor_formatter(NullFormatter())
    round_axis(ax, title, "money per round (log scale)")
    label_ends(ax, ends)
    return ax
