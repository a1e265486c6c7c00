"""The page of a tournament: one static HTML file with everything inside, and its pictures as PNG files beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from scenarios.plots.tournaments import deviation_map, fixation_map, mechanisms_of, regret_map
from scenarios.report import PLOTS_FOLDER, REPORT_FILE, html_template, png
from scenarios.studies.report import Section, printed
from scenarios.studies.store import STUDY_FILE, Store

Tables = Mapping[str, pd.DataFrame]


def write_page(store: Store, tables: Tables, facts: Sequence[tuple[str, str]], reference: str) -> Path:
    """Write ``report.html`` and ``plots/*.png`` into the folder of a tournament; returns the page's path."""
    shown, pictures = [], {}
    for place, section in enumerate(sections(tables, reference)):
        picture = png(section.picture()) if section.picture else None
        if picture is not None:
            pictures[f"{place:02d}.png"] = picture
        shown.append({
            "title": section.title,
            "note": section.note,
            "table": printed(section.table),
            "picture": base64.b64encode(picture).decode("ascii") if picture else None,
        })  # fmt: skip
    page = html_template("study.html").render(
        title="Tournament of strategies",
        name="tournament",
        description="Who earns what among whom: the same persons with the same luck in every world.",
        facts=facts,
        sections=shown,
        study=(store.folder / STUDY_FILE).read_text(encoding="utf-8"),
        versions=sorted(store.manifest().get("versions", {}).items()),
    )
    place_of = store.folder / PLOTS_FOLDER
    place_of.mkdir(exist_ok=True)
    for name, content in pictures.items():
        store.write(f"{PLOTS_FOLDER}/{name}", content)
    store.write(REPORT_FILE, page.encode())
    for older in place_of.glob("*.png"):
        if older.name not in pictures:
            older.unlink()
    return store.folder / REPORT_FILE


def sections(tables: Tables, reference: str) -> Iterator[Section]:
    """The parts of the page."""
    yield Section(
        "Regret",
        f"What one person gains at most by another strategy of this tournament when everybody plays the row's, in "
        f"percent of what a person earns when all play {reference}. 0: nobody gains by leaving it. "
        "Bold: above 0 at 95 %.",
        tables["regret"].drop(columns="relative"),
        partial(regret_map, tables["regret"]),
    )
    yield Section(
        "Standing",
        "Resists: so many rivals gain nothing by deviating to them (Maynard Smith). Invaded by: so many earn more than "
        "it as a single mutant. Long run: share of time in which everybody plays it when mutations are rare.",
        tables["standing"],
    )
    for mechanism in mechanisms_of(tables["deviations"]):
        yield Section(
            f"{mechanism}: one deviates",
            "Gain of the one person that plays the column's strategy among others that play the row's, to what it "
            "earns when it does as they do. Percent as above; bold: the interval does not hold 0.",
            None,
            partial(deviation_map, tables["deviations"], mechanism),
        )
        yield Section(
            f"{mechanism}: one takes over",
            "Probability that the strategy of one mutant becomes everybody's, by the payoffs at the numbers of mutants "
            "that were played, interpolated in between. Bold: the bounds of the payoffs give the same verdict.",
            None,
            partial(fixation_map, tables["evolution"], mechanism),
        )
        evolution = tables["evolution"]
        yield Section(
            f"{mechanism}: pairs",
            "Open: the interval holds 0.",
            evolution[evolution["mechanism"] == mechanism].drop(columns=["mechanism", "neutral"]),
        )
    yield Section(
        "Rest points",
        "Populations that the replicator dynamics leave as they are, by the payoffs of one among all others.",
        tables["rest_points"],
    )
