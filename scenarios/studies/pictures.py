"""Pictures of a study: differences with their intervals, means by level, a phase diagram, indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scenarios.number_text import number
from scenarios.palette import BLUE, MUTED
from scenarios.plots.canvas import HEIGHT, WIDTH, canvas, styled

MOST_ROWS = 24
MOST_CELLS_ACROSS, MOST_TICKS = 14, 40


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
    ax.set_yticks(places, [_row_label(row, field) for row in rows.to_dict("records")])
    ax.invert_yaxis()
    ax.set_xlabel(f"{measure}, difference to the baseline")
    ax.set_title(f"What {field} changes")
    return ax


@styled
def level_plot(table: pd.DataFrame, measure: str) -> Axes:
    """Means by level of ``main_effects``, one panel of points per field."""
    fields = list(dict.fromkeys(table["field"]))
    ax = canvas(None, WIDTH, HEIGHT)
    ticks: list[tuple[int, str]] = []
    place = 0
    for field in fields:
        rows = table[table["field"] == field]
        at = np.arange(place, place + len(rows))
        ax.fill_between(at, rows["low"], rows["high"], color=BLUE, alpha=0.15, linewidth=0)
        ax.errorbar(
            at, rows["mean"], yerr=np.nan_to_num([rows["mean"] - rows["low"], rows["high"] - rows["mean"]]).clip(0),
            color=BLUE, marker="o", markersize=4, linewidth=1.4,
        )  # fmt: skip
        ticks += [(int(k), _value(level)) for k, level in zip(at, rows["level"], strict=True)]
        ax.text(
            at.mean(), 1.0, _field(field), transform=ax.get_xaxis_transform(), ha="center", va="bottom", color=MUTED
        )
        place += len(rows) + 1
    shown = ticks[:: -(-len(ticks) // MOST_TICKS)]
    ax.set_xticks([k for k, _ in shown], [text for _, text in shown], rotation=45, ha="right")
    ax.set_ylabel(measure)
    return ax


@styled
def phase_plot(table: pd.DataFrame, measure: str) -> Axes:
    """A ``phase_diagram`` as a coloured table; numbers stand in its cells where there is room for them."""
    has_room = table.shape[1] <= MOST_CELLS_ACROSS
    ax = canvas(None, WIDTH, max(2.2, 1.3 + 0.42 * len(table)) if has_room else HEIGHT)
    values = table.to_numpy(dtype=np.float64)
    image = ax.imshow(np.ma.masked_invalid(values), aspect="auto", origin="lower", cmap="cividis")
    ax.grid(False)
    labels = [_value(level) for level in table.columns]
    long = max(map(len, labels)) > 8
    every = 1 if has_room else -(-len(labels) // MOST_CELLS_ACROSS)
    across = range(0, len(labels), every)
    ax.set_xticks(across, labels[::every], rotation=30 if long else 0, ha="right" if long else "center")
    every = 1 if has_room else -(-len(table) // MOST_CELLS_ACROSS)
    ax.set_yticks(range(0, len(table), every), [_value(level) for level in table.index[::every]])
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


def _others(row: dict[Any, Any], field: str) -> dict[str, Any]:
    known = (field, "pairs", "mean", "low", "high", "needed")
    return {str(name): value for name, value in row.items() if name not in known}


def _row_label(row: dict[Any, Any], field: str) -> str:
    others = [f"{_field(name)} {_value(value)}" for name, value in _others(row, field).items() if value != "all"]
    return ", ".join([_value(row[field]), *others])


def _field(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, (float, np.floating)) else str(value)


def _cell(value: float) -> str:
    return number(value, 3 if abs(value) < 10 else 1)
