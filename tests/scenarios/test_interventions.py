"""Levers turned during a run: they act at the opening of their round, are logged, and replay from the scenario."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from market_runs import play, small

from agents.population import Status
from scenarios.errors import BadInput
from scenarios.interventions import levers
from scenarios.loading import load_scenario, resolved_yaml
from scenarios.recorder import MemoryRecorder
from scenarios.simulation import Simulation

UNTRAINED = {"learning": {"enabled": False}, "recording": {"edges_every": 100}}


def audits_by_round(events: pd.DataFrame) -> pd.Series:
    return events[events["kind"] == "audit"].groupby("round").size()


def test_an_audit_rate_holds_from_the_round_at_which_it_is_set():
    change = [{"round": 4, "set": {"enforcement.audit_rate": 1.0}}]
    run = play(small(**UNTRAINED, enforcement={"audit_rate": 0.0, "expel_after": 0}, interventions=change))
    rounds, events = run.table("rounds"), run.table("events")
    assert (rounds["audited"][:4] == 0).all()
    assert (rounds["audited"][4:] == rounds["arrived"][4:]).all()
    assert rounds["arrived"][4:].min() > 0
    assert set(audits_by_round(events).index) == set(range(4, 8))
    logged = events[events["kind"] == "intervene"]
    assert logged[["round", "value"]].to_numpy().tolist() == [[4, 0.0]]


def test_a_run_is_the_same_up_to_the_round_of_the_first_intervention():
    plain = play(small(**UNTRAINED)).table("events")
    change = [{"round": 5, "set": {"market.budget": 3.0}}]
    turned = play(small(**UNTRAINED, interventions=change)).table("events")
    first = int(turned[turned["kind"] == "intervene"]["seq"].iloc[0])
    pd.testing.assert_frame_equal(turned[:first], plain[:first], check_categorical=False)
    opened = turned[(turned["kind"] == "open") & (turned["round"] >= 5)]
    assert (opened["value"] <= 3.0).all()


def test_the_mechanism_can_be_replaced_between_two_rounds():
    change = [{"round": 3, "set": {"market.mechanism": {"name": "fixed_price", "price": 0.001}}},
              {"round": 6, "set": {"market.mechanism": "free"}}]  # fmt: skip
    run = play(small(**UNTRAINED, interventions=change))
    paid = run.table("rounds")["paid"].to_numpy()
    assert run.simulation.world.mechanism.__class__.__name__ == "Free"
    assert (paid[:3] > 15).all()
    assert (paid[3:] == 0).all(), "a price far below anybody's cost buys nothing, and then nothing is paid at all"
    assert (paid[6:] == 0).all()


def test_a_buffer_made_smaller_than_what_waits_in_it_is_emptied_by_the_next_update():
    rules = {"late": "buffer", "buffer_size": 20, "invited": 3}
    stay = {"departure_rate": 0.0, "types": {"outside_option": -3.0, "link_time": 40.0}}
    change = [{"round": 3, "set": {"round.buffer_size": 4}}]
    events = play(small(round=rules, population=stay, interventions=change)).table("events")
    assert events["tick"].is_monotonic_increasing
    told = events[events["kind"].isin(["update", "aggregate", "intervene"])]["kind"].tolist()
    turned = told.index("intervene")
    assert told[:turned] == ["update"] * turned
    assert turned > 4
    assert told[turned + 1 : turned + 8] == ["update", "aggregate", *["update"] * 4, "aggregate"]


def test_a_higher_deposit_is_topped_up_when_a_round_of_the_owner_is_settled():
    change = [{"round": 2, "set": {"enforcement.deposit": 5.0}}]
    still = {"adaptation": "none", "departure_rate": 0.0, "arrival_rate": 0.0}
    calm = {"audit_rate": 0.0, "false_alarm_rate": 0.0}
    run = play(small(**UNTRAINED, enforcement=calm, population=still, interventions=change))
    population, ledger = run.simulation.population, run.simulation.world.ledger
    took = (population.status == Status.ACTIVE) & (population.stay_rounds > 4)
    assert took.any()
    assert (ledger.deposit[np.flatnonzero(took)] == 5_000_000).all()


def test_a_session_replays_from_its_saved_scenario_byte_for_byte(tmp_path: Path):
    """What is done by hand during a run is in the scenario afterwards."""
    session = MemoryRecorder()
    simulation = Simulation(scenario=small(), device="cpu", recorder=session)
    for window in range(8):
        if window == 3:
            assert simulation.intervene({"enforcement.audit_rate": 0.8, "enforcement.deposit": 4.0}) == 3
        if window == 5:
            simulation.intervene({"market.mechanism": {"name": "fixed_price", "price": 0.02}})
        simulation.step()
    simulation.finish()
    file = tmp_path / "saved.yaml"
    file.write_text(resolved_yaml(simulation.resolved))
    replayed = play(load_scenario(file))
    for table in ("events", "transfers", "rounds", "owners", "episodes"):
        pd.testing.assert_frame_equal(replayed.table(table), session.table(table), check_exact=True)


def test_an_intervention_by_hand_stands_after_those_due_and_before_those_to_come():
    planned = [{"round": r, "set": {"market.budget": float(r)}} for r in (1, 3, 3, 6)]
    simulation = Simulation(scenario=small(**UNTRAINED, interventions=planned), device="cpu")
    for _ in range(3):
        simulation.step()
    simulation.intervene({"market.budget": 99.0})
    order = [(one.round, one.set["market.budget"]) for one in simulation.scenario.interventions]
    assert order == [(1, 1.0), (3, 3.0), (3, 3.0), (3, 99.0), (6, 6.0)]
    simulation.step()
    assert simulation.model_owner.budget == 99.0


def test_a_lever_refused_during_a_run_leaves_the_run_as_it_was():
    simulation = Simulation(scenario=small(**UNTRAINED), device="cpu")
    simulation.step()
    with pytest.raises(BadInput, match="a probability between 0 and 1"):
        simulation.intervene({"enforcement.audit_rate": 3.0})
    assert simulation.scenario.interventions == ()


@pytest.mark.parametrize(
    ("interventions", "line"),
    [
        ("[{round: 2, set: {enforcement.audit_rate: 1.5}}]",
         "interventions.0.set.enforcement.audit_rate: 1.5: expected a probability between 0 and 1"),
        ("[{round: 2, set: {data.dataset: mnist}}]",
         "interventions.0.set.data.dataset: mnist: no lever, for a run starts from the data; known: market.*"),
        ("[{round: -1, set: {market.budget: 1}}]", "interventions.0.round: -1: expected a whole number at least 0"),
        ("[{round: 2, set: {}}]", "interventions.0.set: {}: expected a lever and its value"),
        ("[{round: 4, set: {market.budget: 1}}, {round: 2, set: {market.budget: 2}}]",
         "interventions.1.round: 2: expected 4 or more"),
        ("[{round: 2, set: {market.mechanism: fixed}}]", "did you mean 'fixed_price'?"),
        ("[{round: 2, set: {market.mechanism: ipfl}}]", "needs owners with models of their own"),
        ("[{round: 2, set: {market.budget: much}}]", "interventions.0.set.market.budget: much: expected a number"),
        ("[{round: 2, set: {enforcement.ban: person}}]",
         "interventions.0.set.enforcement.ban: person: nobody is ever expelled (expel_after, expel_below)"),
        ("[{round: 2, set: {enforcement.audit_policy: reputation}}]", "nobody is ever audited (audit_rate)"),
        ("[{round: 2, set: {enforcement.deposits.name: escalating}}]", "nothing is ever locked (deposit)"),
        ("[{round: 2, set: {population.strategies.0.share: 3}}]", "does nothing, for nobody ever arrives"),
        ("[{round: 2}]", "interventions.0.set: expected a value"),
        ("{round: 2}", "interventions"),
    ],
)  # fmt: skip
def test_a_bad_intervention_is_refused_in_one_line(tmp_path: Path, interventions: str, line: str):
    file = tmp_path / "bad.yaml"
    file.write_text(f"horizon: 5\ninterventions: {interventions}\n")
    with pytest.raises(BadInput) as refused:
        load_scenario(file)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_rule_may_stand_before_the_lever_that_gives_it_work():
    """Also when that lever is turned later, or was turned back."""
    scenario = small(
        **UNTRAINED,
        population={"arrival_rate": 0.0},
        enforcement={"audit_rate": 0.0, "expel_after": 0},
        interventions=[
            {"round": 1, "set": {"enforcement.ban": "person", "population.strategies.0.share": 2.0}},
            {"round": 2, "set": {"enforcement.expel_after": 2, "population.arrival_rate": 1.0}},
            {"round": 3, "set": {"enforcement.expel_after": 0, "enforcement.ban": {"name": "person", "rounds": 2}}},
        ],
    )
    assert len(scenario.interventions) == 3


def test_an_asynchronous_market_keeps_its_mechanism():
    with pytest.raises(ValueError, match="cannot change with late: buffer"):
        small(round={"late": "buffer"}, interventions=[{"round": 2, "set": {"market.mechanism": "free"}}])


def test_every_lever_is_a_value_of_the_scenario():
    content = small().model_dump()
    for path in levers():
        place = content
        for step in path.split("."):
            assert step in place, path
            place = place[step]
