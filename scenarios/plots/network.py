"""Who used whose model: the collaboration graph of the last recorded round in which there was one to speak of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from numpy.typing import NDArray

from market.parties import MODEL_OWNER
from scenarios.palette import FAINT, INK, MUTED, PAPER, PARTIES, mix, strategy_colours
from scenarios.plots.canvas import after_rounds, canvas, nothing_to_show, styled

FEW_OWNERS = 5
"""A round with fewer owners is shown only where there never were more."""

_WIDTH, _LEAST_HEIGHT, _HEIGHT = 9.4, 3.0, 6.0  # inches
_RING = 28  # owners on the innermost circle
_MOST_OWNERS, _MOST_ARROWS = 400, 300  # the heaviest are drawn
_MOST_NUMBERS = 40


@styled
def network_snapshot(
    edges: pd.DataFrame,
    owners: pd.DataFrame,
    ax: Axes | None = None,
    families: Mapping[str, str] | None = None,
) -> Axes:
    """The last recorded round with ``FEW_OWNERS`` or more: the model owner in the middle, owners around by strategy.

    A dot's area grows with the owner's weight in the global model, its ring darkens with its reputation; lines to the
    middle are uploads used, arrows between owners point from the one whose model was used (the seller, where models are
    bought) to the one that used it (the buyer). Up to ``_MOST_NUMBERS`` owners have their numbers on them.
    """
    title = "Who used whose model"
    people = after_rounds(owners)
    if edges.empty or people.empty:
        return nothing_to_show(ax, title, "no use of models recorded", _WIDTH)
    number = _telling_round(edges)
    used = edges[edges["round"] == number]
    nearest = people["round"][people["round"] <= number].max()
    people = people[people["round"] == nearest].set_index("owner")
    parties = pd.unique(used[["user", "source"]].to_numpy().ravel())
    people = people[(people["status"] == "active") | people.index.isin(parties)]
    everybody = len(people)
    people = people.nlargest(_MOST_OWNERS, "weight")
    colours = strategy_colours(people["strategy"].unique(), families)
    rank = {name: index for index, name in enumerate(colours)}
    people = people.assign(rank=people["strategy"].map(rank)).sort_values(["rank", "weight"], ascending=[True, False])
    position = dict(zip(people.index, _circles(len(people)), strict=True))
    ax = canvas(ax, _WIDTH, float(np.clip(_LEAST_HEIGHT + 0.1 * len(people), _LEAST_HEIGHT, _HEIGHT)))

    hub = used[(used["user"] == MODEL_OWNER) & used["source"].isin(position)]
    spokes = [[position[source], (0.0, 0.0)] for source in hub["source"]]
    strongest = max(float(hub["weight"].max()), 1e-12) if len(hub) else 1.0
    widths = 0.4 + 2.6 * hub["weight"].to_numpy() / strongest
    tones = [mix(colours[people.at[source, "strategy"]], PAPER, 0.55) for source in hub["source"]]
    ax.add_collection(LineCollection(spokes, linewidths=widths, colors=tones, zorder=1))
    between = used[used["user"].isin(position) & used["source"].isin(position)].nlargest(_MOST_ARROWS, "weight")
    for user, source in zip(between["user"], between["source"], strict=True):
        ax.add_patch(FancyArrowPatch(position[source], position[user], connectionstyle="arc3,rad=0.25", color=INK,
                                     arrowstyle="-|>", mutation_scale=8, linewidth=0.9, shrinkA=7, shrinkB=11,
                                     alpha=0.75, zorder=2))  # fmt: skip
    at = np.array(list(position.values()))
    crowd = float(np.clip(40 / len(people), 0.15, 1.0))
    numbered = len(people) <= _MOST_NUMBERS
    area = crowd * (
        (130 if numbered else 40)
        + 300 * people["weight"].fillna(0).to_numpy() / max(float(people["weight"].max()), 1e-12)
    )
    rings = [mix(FAINT, INK, float(np.nan_to_num(standing))) for standing in people["reputation"]]
    ax.scatter(at[:, 0], at[:, 1], s=area, c=[colours[name] for name in people["strategy"]], edgecolors=rings,
               linewidths=0.6 + 1.6 * crowd, zorder=3)  # fmt: skip
    if numbered:
        for owner, (x, y) in position.items():
            ax.text(x, y, str(owner), ha="center", va="center", color=PAPER, fontsize=6.5, fontweight="bold", zorder=4)
    if len(hub):
        _draw_model_owner(ax)
    reach = 1.12 * float(np.abs(at).max())
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    ax.set_axis_off()
    ax.set_title(title)
    shown = f"round {number}"
    if number < edges["round"].max():
        shown += f",\nthe last with {FEW_OWNERS} owners or more"
    if len(people) < everybody:
        shown += f",\n{len(people)} of {everybody:,} owners"
    legend = ax.legend(
        handles=_legend(colours, _arrow_label(between)), loc="center left", bbox_to_anchor=(1.02, 0.5),
        labelspacing=0.8, title=f"{shown}\n", alignment="left",
    )  # fmt: skip
    legend.get_title().set_color(MUTED)
    return ax


def _draw_model_owner(ax: Axes) -> None:
    """The hub, where there is one: owners with models of their own have none."""
    ax.scatter([0], [0], s=1000, color=PARTIES["model owner"], edgecolors=PAPER, linewidths=2, zorder=4)
    ax.text(0, 0, "model\nowner", ha="center", va="center", color=PAPER, fontsize=6.5, fontweight="bold", zorder=5)


def _telling_round(edges: pd.DataFrame) -> int:
    """The last round with enough owners; if there is none, the last of those with most."""
    uses = pd.concat([edges[["round", party]].set_axis(["round", "owner"], axis="columns") for party in _SIDES])
    owners = uses[uses["owner"] >= 0].groupby("round")["owner"].nunique()
    if owners.empty:
        return int(edges["round"].max())
    return int(owners.index[owners >= min(FEW_OWNERS, owners.max())].max())


_SIDES = ("user", "source")


def _circles(count: int) -> NDArray[np.float64]:
    """Places [count, 2] on circles around the middle; neighbours in the list stay neighbours in angle."""
    rings = max(1, int(np.ceil(np.sqrt(max(0, count) / _RING))))
    angle = np.pi / 2 - 2 * np.pi * np.arange(count) / max(1, count)
    radius = 1.0 + 0.32 * (np.arange(count) % rings)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def _arrow_label(between: pd.DataFrame) -> str:
    """What an arrow says, or nothing if there is none."""
    if between.empty:
        return ""
    return "model sold: seller to buyer" if (between["payment"] > 0).any() else "model used: owner to user"


def _legend(colours: Mapping[str, str], arrow: str) -> list[Any]:
    marks: list[Any] = [
        Line2D([], [], linestyle="", marker="o", markersize=7, color=colour, label=name)
        for name, colour in colours.items()
    ]
    for label, tone in (("low reputation", FAINT), ("high reputation", INK)):
        marks.append(Line2D([], [], linestyle="", marker="o", markersize=7, markerfacecolor=PAPER, markeredgecolor=tone,
                            markeredgewidth=2, label=label))  # fmt: skip
    if arrow:
        marks.append(Line2D([], [], color=INK, linewidth=1, marker=">", markersize=4, label=arrow))
    return marks
