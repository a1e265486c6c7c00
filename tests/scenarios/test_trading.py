"""What the summary and the report say of a market for personal models."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from scenarios.cli import main
from scenarios.report import PLOTS, key_figures, write_report
from scenarios.results import open_run
from scenarios.summary import strategy_families, strategy_summary
from scenarios.trading import ROLES, quarantined, traded, trades

ROLES_OF_SIX = [
    "horizon=4",
    "population.initial=6",
    "population.types.gain_scale={kind: table, values: [2e4, 2e4, 2e4, 0, 0, 2e4]}",
    "population.types.sharing_cost={kind: table, values: [1, 1, 1, 1, 1, null]}",
    "population.assignment=[0, 0, 0, 0, 1, 0]",
    "population.strategies=[honest, misreport_size]",
    "population.arrival_rate=0",
    "population.departure_rate=0",
    "data.train_limit=480",
    "data.partition=iid",
]


def play(folder: Path, *changes: str, scenario: str = "ipfl_market") -> Path:
    options = [word for change in changes for word in ("--set", change)]
    assert main(["run", scenario, "--out", str(folder / "run"), "--quiet", *options]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return play(tmp_path_factory.mktemp("run"), *ROLES_OF_SIX)


def test_roles_are_told_apart_within_a_strategy_and_add_up(folder: Path) -> None:
    run = open_run(folder)
    table = trades(run, strategy_families())
    rows = run.owners[run.owners["moment"] == "round"]
    did = rows.groupby("owner")[["purchases", "sales"]].sum() > 0
    expected = {(True, True): ROLES[0], (True, False): ROLES[1], (False, True): ROLES[2], (False, False): ROLES[3]}
    played = rows.groupby("owner")["strategy"].last().astype(str)
    found = list(zip(table.index, table["role"], table["owners"], strict=True))
    counted = Counter((played[owner], expected[bought, sold]) for owner, bought, sold in did.itertuples())
    assert Counter({(strategy, role): number for strategy, role, number in found}) == counted
    assert len({role for _, role, _ in found}) > 1
    assert table["owners"].sum() == 6
    assert (table["purchases"] * table["owners"]).sum() == pytest.approx(rows["purchases"].sum())
    assert (table["sales"] * table["owners"]).sum() == pytest.approx(rows["sales"].sum())
    income = table["earned"] * table["owners"]
    assert income[table["role"] == "only buys"].sum() < 0
    assert income.sum() == pytest.approx(0.0, abs=1e-6), "what owners pay each other stays among them"
    paid = rows["net_payment"].clip(lower=0).sum()
    assert traded(run) >= paid - 1e-4


def test_the_report_has_the_graph_over_time_and_what_was_claimed(folder: Path) -> None:
    write_report(folder)
    drawn = {path.stem for path in (folder / "plots").iterdir()}
    assert drawn == {plot.name for plot in PLOTS if plot.fits(open_run(folder))}
    assert {"network_course", "report_drift"} < drawn
    assert dict(key_figures(open_run(folder)))["paid among owners"] != "0"


def test_a_market_of_the_truthful_has_no_picture_of_claims_and_one_global_model_no_graph_over_time(
    tmp_path: Path,
) -> None:
    truthful = play(tmp_path / "one", *ROLES_OF_SIX[:4], "population.strategies=[honest]")
    write_report(truthful)
    drawn = {path.stem for path in (truthful / "plots").iterdir()}
    assert "network_course" in drawn
    assert "report_drift" not in drawn
    common = open_run(play(tmp_path / "two", "horizon=2", scenario="free_rider_collapse"))
    assert not any(plot.fits(common) for plot in PLOTS if plot.name in ("network_course", "report_drift"))
    assert "paid among owners" not in dict(key_figures(common))


def test_quarantined_uploads_are_counted(tmp_path: Path) -> None:
    diverging = ["horizon=2", "population.initial=6", "learning.learning_rate=1e38"]
    run = open_run(play(tmp_path, *diverging))
    assert quarantined(run).sum() > 0
    assert trades(run, strategy_families())["quarantined"].sum() == quarantined(run).sum()
    assert dict(key_figures(run))["uploads quarantined"] == str(quarantined(run).sum())


def headings(folder: Path) -> list[str]:
    return [" ".join(measure.heading.split()) for table in strategy_summary(folder) for measure in table.measures]


def test_a_market_of_personal_models_has_no_figures_of_a_model_owner(folder: Path, tmp_path: Path) -> None:
    of_the_model_owner = {"model owner's utility", "paid to owners"}
    assert not of_the_model_owner & set(dict(key_figures(open_run(folder))))
    assert "paid per stay" not in headings(folder)
    common = play(tmp_path, "horizon=1", scenario="free_rider_collapse")
    assert of_the_model_owner <= set(dict(key_figures(open_run(common))))
    assert "paid per stay" in headings(common)


def test_counts_of_trades_say_so_where_only_some_rounds_are_on_record(folder: Path, tmp_path: Path) -> None:
    assert {"bought each", "sold each", "net income each"} <= set(headings(folder))
    sparse = play(tmp_path, *ROLES_OF_SIX, "recording.edges_every=2")
    assert {"bought each, 1 round in 2", "sold each, 1 round in 2", "net income each"} <= set(headings(sparse))


def test_the_first_look_at_the_graph_has_nothing_to_be_compared_with(folder: Path) -> None:
    turnover = open_run(folder).network["edge_turnover"]
    assert turnover.isna().tolist() == [True] + [False] * (len(turnover) - 1)
