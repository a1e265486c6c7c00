"""The report of a run: one static HTML page with everything inside, and its pictures as PNG files beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scenarios import plots
from scenarios.analysis import churn_hazard, cumulative_incidence, kaplan_meier, retention
from scenarios.analysis.participation import stays
from scenarios.analysis.spells import CENSORED
from scenarios.number_text import number
from scenarios.palette import strategy_colours
from scenarios.plots.course import AUDIT_SMOOTHING
from scenarios.plots.generated import kept_images
from scenarios.plots.money import MONEY_SMOOTHING
from scenarios.plots.network import FEW_OWNERS
from scenarios.plots.people import Families
from scenarios.plots.privacy import sells_privacy
from scenarios.plots.reports import claims_differ
from scenarios.results import Run, open_run
from scenarios.summary import strategy_families, strategy_summary
from scenarios.trading import has_personal_models, quarantined, traded
from scenarios.writing import made, write_whole

REPORT_FILE, PLOTS_FOLDER = "report.html", "plots"
DPI = 150


@dataclass(frozen=True)
class Plot:
    """One picture of the report: its name (also of its file), how it is drawn, what to say to the reader.

    ``fits`` tells whether a run has what it shows.
    """

    name: str
    draw: Callable[[Run, Families], Axes]
    caption: str
    with_audits: str = ""
    wide: bool = False
    fits: Callable[[Run], bool] = lambda _: True

    def says(self, run: Run) -> str:
        """The caption, about what there is in the picture of this run."""
        return self.caption + self.with_audits * bool(run.rounds["audited"].sum() > 0)


def has_churn(run: Run) -> bool:
    """Whether enough owners left to say something about how long they stay."""
    return int((run.episodes["exit_kind"].astype(str) != CENSORED).sum()) >= LEAST_EXITS


PLOTS = (
    Plot(
        "event_raster",
        lambda run, families: plots.event_raster(run.owners, run.episodes, families=families, rounds=run.rounds),
        "One row per owner, coloured by the strategy it follows and grouped by the one it came with; hollow bars are "
        "uploads that were never trained.",
        wide=True,
    ),
    Plot(
        "population_by_strategy",
        lambda run, families: plots.population_by_strategy(run.owners, families=families, rounds=run.rounds),
        "Recorded owners in the market after each round.",
    ),
    Plot(
        "accuracy",
        lambda run, _: plots.accuracy(run.rounds),
        "The global model on the test set (the mean of personal ones, where each owner has its own), and the models "
        "that owners hold on their own class mixes.",
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
        lambda run, _: plots.money_flows(run.transfers, rounds=run.rounds),
        f"The postings of the ledger by kind: dots are rounds, lines are means over {MONEY_SMOOTHING} rounds, and the "
        "numbers are totals of the run. What was posted before the first round is in the totals only.",
    ),
    Plot(
        "privacy_sold",
        lambda run, _: plots.privacy_sold(run.rounds),
        "Epsilon of all owners together. Lost is what was really sent, also by owners that left before they were paid: "
        "less than sold where owners sell what they do not have or forge uploads.",
        fits=lambda run: sells_privacy(run.rounds),
    ),
    Plot(
        "privacy_price",
        lambda run, _: plots.privacy_price(run.rounds),
        "Money per epsilon: what was paid for what was sold, what its loss cost the owners at their true valuations, "
        "and the moving average of the valuations that they claimed.",
        fits=lambda run: sells_privacy(run.rounds),
    ),
    Plot(
        "free_rider_share",
        lambda run, _: plots.free_rider_share(run.rounds),
        "What was true: the share of uploads that were forged (broad line) and of reports that lied (thin line).",
        " Grey dots are what the audits of single rounds found (larger: more audits); the dashed line is their mean "
        f"over {AUDIT_SMOOTHING} rounds.",
    ),
    Plot(
        "reputation",
        lambda run, families: plots.reputation(run.owners, families=families, rounds=run.rounds),
        "Mean public standing of the active owners of each strategy.",
    ),
    Plot(
        "audit_confusion",
        lambda run, _: plots.audit_confusion(run.rounds),
        "What audits found, beside what was true.",
        " One audit is of one owner's round; the shares are of the row.",
    ),
    Plot(
        "network_snapshot",
        lambda run, families: plots.network_snapshot(run.edges, run.owners, families=families),
        f"The last recorded round with {FEW_OWNERS} owners or more, if there was one: the number is the owner, "
        "the dot's size its weight (among personal models its share of the data), a dark ring a high reputation.",
        wide=True,
    ),
    Plot(
        "network_course",
        lambda run, _: plots.network_course(run.network, rounds=run.rounds),
        "Key figures of the graph of uses: density, reciprocity, modularity of its communities, Gini coefficient of "
        "the number of edges per owner, and the share of edges that changed since the last look.",
        fits=has_personal_models,
    ),
    Plot(
        "report_drift",
        lambda run, _: plots.report_drift(run.owners),
        "Claims over truths: the median owner (line), the middle half of the owners, and (palest) all of them.",
        fits=lambda run: has_personal_models(run) and claims_differ(run.owners),
    ),
    Plot(
        "survival_curves",
        lambda run, families: plots.survival_curves(kaplan_meier(stays(run).spells, "strategy"), families=families),
        "Kaplan-Meier estimate by the strategy at the join; who was there at the end counts as long as it was seen.",
        fits=has_churn,
    ),
    Plot(
        "exit_causes",
        lambda run, _: plots.exit_causes(cumulative_incidence(stays(run).spells), until=stays(run).end),
        "Cumulative incidence by cause of exit (Aalen-Johansen): what is left above is still in the market.",
        fits=has_churn,
    ),
    Plot(
        "churn",
        lambda run, _: plots.churn(churn_hazard(stays(run).spells, stays(run).width)),
        "Exits per owner and window, by how long the owner had been there, with exact 95 % intervals.",
        fits=has_churn,
    ),
    Plot(
        "retention_matrix",
        lambda run, _: plots.retention_matrix(retention(stays(run).spells, stays(run).end, stays(run).width)),
        "Of those who joined in the same windows, the share still in that stay later; blank: the run ended before.",
        fits=has_churn,
    ),
    Plot(
        "lorenz_curves",
        lambda run, _: plots.lorenz_curves(stays(run).lorenz),
        "What the poorest share of all owners holds at the end: of all money in wallets, of the sum of the accuracies.",
        fits=lambda run: len(stays(run).lorenz) > 0,
    ),
    Plot(
        "regime_course",
        lambda run, _: plots.regime_course(run.rounds, stays(run).regimes),
        "Owners in the market; a dashed line marks where their mean number changed (PELT), a bar each mean.",
        fits=lambda run: len(stays(run).regimes) > 1,
    ),
    Plot(
        "generated_images",
        lambda run, _: kept_images(run.images),
        "Synthetic samples of the first round in which owners made some, beside real ones of the same owners.",
        wide=True,
        fits=lambda run: len(run.images) > 0,
    ),
)

LEAST_EXITS = 5
"""Fewer exits than these make no survival curve worth a look."""


def write_report(folder: Path) -> Path:
    """Write ``report.html`` and ``plots/*.png`` into the folder of a run; returns the page's path.

    BadRun if the folder holds no readable run, OSError if it cannot be written.
    """
    run = open_run(folder)
    families = strategy_families()
    pictures = []
    with made(run.folder / PLOTS_FOLDER) as place:
        for plot in (plot for plot in PLOTS if plot.fits(run)):
            picture = png(plot.draw(run, families))
            write_whole(place / f"{plot.name}.png", picture)
            data = base64.b64encode(picture).decode("ascii")
            pictures.append({"name": plot.name, "caption": plot.says(run), "wide": plot.wide, "data": data})
    page = html_template("report.html").render(
        title=_title(run),
        name=str(run.runs.at[0, "scenario"]),
        description=str(run.scenario.get("description") or "").strip(),
        facts=key_figures(run),
        tables=strategy_tables(run, families),
        note=recording_note(run),
        pictures=pictures,
        scenario=run.scenario_text,
        info=_flat(run.info),
    )
    path = run.folder / REPORT_FILE
    write_whole(path, page.encode())
    return path


def key_figures(run: Run) -> list[tuple[str, str]]:
    """Names and printed values of the run's most telling numbers, most telling first."""
    row = run.runs.iloc[0]
    if has_personal_models(run):
        money = [("paid among owners", number(traded(run)))]
    else:
        money = [
            ("model owner's utility", number(row["model_owner_utility"])),
            ("paid to owners", number(row["paid"])),
        ]
    return [
        ("final accuracy", number(row["final_accuracy"], 3)),
        ("best accuracy", number(row["best_accuracy"], 3)),
        ("welfare", number(row["welfare"])),
        ("owners' utility", number(row["owner_utility"])),
        *money,
        ("slashed", number(row["slashed"])),
        ("participants per round", number(row["mean_participants"], 1)),
        ("owners that joined", number(row["owners"])),
        ("stays", number(row["joins"])),
        ("exits", number(row["exits"])),
        ("expulsions", number(row["expulsions"])),
        ("bankruptcies", number(row["bankruptcies"])),
        ("uploads quarantined", number(quarantined(run).sum())),
        ("rounds", number(row["rounds"])),
        ("mechanism", str(row["mechanism"])),
        ("seed", str(row["seed"])),
        ("device", str(row["device"])),
        ("events", number(row["events"])),
    ]


def strategy_tables(run: Run, families: Families) -> list[dict[str, Any]]:
    """The tables of ``strategy_summary`` for the page: headings, and rows with name, colour and cells."""
    tables = []
    for breakdown in strategy_summary(run.folder):
        colours = strategy_colours(map(str, breakdown.figures.index), families)
        tables.append({
            "headings": [breakdown.heading, *(measure.heading for measure in breakdown.measures)],
            "rows": [{"name": name, "colour": colours[name], "cells": cells} for name, cells in breakdown.rows()],
        })  # fmt: skip
    return tables


def _title(run: Run) -> str:
    row = run.runs.iloc[0]
    return str(row["title"]) or str(row["scenario"])


def recording_note(run: Run) -> str:
    """What a reader of the pictures by owner has to know: that rows are missing, or that nobody was there."""
    rows = run.owners[(run.owners["moment"] == "round") & (run.owners["status"] == "active")]
    recorded = rows.groupby("round").size()
    active = run.rounds.set_index("round")["active"]
    busy = active[active > 0]
    if busy.empty:
        return "Nobody was in the market after any round." if len(active) else ""
    notes = []
    if (recorded.reindex(busy.index, fill_value=0) < busy).any():
        notes.append(
            f"Pictures by owner show the recorded rows: {number(rows['owner'].nunique())} of "
            f"{number(run.episodes['owner'].nunique())} owners, {number(len(recorded))} of {number(len(busy))} rounds."
        )
    if busy.index.max() < active.index.max():
        notes.append(f"Nobody was in the market from round {busy.index.max() + 1} to the end of the run.")
    return " ".join(notes)


def _flat(info: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Facts of ``run.json`` as name and value, with what is nested spelt out."""
    flat = pd.json_normalize(info, sep=" ").iloc[0] if info else pd.Series(dtype=object)
    return [(str(name), str(value)) for name, value in flat.items()]


def png(ax: Axes) -> bytes:
    """The picture as a file; the same picture gives the same bytes."""
    figure = ax.figure
    assert isinstance(figure, Figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def html_template(name: str) -> Any:
    """A page of this project, in which everything that is filled in is escaped."""
    # The scenario's texts come from files that anybody may have written: everything is escaped.
    environment = Environment(
        loader=PackageLoader("scenarios"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template(name)
