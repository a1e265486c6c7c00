"""Adaptation in a living market: who may be met, what is kept, what is drawn, and that a run repeats."""

from __future__ import annotations

import numpy as np
import pytest
from market_runs import Played, play, small

from agents.adaptation import ADAPTATION
from agents.population import Status
from scenarios.engine.expecting import prospects
from scenarios.engine.identities import another_name
from scenarios.errors import BadInput
from scenarios.loading import load_scenario

LIVELY = {
    "imitation": {"rate": 0.5, "among": "everybody"},
    "proportional_imitation": {"rate": 1.0},
    "replicator": {"rate": 0.5},
    "moran": {"events": 3, "update": "death_birth"},
    "best_response": {"inertia": 0.3},
    "epsilon_greedy": {"explore": 0.3},
}


def market(name: str, **params) -> Played:
    """Six rounds of fourteen owners without training, under an adaptation rule that changes much."""
    rule = {"name": name, **LIVELY.get(name, {}), **params}
    return play(small(horizon=6, learning={"enabled": False}, population={"adaptation": rule}))


@pytest.mark.parametrize("name", [name for name in ADAPTATION if name != "none"])
def test_owners_change_strategy_and_the_run_repeats_event_for_event(name: str) -> None:
    first, second = (market(name).table("events") for _ in range(2))
    assert (first["kind"] == "switch").any()
    assert first.equals(second)


@pytest.mark.parametrize("name", ["none", "imitation", "exp3"])
def test_scores_are_kept_for_rules_that_need_them_only(name: str) -> None:
    population = market(name).simulation.population
    assert population.score.shape == (len(population), 5 if name == "exp3" else 0)
    assert population.tried.shape == population.score.shape


def test_scores_grow_with_the_population_and_are_those_of_the_rounds_played() -> None:
    population = market("epsilon_greedy").simulation.population
    assert len(population) > 14, "somebody came later"
    played = population.tried.sum(axis=1)
    assert (played > 0).sum() >= 14
    assert (np.isnan(population.score) == (population.tried == 0)).all()


def test_a_person_that_takes_another_name_remembers_what_paid() -> None:
    world = market("roth_erev").simulation.world
    owner = int(np.flatnonzero(~np.isnan(world.population.score).all(axis=1))[0])
    fresh = another_name(world, np.array([owner]))
    for name in ("score", "lowest_utility"):
        column = getattr(world.population, name)
        np.testing.assert_array_equal(column[fresh[0]], column[owner])


def test_an_owner_expects_of_its_own_strategy_what_it_would_expect_on_entry() -> None:
    world = market("none").simulation.world
    who = world.population.active()
    before = world.population.strategy.copy()
    ahead = prospects(world, who)
    assert ahead.utility.shape == ahead.violates.shape == (len(who), 5)
    assert not ahead.violates[:, 0].any(), "honest owners break no rule"
    assert ahead.violates[:, 1:].any(axis=0).all()
    doubled, honest = ahead.utility[:, 1], ahead.utility[:, 0]
    board = world.board
    risk = board.audit_rate * board.detection_rate * board.fine
    paid = np.argsort(honest)
    assert (doubled + risk > honest)[paid].all(), "a doubled claim is paid more, but for the fine"
    assert world.population.strategy.tolist() == before.tolist()


def test_who_is_on_probation_is_met_by_everybody_but_not_by_neighbours() -> None:
    """All are on probation after one round in which everybody is convicted: then nobody can look at a neighbour."""
    convicted = {"deposit": 0.0, "audit_rate": 1.0, "false_alarm_rate": 1.0, "detection_rate": 1.0}
    for among, switches in (("neighbours", False), ("everybody", True)):
        rule = {"name": "imitation", "rate": 1.0, "selection": 0.0, "among": among}
        run = play(
            small(
                horizon=3,
                learning={"enabled": False},
                population={"adaptation": rule, "participation": {"name": "strict", "patience": 100}},
                enforcement={**convicted, "probation_rounds": 50, "expel_after": 1000},
            )
        )
        events = run.table("events")
        assert (run.simulation.population.status == Status.ACTIVE).sum() > 5
        assert (events["kind"] == "switch").any() == switches


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("{name: exp4}", "unknown adaptation rule 'exp4', did you mean 'exp3'?"),
        ("{name: exp3, explore: 2}", "explore is 2, expected a finite number above 0 and at most 1"),
        ("{name: exp3, worst: 1}", "best is missing: declare both worst and best, or neither"),
        ("{name: moran, update: death}", "expected 'birth_death' or 'death_birth'"),
        ("{name: imitation, among: friends}", "expected 'neighbours' or 'everybody'"),
    ],
)
def test_a_bad_rule_is_one_line(rule: str, complaint: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_scenario("quickstart", overrides=[f"population.adaptation={rule}"])
    line = str(caught.value)
    assert complaint in line
    assert "population.adaptation" in line
    assert "\n" not in line


def test_owners_that_learn_alone_turn_honest_under_audits_and_away_from_it_without_any() -> None:
    """Each is a bandit over honesty, a doubled claim and free riding; nobody looks at anybody."""
    untrained = ["horizon=40", "learning.enabled=false", "population.participation.patience=1000"]
    honest = {}
    for rate in (0.0, 0.3):
        run = play(load_scenario("learning_owners", overrides=[*untrained, f"enforcement.audit_rate={rate}"]))
        owners = run.table("owners").query("moment == 'round'")
        honest[rate] = (owners["strategy"] == "honest").groupby(owners["round"]).mean()
    start = honest[0.0].iloc[0]
    assert honest[0.3].iloc[0] == start
    assert honest[0.3].tail(5).mean() > start > honest[0.0].tail(5).mean()
