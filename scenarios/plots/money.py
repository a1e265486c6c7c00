"""Where the money goes, from the ledger's postings."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from market.money import from_micro
from scenarios.number_text import number
from scenarios.palette import MUTED, flow_colours
from scenarios.plots.canvas import (
    canvas,
    label_ends,
    nothing_to_show,
    round_axis,
    smoothed,
    span_of,
    styled,
    thousands,
)

MOST_LINES = 14
MONEY_SMOOTHING = 5
LEAST_SHARE = 1e-4
"""Flows below this share of the largest round's flow are crumbs that would only stretch the logarithmic axis."""


@styled
def money_flows(transfers: pd.DataFrame, ax: Axes | None = None, rounds: pd.DataFrame | None = None) -> Axes:
    """Money moved per round and kind of transfer, on a logarithmic axis: audit costs stand beside payments.

    Dots are rounds, lines are means over ``MONEY_SMOOTHING`` rounds. What was posted at the very start, before the
    first round, is not drawn, and crumbs are not (``LEAST_SHARE``). Every kind has a line or is named below with its
    total; beyond ``MOST_LINES`` kinds the smallest share one line. The rounds table tells how long the run was.
    """
    title = "Money flows"
    if transfers.empty:
        return nothing_to_show(ax, title, "no money was moved")
    ax = canvas(ax)
    kinds, opening = transfers["kind"].astype(object), transfers["tick"] == 0
    amounts = pd.Series(from_micro(transfers["amount_micro"].to_numpy()), index=transfers.index)
    span = span_of(transfers, rounds)
    everything = amounts.groupby(kinds).sum()
    later = amounts[~opening].groupby([transfers["round"], kinds]).sum().unstack(fill_value=0)
    later = later.reindex(range(span[0], span[1] + 1), fill_value=0.0)
    order = everything[later.columns].sort_values(ascending=False, kind="stable").index
    flows, totals = _with_the_smallest_together(later[order], everything)
    means = flows.apply(lambda flow: pd.Series(smoothed(flow, MONEY_SMOOTHING), index=flow.index))
    least = LEAST_SHARE * float(np.nan_to_num(flows.to_numpy().max(initial=0.0)))
    flows, means = flows.where(flows > least), means.where(means > least)
    ends = []
    colours = flow_colours(flows.columns) | {name: MUTED for name in flows.columns if name not in everything}
    drawn = means.columns[means.notna().any()]
    # The smaller lies on top and is thinner: where two coincide (slashed and deposited again), both are seen.
    for kind, width in zip(drawn, np.linspace(3.0, 1.1, len(drawn)), strict=True):
        line, colour = means[kind], colours[kind]
        ax.scatter(flows.index, flows[kind], s=7, color=colour, alpha=0.35, linewidths=0)
        ax.plot(line.index, line, color=colour, linewidth=width, label=kind)
        end = line.dropna()
        ends.append((f"{kind} {_amount(totals[kind])}", float(end.index.to_numpy()[-1]), float(end.iloc[-1]), colour))
    ax.set_yscale("log")
    scale = "log scale"
    if ax.get_ylim()[1] < 10 * ax.get_ylim()[0]:  # a log axis of less than a decade may have no number at all
        ax.set_yscale("linear")
        scale = "linear"
    thousands(ax.yaxis)
    ax.yaxis.set_minor_formatter(NullFormatter())
    round_axis(ax, title, f"money per round ({scale})", span)
    label_ends(ax, ends)
    left_out = {
        "only before the first round": totals[everything.index.difference(later.columns)],
        "too small to draw": totals[means.columns[means.isna().all()]],
    }
    notes = [f"{why}: {_listed(missing)}" for why, missing in left_out.items() if len(missing)]
    if notes:
        ax.text(0, -0.16, "\n".join(notes), transform=ax.transAxes, color=MUTED, fontsize=8.0, va="top")
    return ax


def _with_the_smallest_together(flows: pd.DataFrame, totals: pd.Series[float]) -> tuple[pd.DataFrame, pd.Series[float]]:
    """Flows [round, kind] and totals, with one entry for the smallest kinds where there are too many for a picture."""
    rest = flows.columns[MOST_LINES - 1 :] if flows.shape[1] > MOST_LINES else flows.columns[:0]
    if rest.empty:
        return flows, totals
    name = f"{len(rest)} smaller kinds"
    together = flows.drop(columns=rest).assign(**{name: flows[rest].sum(axis=1)})
    return together, pd.concat([totals, pd.Series({name: totals[rest].sum()})])


def _amount(total: float) -> str:
    return number(total, 0 if total >= 10 else 2)


def _listed(totals: pd.Series[float]) -> str:
    return ", ".join(f"{kind} {_amount(total)}" for kind, total in totals.items())
