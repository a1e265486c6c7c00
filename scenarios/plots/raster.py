"""The event raster: every owner's life in the market as one line of a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from scenarios.palette import BLACK, INK, MUTED, ORANGE, PAPER, STATES, mix, rgb, strategy_colours
from scenarios.plots.canvas import canvas, nothing_to_show, present, round_axis, span_of, spread, styled

MOST_OWNERS = 400
_WIDTH = 11.0  # inches
_LINES = 6  # lines of the picture per owner: one of paper, five of colour, the last of which shows probation
_FINE = (1500, 1200)  # lines and columns that the image has at least: resampling then blurs less than a pixel
_EXITS = {
    "voluntary": ("|", MUTED, 1.0),
    "quit": ("s", ORANGE, 0.7),
    "expelled": ("X", STATES["expelled"], 1.0),
    "bankrupt": ("D", STATES["bankrupt"], 0.7),
}
_TINTS = {"in the market, absent this round": 0.86, "reported, no upload in time": 0.6}


@styled
def event_raster(
    owners: pd.DataFrame,
    episodes: pd.DataFrame,
    ax: Axes | None = None,
    families: Mapping[str, str] | None = None,
    rounds: pd.DataFrame | None = None,
) -> Axes:
    """Owners (rows, grouped by the strategy they joined with) over rounds; the rounds table tells how many there were.

    Full colour: an upload was really trained; hollow: it was forged; paler: late or absent. A dark foot marks
    probation, a dot an audit that found guilty (an empty one: falsely), and stays begin and end with a mark. At most
    ``MOST_OWNERS`` owners are shown, evenly spaced over the ordered list.
    """
    title, rows = "Every owner's life", present(owners)
    if rows.empty:
        return nothing_to_show(ax, title, "no active owners recorded", _WIDTH)
    order = _order(rows, episodes, families)
    shown = order.iloc[np.unique(np.linspace(0, len(order) - 1, min(len(order), MOST_OWNERS)).astype(int))]
    ax = canvas(ax, _WIDTH, float(np.clip(1.8 + 0.105 * len(shown), 3.6, 13.0)))
    place = pd.Series(np.arange(len(shown)), index=shown.index)
    rows = rows[rows["owner"].isin(place.index)]
    recorded = np.sort(rows["round"].unique())
    first, step = int(recorded[0]), int(np.diff(recorded).min()) if len(recorded) > 1 else 1
    colours = strategy_colours([*rows["strategy"].unique(), *shown["strategy"].unique()], families)
    image = _image(rows, place, colours, first, step)
    left, right = first - 0.5, first - 0.5 + step * image.shape[1]
    fine = [max(1, -(-wanted // had)) for wanted, had in zip(_FINE, image.shape, strict=False)]
    image = image.repeat(fine[0], axis=0).repeat(fine[1], axis=1)
    ax.imshow(image, extent=(left, right, len(shown) - 0.5, -0.5), aspect="auto", interpolation="hanning")
    size = float(np.clip(420 / len(shown), 2.2, 5.0))
    _draw_marks(ax, rows, episodes[episodes["owner"].isin(place.index)], place, size)
    _draw_groups(ax, shown, colours)
    span = span_of(rows, rounds)
    round_axis(ax, title, "", span)
    if len(shown) < len(order):
        ax.set_title(f"{len(shown)} of {len(order):,} owners", loc="right", fontweight="normal", color=MUTED)
    ax.set_xlim(min(left, span[0] - 0.5) - 0.3, max(right, span[1] + 0.5) + 0.3)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.grid(False)
    ax.legend(handles=_legend(), loc="upper left", bbox_to_anchor=(0, -0.02), ncols=5, borderaxespad=3.2)
    return ax


def _order(rows: pd.DataFrame, episodes: pd.DataFrame, families: Mapping[str, str] | None) -> pd.DataFrame:
    """Owners in drawing order, with the strategy they came with: by strategy, then by first join and last exit."""
    lives = episodes.sort_values("stay", kind="stable").groupby("owner")
    table = pd.DataFrame({
        "strategy": lives["strategy_joined"].first().astype(object),
        "joined": lives["joined_round"].min(),
        "left": lives["left_round"].max(),
    })  # fmt: skip
    table = table[table.index.isin(rows["owner"])]
    rest = rows[~rows["owner"].isin(table.index)].groupby("owner")
    bare = pd.DataFrame(
        {"strategy": rest["strategy"].first(), "joined": rest["round"].min(), "left": rest["round"].max()}
    )
    table = pd.concat([part for part in (table, bare) if len(part)] or [table])
    rank = {name: index for index, name in enumerate(strategy_colours(table["strategy"].unique(), families))}
    return (
        table.assign(rank=table["strategy"].map(rank), id=table.index)
        .sort_values(["rank", "joined", "left", "id"], kind="stable")
        .drop(columns=["rank", "id"])
    )


def _image(
    rows: pd.DataFrame, place: pd.Series[int], colours: Mapping[str, str], first: int, step: int
) -> NDArray[np.float64]:
    """The colours of all cells, shape [owners * lines, rounds, 3]."""
    absent, silent = _TINTS.values()
    columns = ((rows["round"] - first) // step).to_numpy()
    cells = np.ones((len(place), _LINES, int(columns.max()) + 1, 3))
    colour = np.array([rgb(colours[name]) for name in rows["strategy"]])
    tint = np.where(~rows["took_part"], absent, np.where(~rows["arrived"], silent, 0.0))[:, None]
    body = colour * (1 - tint) + tint
    at = rows["owner"].map(place).to_numpy()
    for line in range(1, _LINES):
        cells[at, line, columns] = body
    forged = (rows["arrived"] & ~rows["trained"]).to_numpy()
    for line in (2, 3, 4):
        cells[at[forged], line, columns[forged]] = rgb(PAPER)
    bound = rows["on_probation"].to_numpy()
    cells[at[bound], _LINES - 1, columns[bound]] = rgb(INK)
    return cells.reshape(len(place) * _LINES, -1, 3)


def _draw_marks(ax: Axes, rows: pd.DataFrame, episodes: pd.DataFrame, place: pd.Series[int], size: float) -> None:
    """Verdicts in the cells; joins and exits on the line between two rounds."""
    guilty = rows[rows["flagged"]]
    for known, face in ((guilty["violation"], INK), (~guilty["violation"], PAPER)):
        found = guilty[known]
        ax.scatter(found["round"], found["owner"].map(place), s=(0.62 * size) ** 2, facecolor=face, edgecolor=INK,
                   linewidths=0.6, zorder=3)  # fmt: skip
    # A stay that ends within a settlement still has that round's cell: its mark comes after the cell.
    cells = pd.MultiIndex.from_frame(rows[["owner", "stay", "round"]])
    played = pd.MultiIndex.from_frame(episodes[["owner", "stay", "left_round"]]).isin(cells)
    episodes = episodes.assign(end=episodes["left_round"] + np.where(played, 0.5, -0.5))
    joined = episodes[episodes["joined_round"] > 0]
    ax.scatter(joined["joined_round"] - 0.5, joined["owner"].map(place), marker=">", s=size**2, color=INK,
               linewidths=0, zorder=4)  # fmt: skip
    for kind, (marker, colour, scale) in _EXITS.items():
        ended = episodes[episodes["exit_kind"] == kind]
        line = marker == "|"
        ax.plot(ended["end"], ended["owner"].map(place), linestyle="", marker=marker, color=colour,
                markersize=1.3 * scale * size, markeredgecolor=colour if line else PAPER,
                markeredgewidth=1.4 if line else 0.6, zorder=5, clip_on=False)  # fmt: skip


def _draw_groups(ax: Axes, shown: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """Names of the strategies at the left, and thin lines between them."""
    names, starts, counts = np.unique(shown["strategy"].to_numpy(dtype=str), return_index=True, return_counts=True)
    # Small groups beside each other: their names need more room than their rows.
    gap = 0.16 * len(shown) * ax.figure.dpi / ax.bbox.height
    order = np.argsort(starts)
    places = spread((starts + (counts - 1) / 2)[order].tolist(), gap, len(shown) - 0.5)
    labels = [f"{names[index]}  ({counts[index]})" for index in order]
    ax.set_yticks(places, labels)
    for label, name in zip(ax.get_yticklabels(), names[order], strict=True):
        label.set_color(mix(colours[name], BLACK, 0.3))
        label.set_fontweight("bold")
    for start in starts[starts > 0]:
        ax.axhline(start - 0.5, color=MUTED, linewidth=0.7)


def _legend() -> list[Any]:
    grey = "#5B6B7B"
    marks: list[Any] = [
        Patch(facecolor=grey, label="trained and uploaded"),
        Patch(facecolor=PAPER, edgecolor=grey, linewidth=1.6, label="forged upload (free riding)"),
    ]
    marks += [Patch(facecolor=mix(grey, PAPER, tint), label=label) for label, tint in _TINTS.items()]
    marks.append(Line2D([], [], color=INK, linewidth=2, label="on probation (dark foot)"))
    dots = {"found guilty, rightly": INK, "found guilty, wrongly": PAPER}
    marks += [
        Line2D([], [], linestyle="", marker="o", markersize=5, markerfacecolor=face, markeredgecolor=INK, label=label)
        for label, face in dots.items()
    ]
    marks.append(Line2D([], [], linestyle="", marker=">", markersize=6, color=INK, markeredgewidth=0, label="joins"))
    marks += [
        Line2D([], [], linestyle="", marker=marker, markersize=6.5 * scale, color=colour, label=f"exit: {kind}",
               markeredgewidth=1.6 if marker == "|" else 0)
        for kind, (marker, colour, scale) in _EXITS.items()
    ]  # fmt: skip
    return marks
