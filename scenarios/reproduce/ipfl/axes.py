"""An axis that several pictures share."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from scenarios.palette import MUTED

SHOWN = (0.1, 0.5, 1.0, 2.0, 10.0, 100.0, 1e4)
"""Factors that are written below the axis, as far as they are in its range."""


def factor_axis(ax: Axes, tried: Sequence[float]) -> None:
    """A logarithmic axis of report over truth, the truth dotted and the factors that the paper ``tried`` in grey.

    To be called when everything is drawn, because it writes only numbers that are in the range.
    """
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    for factor in tried:
        ax.axvline(factor, color=MUTED, linewidth=0.8, alpha=0.6)
    ax.axhline(0.0, color=MUTED, linewidth=0.8)
    ax.axvline(1.0, color=MUTED, linewidth=0.8, linestyle=":")
    ticks = [factor for factor in SHOWN if low <= factor <= high]
    ax.set_xticks(ticks, [f"{tick:,g}" if tick < 1e3 else f"{tick:,.0f}" for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("report / truth")
