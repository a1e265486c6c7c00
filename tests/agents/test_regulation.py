from __future__ import annotations

import math
from dataclasses import replace

import mesa
import numpy as np
import pytest

from agents.regulation import (
    REGULATION,
    Bandit,
    Budgeted,
    Deterrence,
    Fixed,
    Prospect,
    Verdicts,
    guilty_share,
    make_regulation,
)
from agents.regulation.deterrence import violating
from agents.regulator import Regulator
from learning.streams import Streams
from market.enforcement import EnforcementPolicy, Evidence, audit
from market.enforcement import Verdicts as Judged
from market.enforcement.auditing import ByReputation

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
        draws = streams.uniform("audit", ids, number), streams.uniform("verdict", ids, number)
        verdicts = audit(regulator.policy, guilty, *draws)
        spent.append(COST * verdicts.audited.sum())
        regulator.hear(verdicts, spent[-1])
    return np.array(rates), np.array(spent), regulator


def test_a_fixed_regulator_leaves_the_rate_alone() -> None:
    regulator = Regulator(mesa.Model(seed=1), EnforcementPolicy(audit_rate=0.3))
    looked = np.arange(10) < 3
    regulator.hear(Judged(looked, looked, np.full(10, 0.3)), 0.0)
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


def test_audits_that_are_aimed_at_the_guilty_do_not_make_them_seem_more() -> None:
    ids, streams = np.arange(4000), Streams(3)
    guilty = streams.uniform("truth", ids) < 0.3
    evidence = Evidence(np.where(guilty, 0.1, 0.9), np.zeros(len(ids)))  # a bad standing draws audits
    policy = EnforcementPolicy(audit_rate=0.2, audit_policy=ByReputation(focus=0.8))
    verdicts = audit(policy, guilty, streams.uniform("audit", ids), streams.uniform("verdict", ids), evidence)
    looked = verdicts.audited
    plain = verdicts.flagged.sum() / looked.sum()
    weighted = guilty_share(verdicts.flagged[looked], verdicts.chance[looked])
    assert plain > 0.55
    assert weighted == pytest.approx(0.3, abs=0.03)
    seen = Verdicts(len(ids), int(looked.sum()), int(verdicts.flagged.sum()), 0.2, 0.0, weighted)
    assert violating(seen, prospect()) == pytest.approx(0.3, abs=0.03)


# ---- a choice among sets of rules ---------------------------------------------------------------------------------

CHOICE = [{"deposit": 1.0}, {"deposit": 5.0}, {"deposit": 40.0}]
"""The lowest deters nobody; the highest deters nearly all, but keeps most owners away."""


def choosing(rule: Bandit, rounds: int, turns_at: int = 10**6) -> np.ndarray:
    """Deposits round by round; owners stay away from the highest. From ``turns_at`` on the lowest deters everybody."""
    options = [{"deposit": one["deposit"]} for one in rule.options]
    regulator = Regulator(mesa.Model(seed=1), EnforcementPolicy(audit_rate=0.3, audit_cost=COST), rule, options)
    streams, seen = Streams(9), []
    for number in range(rounds):
        regulator.policy = regulator.tuned(OWNERS, 0.5)
        seen.append(regulator.policy.deposit)
        ids = np.arange(OWNERS if seen[-1] < 40.0 else OWNERS // 5)
        share = {1.0: 0.8, 5.0: 0.1, 40.0: 0.05}[seen[-1]]
        guilty = streams.uniform("truth", ids, number) < (0.0 if number >= turns_at and seen[-1] == 1.0 else share)
        verdicts = audit(
            regulator.policy, guilty, streams.uniform("audit", ids, number), streams.uniform("verdict", ids, number)
        )
        regulator.hear(verdicts, COST * verdicts.audited.sum())
    return np.array(seen)


def bandit(**change) -> Bandit:
    return Bandit(**{"options": CHOICE, "budget": 100.0, "harm": 0.5, "value": 0.5, "hold": 2, **change})


def test_each_option_is_tried_and_the_best_one_is_kept() -> None:
    played = choosing(bandit(), rounds=120)
    assert played[:6].tolist() == [1.0, 1.0, 5.0, 5.0, 40.0, 40.0]
    assert (played[60:] == 5.0).mean() > 0.7


def test_a_regulator_that_cares_for_violations_only_shuts_the_market() -> None:
    played = choosing(bandit(value=0.0), rounds=120)
    assert (played[60:] == 40.0).mean() > 0.7


def test_what_was_learnt_is_forgotten_when_the_owners_change() -> None:
    played = choosing(bandit(keep=0.8), rounds=240, turns_at=100)
    assert (played[60:100] == 5.0).mean() > 0.5
    assert (played[180:] == 1.0).mean() > 0.5


def test_the_first_round_under_an_option_does_not_count() -> None:
    rule = bandit(hold=3)
    memory = rule.memory()
    for guilty in (100, 0, 0):
        memory = rule.learn(memory, Verdicts(OWNERS, 100, guilty, 0.25, 10.0), prospect())
    share = violating(Verdicts(OWNERS, 100, 0, 0.25, 10.0), prospect())
    worth = 0.5 * OWNERS * (1.0 - 2.0 * share) - 10.0
    np.testing.assert_allclose(rule.worths(memory), [worth, math.nan, math.nan])


def test_no_option_costs_more_than_there_is() -> None:
    rule = bandit(budget=2.0)
    assert rule.rate(rule.memory(), prospect(rate=0.5)) == pytest.approx(2.0 / (COST * OWNERS))
    assert rule.rate(rule.memory(), prospect(rate=0.01)) == 0.01


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("budget", {"budget": -1.0}, "budget"),
        ("budget", {"budget": 1.0, "reserve": 0.5}, "reserve"),
        ("deterrence", {"budget": 1.0, "harm": 0.0}, "harm"),
        ("bandit", {"budget": 1.0, "harm": 1.0, "options": [{"deposit": 1.0}]}, "options"),
        ("bandit", {"budget": 1.0, "harm": 1.0, "options": CHOICE, "hold": 0}, "hold"),
        ("deterrence", {"budget": 1.0, "harm": 1.0, "explore": 1.0}, "explore"),
    ],
)
def test_an_impossible_rule_is_refused_by_name(name: str, params: dict, field: str) -> None:
    with pytest.raises(ValueError, match=f"^regulation '{name}': {field} is"):
        make_regulation(name, params)


def test_the_registry_names_its_rules() -> None:
    assert dict(REGULATION) == {"fixed": Fixed, "bandit": Bandit, "budget": Budgeted, "deterrence": Deterrence}
