from __future__ import annotations

import math

import numpy as np
import pytest
from adapting_owners import Owners

from agents.adaptation import ADAPTATION, Adaptation, Imitation, Knows, Moran, NoAdaptation, Prospects
from agents.population import ADAPTATION_MEMORY, COLUMNS, MEMORY
from market.mechanism import Board

COUNT = 20_000
RULES = sorted(ADAPTATION)


def share_that_switches(rule: Adaptation, own: float, theirs: float) -> float:
    """Half play 0 and half play 1, by turns: the share of the former that plays 1 after a round, met 1 given."""
    strategy = np.arange(COUNT) % 2
    after = Owners(rule, strategy).live(np.where(strategy == 0, own, theirs))
    return float(after[strategy == 0].mean()) * 2.0  # every other owner that is met plays 1


@pytest.mark.parametrize("gap", [-2.0, 0.5, 2.0])
def test_imitation_follows_the_fermi_function(gap: float) -> None:
    share = share_that_switches(Imitation(rate=0.4, selection=1.5, among="everybody"), 3.0, 3.0 + gap)
    assert share == pytest.approx(0.4 / (1 + math.exp(-1.5 * gap)), abs=0.03)  # four standard errors


@pytest.mark.parametrize(
    ("rule", "gap"),
    [(Imitation(rate=1.0, among="everybody"), 0.0), (Imitation(rate=1.0, selection=0.0, among="everybody"), 5.0)],
)
def test_equal_payoffs_and_no_selection_mean_a_fair_coin(rule: Imitation, gap: float) -> None:
    assert share_that_switches(rule, 3.0, 3.0 + gap) == pytest.approx(0.5, abs=0.03)


def test_strong_selection_copies_the_better_paid_only() -> None:
    rule = Imitation(rate=1.0, selection=1e9, among="everybody")
    assert share_that_switches(rule, 3.0, 3.001) == pytest.approx(1.0, abs=0.03)
    assert share_that_switches(rule, 3.001, 3.0) == 0.0


def test_who_does_not_look_keeps_its_strategy() -> None:
    assert share_that_switches(Imitation(rate=0.0, selection=10.0, among="everybody"), 0.0, 100.0) == 0.0


def test_nobody_adapts_under_none() -> None:
    assert share_that_switches(NoAdaptation(), 0.0, 100.0) == 0.0


# ---- every rule ---------------------------------------------------------------------------------------------------


def meeting_owners(name: str, count: int = 30, **rest) -> Owners:
    """Owners under a rule that changes much, in a market with every kind of information."""
    lively = {
        "imitation": {"rate": 0.5, "among": "everybody"},
        "proportional_imitation": {"rate": 1.0, "among": "everybody"},
        "replicator": {"rate": 1.0, "among": "everybody"},
        "moran": {"events": 5, "among": "everybody"},
        "best_response": {"inertia": 0.3},
        "epsilon_greedy": {"explore": 0.5},
    }
    rng = np.random.default_rng(3)
    defaults = {
        "strategies": 3,
        "board": Board(round=4, budget=1.0, audited=10, guilty=3, detection_rate=0.8),
        "prospects": Prospects(rng.normal(size=(count, 3)), rng.random((count, 3)) < 0.5),
    }
    rule = ADAPTATION[name](**lively.get(name, {}))
    return Owners(rule, np.arange(count) % 3, **(defaults | rest))


def course(owners: Owners, rounds: int = 12) -> list[list[int]]:
    paid = np.array([0.2, 1.0, 0.5])
    return [owners.live(paid[owners.population.strategy] + owners.rows * 1e-3).tolist() for _ in range(rounds)]


@pytest.mark.parametrize("name", RULES)
def test_the_same_seed_gives_the_same_course_and_another_seed_another_one(name: str) -> None:
    first = course(meeting_owners(name))
    assert course(meeting_owners(name)) == first
    if name != "none":
        assert course(meeting_owners(name, seed=2)) != first
        assert first[-1] != [row % 3 for row in range(30)]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_uses_what_it_declares_to_know_and_nothing_else(name: str) -> None:
    knows = ADAPTATION[name].knows
    nothing = {} if Knows.BOARD in knows else {"prospects": None, "board": None}
    owners = meeting_owners(name, alone=Knows.SHOWN not in knows, **nothing)
    owners.population.payment[:] = np.nan
    course(owners)
    assert set(knows) <= set(Knows)


@pytest.mark.parametrize("name", [name for name in RULES if not ADAPTATION[name].knows])
def test_who_learns_alone_is_not_moved_by_how_others_fare(name: str) -> None:
    one, crowd = meeting_owners(name, 1), meeting_owners(name, 30)
    assert [now[0] for now in course(crowd)] == [now[0] for now in course(one)]


@pytest.mark.parametrize("name", RULES)
def test_choices_are_strategies_of_the_scenario_even_if_there_is_but_one(name: str) -> None:
    ahead = Prospects(np.zeros((5, 1)), np.zeros((5, 1), dtype=np.bool_))
    owners = meeting_owners(name, 5, strategies=1, prospects=ahead)
    owners.population.strategy[:] = 0
    for _ in range(5):
        assert owners.live(np.full(5, -1.0)).tolist() == [0] * 5
    assert all(0 <= one < 3 for now in course(meeting_owners(name), 30) for one in now)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    entry = ADAPTATION[name]
    assert entry.name == name
    assert ADAPTATION.description(name)
    assert name == "none" or any(character.isdigit() for character in entry.reference)


def test_what_rules_keep_in_mind_is_nothing_that_strategies_keep() -> None:
    assert not set(ADAPTATION_MEMORY) & set(MEMORY)
    assert set(ADAPTATION_MEMORY) - {"score", "tried"} <= set(COLUMNS)


@pytest.mark.parametrize(
    ("name", "params", "complaint"),
    [
        ("imitation", {"rate": 1.1}, "rate is 1.1, expected a finite number"),
        ("imitation", {"selection": -1.0}, "selection is -1.0, expected a finite number"),
        ("proportional_imitation", {"worst": 1.0}, "best is missing: declare both"),
        ("replicator", {"worst": 1.0, "best": 1.0}, "best is 1.0, expected a number above worst"),
        ("moran", {"events": 0}, "events is 0, expected a whole number at least 1"),
        ("best_response", {"prior": 0.0}, "prior is 0.0, expected a finite number above 0"),
        ("threshold", {"low": 0.9, "high": 0.1}, "low is 0.9, expected a number of at most high"),
        ("epsilon_greedy", {"memory": 0.0}, "memory is 0.0, expected a finite number above 0"),
        ("exp3", {"explore": 0.0}, "explore is 0.0, expected a finite number above 0"),
        ("roth_erev", {"forget": 1.0}, "forget is 1.0, expected a finite number"),
        ("bush_mosteller", {"learning": 2.0}, "learning is 2.0, expected a finite number"),
    ],
)
def test_an_impossible_parameter_is_named(name: str, params: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}"):
        ADAPTATION[name](**params)


def test_birth_and_death_pass_on_as_many_strategies_as_there_are_events() -> None:
    for update in ("birth_death", "death_birth"):
        owners = Owners(Moran(update=update, events=7, among="everybody"), np.arange(40), strategies=40)
        changed = (owners.live(np.zeros(40)) != np.arange(40)).sum()
        assert 4 <= changed <= 7  # two births may have one child
