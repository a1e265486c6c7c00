"""Strategies in real markets: who stays, who returns under another name, what is measured, and what is left behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from market_runs import Played, play

from agents.data_owner import DataOwner
from agents.population import Status
from agents.strategies.base import STRATEGIES
from scenarios.cli import main
from scenarios.engine.clock import Kind
from scenarios.engine.evaluation import forget_absent
from scenarios.palette import strategy_colours
from scenarios.schema import Scenario
from scenarios.summary import strategy_families

UNTRAINED = {"learning": {"enabled": False}}


def market(*strategies: Any, horizon: int = 6, **parts: Any) -> Scenario:
    """One person of each strategy, in this order."""
    population = {
        "initial": len(strategies),
        "strategies": list(strategies),
        "assignment": list(range(len(strategies))),
        "types": {"think_time": 0.5, "link_time": 0.5, "compute_rate": 100.0, "cost": 0.001, "outside_option": -1.0},
        **parts.pop("population", {}),
    }
    data = {"train_limit": 20 * len(strategies), "test_limit": 100, "partition": "iid", "quality": 1.0}
    return Scenario.model_validate({"horizon": horizon, "population": population, "data": data, **parts})


def stays_of(run: Played, strategy: str) -> pd.DataFrame:
    episodes = run.table("episodes")
    return episodes[episodes["strategy_left"] == strategy]


def test_the_loyal_stay_where_others_lose_patience() -> None:
    poor = {"types": {"outside_option": 50.0}, "participation": {"name": "logit", "temperature": 1e6, "patience": 2}}
    run = play(market(*["honest"] * 8, *["loyal"] * 8, horizon=12, population=poor, **UNTRAINED))
    assert (stays_of(run, "honest")["exit_kind"] == "voluntary").any()
    assert (stays_of(run, "loyal")["exit_kind"] == "censored").all()
    assert len(stays_of(run, "loyal")) > 0


@pytest.mark.parametrize("patience", ["in_a_row", {"name": "fading", "keep": 0.9}])
def test_rounds_out_of_season_try_nobodys_patience(patience: Any) -> None:
    # Out of season it earns nothing, less than outside; in season more. Its patience is two rounds, the pause four.
    rule = {"types": {"outside_option": 1.0}, "participation": {"name": "strict", "patience": 2}, "patience": patience}
    bird = {"name": "seasonal", "rounds": 2, "period": 6}
    run = play(market("honest", bird, horizon=14, population=rule, **UNTRAINED))
    (stay,) = stays_of(run, "seasonal").itertuples()
    assert (stay.exit_kind, stay.rounds_taken) == ("censored", 6)


def test_who_waits_for_a_good_model_is_still_there_when_it_is() -> None:
    rule = {"types": {"outside_option": 1.0, "model_value": 30.0}, "participation": {"name": "strict", "patience": 1}}
    waiting = {"name": "wait_for_others", "accuracy": 0.4}
    learning = {"model": "softmax", "epochs": 1, "learning_rate": 0.5}
    run = play(market(*["honest"] * 3, waiting, horizon=6, population=rule, learning=learning))
    good = int(np.argmax(run.table("rounds")["accuracy"] >= 0.4))
    assert good > 0
    assert stays_of(run, "wait_for_others")["rounds_taken"].tolist() == [6 - good - 1]


def test_hit_and_run_is_gone_after_its_rounds() -> None:
    run = play(market("honest", {"name": "hit_and_run", "rounds": 2}, **UNTRAINED))
    (stay,) = stays_of(run, "hit_and_run").itertuples()
    assert (stay.rounds_taken, stay.exit_kind) == (2, "voluntary")


def test_a_whitewasher_returns_under_a_new_name_with_its_money_and_a_fresh_reputation() -> None:
    rules = {"audit_rate": 1.0, "deposit": 1.0, "slash_share": 0.1, "initial_reputation": 0.5}
    run = play(market("honest", "whitewasher", "free_rider_global", enforcement=rules, **UNTRAINED))
    stays = stays_of(run, "whitewasher").sort_values("joined_tick")
    assert stays["owner"].nunique() == len(stays) > 2
    assert set(stays["person"]) == {1}
    assert (stays["rounds_taken"].iloc[:-1] == 1).all()
    assert (stays["exit_kind"].iloc[:-1] == "voluntary").all()
    assert (stays["exit_cause"].iloc[:-1] == "new_name").all()
    owners = run.table("owners")
    final = owners[owners["moment"] == "final"].set_index("owner")
    names = stays["owner"].tolist()
    assert (final.loc[names[:-1], "wallet"] == 0.0).all()
    assert final.loc[names[-1], "wallet"] > 15.0
    stayed = stays_of(run, "free_rider_global")
    assert len(stayed) == 1
    assert final.loc[names[-1], "reputation"] > final.loc[int(stayed["owner"].iloc[0]), "reputation"]


def test_a_strategy_with_transformers_is_one_of_its_own_in_the_tables() -> None:
    steps = [{"name": "delay", "rounds": 2}, "noise"]
    run = play(market("honest", {"name": "misreport_size", "factor": 3.0, "with": steps}, **UNTRAINED))
    owners = run.table("owners").query("moment == 'round' and strategy == 'misreport_size+delay+noise'")
    ratio = (owners["reported_data_size"] / owners["data_size"]).to_numpy()
    assert np.abs(ratio[:2] - 1.0).max() <= 0.1
    assert np.abs(ratio[2:] - 3.0).max() <= 0.3
    assert len(set(ratio)) == len(ratio) == 6


def test_strategies_that_differ_in_a_factor_are_two_in_tables_and_pictures() -> None:
    liars = [{"name": "misreport_size", "factor": factor} for factor in (0.5, 4.0)]
    run = play(market("honest", *liars, horizon=2, **UNTRAINED))
    owners = run.table("owners").query("moment == 'round'")
    factor = (owners["reported_data_size"] / owners["data_size"]).groupby(owners["strategy"].astype(str)).max()
    assert factor.to_dict() == {"honest": 1.0, "misreport_size(factor=0.5)": 0.5, "misreport_size(factor=4)": 4.0}
    colours = strategy_colours(factor.index, strategy_families())
    assert list(colours) == list(factor.index)  # by family, so that liars of one kind stand together


def test_parameters_of_transformers_are_filled_in_and_survive_a_dump() -> None:
    scenario = market({"name": "grim", "with": ["delay"]})
    (share,) = scenario.population.strategies
    assert share.params["with"] == [{"name": "delay", "rounds": 3}]
    assert Scenario.model_validate(scenario.model_dump(mode="json")) == scenario
    (plain,) = market({"name": "grim", "with": []}).population.strategies
    assert "with" not in plain.params


def test_the_success_of_a_backdoor_is_measured_in_every_round_and_nothing_where_none_is_planted() -> None:
    attacked = play(market("honest", {"name": "attack_model_replacement", "boost": 5.0}, "honest", horizon=4))
    success = attacked.table("rounds")["backdoor_success"]
    assert success.between(0, 1).all()
    assert success.iloc[-1] > 0.5
    assert play(market("honest", "attack_label_flip", horizon=2)).table("rounds")["backdoor_success"].isna().all()


def test_personal_models_can_be_backdoored_too() -> None:
    learning = {"personalization": "fedavg"}
    run = play(market("honest", "attack_backdoor", horizon=2, learning=learning, market={"mechanism": "model_sharing"}))
    assert run.table("rounds")["backdoor_success"].between(0, 1).all()


def test_every_strategy_lives_in_a_market_and_leaves_nothing_behind_when_it_goes() -> None:
    crowd = market(
        *STRATEGIES,
        horizon=4,
        population={"departure_rate": 0.3},
        learning={"model": "softmax", "epochs": 1},
        enforcement={"audit_rate": 0.3, "deposit": 1.0, "expel_after": 2},
    )
    run = play(crowd)
    world = run.simulation.world
    gone = np.flatnonzero(world.population.status != Status.ACTIVE)
    there = set(world.population.active())
    assert len(gone) > 15
    assert len(there) > 5
    assert set(run.table("owners")["strategy"]) == set(STRATEGIES)
    assert not np.isin(world.flights.owner, gone).any()
    assert not [owner for owner in gone.tolist() if owner in world.graph]
    assert {agent.owner_id for agent in run.simulation.agents if isinstance(agent, DataOwner)} == there
    for wave in world.clock.pending():
        left = slice(wave.cursor, None)
        alive = world.clock._valid(wave.kind, wave.owners[left], wave.stays[left])
        assert wave.kind is Kind.ARRIVE or not np.isin(wave.owners[left][alive], gone).any()
    forget_absent(world)  # as at the end of each round
    known = {name: part.tolist() for name, part in world.federation.state().items() if name.endswith("_owners")}
    known["falsified"] = world.federation._workshop.poisoner.held_for.tolist()
    assert {"upload_owners", "control_owners", "falsified"} <= set(known)
    persons = set(world.population.person[world.population.active()])
    assert all(set(owners) <= persons for owners in known.values())


@pytest.mark.parametrize(
    ("step", "line"),
    [
        ("[{name: dela}]", "with.0: dela: unknown strategy transformer 'dela', did you mean 'delay'?"),
        ("[{name: delay, round: 3}]", "with.0.round: 3: unknown parameter 'round', did you mean 'rounds'?"),
        ("[{name: delay, rounds: a}]", "with.0.rounds: a: expected a valid integer"),
        ("3", "with: 3: a list, known: delay, probability, after_loss, periodic, noise, whitewash"),
        ("[7]", "with.0: 7: a name, known: delay, probability, after_loss, periodic, noise, whitewash"),
    ],
)
def test_a_bad_transformer_is_one_line_that_names_the_place(
    tmp_path: Any, capsys: pytest.CaptureFixture[str], step: str, line: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"population: {{strategies: [{{name: honest, with: {step}}}]}}\n")
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"{path}: population.strategies.0.{line}\n"
    assert not (tmp_path / "out").exists()
