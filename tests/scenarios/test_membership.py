"""Arriving, joining, leaving and coming back."""

from __future__ import annotations

import numpy as np
import pytest
from market_runs import play, small

from scenarios.engine.announcing import full_board
from scenarios.engine.clock import TICKS_PER_SECOND, Kind
from scenarios.engine.expecting import expected_round
from scenarios.simulation import Simulation


def test_nobody_joins_a_market_that_pays_less_than_staying_outside() -> None:
    run = play(small(population={"participation": "strict", "types": {"outside_option": 1000.0}}))
    assert len(run.table("episodes")) == 0
    assert (run.table("rounds")["active"] == 0).all()
    assert set(run.table("events")["kind"]) >= {"arrive", "decline"}


def test_who_cannot_pay_the_deposit_stays_outside() -> None:
    run = play(small(population={"types": {"wealth": 1.0}}, enforcement={"deposit": 5.0}))
    assert len(run.table("episodes")) == 0


def test_an_owner_that_runs_out_of_money_is_bankrupt() -> None:
    poor = small(
        population={"strategies": ["honest"], "types": {"wealth": 2.25, "cost": 0.05}, "participation": "strict"},
        market={"mechanism": "proportional", "budget": 0.5},
    )
    episodes = play(poor).table("episodes")
    assert "bankrupt" in set(episodes["exit_kind"])


def test_disappointed_owners_leave_and_come_back_later() -> None:
    run = play(
        small(
            horizon=20,
            population={
                "strategies": ["honest"],
                "types": {"outside_option": {"kind": "uniform", "low": 0.0, "high": 1.5}},
                "participation": {"name": "strict", "patience": 1, "return_delay": 60.0},
            },
        )
    )
    episodes = run.table("episodes")
    assert (episodes["exit_kind"] == "voluntary").any()
    returned = episodes[episodes["stay"] > 1]
    assert len(returned) > 0
    assert (returned["owner"] == returned["person"]).all(), "the same identity"


def test_expelled_persons_come_back_under_a_new_identity_with_a_fresh_reputation() -> None:
    run = play(
        small(
            horizon=15,
            population={
                "strategies": ["free_rider_global"],
                "adaptation": "none",
                "participation": {"name": "strict", "whitewash": 1.0, "return_delay": 30.0},
            },
            enforcement={"audit_rate": 1.0, "expel_after": 1, "deposit": 0.5, "slash_share": 0.2},
        )
    )
    owners = run.table("owners").query("moment == 'round'")
    renamed = owners[owners["owner"] != owners["person"]]
    assert len(renamed) > 0
    population = run.simulation.population
    persons = population.person
    again = np.flatnonzero(persons != np.arange(len(persons)))
    for identity in again[:5]:
        first = np.flatnonzero(persons == persons[identity])[0]
        assert population.cost[identity] == population.cost[first], "the same private type"
        assert population.shard[identity] == population.shard[first], "the same data"
    moved = run.table("transfers").query("kind == 'new identity'")
    assert set(moved["payee"]) <= set(again.tolist())


def test_expulsion_cuts_the_edges_and_probation_closes_them() -> None:
    strict = {
        "audit_rate": 1.0,
        "detection_rate": 1.0,
        "false_alarm_rate": 0.0,
        "probation_rounds": 50,
        "expel_after": 0,
        "deposit": 0.0,
    }
    run = play(small(population={"participation": "strict", "adaptation": "none"}, enforcement=strict))
    population, graph = run.simulation.population, run.simulation.graph.to_networkx()
    active = set(population.active().tolist())
    assert set(graph.nodes) - {-2} == active
    restricted = {owner for owner in active if population.restricted[owner]}
    assert restricted
    for user, source, edge in graph.edges(data=True):
        if -2 not in (user, source):
            assert edge["open"] == (user not in restricted and source not in restricted)
    assert all(graph.nodes[owner]["standing"] < 0.5 for owner in restricted), "neighbours see its standing"


def test_owners_on_probation_get_no_model() -> None:
    strict = {"audit_rate": 1.0, "false_alarm_rate": 0.0, "probation_rounds": 100, "expel_after": 0}
    run = play(small(population={"strategies": ["free_rider_global"], "adaptation": "none"}, enforcement=strict))
    owners = run.table("owners").query("moment == 'round' and stay > 0")
    users = run.table("edges").query("source == -2")
    restricted = owners[owners["on_probation"]].groupby("owner")["round"].min()
    for owner, since in restricted.items():
        assert users[(users["user"] == owner) & (users["round"] > since)].empty


def test_a_report_counts_only_in_the_stay_in_which_it_was_sent() -> None:
    """Owners that leave and come back between report and plan wait for the next round."""
    reported: dict[int, int] = {}

    def watch(simulation, happening) -> None:
        stays = simulation.population.stay
        if happening.kind is Kind.OPEN:
            reported.clear()
        if happening.kind is Kind.REPORT:
            reported.update({owner: int(stays[owner]) for owner in happening.owners.tolist()})
        if happening.kind is Kind.PLAN:
            for owner in simulation.world.flights.owner.tolist():
                assert stays[owner] == reported[owner]

    hasty = {"initial": 30, "departure_rate": 6.0, "participation": {"name": "strict", "return_delay": 2.0}}
    run = play(small(population=hasty, learning={"enabled": False}), watch)
    assert (run.table("episodes")["stay"] > 2).any()


def test_who_declines_again_within_a_round_waits_as_long_as_chance_has_it_each_time() -> None:
    picky = {"initial": 20, "types": {"outside_option": 1e6}, "participation": {"name": "strict", "return_delay": 2.0}}
    run = play(small(horizon=2, population=picky | {"arrival_rate": 0.0}, learning={"enabled": False}))
    visits = run.table("events").query("kind == 'arrive'")
    waits = visits.groupby(["owner", "round"])["tick"].diff().dropna() / TICKS_PER_SECOND
    assert len(waits) > 500
    assert waits.mean() == pytest.approx(2.0, rel=0.15)
    assert waits.std() == pytest.approx(2.0, rel=0.2)  # as it is for an exponential wait


def test_beliefs_are_smoothed_from_the_second_round_on_whether_or_not_an_upload_arrived() -> None:
    slow = {"types": {"link_time": 25.0}, "participation": {"name": "strict", "memory": 0.1, "patience": 50}}
    steady = {"arrival_rate": 0.0, "departure_rate": 0.0, "adaptation": "none"}
    run = play(small(population={**slow, **steady}, enforcement={"audit_rate": 0.0}))
    owners = run.table("owners").query("moment == 'round'")
    for _, life in owners.groupby("owner"):
        belief, utility = life["believed_utility"].to_numpy(), life["utility"].to_numpy()
        assert belief[0] == pytest.approx(utility[0])
        assert belief[1:] == pytest.approx(0.9 * belief[:-1] + 0.1 * utility[1:])


def test_arrivals_follow_their_rate_and_their_trace() -> None:
    quiet = {"initial": 1, "departure_rate": 0.0}
    poisson = play(small(horizon=60, population={**quiet, "arrival_rate": 3.0}, learning={"enabled": False}))
    persons = poisson.simulation.world.persons - 1
    assert persons == pytest.approx(180, abs=45)
    trace = play(small(population={**quiet, "arrival_rate": 0.0, "arrival_times": [61.0, 125.5, 9999.0]}))
    events = trace.table("events").query("kind == 'arrive'").drop_duplicates("owner")
    assert events["tick"].tolist()[1:3] == [61_000_000, 125_500_000]


def test_the_same_person_has_the_same_luck_under_another_policy() -> None:
    """Common random numbers: types, first strategies and data do not depend on the rules of the market."""
    rules = ({"audit_rate": 0.0}, {"audit_rate": 1.0, "expel_after": 1})
    runs = [play(small(enforcement=rule, population={"adaptation": "none"})).simulation for rule in rules]
    kept = ("cost", "compute_rate", "shard", "quality", "strategy")
    seen = []
    for simulation in runs:
        population = simulation.population
        first = {int(person): row for row, person in reversed(list(enumerate(population.person)))}
        seen.append({person: [getattr(population, name)[row] for name in kept] for person, row in first.items()})
    shared = set(seen[0]) & set(seen[1])
    assert len(shared) > 15
    assert all(seen[0][person] == seen[1][person] for person in shared)


def test_who_means_to_hold_back_expects_the_pay_of_what_it_will_offer() -> None:
    """Under a posted price of 0.03 and a cost of 0.01 a sample, half the data leaves half of the surplus."""
    names = ["honest", {"name": "withhold_data", "offered_share": 0.5}]
    scenario = small(
        population={"strategies": names, "types": {"cost": 0.01, "model_value": 0.0}},
        market={"mechanism": {"name": "fixed_price", "price": 0.03}, "budget": 1000.0},
        learning={"enabled": False},
    )
    world = Simulation(scenario=scenario).world
    ids = np.arange(4)
    world.population.grow(4)
    world.population.data_size[ids], world.population.cost[ids] = [10.0, 20.0, 30.0, 40.0], 0.01
    terms = world.mechanism.announce(full_board(world))
    expected = [expected_round(world, ids, terms, np.full(4, playing))[1] for playing in (0, 1)]
    np.testing.assert_allclose(expected[0], 0.02 * world.population.data_size[ids])
    np.testing.assert_allclose(expected[1], expected[0] / 2)
