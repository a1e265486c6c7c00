"""The report of a run: one static HTML page with everything inside, and its pictures as PNG files beside it."""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scenarios import plots
from scenarios.palette import strategy_colours
from scenarios.plots.course import AUDIT_SMOOTHING
from scenarios.plots.money import MONEY_SMOOTHING
from scenarios.plots.people import Families
from scenarios.results import Run, open_run
from scenarios.schema import strategies
from scenarios.summary import strategy_summary

REPORT_FILE, PLOTS_FOLDER = "report.html", "plots"
DPI = 150


@dataclass(frozen=True)
class Plot:
    """One picture of the report: its name (also of its file), how it is drawn, one sentence for the reader."""

    name: str
    draw: Callable[[Run, Families], Axes]
    caption: str
    wide: bool = False


PLOTS = (
    Plot(
        "event_raster",
        lambda run, families: plots.event_raster(run.owners, run.episodes, families=families),
        "One row per owner, coloured by the strategy it follows and grouped by the one it came with; hollow bars are "
        "uploads that were never trained.",
        wide=True,
    ),
    Plot(
        "population_by_strategy",
        lambda run, families: plots.population_by_strategy(run.owners, families=families),
        "Recorded owners in the market after each round.",
    ),
    Plot(
        "accuracy",
        lambda run, _: plots.accuracy(run.rounds),
        "The global model on the test set, and the models that owners hold on their own class mixes.",
    ),
    Plot(
        "welfare_split",
        lambda run, _: plots.welfare_split(run.rounds),
        "Realised gains from true types, added up since the start; the dashed line is their sum.",
    ),
    Plot(
        "utility_by_strategy",
        lambda run, families: plots.utility_by_strategy(run.owners, families=families),
        "Each dot is an owner's mean over the rounds it played that strategy; the bar is the mean of the dots.",
    ),
    Plot(
        "money_flows",
        lambda run, _: plots.money_flows(run.transfers),
        f"Every posting of the ledger by kind: dots are rounds, lines are means over {MONEY_SMOOTHING} rounds, "
        "and the numbers at the right are totals.",
    ),
    Plot(
        "free_rider_share",
        lambda run, _: plots.free_rider_share(run.rounds),
        "Solid lines are the truth; grey dots are the audits of single rounds (larger: more audits), and the dashed "
        f"line is their mean over {AUDIT_SMOOTHING} rounds.",
    ),
    Plot(
        "reputation",
        lambda run, families: plots.reputation(run.owners, families=families),
        "Mean public standing of the active owners of each strategy.",
    ),
    Plot(
        "audit_confusion",
        lambda run, _: plots.audit_confusion(run.rounds),
        "What audits found, beside what was true; the shares are of the row.",
    ),
    Plot(
        "network_snapshot",
        lambda run, families: plots.network_snapshot(run.edges, run.owners, families=families),
        "The last recorded round: a dot's size is its weight in the global model, a dark ring a high reputation.",
        wide=True,
    ),
)


def write_report(folder: Path) -> Path:
    """Write ``report.html`` and ``plots/*.png`` into the folder of a run; returns the page's path.

    BadRun if the folder holds no readable run, OSError if it cannot be written.
    """
    run = open_run(folder)
    families = strategy_families()
    summary = strategy_rows(run, families)
    pictures = []
    place = run.folder / PLOTS_FOLDER
    place.mkdir(exist_ok=True)
    for plot in PLOTS:
        picture = _png(plot.draw(run, families))
        (place / f"{plot.name}.png").write_bytes(picture)
        data = base64.b64encode(picture).decode("ascii")
        pictures.append({"name": plot.name, "caption": plot.caption, "wide": plot.wide, "data": data})
    page = _template().render(
        title=_title(run),
        name=str(run.runs.at[0, "scenario"]),
        description=str(run.scenario.get("description") or "").strip(),
        facts=key_figures(run),
        strategies=summary,
        note=_sampling_note(run),
        pictures=pictures,
        scenario=run.scenario_text,
        info=_flat(run.info),
    )
    path = run.folder / REPORT_FILE
    partial = path.with_suffix(".partial")
    partial.write_text(page, encoding="utf-8")
    os.replace(partial, path)
    return path


def strategy_families() -> dict[str, str]:
    """Families of the registered strategies by name."""
    return {name: entry.family for name, entry in strategies().items()}


def key_figures(run: Run) -> list[tuple[str, str]]:
    """Names and printed values of the run's most telling numbers, most telling first."""
    row = run.runs.iloc[0]
    return [
        ("final accuracy", number(row["final_accuracy"], 3)),
        ("best accuracy", number(row["best_accuracy"], 3)),
        ("welfare", number(row["welfare"])),
        ("owners' utility", number(row["owner_utility"])),
        ("model owner's utility", number(row["model_owner_utility"])),
        ("paid to owners", number(row["paid"])),
        ("slashed", number(row["slashed"])),
        ("participants per round", number(row["mean_participants"], 1)),
        ("owners ever", number(row["owners"])),
        ("joins", number(row["joins"])),
        ("exits", number(row["exits"])),
        ("expulsions", number(row["expulsions"])),
        ("bankruptcies", number(row["bankruptcies"])),
        ("rounds", number(row["rounds"])),
        ("mechanism", str(row["mechanism"])),
        ("seed", str(row["seed"])),
        ("device", str(row["device"])),
        ("events", number(row["events"])),
    ]


def strategy_rows(run: Run, families: Families) -> list[dict[str, Any]]:
    """The strategy table, ready to print: name, colour and cells in the order of ``STRATEGY_COLUMNS``."""
    summary = strategy_summary(run.folder)
    final = run.owners[run.owners["moment"] == "final"]
    standing = final.groupby(final["strategy"].astype(str))["reputation"].mean()
    figures = summary.to_dict("index")
    rows = []
    for name, colour in strategy_colours(map(str, summary.index), families).items():
        row = figures[name]
        ends = [number(row[kind]) for kind in ("left", "expelled", "bankrupt", "still_there")]
        cells = [number(row["owners"]), number(row["utility"], 2), number(row["paid"] / max(1, row["owners"]), 2)]
        cells += [number(standing.get(name, math.nan), 2), number(row["flagged"]), *ends]
        rows.append({"name": name, "colour": colour, "cells": cells})
    return rows


STRATEGY_COLUMNS = (
    "owners", "utility per owner", "paid per owner", "reputation", "found guilty", "left", "expelled", "bankrupt",
    "still there",
)  # fmt: skip


def number(value: float, digits: int = 0) -> str:
    """A number as it is printed: thousands separators, a true minus, a dash for what is unknown."""
    value = float(value)
    if not math.isfinite(value):
        return "–"
    text = f"{value:,.{digits}f}"
    return text.replace("-", "−") if text.strip("-0,.") else text.lstrip("-")


def _title(run: Run) -> str:
    row = run.runs.iloc[0]
    return str(row["title"]) or str(row["scenario"])


def _sampling_note(run: Run) -> str:
    """One sentence if the owners table holds only some of the owners or some of the rounds."""
    rows = run.owners[(run.owners["moment"] == "round") & (run.owners["status"] == "active")]
    recorded = rows.groupby("round").size()
    active = run.rounds.set_index("round")["active"]
    if recorded.empty or (len(recorded) == len(active) and (recorded >= active.reindex(recorded.index)).all()):
        return ""
    return (
        f"Pictures by owner show the recorded rows: {rows['owner'].nunique():,} owners, "
        f"{len(recorded):,} of {len(active):,} rounds."
    )


def _flat(info: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Facts of ``run.json`` as name and value, with what is nested spelt out."""
    flat = pd.json_normalize(info, sep=" ").iloc[0] if info else pd.Series(dtype=object)
    return [(str(name), str(value)) for name, value in flat.items()]


def _png(ax: Axes) -> bytes:
    figure = ax.figure
    assert isinstance(figure, Figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def _template() -> Any:
    # The scenario's texts come from files that anybody may have written: everything is escaped.
    environment = Environment(
        loader=PackageLoader("scenarios"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals["columns"] = STRATEGY_COLUMNS
    return environment.get_template("report.html")
