"""Pictures of a study: differences with their intervals, means by level, a phase diagram, indices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scenarios.number_text import number
from scenarios.palette import BLUE, INK, MUTED, PAPER, mix
from scenarios.plots.canvas import HEIGHT, WIDTH, canvas, styled
from scenarios.studies.levels import short_names

MOST_ROWS = 24
MOST_CELLS_ACROSS, MOST_LEVELS = 14, 12


@styled
def difference_plot(table: pd.DataFrame, measure: str, field: str) -> Axes:
    """Intervals of ``paired_differences``, pooled rows first and dark, a line at no difference."""
    rows = table.head(MOST_ROWS)
    ax = canvas(None, WIDTH, max(1.6, 0.9 + 0.26 * len(rows)))
    places = np.arange(len(rows))
    pooled = [all(value == "all" for value in _others(row, field).values()) for row in rows.to_dict("records")]
    for place, dark, (_, row) in zip(places, pooled, rows.iterrows(), strict=True):
        colour = BLUE if dark else MUTED
        ax.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=2.2 if dark else 1.4)
        ax.plot([row["mean"]], [place], "o", color=colour, markersize=5 if dark else 4)
    ax.axvline(0, color=MUTED, linewidth=0.8, linestyle=":")
    levels = {column: [level for level in table[column] if level != "all"] for column in _keys(table, field)}
    names = {column: short_names(known) for column, known in levels.items()}
    ax.set_yticks(places, [_row_label(row, field, names) for row in rows.to_dict("records")])
    ax.invert_yaxis()
    ax.set_xlabel(f"{measure}, difference to the baseline")
    ax.set_title(f"What {field} changes")
    return ax


@styled
def level_plot(table: pd.DataFrame, measure: str) -> Axes:
    """Means by level of ``main_effects`` with their intervals: a row per level, the fields one below the other.

    Of a field with more levels than ``MOST_LEVELS`` some are shown, evenly spread.
    """
    shown = []
    for _, rows in table.groupby("field", sort=False):
        shown.append(rows.iloc[:: -(-len(rows) // MOST_LEVELS)])
    ax = canvas(None, WIDTH, max(1.8, 1.0 + 0.22 * sum(len(rows) + 1.4 for rows in shown)))
    place, ticks, texts = 0.0, [], []
    for rows in shown:
        at = place + 1.0 + np.arange(len(rows))
        for height, low, high in zip(at, rows["low"], rows["high"], strict=True):
            ax.plot([low, high], [height, height], color=mix(BLUE, PAPER, 0.5), linewidth=2.4)
        ax.plot(rows["mean"], at, color=BLUE, marker="o", markersize=4.5, linewidth=0.9)
        names = short_names(rows["level"])
        ticks += [float(place), *at.tolist()]
        texts += [_field(str(rows["field"].iloc[0])), *(names[level] for level in rows["level"])]
        place = float(at[-1]) + 1.4
    ax.set_yticks(ticks, texts)
    for tick, text in zip(ax.yaxis.get_major_ticks(), texts, strict=True):
        if text in {_field(str(name)) for name in table["field"]}:
            tick.label1.set(fontweight="bold", color=INK)
    ax.set_ylim(place - 0.4, -0.8)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", visible=True)
    ax.set_xlabel(measure)
    ax.set_title(f"{measure} by level")
    return ax


@styled
def phase_plot(table: pd.DataFrame, measure: str) -> Axes:
    """A ``phase_diagram`` as a coloured table; numbers stand in its cells where there is room for them."""
    has_room = table.shape[1] <= MOST_CELLS_ACROSS
    ax = canvas(None, WIDTH, max(2.2, 1.3 + 0.42 * len(table)) if has_room else HEIGHT)
    values = table.to_numpy(dtype=np.float64)
    image = ax.imshow(np.ma.masked_invalid(values), aspect="auto", origin="lower", cmap="cividis")
    ax.grid(False)
    across, up = short_names(table.columns), short_names(table.index)
    labels = [across[level] for level in table.columns]
    tilted: dict[str, Any] = {"rotation": 30, "ha": "right"} if max(map(len, labels)) > 8 else {}
    every = 1 if has_room else -(-len(labels) // MOST_CELLS_ACROSS)
    ax.set_xticks(range(0, len(labels), every), labels[::every], **tilted)
    every = 1 if has_room else -(-len(table) // MOST_CELLS_ACROSS)
    ax.set_yticks(range(0, len(table), every), [up[level] for level in table.index[::every]])
    ax.set_xlabel(str(table.columns.name))
    ax.set_ylabel(str(table.index.name))
    middle = float(np.nanmean(values)) if np.isfinite(values).any() else 0.0
    for (row, column), value in np.ndenumerate(values):
        if has_room and np.isfinite(value):
            colour = "black" if value > middle else "white"
            ax.text(column, row, _cell(float(value)), ha="center", va="center", color=colour)
    ax.figure.colorbar(image, ax=ax)
    ax.set_title(measure)
    return ax


@styled
def index_plot(table: pd.DataFrame, measure: str) -> Axes:
    """Sobol indices, first order and total, or Morris's mean sizes, as bars with intervals."""
    ax = canvas(None, WIDTH, max(1.8, 1.0 + 0.45 * len(table)))
    names = ["total", "first"] if "total" in table else ["mean size"]
    places = np.arange(len(table))
    for order, name in enumerate(names):
        ax.barh(
            places + 0.36 * order, table[name], height=0.35, xerr=table[f"{name} ±"], label=name,
            color=BLUE if order == 0 else MUTED,
        )  # fmt: skip
    ax.set_yticks(places, table["field"])
    ax.invert_yaxis()
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    ax.legend(loc="lower right")
    ax.set_title(f"What {measure} depends on")
    return ax


_FIGURES = ("pairs", "mean", "low", "high", "needed")


def _keys(table: pd.DataFrame, field: str) -> list[str]:
    """The columns that say what was set: the field that is compared, then the others."""
    return [field, *(str(name) for name in table.columns if name not in (field, *_FIGURES))]


def _others(row: dict[Any, Any], field: str) -> dict[str, Any]:
    return {str(name): value for name, value in row.items() if name not in (field, *_FIGURES)}


def _row_label(row: dict[Any, Any], field: str, names: Mapping[str, Mapping[Any, str]]) -> str:
    others = [f"{_field(name)} {names[name][value]}" for name, value in _others(row, field).items() if value != "all"]
    return ", ".join([names[field][row[field]], *others])


def _field(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _cell(value: float) -> str:
    return number(value, 3 if abs(value) < 10 else 1)
