"""What owners say of themselves beside what is true, over time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from learning.columns import FloatColumn
from scenarios.palette import BLUE, MUTED, ORANGE
from scenarios.plots.canvas import canvas, nothing_to_show, round_axis, span_of, styled

_CLAIMS = {"data size": ("data_size", BLUE), "sharing cost": ("sharing_cost", ORANGE)}
SMOOTHING = 9
"""Rounds over which an owner's factor is the median: single trials are not what it believes in."""
MOST_TICKS = 10
_MOST_DRAWN = 1e250  # beyond, the margins of the axis overflow


def report_factors(owners: pd.DataFrame) -> pd.DataFrame:
    """One line per round, owner and claim: ``claim`` and ``factor``, what was claimed relative to the truth.

    ``owners`` is the owners table; claims of which the truth is 0 or infinite say nothing and are left out.
    """
    parts = []
    after = owners[owners["moment"] == "round"]
    for claim, (name, _) in _CLAIMS.items():
        true = after[name].between(0, np.inf, inclusive="neither")
        factor = after.loc[true, f"reported_{name}"] / after.loc[true, name]
        parts.append(after.loc[true, ["round", "owner"]].assign(claim=claim, factor=factor))
    return pd.concat(parts, ignore_index=True)


def claims_differ(owners: pd.DataFrame) -> bool:
    """Whether anybody ever claimed something other than the truth in the owners table."""
    return bool((report_factors(owners)["factor"].dropna() != 1.0).any())


@styled
def report_drift(owners: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Claimed over true data size and sharing cost: median owner, the middle half of the owners, and all of them.

    All of them, because liars may be few: they would not show in a median. The scale is logarithmic.
    """
    title = "What owners claim, relative to the truth"
    factors = report_factors(owners)
    if factors.empty:
        return nothing_to_show(ax, title, "nobody claims anything that can be compared with the truth")
    ax = canvas(ax)
    ax.axhline(1.0, color=MUTED, linewidth=1.0)
    for claim, (_, colour) in _CLAIMS.items():
        by_owner = factors[factors["claim"] == claim].pivot(index="round", columns="owner", values="factor")
        if by_owner.empty:  # of this claim every truth is 0 or infinite
            continue
        usual = by_owner.rolling(SMOOTHING, center=True, min_periods=1).median().clip(upper=_MOST_DRAWN)
        least, low, middle, high, most = (usual.quantile(share, axis=1) for share in (0.0, 0.25, 0.5, 0.75, 1.0))
        ax.fill_between(usual.index, least, most, color=colour, alpha=0.1, linewidth=0)
        ax.fill_between(usual.index, low, high, color=colour, alpha=0.2, linewidth=0)
        ax.plot(usual.index, middle, color=colour, linewidth=2.0, label=claim)
    ax.set_yscale("log", base=2)
    bottom, top = ax.get_ylim()
    bottom, top = min(bottom, 0.45), max(top, 2.2)
    ticks = _powers_of_two(bottom, top)
    ax.set_yticks(ticks, [f"{tick:.3g}" for tick in ticks])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylim(bottom, top)
    round_axis(ax, title, "claimed / true", span_of(factors))
    ax.legend(loc="upper left")
    return ax


def _powers_of_two(bottom: float, top: float) -> FloatColumn:
    """At most ``MOST_TICKS`` evenly spaced powers of two from ``bottom`` to ``top``, 1 among them if it is between."""
    low, high = np.log2(bottom), np.log2(top)
    step = max(1.0, np.ceil((high - low) / (MOST_TICKS - 1)))
    return np.asarray(2.0 ** (step * np.arange(np.ceil(low / step), np.floor(high / step) + 1)), dtype=np.float64)
