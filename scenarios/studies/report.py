"""The report of a study: one static HTML page with everything inside, and its pictures as PNG files beside it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scenarios.analysis import half_life, kaplan_meier_over_runs
from scenarios.number_text import number
from scenarios.plots import survival_curves
from scenarios.report import PLOTS_FOLDER, REPORT_FILE, html_template, png
from scenarios.results import BadRun
from scenarios.studies import open_study
from scenarios.studies.differences import contrast, paired_differences
from scenarios.studies.discovery import discover
from scenarios.studies.effects import main_effects, phase_diagram, variance_shares
from scenarios.studies.end_table import cell_means, label
from scenarios.studies.pictures import difference_plot, index_plot, level_plot, phase_plot
from scenarios.studies.results import StudyResults
from scenarios.studies.sensitivity import sensitivity
from scenarios.studies.stays import stays_by_strategy, study_spells
from scenarios.writing import made

FEWEST_RUNS = 50
"""Runs from which on scenario discovery is tried."""

MOST_LINES = 200

FEW_PAIRS = 20
TOO_FEW = (
    "With few pairs these intervals are too narrow: of 100 that should miss the truth 5 times, about 27 miss it with "
    "three pairs, 16 with five and 10 with ten (normally distributed differences)."
)


@dataclass(frozen=True)
class Section:
    """One part of the page: what it says, a table, a picture (drawn when the page is made)."""

    title: str
    note: str
    table: pd.DataFrame | None = None
    picture: Callable[[], Axes] | None = None


def write_report(folder: Path) -> Path:
    """Write ``report.html`` and ``plots/*.png`` into the folder of a study; returns the page's path.

    BadRun if the folder holds no readable study, or none of its runs is done; OSError if it cannot be written.
    """
    study = open_study(folder)
    if study.measures.empty:
        raise BadRun(f"{study.folder}: no run of this study is done")
    shown, pictures = [], {}
    for count, section in enumerate(sections(study)):
        picture = png(section.picture()) if section.picture else None
        if picture is not None:
            pictures[f"{count:02d}.png"] = picture
        shown.append({
            "title": section.title,
            "note": section.note,
            "table": printed(section.table, {*study.fields, "level"}),
            "picture": base64.b64encode(picture).decode("ascii") if picture else None,
        })  # fmt: skip
    page = html_template("study.html").render(
        title=study.study.title or study.study.name,
        name=study.study.name,
        description=study.study.description.strip(),
        facts=facts(study),
        sections=shown,
        study=(study.folder / "study.yaml").read_text(encoding="utf-8"),
        versions=sorted(study.store.manifest().get("versions", {}).items()),
    )
    # Whatever cannot be drawn has been told by now, with the pictures of the last report still there.
    with made(study.folder / PLOTS_FOLDER) as place:
        for name, picture in pictures.items():
            study.store.write(f"{PLOTS_FOLDER}/{name}", picture)
        study.store.write(REPORT_FILE, page.encode())
    for older in place.glob("*.png"):
        if older.name not in pictures:
            older.unlink()
    return study.folder / REPORT_FILE


def facts(study: StudyResults) -> list[tuple[str, str]]:
    """Names and printed values of what the study is."""
    status = study.runs["status"].value_counts()
    counts = sorted(set(study.listing.replications))
    return [
        ("runs done", number(status.get("done", 0))),
        ("failed", number(status.get("failed", 0))),
        ("missing", number(status.get("missing", 0))),
        ("combinations", number(len(study.listing.cells))),
        ("replications", "-".join(str(count) for count in dict.fromkeys([counts[0], counts[-1]]))),
        ("design", study.study.design.name.replace("_", " ")),
        ("pairing", study.study.pairing),
        ("seed", str(study.study.seed)),
    ]


def sections(study: StudyResults) -> Iterator[Section]:
    """The parts of the page, as far as the study has something to say in them."""
    means = cell_means(study)
    yield Section("Means", "Mean and standard deviation (sd) of each measure over the runs that have it.", means)
    for measure in study.study.measure_names:
        if study.measures[measure].notna().any():
            yield from _about(study, measure)
        else:
            yield Section(measure, "No run has this measure.")
    yield from _stays(study)
    failed = study.runs[study.runs["status"] == "failed"]
    if len(failed):
        some = f" The first {MOST_LINES} of {len(failed)} are shown." if len(failed) > MOST_LINES else ""
        note = f"They are missing from everything above. Their tracebacks are in the folder failed.{some}"
        yield Section("Failed runs", note, failed[["error", "run", "scenario", "point"]].head(MOST_LINES))


def _stays(study: StudyResults) -> Iterator[Section]:
    """How long owners stay, by level of what is compared, where the study kept the episodes."""
    field = contrast(study)
    if field is None:
        return
    for strategy, stays in stays_by_strategy(study_spells(study), field):
        # Runs of one seed meet the same persons, whatever else varies.
        unit = "replication" if study.study.pairing == "paired" else "run"
        curves = kaplan_meier_over_runs(stays, by="group", runs=unit, seed=study.study.seed)
        yield Section(
            f"Stays of owners that joined as {strategy}", f"Kaplan-Meier over the runs of all seeds, by {field}; "
            "windows until half have left. Bounds are by a bootstrap of whole seeds, for owners of one run are alike.",
            half_life(curves), partial(survival_curves, curves),
        )  # fmt: skip


def _about(study: StudyResults, measure: str) -> Iterator[Section]:
    """All that can be said about one measure."""
    field = contrast(study)
    if field is not None:
        table = paired_differences(study, measure, field)
        title = f"{measure}: differences"
        if len(table):
            yield Section(title, _difference_note(study, field, int(table["pairs"].min())), table.head(MOST_LINES),
                          partial(difference_plot, table, measure, field))  # fmt: skip
        else:
            yield Section(title, f"Nothing can be compared to {field} = {study.baseline(field)}: no run of it is done, "
                          "or no other run differs in nothing else.")  # fmt: skip
    if study.fields:
        effects = main_effects(study, measure)
        yield Section(
            f"{measure}: effects", "Means by level of each field, with 95 % bootstrap intervals; the effect is the "
            "mean less that of all runs.", effects, partial(level_plot, effects, measure),
        )  # fmt: skip
        shares = variance_shares(study, measure)
        if len(shares):
            yield Section(f"{measure}: shares of the variance", "Analysis of variance of the complete grid.", shares)
    if len(study.fields) > 1:
        x, y = study.fields[-1], study.fields[-2]
        diagram = phase_diagram(study, measure, x, y)
        yield Section(f"{measure}: phase diagram", "Means over the last two fields that vary.", None,
                      partial(phase_plot, diagram, measure))  # fmt: skip
    yield from _indices(study, measure)
    yield from _boxes(study, measure)


def _difference_note(study: StudyResults, field: str, fewest: int) -> str:
    base = study.baseline(field)
    how = "paired by seed" if study.study.pairing == "paired" else "of independent runs"
    return (
        f"Differences {how} to {field} = {base}, with 95 % bootstrap intervals (BCa). 'all' pools the other fields, "
        "one value per seed; 'needed' is the number of pairs that would halve the interval."
        + f" {TOO_FEW}"
        * (fewest < FEW_PAIRS)
    )


def _indices(study: StudyResults, measure: str) -> Iterator[Section]:
    if study.study.design.name not in ("saltelli", "morris"):
        return
    for scenario in study.study.scenarios:
        try:
            table = sensitivity(study, measure, scenario)
        except BadRun as problem:
            yield Section(f"{measure}: indices ({scenario})", str(problem).split(": ", 1)[-1])
            continue
        note = f"Indices ({study.study.design.name}) over the whole ranges of the factors, with 95 % half-widths."
        yield Section(f"{measure}: indices ({scenario})", note, table, partial(index_plot, table, measure))


def _boxes(study: StudyResults, measure: str) -> Iterator[Section]:
    """Where a measure is in its lowest quarter, for designs that fill the space."""
    if study.places is None or len(study.measures) < FEWEST_RUNS:
        return
    bound = float(study.measures[measure].quantile(0.25))
    table = discover(study, f'"{measure}" < {bound!r}')
    if len(table):
        yield Section(
            f"{measure}: where it is low", f"Boxes that a small decision tree finds, in which {measure} is below "
            f"{bound:.4g}, its lowest quarter, more often than elsewhere.", table,
        )  # fmt: skip


def printed(table: pd.DataFrame | None, levels: Collection[str] = ()) -> dict[str, Any] | None:
    """Headings and cells as text; ``levels``: columns that say what was set, whose numbers stand as they were set."""
    if table is None:
        return None
    prints = [label if name in levels else _cell for name in table.columns]
    rows = [[text(value) for text, value in zip(prints, row, strict=True)] for row in table.itertuples(index=False)]
    return {"headings": list(table.columns), "rows": rows}


def _cell(value: Any) -> str:
    if isinstance(value, (bool, str)):
        return str(value)
    if not isinstance(value, (int, float, np.integer, np.floating)):
        return str(value)
    amount = float(value)
    return number(amount) if amount.is_integer() else number(amount, 3 if abs(amount) < 100 else 1)
