"""Mechanisms that keep deposits, accounts or generators come and go during a run, and the run replays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from market_runs import Played, merged, play, small
from test_market_laws import Inspector

from scenarios.errors import BadInput
from scenarios.loading import load_scenario, resolved_yaml
from scenarios.recorder import MemoryRecorder
from scenarios.schema import Scenario
from scenarios.simulation import Simulation

COCOGEN = {"name": "cocogen", "redistribution_rate": 0.02, "synthetic_quality": 0.2, "synthetic_volume_cap": 200.0}
AUCTION = {"name": "privacy_auction", "rule": "dm_regretnet"}
RIVALS: dict[str, Any] = {
    "horizon": 7,
    "population": {
        "initial": 6,
        "arrival_rate": 0.5,
        "types": {
            "profitability": {"name": "uniform", "low": 20.0, "high": 50.0},
            "generation_cost": 0.01,
            "outside_option": 0.0,
            "cost": 0.001,
        },
    },
    "data": {"train_limit": 360, "test_limit": 100, "shards": 10},
    "market": {"competition": {"name": "pairs", "mean_intensity": 0.02}, "budget": 10.0},
}
CURVE = {"learning": {"enabled": False}, "market": {"mechanism": {**COCOGEN, "pays_for": "curve"}}}
SELLERS: dict[str, Any] = {
    "horizon": 9,
    "learning": {"enabled": False},
    "population": {
        "adaptation": "none",
        "types": {"lifetime_privacy": 3.0, "valuation": 0.1, "cost": 0.0, "outside_option": 0.0},
    },
}


def rivals(*change: dict[str, Any]) -> Scenario:
    content = RIVALS
    for one in change:
        content = merged(content, one)
    return Scenario.model_validate(content)


def switching(*turns: tuple[int, dict[str, Any]]) -> dict[str, Any]:
    return {"interventions": [{"round": number, "set": {"market.mechanism": chosen}} for number, chosen in turns]}


def same(run: Played, other: Played) -> None:
    for table in ("events", "transfers", "rounds", "owners", "episodes"):
        pd.testing.assert_frame_equal(run.table(table), other.table(table), check_exact=True)


def test_synthetic_data_deposits_and_rivalry_stop_and_start_with_the_mechanism_that_knows_them():
    turns = switching((2, {"name": "fixed_price", "price": 0.01}), (4, CURVE["market"]["mechanism"]))
    run = play(rivals(CURVE, turns), Inspector())
    rounds, transfers = run.table("rounds"), run.table("transfers")
    knows = np.array([1, 1, 0, 0, 1, 1, 1], dtype=bool)
    np.testing.assert_array_equal(rounds["synthetic_volume"] > 0, knows)
    np.testing.assert_array_equal(rounds["competition_loss"] != 0, knows)
    locked, back = (transfers[transfers["kind"] == f"redistribution deposit{end}"] for end in ("", " back"))
    assert set(locked["round"]) == set(back["round"]) == set(np.flatnonzero(knows))
    assert locked["amount_micro"].sum() == back["amount_micro"].sum() > 0
    assert run.simulation.world.ledger.deposit.sum() == 0


def test_the_run_with_a_switch_to_rivals_is_up_to_there_the_run_without_it():
    untrained = {"learning": {"enabled": False}}
    plain = play(rivals(untrained, {"market": {"competition": None}})).table("events")
    turned = play(rivals(untrained, switching((3, CURVE["market"]["mechanism"])))).table("events")
    first = int(turned[turned["kind"] == "intervene"]["seq"].iloc[0])
    assert first > 20
    pd.testing.assert_frame_equal(turned[:first], plain[:first], check_categorical=False)


def test_generators_stand_ready_for_a_mechanism_that_comes_later():
    learning = {"horizon": 3, "learning": {"generation": {"public": 60}, "model": "softmax"}}
    few = {**COCOGEN, "synthetic_volume_cap": 20.0}
    run = play(rivals(learning, switching((1, few), (2, "free"))))
    made = run.table("rounds")["synthetic_volume"].to_numpy()
    np.testing.assert_array_equal(made > 0, [False, True, False])


def test_what_a_person_has_lost_stays_lost_while_nobody_buys_privacy():
    """It is known to the accounts when the mechanism comes back, and bounds what is sold then."""
    turns = switching((3, "proportional"), (6, AUCTION))
    run = play(small(**merged(SELLERS, {"market": {"mechanism": AUCTION}, **turns})), Inspector())
    rounds, owners = run.table("rounds"), run.table("owners")
    sells = np.array([1, 1, 1, 0, 0, 0, 1, 1, 1], dtype=bool)
    np.testing.assert_array_equal(rounds["epsilon_sold"] > 0, sells)
    lost = owners[owners["moment"] == "round"].groupby("person")["epsilon_lost"].sum()
    accounts = run.simulation.world.accounts
    assert len(accounts.ledger.spent) == run.simulation.world.persons
    assert lost.max() > 2.0
    assert (accounts.ledger.spent <= 3.0 + 1e-9).all()
    entered = lost[lost > 0].index
    assert (accounts.ledger.spent[entered] > 0).all()
    before = owners[(owners["moment"] == "round") & (owners["round"] == 5)].set_index("person")["epsilon_spent"]
    stayed = entered.intersection(before.index)
    assert (accounts.ledger.spent[stayed] >= before[stayed]).all(), "what was sold before the pause still counts"


def test_accounts_are_opened_for_everybody_when_privacy_is_bought_for_the_first_time():
    run = play(small(**merged(SELLERS, switching((4, AUCTION)))), Inspector())
    rounds, world = run.table("rounds"), run.simulation.world
    np.testing.assert_array_equal(rounds["epsilon_sold"] > 0, np.arange(9) >= 4)
    assert len(world.accounts.ledger.spent) == world.persons
    left = world.accounts.left(world.population.person, world.population.privacy_cap)
    np.testing.assert_allclose(world.population.privacy_budget, left)


@pytest.mark.parametrize(
    ("scenario", "away", "back"),
    [
        (rivals(CURVE), {"name": "free"}, CURVE["market"]["mechanism"]),
        (small(**merged(SELLERS, {"market": {"mechanism": AUCTION}})), {"name": "fixed_price", "price": 0.02}, AUCTION),
        (small(**SELLERS), AUCTION, {"name": "proportional"}),
    ],
    ids=["rivals", "privacy", "privacy later"],
)
def test_a_session_of_switches_replays_byte_for_byte(
    tmp_path: Path, scenario: Scenario, away: dict[str, Any], back: dict[str, Any]
):
    session = MemoryRecorder()
    simulation = Simulation(scenario=scenario, device="cpu", recorder=session)
    for window in range(scenario.horizon):
        if window in (2, 4):
            simulation.intervene({"market.mechanism": away if window == 2 else back})
        simulation.step()
    simulation.finish()
    file = tmp_path / "saved.yaml"
    file.write_text(resolved_yaml(simulation.resolved))
    same(play(load_scenario(file)), Played(simulation, session))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("interventions: [{round: 2, set: {market.mechanism: cocogen}}]",
         "interventions.0.set.market.mechanism: cocogen: learning.generation is missing: cocogen asks"),
        ("interventions: [{round: 2, set: {market.mechanism: privacy_auction}}]",
         "interventions.0.set.market.mechanism: privacy_auction: learning.privacy.clip is missing"),
        ("learning: {generation: {public: 60}}\n"
         "interventions: [{round: 2, set: {market.mechanism: free}}]",
         "learning.generation: null, for the mechanism proportional knows neither synthetic data nor rivals"),
    ],
)  # fmt: skip
def test_what_a_mechanism_needs_must_be_there_from_the_start(tmp_path: Path, content: str, line: str):
    file = tmp_path / "bad.yaml"
    file.write_text(f"horizon: 5\n{content}\n")
    with pytest.raises(BadInput) as refused:
        load_scenario(file)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)
