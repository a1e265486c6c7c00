"""The HTML report of a run."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_run import INFO, STRATEGIES, make_folder, write_run

from scenarios.number_text import number, percent
from scenarios.recorder import Recorder
from scenarios.report import PLOTS, Plot, write_report
from scenarios.results import BadRun, open_run
from scenarios.summary import strategy_families, strategy_summary
from scenarios.tables import TABLES


class Page(HTMLParser):
    """What a page holds: the text of its elements, its images and every address it mentions."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.rows: list[list[str]] = []
        self.sources: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        for name, value in attrs:
            if name == "src":
                self.sources.append(value or "")
            if name in ("href", "action", "data", "srcset") or (
                name == "src" and not (value or "").startswith("data:")
            ):
                self.addresses.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if data.strip() and self.rows and self.tags[-1] in ("th", "td", "span"):
            self.rows[-1].append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_folder(tmp_path_factory.mktemp("report") / "run")
    assert write_report(folder) == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def fitting(folder: Path) -> list[Plot]:
    """The pictures of which there is something to show in this run."""
    return [plot for plot in PLOTS if plot.fits(open_run(folder))]


def test_the_page_holds_every_picture_and_the_same_ones_lie_beside_it(folder: Path, page: Page) -> None:
    inside = [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in page.sources]
    beside = [(folder / "plots" / f"{plot.name}.png").read_bytes() for plot in fitting(folder)]
    assert inside == beside
    assert all(picture.startswith(b"\x89PNG") for picture in beside)
    assert {path.stem for path in (folder / "plots").iterdir()} == {plot.name for plot in fitting(folder)}
    for plot in fitting(folder):
        caption = plot.says(open_run(folder))
        assert caption.endswith(".")
        assert caption in page.text


def test_the_page_needs_nothing_from_outside(folder: Path, page: Page) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert page.addresses == []
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert not re.search(r"https?://|@import|url\(", text)


def test_the_page_shows_the_key_figures(folder: Path, page: Page) -> None:
    row = open_run(folder).runs.iloc[0]
    assert f"final accuracy {row['final_accuracy']:.3f}" in page.text
    assert f"welfare {row['welfare']:,.0f}" in page.text
    assert f"expulsions {row['expulsions']}" in page.text
    assert f"owners that joined {row['owners']} stays {row['joins']}" in page.text
    assert "A made-up market" in page.text
    assert "Sixty owners of five strategies." in page.text
    assert "mechanism proportional" in page.text


def test_the_page_shows_the_tables_that_the_command_line_prints(folder: Path, page: Page) -> None:
    rows = [" ".join(" ".join(row).split()) for row in page.rows]
    for breakdown in strategy_summary(folder):
        headings = [breakdown.heading, *(measure.heading for measure in breakdown.measures)]
        start = rows.index(" ".join(" ".join(headings).split()))
        printed = [" ".join([name, *cells]) for name, cells in breakdown.rows()]
        assert rows[start + 1 : start + 1 + len(printed)] == printed
        assert [row.split()[0] for row in printed] == list(STRATEGIES)


def test_stays_and_verdicts_of_the_page_are_those_of_the_tables(folder: Path) -> None:
    run = open_run(folder)
    stays, audits = (breakdown.figures for breakdown in strategy_summary(folder))
    for name in STRATEGIES:
        mine = run.episodes[run.episodes["strategy_left"] == name]
        assert stays.at[name, "stays"] == len(mine)
        assert stays.at[name, "expelled"] == (mine["exit_kind"] == "expelled").sum()
        rows = run.owners[(run.owners["strategy"] == name) & run.owners["flagged"]]
        assert audits.at[name, "guilty_rightly"] == rows["violation"].sum()
        assert audits.at[name, "guilty_wrongly"] == (~rows["violation"]).sum()


def test_the_resolved_scenario_and_the_versions_are_folded_in(folder: Path, page: Page) -> None:
    assert page.tags.count("details") == 2
    assert " ".join(open_run(folder).scenario_text.split()) in page.text
    assert f"versions numpy {INFO['versions']['numpy']}" in page.text  # type: ignore[index]
    assert "command datagora run synthetic" in page.text


def test_the_same_run_gives_the_same_page(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert write_report(copy).read_bytes() == (folder / "report.html").read_bytes()
    assert not list(copy.glob("*.partial"))


def test_text_from_a_scenario_cannot_become_markup(tmp_path: Path) -> None:
    attack = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    recorder = Recorder(tmp_path / "run")
    write_run(recorder, rounds=2)
    scenario = f"name: s\ntitle: t\ndescription: '{attack}'\nother: '</pre>{attack}'\n"
    recorder.close(scenario, {"command": attack})
    text = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "onerror=alert(2)&gt;" in text
    assert Page(text).addresses == []


def test_a_run_without_a_closed_round_still_has_a_report(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    blank = {"int": 0, "float": np.nan, "text": "empty", "bool": False, "label": "empty"}
    recorder.write("runs", {column.name: blank[column.kind] for column in TABLES["runs"].columns})
    recorder.close("name: empty\n", {})
    page = Page(write_report(tmp_path / "run").read_text(encoding="utf-8"))
    assert len(page.sources) == len(fitting(tmp_path / "run"))
    assert "nobody ever joined" in page.text
    assert "final accuracy -" in page.text


def test_a_sampled_run_says_how_much_of_it_the_pictures_show(folder: Path, page: Page, tmp_path: Path) -> None:
    class EveryFourth(Recorder):
        def write(self, table: str, columns: Mapping[str, Any]) -> None:
            if table != "owners" or columns["moment"] != "round" or columns["round"] % 4 == 0:
                super().write(table, columns)

    recorder = EveryFourth(tmp_path / "run")
    write_run(recorder, rounds=8)
    recorder.close("name: s\n", {})
    sampled = Page(write_report(tmp_path / "run").read_text(encoding="utf-8"))
    assert "2 of 8 rounds" in sampled.text
    assert "recorded rows" not in page.text


def test_a_market_that_emptied_is_not_taken_for_a_sampled_one(tmp_path: Path) -> None:
    class Emptied(Recorder):
        def write(self, table: str, columns: Mapping[str, Any]) -> None:
            after = columns.get("round", 0)
            if table == "owners" and columns["moment"] == "round" and after >= 5:
                return
            super().write(table, {**columns, "active": 0} if table == "rounds" and after >= 5 else columns)

    recorder = Emptied(tmp_path / "run")
    write_run(recorder, rounds=8)
    recorder.close("name: s\n", {})
    emptied = Page(write_report(tmp_path / "run").read_text(encoding="utf-8"))
    assert "Nobody was in the market from round 5 to the end of the run." in emptied.text
    assert "recorded rows" not in emptied.text


def test_captions_speak_of_audits_only_where_there_were_some(folder: Path) -> None:
    audited, trusting = open_run(folder), open_run(folder)
    trusting.rounds = audited.rounds.assign(audited=0)  # type: ignore[misc]
    captions = {plot.name: plot for plot in PLOTS}
    assert "Grey dots" in captions["free_rider_share"].says(audited)
    assert "Grey dots" not in captions["free_rider_share"].says(trusting)


def test_a_folder_without_a_run_gets_no_report(tmp_path: Path) -> None:
    with pytest.raises(BadRun):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "digits", "printed"),
    [
        (1234.5678, 2, "1,234.57"),
        (-91.2, 0, "-91"),
        (-0.001, 2, "0.00"),
        (0, 0, "0"),
        (np.nan, 3, "-"),
        (np.inf, 0, "-"),
    ],
)
def test_numbers_are_printed_for_people(value: float, digits: int, printed: str) -> None:
    assert number(value, digits) == printed


def test_shares_are_printed_in_percent() -> None:
    assert [percent(0.9312), percent(0.9, 0), percent(np.nan)] == ["93.1 %", "90 %", "-"]


def test_families_of_strategies_come_from_the_registry() -> None:
    families = strategy_families()
    assert families["honest"] == "honest"
    assert {"honest", "misreporter", "free_rider"} <= set(families.values())
