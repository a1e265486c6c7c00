"""The graph of personal models over time: its key figures, look by look."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scenarios.palette import BLUE, GREEN, ORANGE, PURPLE, VERMILION
from scenarios.plots.canvas import canvas, label_ends, nothing_to_show, round_axis, span_of, styled

_FIGURES = {
    "density": BLUE,
    "reciprocity": GREEN,
    "modularity": PURPLE,
    "degree_gini": ORANGE,
    "edge_turnover": VERMILION,
}
_NAMES = {"degree_gini": "degree Gini", "edge_turnover": "edge turnover"}


@styled
def network_course(network: pd.DataFrame, ax: Axes | None = None, rounds: pd.DataFrame | None = None) -> Axes:
    """Density, reciprocity, modularity, Gini coefficient of degrees and turnover of edges, from the network table.

    The rounds table, if given, tells how long the run was.
    """
    title = "Who uses whose model"
    if network.empty or network["edges"].sum() == 0:
        return nothing_to_show(ax, title, "nobody used anybody's model")
    ax = canvas(ax)
    lines = []
    for name, colour in _FIGURES.items():
        known = network[["round", name]].dropna()
        if known.empty:
            continue
        ax.plot(known["round"], known[name], color=colour, linewidth=1.8, marker="o", markersize=3)
        at, height = known.to_numpy(dtype=np.float64)[-1].tolist()
        lines.append((_NAMES.get(name, name), at, height, colour))
    round_axis(ax, title, "share, index", span_of(network, rounds))
    low = float(np.nanmin(network[list(_FIGURES)].to_numpy(dtype=np.float64)))
    ax.set_ylim(min(-0.03, low - 0.05), 1.03)
    label_ends(ax, lines)
    return ax
