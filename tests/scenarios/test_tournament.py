"""Tournaments of a market that is small enough to be reckoned up: a posted price per claimed sample, no training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scenarios.cli import main
from scenarios.recorder import MemoryRecorder
from scenarios.registries import mechanisms
from scenarios.simulation import Simulation
from scenarios.studies.planning import make_plan
from scenarios.tournament.entrants import entrant
from scenarios.tournament.fingerprint import FACTORS, lies_under
from scenarios.tournament.worlds import arenas, deviations, find_markets, make_study

TINY = ("--no-training", "--seeds", "2", "--deviators", "2", "--set", "horizon=2", "-q")
TWICE = "misreport_size:factor=2"
PAIR = ("tournament", "--mechanism", "fixed_price", "--strategy", "honest", "--strategy", TWICE, "--owners", "5")
FINGERPRINT = ("fingerprint", "fixed_price", "--factor", "0.5", "--factor", "2", "--owners", "4")


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {path.stem: pd.read_csv(path) for path in (folder / "tables").glob("*.csv")}


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tournament") / "one"
    assert main([*PAIR, *TINY, "--workers", "1", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fingerprint") / "one"
    assert main([*FINGERPRINT, *TINY, "--workers", "1", "--out", str(folder)]) == 0
    return folder


def test_who_claims_twice_its_data_at_a_posted_price_gains_what_it_is_paid(played):
    found = tables(played)["deviations"].set_index(["resident", "mutant"])
    study = pd.read_parquet(played / "runs.parquet")
    paid = []
    for seed in study["seed"].unique():
        kept = MemoryRecorder()
        changes = ["learning.enabled=false", "horizon=2", "population.initial=5"]
        Simulation(scenario=str(arenas()["fixed_price"]), seed=int(seed), overrides=changes, recorder=kept).run()
        owners = kept.table("owners").query("moment == 'round' and person < 2")
        paid.append(owners.groupby("person")["payment"].sum().mean())
    assert found.loc[("honest", TWICE), "gain"] == pytest.approx(np.mean(paid), abs=1e-4)
    assert found.loc[("honest", TWICE), "others"] == pytest.approx(0.0, abs=1e-6)


def test_what_pays_whatever_the_others_do_is_a_regret_an_invasion_and_everybody_in_the_long_run(played):
    found = tables(played)
    regret = found["regret"].set_index("strategy")
    assert regret.loc[TWICE, "regret"] == 0.0 < regret.loc["honest", "regret"]
    assert regret.loc["honest", "best_reply"] == TWICE == regret.loc[TWICE, "best_reply"]
    evolution = found["evolution"].set_index("resident")
    assert evolution.loc["honest", "fixation"] > 0.2 > evolution.loc[TWICE, "fixation"]
    long_run = found["standing"].set_index("strategy")["long_run"]
    assert long_run[TWICE] > 0.5
    assert long_run.sum() == pytest.approx(1.0)


def test_mutants_are_as_far_ahead_of_few_as_of_many_where_nobody_affects_another(played):
    mixed = tables(played)["mixtures"].query("resident == 'honest'")
    assert list(mixed["mutants"]) == [1, 2, 4]
    assert mixed["advantage"].to_numpy() == pytest.approx(mixed["advantage"].mean(), rel=0.35)
    assert (mixed["advantage"] > 0).all()


def test_both_directions_of_a_pair_tell_the_same_story(played):
    mixed = tables(played)["mixtures"]
    there = mixed.query("resident == 'honest'").set_index("mutants")["advantage"]
    back = mixed.query("mutant == 'honest'").set_index("mutants")["advantage"]
    assert [there[count] for count in (1, 2, 4)] == pytest.approx([-back[5 - count] for count in (1, 2, 4)])


def test_two_workers_write_the_same_bytes_and_a_finished_tournament_is_not_played_again(played, tmp_path, capfd):
    assert main([*PAIR, *TINY, "--workers", "2", "--out", str(tmp_path / "two")]) == 0
    for path in sorted((played / "tables").glob("*.csv")):
        assert path.read_bytes() == (tmp_path / "two" / "tables" / path.name).read_bytes()
    when = {path: path.stat().st_mtime_ns for path in (played / "runs").iterdir()}
    assert main([*PAIR, *TINY, "--workers", "1", "--out", str(played), "--resume"]) == 0
    assert when == {path: path.stat().st_mtime_ns for path in (played / "runs").iterdir()}


def test_a_tournament_has_a_page_with_its_heat_maps(played):
    page = (played / "report.html").read_text()
    assert "fixed_price: one deviates" in page
    assert len(list((played / "plots").glob("*.png"))) == page.count("<img") == 3


def test_a_fingerprint_tells_lies_that_pay_from_lies_that_cost(drawn):
    found = pd.read_csv(drawn / "tables" / "fingerprint.csv").set_index("lie")
    assert found.loc["misreport_size:factor=2", "gain"] > 0 > found.loc["misreport_size:factor=0.5", "gain"]
    assert found.loc["misreport_cost:factor=0.5", "gain"] == 0.0
    assert found.loc["free_rider_global", "gain"] > 0
    assert (drawn / "fingerprint.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("mechanism", mechanisms())
def test_every_mechanism_has_a_market_in_which_each_of_its_claims_can_be_a_lie(mechanism):
    lies = lies_under(mechanism, FACTORS)
    claims = mechanisms()[mechanism]().needs
    assert [lie.kind for lie in lies if lie.kind != "deed"] == [claim for claim in claims for _ in FACTORS]
    worlds = list(deviations(entrant("honest"), [lie.plays for lie in lies if lie.factor != 2.0][::3], 1))
    markets = find_markets([mechanism], None)
    study = make_study("all", "", markets, worlds, owners=6, seeds=2, seed=1, changes={})
    assert len(make_plan(study, Path("all")).cells) == len(worlds)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["tournament", "--mechanism", "barter"], "mechanism: barter: unknown mechanism, known: "),
        (["tournament", "--strategy", "honest"], "--strategy: honest: a tournament needs at least two strategies"),
        (["tournament", "--strategy", "honest", "--strategy", "honest"], "--strategy: honest: this strategy is given"),
        (["tournament", "--strategy", "liar", "--strategy", "honest"], "--strategy: liar: unknown strategy"),
        (["tournament", "--strategy", "honest:factor", "--strategy", "grim"], "--strategy: honest:factor: expected"),
        (["tournament", "--process", "moran", "--selection", "3"], "--selection: 3.0: expected at most 1"),
        (["tournament", "--set", "horizon=0"], "horizon"),
        (["fingerprint", "proportional", "--factor", "-1"], "--factor: -1.0: expected factors above 0"),
        (["fingerprint", "qd_rdfl", "--no-training"], "qd_rdfl"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(words, line, tmp_path, capsys):
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()
