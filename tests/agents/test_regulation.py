from __future__ import annotations

import math
from dataclasses import replace

import mesa
import numpy as np
import pytest

from agents.regulation import REGULATION, Budgeted, Deterrence, Fixed, Prospect, Verdicts, make_regulation
from agents.regulation.deterrence import violating
from agents.regulator import Regulator
from learning.streams import Streams
from market.enforcement import EnforcementPolicy

OWNERS, COST = 400, 0.1


def prospect(rate: float = 0.2, draw: float = 0.1, cost: float = COST, detection: float = 1.0) -> Prospect:
    return Prospect(OWNERS, cost, detection, 0.0, rate, draw)


def supervise(rule: Budgeted, response, rounds: int = 200, detection: float = 0.8, alarm: float = 0.05):
    """Rates and money spent where each of ``OWNERS`` violates with probability ``response(rate)``; real audits."""
    policy = EnforcementPolicy(audit_rate=0.2, audit_cost=COST, detection_rate=detection, false_alarm_rate=alarm)
    regulator, streams, ids = Regulator(mesa.Model(seed=1), policy, rule), Streams(4), np.arange(OWNERS)
    rates, spent = [], []
    for number in range(rounds):
        regulator.policy = regulator.tuned(OWNERS, float(streams.uniform("regulation", 0, number)))
        rates.append(regulator.policy.audit_rate)
        guilty = streams.uniform("truth", ids, number) < response(rates[-1])
        audited = streams.uniform("audit", ids, number) < rates[-1]
        found = audited & (streams.uniform("verdict", ids, number) < np.where(guilty, detection, alarm))
        spent.append(COST * audited.sum())
        regulator.hear(OWNERS, int(audited.sum()), int(found.sum()), spent[-1])
    return np.array(rates), np.array(spent), regulator


def test_a_fixed_regulator_leaves_the_rate_alone() -> None:
    regulator = Regulator(mesa.Model(seed=1), EnforcementPolicy(audit_rate=0.3))
    regulator.hear(10, 3, 2, 0.0)
    assert not regulator.tunes
    assert regulator.tuned(10, 0.5).audit_rate == 0.3


def test_a_budget_is_spent_and_not_overdrawn() -> None:
    rates, spent, _ = supervise(Budgeted(budget=5.0), lambda rate: 0.2)
    assert rates.mean() == pytest.approx(5.0 / (COST * OWNERS), rel=0.03)
    assert spent.sum() == pytest.approx(5.0 * len(spent), rel=0.02)
    assert (np.cumsum(spent) <= 5.0 * np.arange(2, len(spent) + 2) + 4 * COST * np.sqrt(OWNERS)).all()


def test_what_is_not_spent_is_kept_up_to_the_reserve() -> None:
    rule = Budgeted(budget=2.0, reserve=3.0)
    memory = rule.memory()
    for _ in range(5):
        memory = rule.learn(memory, Verdicts(OWNERS, 0, 0, 0.0, 0.0), prospect())
    assert rule.rate(memory, prospect()) == pytest.approx(6.0 / (COST * OWNERS))
    assert rule.rate(memory, prospect(cost=0.0)) == 1.0


def test_violations_are_estimated_from_verdicts_that_err() -> None:
    seen = Verdicts(judged=10_000, audited=1000, guilty=275, rate=0.1, spent=0.0)  # 0.3 * 0.8 + 0.7 * 0.05
    known = Prospect(OWNERS, COST, 0.8, 0.05, 0.1, 0.5)
    assert violating(seen, known) == pytest.approx(0.3, abs=2e-3)
    assert violating(Verdicts(10, 10, 0, 0.1, 0.0), known) > 0.0
    assert violating(seen, Prospect(OWNERS, COST, 0.3, 0.3, 0.1, 0.5)) == 1.0


def test_the_response_to_audits_is_found_by_weighted_least_squares() -> None:
    rule, known = Deterrence(budget=100.0, harm=1.0, weight=1.0, keep=0.9), prospect()
    memory, rows = rule.memory(), []
    for number, (rate, guilty) in enumerate([(0.1, 60), (0.3, 40), (0.2, 44), (0.5, 20)]):
        seen = Verdicts(OWNERS, 100 + number, guilty, rate, 0.0)
        memory = rule.learn(memory, seen, known)
        rows.append((rate, math.log(violating(seen, known)), (100 + number) * 0.9 ** (3 - number)))
    x, y, weight = np.array(rows).T
    slope, level = np.polyfit(x, y, 1, w=np.sqrt(weight))
    assert rule.response(memory) == pytest.approx((level, -slope))


def test_a_regulator_that_learns_comes_near_the_rate_that_costs_least() -> None:
    harm, level, slope = 1.0, 0.6, 6.0
    best = math.log(harm * slope * level / COST) / slope  # of harm * level * exp(-slope r) + cost * r
    rates, _, regulator = supervise(
        Deterrence(budget=1000.0, harm=harm), lambda rate: level * math.exp(-slope * rate), rounds=300
    )
    assert rates[-100:].mean() == pytest.approx(best, rel=0.15)

    def loss(rate: float) -> float:
        return harm * level * math.exp(-slope * rate) + COST * rate

    settled = replace(regulator.regulation, explore=0.0).rate(regulator.memory, prospect())
    assert loss(settled) < 1.05 * loss(best)
    assert np.mean([loss(rate) for rate in rates[-100:]]) < 1.2 * loss(best), "what it tries out costs, too"
    assert regulator.regulation.response(regulator.memory)[1] == pytest.approx(slope, rel=0.35)


def test_where_the_budget_binds_a_regulator_that_learns_keeps_to_it() -> None:
    rates, spent, _ = supervise(Deterrence(budget=4.0, harm=5.0), lambda rate: 0.6 * math.exp(-6.0 * rate))
    assert spent.mean() == pytest.approx(4.0, rel=0.1)
    assert rates[-50:].mean() == pytest.approx(4.0 / (COST * OWNERS), rel=0.1)


def test_where_audits_deter_nobody_a_regulator_that_learns_saves_its_money() -> None:
    rates, _, _ = supervise(Deterrence(budget=1000.0, harm=0.05), lambda rate: 0.3, rounds=120)
    assert rates[-40:].mean() < 0.1


def test_what_a_regulator_remembers_is_numbers_that_can_be_saved() -> None:
    _, _, first = supervise(Deterrence(budget=4.0, harm=1.0), lambda rate: 0.3, rounds=5)
    second = Regulator(mesa.Model(seed=1), EnforcementPolicy(audit_cost=COST), Deterrence(budget=4.0, harm=1.0))
    second.load_state(first.state())
    assert second.policy.audit_rate == first.policy.audit_rate
    np.testing.assert_array_equal(second.memory, first.memory)


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("budget", {"budget": -1.0}, "budget"),
        ("budget", {"budget": 1.0, "reserve": 0.5}, "reserve"),
        ("deterrence", {"budget": 1.0, "harm": 0.0}, "harm"),
        ("deterrence", {"budget": 1.0, "harm": 1.0, "explore": 1.0}, "explore"),
    ],
)
def test_an_impossible_rule_is_refused_by_name(name: str, params: dict, field: str) -> None:
    with pytest.raises(ValueError, match=f"^regulation '{name}': {field} is"):
        make_regulation(name, params)


def test_the_registry_names_its_rules() -> None:
    assert dict(REGULATION) == {"fixed": Fixed, "budget": Budgeted, "deterrence": Deterrence}
