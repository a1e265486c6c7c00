"""Persons with several identities at once: divided and never multiplied, with one budget of privacy for life."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from market_runs import Played, merged, play
from sharing_runs import by_peers, shared
from test_cocogen_market import RIVALS
from test_market_laws import Inspector
from test_privacy_auction_market import MARKET
from test_qd_rdfl_market import QUIET

from agents.population import Status
from learning.privacy.terms import PrivacyTerms
from scenarios.engine.identities import APART
from scenarios.engine.privacy import PrivacyAccounts
from scenarios.errors import BadInput
from scenarios.loading import load_scenario
from scenarios.schema import Scenario

UNTRAINED = {"learning": {"enabled": False}}


def with_sybils(base: dict[str, Any], identities: int = 3, **change: Any) -> Scenario:
    """A market in which every other person has several identities."""
    sybil = {"name": "sybil", "identities": identities, **change.pop("sybil", {})}
    strategies = {"strategies": [{"name": "honest"}, sybil], "assignment": [0, 1] * 6}
    return Scenario.model_validate(merged(merged(base, {"population": strategies}), change))


def per_round(run: Played) -> pd.DataFrame:
    return run.table("owners").query("moment == 'round'")


@cache
def auction() -> Played:
    return play(with_sybils(MARKET, **UNTRAINED))


def of_one(run: Played, person: int) -> np.ndarray:
    return np.flatnonzero(run.simulation.population.person == person)


# ---- what a person is divided among ---------------------------------------------------------------------------------


def test_every_other_person_has_three_names_that_arrive_together() -> None:
    run = auction()
    persons, names = np.unique(run.simulation.population.person, return_counts=True)
    assert dict(zip(persons.tolist(), names.tolist(), strict=True)) == {k: 1 + 2 * (k % 2) for k in range(12)}
    assert (run.table("episodes").query("strategy_joined == 'sybil'").groupby("person").size() == 3).all()
    assert set(run.table("owners")["person"]) == set(range(12)), "so that tables can be grouped by person"


def test_names_share_data_device_money_and_privacy_of_their_person() -> None:
    """The same people as honest owners with one name have in sum what the names have."""
    plain = play(Scenario.model_validate(merged(MARKET, UNTRAINED))).simulation
    run = auction()
    split = run.simulation.population
    endowed = {simulation: simulation.world.private_types["wealth"] for simulation in (plain, run.simulation)}
    np.testing.assert_array_equal(*endowed.values())
    for person in range(12):
        rows = of_one(run, person)
        for name in ("data_size", "compute_rate", "privacy_cap", "profitability"):
            assert getattr(split, name)[rows].sum() == pytest.approx(getattr(plain.population, name)[person])
        for name in ("valuation", "cost", "quality", "lifetime_privacy"):
            assert (getattr(split, name)[rows] == getattr(plain.population, name)[person]).all()
    moved = run.table("transfers").query("kind == 'new identity'")
    assert moved.groupby("payer").size().tolist() == [2] * 6
    assert (moved["amount_micro"] == 20_000_000 // 3).all()


def test_parts_of_the_data_have_no_sample_in_common() -> None:
    run = play(with_sybils(MARKET, horizon=1))
    world = run.simulation.world
    shards = world.federation.shards
    for person in range(1, 12, 2):
        whole = slice(*shards.offsets[person : person + 2].tolist())
        parts = [slice(*shards.offsets[row : row + 2].tolist()) for row in world.population.shard[of_one(run, person)]]
        held = np.concatenate([shards.x[part].numpy().reshape(part.stop - part.start, -1) for part in parts])
        mine = shards.x[whole].numpy().reshape(whole.stop - whole.start, -1)
        assert len(held) == len(mine)
        assert sorted(map(tuple, held.tolist())) == sorted(map(tuple, mine.tolist()))


def test_nobody_has_more_names_than_samples() -> None:
    run = play(with_sybils(MARKET, identities=200, horizon=1, data={"train_limit": 60}, **UNTRAINED))
    population = run.simulation.population
    assert (population.data_size >= 1).all()
    for person in range(1, 12, 2):
        rows = of_one(run, person)
        assert len(rows) == population.data_size[rows].sum()


def test_names_of_a_person_have_luck_of_their_own() -> None:
    """Else two of them would send under the same noise, which cancels."""
    population = auction().simulation.population
    assert len(np.unique(population.luck)) == len(population)
    assert (population.luck % APART == population.person).all()


# ---- privacy --------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::learning.privacy.mechanisms.NoiseTooSmall")
@settings(max_examples=6, phases=[Phase.explicit, Phase.generate])
@example(seed=10206, identities=3, late="wait", leaving="together", noise="gaussian_classical", greedy=True)
@given(
    seed=st.integers(0, 2**30),
    identities=st.integers(2, 6),
    late=st.sampled_from(["drop", "wait", "buffer"]),
    leaving=st.sampled_from(["together", "separately"]),
    noise=st.sampled_from(["gaussian_analytic", "gaussian_classical", "laplace"]),
    greedy=st.booleans(),
)
def test_names_together_never_lose_more_privacy_than_their_person_has(
    seed: int, identities: int, late: str, leaving: str, noise: str, greedy: bool
) -> None:
    """Per round at most the cap, in plain sum; for life at most the budget, as the one ledger adds up."""
    inspector = Inspector()
    run = play(
        with_sybils(
            MARKET,
            identities,
            sybil={"leaving": leaving, "plays": "misreport_privacy_budget" if greedy else "honest"},
            seed=seed,
            horizon=5,
            learning={"enabled": False, "privacy": {"mechanism": noise}},
            round={"late": late, "buffer_size": 5},
            population={
                "types": {"link_time": 20.0, "lifetime_privacy": {"name": "uniform", "low": 2.0, "high": 9.0}},
                "participation": {"name": "strict", "return_delay": 30.0, "whitewash": 1.0},
                "departure_rate": 0.1,
            },
            enforcement={"deposit": 0.5, "audit_rate": 0.5, "expel_after": 1},
        ),
        inspector,
    )
    world, population = run.simulation.world, run.simulation.population
    assert inspector.events > 50, "the books have been looked at"
    budget = np.zeros(12)
    budget[population.person] = population.lifetime_privacy
    assert (world.privacy.ledger.budget == budget).all(), "one account for each person"
    assert (world.privacy.ledger.spent <= budget * (1 + 1e-8)).all()
    lost = per_round(run).groupby(["person", "round"])["epsilon_lost"].sum()
    cap = world.private_types["privacy_budget"]
    if late != "buffer":
        assert (lost.to_numpy() <= cap[lost.index.get_level_values("person")] * (1 + 1e-9)).all()
    assert lost.max() > 0


def test_all_names_of_a_person_know_what_it_has_left() -> None:
    run = auction()
    population, ledger = run.simulation.population, run.simulation.world.privacy.ledger
    for person in range(12):
        rows = of_one(run, person)
        assert set(population.epsilon_spent[rows].tolist()) == {float(ledger.spent[person])}
        assert len(set(population.privacy_budget[rows].tolist())) == 1
    assert (ledger.spent[1::2] > 0.5 * ledger.budget[1::2]).all()


def test_a_name_that_comes_too_late_sends_what_the_others_have_left() -> None:
    accounts = PrivacyAccounts(PrivacyTerms(1.0), "data_size", 1.0, leaves=False)
    accounts.admit(np.array([1.0, 5.0]))
    luck = np.array([0, APART, 1, 2 * APART])
    lost = accounts.send_as(luck, np.array([0, 0, 1, 0]), np.array([0.8, 0.8, 2.0, 0.8]), counter=0)
    assert lost[0] == 0.8
    assert 0 < lost[1] < 0.8
    assert lost[2] == 2.0
    assert lost[3] == 0.0
    assert accounts.ledger.spent[0] == pytest.approx(1.0)
    with pytest.raises(ValueError, match=f"the name {APART} of a person sends twice with the noise of round 0"):
        accounts.send_as(luck[1:2], np.array([1]), np.array([0.1]), counter=0)


# ---- coming and going -----------------------------------------------------------------------------------------------

DULL = {
    "population": {
        "types": {"outside_option": 0.6, "think_time": 0.0},
        "participation": {"name": "strict", "patience": 2, "return_delay": 100.0},
        "departure_rate": 0.1,
    },
    "market": {"mechanism": {"name": "proportional"}, "budget": 6.0},
    "horizon": 12,
}


def stays(leaving: str) -> pd.DataFrame:
    run = play(with_sybils(MARKET, sybil={"leaving": leaving}, **DULL, **UNTRAINED))
    return run.table("episodes").query("strategy_joined == 'sybil'")


def test_names_that_leave_together_have_the_same_stays() -> None:
    found = stays("together")
    each = found.groupby(["person", "stay"])[["joined_tick", "left_tick"]]
    assert (found["exit_kind"] == "voluntary").any()
    assert (found["stay"] > 1).any(), "and they come back together"
    assert (each.size() == 3).all()
    assert (each.nunique() == 1).all().all()


def test_names_that_leave_separately_do_not() -> None:
    first = stays("separately").query("stay == 1").groupby("person")[["joined_tick", "left_tick"]]
    assert (first.nunique()["joined_tick"] == 1).all()
    assert (first.nunique()["left_tick"] > 1).any()


def test_a_model_is_worth_something_to_a_person_only_once() -> None:
    run = play(with_sybils(MECHANISMS["proportional"], horizon=3, population={"types": {"model_value": 2.0}}))
    last = per_round(run).query("round == 2").groupby("person")[["model_benefit", "accuracy"]]
    chance = run.simulation.world.board.chance
    best = 2.0 * (last.max()["accuracy"] - chance) / (1 - chance)
    assert best.max() > 0.5
    np.testing.assert_allclose(last.sum()["model_benefit"], best.clip(lower=0.0))


def test_a_person_joins_by_what_its_names_expect_in_sum() -> None:
    """Three names that each earn a third of the outside option's worth are enough, and no name counts it in full."""
    worth = {"types": {"outside_option": 0.45, "cost": 0.0, "model_value": 1.0}, "participation": "strict"}
    run = play(with_sybils(MARKET, horizon=1, population=worth, market={"mechanism": "free"}, **UNTRAINED))
    assert (run.simulation.population.status == Status.ACTIVE).all()


# ---- every market ---------------------------------------------------------------------------------------------------

PARTS = {"name", "horizon", "population", "data", "learning", "market"}
MECHANISMS: dict[str, dict[str, Any]] = {
    "proportional": {**MARKET, "market": {"mechanism": {"name": "proportional"}}},
    "shapley": {**MARKET, "market": {"mechanism": {"name": "shapley"}}},
    "privacy_auction": MARKET,
    "qd_rdfl": {**QUIET, "data": {**QUIET["data"], "train_limit": 400}},
    "cocogen": RIVALS,
    "ipfl": shared().model_dump(include=PARTS),
}


@pytest.mark.parametrize("name", MECHANISMS)
def test_under_every_mechanism_books_close_and_the_same_seed_gives_the_same_run(name: str) -> None:
    scenario = with_sybils(MECHANISMS[name], identities=2, horizon=2)
    runs = [play(scenario, Inspector()) for _ in range(2)]
    owners = per_round(runs[0])
    assert owners.query("strategy == 'sybil'")["arrived"].any()
    assert np.isfinite(owners["utility"]).all()
    for table in ("events", "transfers", "owners", "episodes", "rounds"):
        pd.testing.assert_frame_equal(runs[0].table(table), runs[1].table(table))


@pytest.mark.parametrize("kind", ["pairs", "markets"])
def test_names_of_one_person_are_no_rivals_and_feel_others_in_sum_like_one(kind: str) -> None:
    rivals = {"competition": {"name": kind, "mean_intensity": 0.02}}
    pressure = {}
    for identities in (1, 3):
        scenario = with_sybils(RIVALS, identities, horizon=1, market=rivals)
        run = play(scenario)
        population = run.simulation.population
        assert (population.status == Status.ACTIVE).all()
        pressure[identities] = np.bincount(population.person, weights=population.competition_pressure)
    np.testing.assert_allclose(pressure[3], pressure[1])


def test_names_of_one_person_do_not_gain_by_each_others_models() -> None:
    """A person's gain is that of all its data, from the models of others, each counted once."""
    everybody = by_peers("fedavg").model_dump(include=PARTS)
    run = play(with_sybils(everybody, identities=2, horizon=2))
    owners, edges = per_round(run), run.table("edges").query("source >= 0")
    person, size = run.simulation.population.person, run.simulation.population.data_size
    for number in (0, 1):
        now = owners[owners["round"] == number].groupby("person")["sharing_gain"].sum()
        used = edges[edges["round"] == number]
        assert (person[used["user"]] == person[used["source"]]).any(), "they do use each other's"
        for one in range(6):
            own = np.isin(used["user"], of_one(run, one)) & (person[used["source"]] != one)
            others = size[np.unique(used["source"][own])].sum()
            mine = size[of_one(run, one)].sum()
            assert now[one] == pytest.approx(np.sqrt(8000.0 / mine) - np.sqrt(8000.0 / (mine + others)))


def test_a_strategy_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BadInput, match="plays"):
        load_scenario("quickstart", overrides=["population.strategies=[{name: sybil, plays: nobody}]"])


def earned(rule: str, identities: int, *overrides: str) -> float:
    """Mean utility of the persons behind the Sybils of the ready-made scenario, all names together."""
    strategies = f"[{{name: honest, share: 0.8}}, {{name: sybil, share: 0.2, identities: {identities}}}]"
    settings = ("learning.enabled=false", f"population.strategies={strategies}", f"market.mechanism.rule={rule}")
    population = play(load_scenario("sybil_attack", overrides=[*settings, *overrides])).simulation.population
    sybils = population.strategy == 1
    return float(population.utility_total[sybils].sum() / len(np.unique(population.person[sybils])))


def test_names_pay_where_a_rule_pays_per_head_and_not_where_it_pays_by_the_data() -> None:
    assert earned("pac_capped", 4) > 1.5 * earned("pac_capped", 1)
    by_data = ("market.mechanism.sizes=reported", "market.budget=1440.0", "market.treasury=100000.0")
    assert earned("all_in", 4, *by_data) < 0.7 * earned("all_in", 1, *by_data)
