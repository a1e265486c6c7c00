"""The worlds behind the page: a run is the same with and without it, live or read back, alone or beside another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("solara", reason="the page needs the extra app")

from scenarios.app.draft import MIX, Draft
from scenarios.app.drawing import DARK, LIGHT
from scenarios.app.keeping import export_run, session_scenario
from scenarios.app.main_area import TABS, view_of
from scenarios.app.panels.course import rules
from scenarios.app.panels.differences import DIFFERENCES, MEASURES
from scenarios.app.panels.people import leaderboard, ticker
from scenarios.app.reel import Reel, reel_of
from scenarios.app.stage import Stage
from scenarios.errors import BadInput
from scenarios.loading import load_scenario
from scenarios.recorder import MemoryRecorder, Recorder
from scenarios.results import open_run
from scenarios.simulation import Simulation

MARKET = """
seed: 5
horizon: 9
population:
  initial: 14
  arrival_rate: 1
  strategies: [{name: honest, share: 4}, {name: misreport_size, factor: 2.0}, {name: free_rider_noise}]
  adaptation: {name: imitation, rate: 0.2}
data: {train_limit: 300, test_limit: 100}
enforcement: {deposit: 2, audit_rate: 0.3, expel_after: 2}
"""
EVENT = ["seq", "tick", "round", "kind", "owner", "value"]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("stage") / "market.yaml"
    file.write_text(MARKET)
    return str(file)


def play(stage: Stage, windows: int = 9) -> Stage:
    for _ in range(windows):
        stage.step()
    assert stage.problem == ""
    return stage


def events_of(reel: Reel, *more: object) -> pd.DataFrame:
    parts = [frame.tables["events"] for frame in reel.frames]
    frame = pd.concat([pd.DataFrame({name: part[name] for name in EVENT}) for part in [*parts, *more]])
    return frame.reset_index(drop=True)


def test_drawing_everything_after_every_round_leaves_the_event_log_as_it_is(market: str):
    plain = MemoryRecorder()
    Simulation(scenario=load_scenario(market), recorder=plain).run()
    stage = Stage(Draft(market))
    for _ in range(9):
        stage.step()
        for theme in (LIGHT, DARK):
            view = view_of(stage.shows[0], stage.length - 1, theme)
            assert all(panel(view).svg() for panels in TABS.values() for panel in panels)
    assert not stage.running
    expected = plain.table("events").astype({"kind": object})
    pd.testing.assert_frame_equal(events_of(stage.shows[0].reel, stage.shows[0].tape.tail), expected, check_exact=True)


def test_a_finished_run_shows_what_the_live_one_did(market: str, tmp_path: Path):
    live = play(Stage(Draft(market))).shows[0].reel
    Simulation(scenario=load_scenario(market), recorder=Recorder(tmp_path / "run")).run()
    stage = Stage(folder=str(tmp_path / "run"))
    assert (stage.problem, stage.running, stage.length) == ("", False, 9)
    for shown, was in zip(stage.shows[0].reel.frames, live.frames, strict=True):
        assert shown.balances == pytest.approx(was.balances)
        assert shown.counts == was.counts
        np.testing.assert_allclose(shown.gains, was.gains)
    read = view_of(stage.shows[0], 8, LIGHT)
    played = view_of(play(Stage(Draft(market))).shows[0], 8, LIGHT)
    for panel in (*TABS["Money"], *TABS["Owners"], *TABS["Market"][1:]):
        assert panel(read).svg() == panel(played).svg(), panel


def test_the_balances_of_every_frame_sum_to_zero_and_the_gains_to_the_owners_utility(market: str):
    reel = play(Stage(Draft(market))).shows[0].reel
    for frame in reel.frames:
        assert sum(frame.balances.values()) == pytest.approx(0, abs=1e-6)
    owners = pd.concat(pd.DataFrame(dict(frame.owners)) for frame in reel.frames)
    expected = owners.groupby("owner")["utility"].sum()
    np.testing.assert_allclose(reel.frames[-1].gains[expected.index], expected)
    by_strategy = owners.groupby("strategy")["utility"].agg(["sum", "size"])
    for strategy, (gained, rounds) in reel.frames[-1].earned.items():
        assert (gained, rounds) == (pytest.approx(by_strategy["sum"][strategy]), by_strategy["size"][strategy])


def test_the_mechanism_shown_is_the_one_of_the_round_shown(market: str):
    stage = play(Stage(Draft(market, {"learning.enabled": False})), 3)
    written = stage.mechanism()
    stage.turn({"market.mechanism": {"name": "fixed_price", "price": 0.01}})
    play(stage, 2)
    titles = [rules(view_of(stage.shows[0], place, LIGHT)).title for place in (2, 3)]
    assert titles == ["Mechanism: proportional", "Mechanism: fixed_price"]
    assert stage.mechanism() == {"name": "fixed_price", "price": 0.01}
    assert written == {"name": "proportional", "reputation_exponent": 0.0}
    assert "lever: mechanism fixed_price" in ticker(view_of(stage.shows[0], 4, LIGHT)).svg()


def test_a_lie_about_privacy_stands_in_the_leaderboard():
    changes = {"population.initial": 30, "learning.enabled": False}
    stage = play(Stage(Draft("privacy_auction_market", changes)), 2)
    svg = leaderboard(view_of(stage.shows[0], 1, LIGHT)).svg()
    assert ">valuation<" in svg
    assert ">privacy budget<" in svg
    lies = [part for part in svg.split("<text")[1:] if LIGHT.text("#D55E00") in part and " / " in part]
    assert len(lies) > 2


def test_the_ticker_knows_who_has_left(market: str):
    changes = {"population.departure_rate": 0.3, "learning.enabled": False}
    stage = play(Stage(Draft(market, changes)), 9)
    told = [ticker(view_of(stage.shows[0], place, LIGHT)).svg() for place in range(1, 9)]
    leaving = [line for svg in told for line in svg.split("</text>") if "leaves: voluntary" in line]
    known = [line for line in leaving if any(f"({name})" in line for name in stage.shows[0].strategies)]
    assert len(leaving) > 5
    assert len(known) > len(leaving) / 2, "all but those that came and went within a round"


def test_the_parameters_of_a_mechanism_are_set_like_any_value(market: str):
    draft = Draft(market).with_change("market.mechanism", {"name": "fixed_price", "price": 0.3})
    assert draft.value("market.mechanism") == "fixed_price"
    assert draft.mechanism() == {"name": "fixed_price", "price": 0.3}
    assert draft.scenarios()[0].market.mechanism.params == {"price": 0.3}
    written = Draft(market).mechanism()
    assert draft.with_change("market.mechanism", written).changes == {}


def test_reel_of_reads_every_round_of_a_folder(market: str, tmp_path: Path):
    Simulation(scenario=load_scenario(market), recorder=Recorder(tmp_path / "run")).run()
    run = open_run(tmp_path / "run")
    reel = reel_of(run)
    assert [frame.number for frame in reel.frames] == run.rounds["round"].tolist()
    assert sum(len(frame.tables["events"]["seq"]) for frame in reel.frames) <= len(run.events)


def test_a_lever_acts_in_one_world_or_in_both_and_is_exported_with_the_run(market: str, tmp_path: Path):
    stage = play(Stage(Draft(market, rival={"market.mechanism": "fixed_price"})), 4)
    assert stage.turn({"enforcement.audit_rate": 1.0}, "B") == [4]
    assert stage.turn({"market.budget": 7.0}) == [4, 4]
    with pytest.raises(BadInput, match="a probability"):
        stage.turn({"enforcement.audit_rate": 2.0})
    play(stage, 3)
    assert [show.marks for show in stage.shows] == [(4,), (4, 4)]
    assert stage.in_force("market.budget") == 7.0
    first, second = (session_scenario(show).interventions for show in stage.shows)
    assert [len(first), len(second)] == [1, 2]
    for show in stage.shows:
        folder = export_run(show, tmp_path / f"kept{show.name}")
        kept = open_run(folder).events.astype({"kind": object})
        session = events_of(show.reel)
        assert len(session) > 200
        pd.testing.assert_frame_equal(session, kept[: len(session)], check_exact=True, check_categorical=False)
    with pytest.raises(FileExistsError, match="already holds a run"):
        export_run(stage.shows[0], tmp_path / "keptA")


def test_two_worlds_have_the_same_people_and_their_differences_are_paired(market: str):
    stage = play(Stage(Draft(market, rival={"enforcement.audit_rate": 0.0})), 6)
    a, b = (show.reel.frames for show in stage.shows)
    assert [len(a), len(b)] == [6, 6]
    np.testing.assert_array_equal(a[0].owners["person"], b[0].owners["person"])
    np.testing.assert_array_equal(a[0].owners["data_size"], b[0].owners["data_size"])
    assert all(frame.row["audited"] == 0 for frame in b)
    views = [view_of(show, 5, LIGHT) for show in stage.shows]
    assert len([draw(*views).svg() for draw in DIFFERENCES]) == len(MEASURES) + 1
    same = [draw(views[0], views[0]).svg() for draw in DIFFERENCES]
    assert ">B − A 0.000<" in same[1], "a world differs from itself by nothing"


def test_an_empty_market_says_that_nobody_is_there(market: str):
    changes = {"population.types.outside_option": 1000.0, "population.participation": "strict"}
    stage = play(Stage(Draft(market, {**changes, "learning.enabled": False})), 2)
    view = view_of(stage.shows[0], 1, LIGHT)
    pictures = {panel.__name__: panel(view).svg() for panels in TABS.values() for panel in panels}
    assert "Nobody is in the market." in pictures["network"]
    assert "Nobody has been in the market yet." in pictures["raster"]
    assert "accuracy" not in pictures["ticker"]


@pytest.mark.parametrize("name", ["ipfl_market", "qd_rdfl_market"])
def test_markets_of_the_published_systems_can_be_watched(name: str):
    stage = play(Stage(Draft(name)), 3)
    view = view_of(stage.shows[0], 2, DARK)
    pictures = {panel.__name__: panel(view).svg() for panels in TABS.values() for panel in panels}
    assert ("model</text>" in pictures["network"]) == (name == "qd_rdfl_market"), "iPFL has no model owner's model"
    assert "the books close" in pictures["ledger"]


@pytest.mark.parametrize(
    ("draft", "line"),
    [
        (Draft("quickstrat"), "did you mean 'quickstart'?"),
        (Draft("quickstart", {"enforcement.audit_rate": 2.0}), "enforcement.audit_rate: 2.0: expected a probability"),
        (Draft("quickstart", {"data.dataset": "nothing.npz"}), "nothing.npz"),
        (Draft("quickstart", {"market.mechanism": "ipfl"}), "ipfl needs owners with models of their own"),
    ],
)
def test_a_bad_draft_is_a_problem_in_one_line(draft: Draft, line: str):
    stage = Stage(draft)
    assert line in stage.problem
    assert "\n" not in stage.problem
    assert (stage.running, stage.shows, stage.length, stage.windows) == (False, (), 0, (0, 0))
    stage.step()


def test_a_folder_without_a_run_is_a_problem(tmp_path: Path):
    assert "no such folder" in Stage(folder=str(tmp_path / "none")).problem
    assert "holds no complete run" in Stage(folder=str(tmp_path)).problem


def test_a_stage_that_is_closed_plays_no_more(market: str):
    stage = play(Stage(Draft(market)), 2)
    stage.close()
    stage.step()
    assert stage.length == 2


def test_a_value_set_back_is_no_change(market: str):
    draft = Draft(market).with_change("seed", 9).with_change("horizon", 20)
    assert draft.changes == {"seed": 9, "horizon": 20}
    assert draft.with_change("seed", 5).changes == {"horizon": 20}
    assert [scenario.seed for scenario in draft.scenarios()] == [9]
    mix = [{**one, "share": 2.0} for one in draft.value(MIX)]
    assert [share.share for share in draft.with_change(MIX, mix).scenarios()[0].population.strategies] == [2.0] * 3
    rival = draft.with_rival("market.budget", 3.0).with_rival("market.budget", 20.0)
    assert rival.rival == {}
