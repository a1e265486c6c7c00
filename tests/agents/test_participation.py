from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy import stats

from agents.participation import (
    PARTICIPATION,
    PATIENCE,
    ExitCause,
    Logit,
    Participation,
    Patience,
    RegretHazard,
    Stay,
    Strict,
    SunkCost,
    WordOfMouth,
    expected_utility,
    make_participation,
    skill,
)
from agents.participation.patience import Drawn, Fading, InARow, Loyal, Total
from learning.streams import Streams
from market.mechanism import Advice, Board

RULES = [Strict(), Logit(temperature=0.3), RegretHazard(), SunkCost(), WordOfMouth()]
DRAWS = Streams(5).uniform("test", np.arange(20_000))


def full(value: float) -> np.ndarray:
    return np.full(len(DRAWS), value)


def test_strict_joins_when_the_expected_utility_beats_the_outside_option() -> None:
    joins = Strict().joins(np.array([0.9, 1.0, 1.1]), np.ones(3), np.full(3, 0.5))
    assert joins.tolist() == [False, False, True]


@pytest.mark.parametrize("gap", [-0.6, 0.0, 0.45])
def test_logit_joins_with_the_logit_probability(gap: float) -> None:
    share = Logit(temperature=0.3).joins(full(2.0 + gap), full(2.0), DRAWS).mean()
    assert share == pytest.approx(1 / (1 + math.exp(-gap / 0.3)), abs=0.015)  # four standard errors


def test_a_cold_logit_is_strict() -> None:
    utility = np.linspace(0.0, 2.0, 40)
    arguments = (utility, np.ones(40), DRAWS[:40])
    np.testing.assert_array_equal(Logit(temperature=1e-9).joins(*arguments), Strict().joins(*arguments))


def test_huge_gaps_do_not_overflow() -> None:
    joins = Logit(temperature=1e-6).joins(np.array([1e9, -1e9]), np.zeros(2), np.full(2, 0.5))
    assert joins.tolist() == [True, False]


def test_the_first_observation_replaces_the_expectation_and_later_ones_are_smoothed() -> None:
    believed = Strict(memory=0.25).believe(np.full(4, 8.0), np.full(4, 4.0), np.array([0, 1, 2, 9]))
    assert believed.tolist() == [4.0, 4.0, 7.0, 7.0]


@given(memory=st.floats(0.01, 1), old=st.floats(-1e6, 1e6), realised=st.floats(-1e6, 1e6), taken=st.integers(0, 5))
def test_a_belief_stays_between_the_old_one_and_the_news(
    memory: float, old: float, realised: float, taken: int
) -> None:
    believed = Strict(memory=memory).believe(np.array([old]), np.array([realised]), np.array([taken]))[0]
    slack = 1e-9 * (abs(old) + abs(realised))
    assert min(old, realised) - slack <= believed <= max(old, realised) + slack


def stay(believed: ArrayLike, outside_option: ArrayLike = 0.0, count: ArrayLike = 0.0, **columns: ArrayLike) -> Stay:
    """A stay of as many owners as believe something; patience is over at 3, the rest is 0."""
    usual = {"heard": np.nan, "regret": 0.0, "invested": 0.0, "rounds": 5, "limit": 3.0}
    given = {"outside_option": outside_option, "disappointed": count, **usual, **columns}
    belief = np.atleast_1d(np.asarray(believed, dtype=np.float64))
    return Stay(believed=belief, **{name: np.broadcast_to(column, belief.shape) for name, column in given.items()})


def counted(kind: Patience, rounds: list[bool]) -> list[float]:
    count, seen = np.zeros(1), []
    for unhappy in rounds:
        count = kind.count(count, np.array([unhappy]))
        seen.append(float(count[0]))
    return seen


def limits(kind: Patience, patience: int, rounds: ArrayLike = 0) -> np.ndarray:
    return kind.limit(patience, np.broadcast_to(rounds, DRAWS.shape), lambda: DRAWS)


def test_a_round_disappoints_when_the_belief_is_below_the_outside_option() -> None:
    assert Strict().unhappy(stay([0.9, 1.0, 1.1], 1.0)).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        (InARow(), [1, 2, 0, 1, 0]),
        (Total(), [1, 2, 2, 3, 3]),
        (Fading(keep=0.5), [1, 1.5, 0.75, 1.375, 0.6875]),
        (Loyal(), [1, 2, 0, 1, 0]),
        (Drawn(), [1, 2, 0, 1, 0]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Patience) else "",
)
def test_each_kind_of_patience_counts_disappointing_rounds_in_its_way(kind: Patience, counts: list[float]) -> None:
    assert counted(kind, [True, True, False, True, False]) == counts


def test_loyalty_grows_with_the_rounds_of_a_stay() -> None:
    assert limits(Loyal(per_round=0.5), 3, 4)[0] == 5.0
    assert limits(InARow(), 3, 4)[0] == 3.0


def test_drawn_patience_is_geometric_with_the_number_of_the_rule_for_its_mean() -> None:
    own = limits(Drawn(), 4)
    expected = stats.geom(1 / 4).pmf(np.arange(1, 7))
    found = np.bincount(own.astype(int), minlength=7)[1:7] / len(own)
    np.testing.assert_allclose(found, expected, atol=4 * np.sqrt(0.25 / len(own)))
    assert own.mean() == pytest.approx(4.0, abs=4 * stats.geom(1 / 4).std() / math.sqrt(len(own)))
    assert (limits(Drawn(), 1) == 1.0).all()


def test_strict_leaves_when_patience_is_over() -> None:
    exits = Strict().exits(stay(np.zeros(3), 1.0, [2, 3, 4]), np.full(3, 0.99))
    assert exits.tolist() == [False, True, True]


def test_logit_is_patient_too() -> None:
    assert not Logit(temperature=0.3).exits(stay(full(-9.0), 0.0, 2), DRAWS).any()


def test_logit_leaves_with_the_logit_probability_after_patience() -> None:
    exits = Logit(temperature=0.3).exits(stay(full(0.7), 1.0, 3), DRAWS)
    assert exits.mean() == pytest.approx(1 / (1 + math.exp((0.7 - 1.0) / 0.3)), abs=0.015)


def test_regret_is_what_the_outside_option_would_have_earned_more() -> None:
    rule, regret = RegretHazard(keep=0.5), np.zeros(1)
    for realised in (0.4, 2.0, 0.9):
        regret = rule.regrets(regret, np.array([realised]), np.array([1.0]))
    assert regret[0] == pytest.approx(0.5 * 0.5 * 0.6 + 0.1)
    assert Strict().regrets(np.array([0.7]), np.array([0.4]), np.array([1.0]))[0] == pytest.approx(1.3)


def test_stays_under_a_regret_hazard_last_as_long_as_its_survival_function_says() -> None:
    rule, streams, here = RegretHazard(rate=0.2), Streams(8), np.ones(len(DRAWS), dtype=np.bool_)
    survivors = []
    for number in range(1, 6):  # regret grows by one each round
        now = stay(full(0.0), 1.0, 1.0, regret=float(number), limit=1.0)
        here &= ~rule.exits(now, streams.uniform("exit", np.arange(len(DRAWS)), number))
        survivors.append(here.mean())
    expected = np.exp(-0.2 * np.cumsum(np.arange(1, 6)))
    np.testing.assert_allclose(survivors, expected, atol=4 * np.sqrt(0.25 / len(DRAWS)))
    assert (rule.causes(now) == ExitCause.REGRET).all()


def test_who_has_put_much_in_is_content_with_less() -> None:
    rule = SunkCost(weight=0.1, keep=0.5)
    invested = rule.invests(rule.invests(np.zeros(1), np.array([4.0])), np.array([2.0]))
    assert invested[0] == 4.0  # 2 and half of 4
    assert rule.unhappy(stay([0.55, 0.65], 1.0, invested=4.0)).tolist() == [True, False]
    assert Strict().unhappy(stay([0.55, 0.65], 1.0, invested=4.0)).all()


def test_word_of_mouth_mixes_the_own_belief_with_what_the_others_believe() -> None:
    rule = WordOfMouth(weight=0.25)
    told = stay([1.2, 1.2, 0.9], 1.0, heard=[0.0, np.nan, 2.0])
    assert rule.unhappy(told).tolist() == [True, False, False]
    assert rule.hears(told.believed, told.heard).tolist() == pytest.approx([0.9, 1.2, 1.175])


def test_who_leaves_content_was_talked_into_it() -> None:
    causes = WordOfMouth().causes(stay([1.2, 0.3], 1.0, heard=0.0))
    assert causes.tolist() == [ExitCause.WORD_OF_MOUTH, ExitCause.DISAPPOINTED]


@pytest.mark.parametrize("rule", RULES, ids=repr)
@given(expected=st.floats(-9, 9), outside=st.floats(-9, 9), more=st.floats(0, 9), draw=st.floats(0.001, 0.999))
def test_who_joins_would_join_for_more(
    rule: Participation, expected: float, outside: float, more: float, draw: float
) -> None:
    less, richer = (rule.joins(*map(np.array, ([e], [outside], [draw])))[0] for e in (expected, expected + more))
    assert richer or not less


def test_skill_runs_from_chance_to_perfect() -> None:
    np.testing.assert_allclose(skill([0.05, 0.1, 0.55, 1.0], 0.1), [0.0, 0.0, 0.5, 1.0], atol=1e-15)
    assert np.isnan(skill(float("nan"), 0.1))


ADVICE = Advice(np.array([True, True]), np.array([1.0, 1.0]), np.array([3.0, 5.0]))


def test_expected_utility_weighs_payment_cost_model_and_the_risk_of_being_caught() -> None:
    board = Board(
        round=3, budget=9, accuracy=0.55, chance=0.1, fine=10.0, audit_rate=0.2, detection_rate=0.9, admission_fee=7
    )
    utility = expected_utility(board, ADVICE, np.array([1.0, 0.0]), np.array([2.0, 2.0]), np.array([False, True]))
    np.testing.assert_allclose(utility, [3 - 1 + 2 * 0.5, 5 - 0 + 2 * 0.5 - 0.2 * 0.9 * 10])


def test_before_any_accuracy_is_known_half_a_perfect_model_is_expected() -> None:
    nobody = np.array([False, False])
    utility = expected_utility(Board(round=0, budget=9, chance=0.1), ADVICE, np.zeros(2), np.array([2.0, 4.0]), nobody)
    assert utility.tolist() == [4.0, 7.0]


def test_the_registry_names_its_rules() -> None:
    rules = {"strict": Strict, "logit": Logit, "regret_hazard": RegretHazard, "sunk_cost": SunkCost}
    assert dict(PARTICIPATION) == {**rules, "word_of_mouth": WordOfMouth}
    assert all(PATIENCE[name].name == name for name in PATIENCE)
    assert all(PARTICIPATION[name].name == name for name in PARTICIPATION)


@pytest.mark.parametrize("name", ["strict", "logit", "regret_hazard", "sunk_cost", "word_of_mouth"])
@pytest.mark.parametrize(
    ("field", "value"),
    [("patience", 0), ("patience", 1.5), ("memory", 0.0), ("return_delay", -1.0), ("whitewash", 1.1)],
)
def test_an_impossible_parameter_is_named(name: str, field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^participation rule '{name}': {field} is {value}, expected"):
        make_participation(name, {field: value})
