from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.participation import (
    PARTICIPATION,
    Logit,
    Participation,
    Strict,
    expected_utility,
    make_participation,
    skill,
)
from learning.streams import Streams
from market.mechanism import Advice, Board

RULES = [Strict(), Logit(temperature=0.3)]
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


def test_disappointment_counts_rounds_in_a_row() -> None:
    rule, count = Strict(), np.array([0])
    seen = []
    for believed in (0.5, 0.5, 1.5, 0.5, 1.0):
        count = rule.disappointed(count, np.array([believed]), np.array([1.0]))
        seen.append(int(count[0]))
    assert seen == [1, 2, 0, 1, 0]


def test_strict_leaves_when_patience_is_over() -> None:
    exits = Strict(patience=3).exits(np.array([2, 3, 4]), np.zeros(3), np.ones(3), np.full(3, 0.99))
    assert exits.tolist() == [False, True, True]


def test_logit_is_patient_too() -> None:
    assert not Logit(patience=3, temperature=0.3).exits(np.full(len(DRAWS), 2), full(-9.0), full(0.0), DRAWS).any()


def test_logit_leaves_with_the_logit_probability_after_patience() -> None:
    exits = Logit(patience=3, temperature=0.3).exits(np.full(len(DRAWS), 3), full(0.7), full(1.0), DRAWS)
    assert exits.mean() == pytest.approx(1 / (1 + math.exp((0.7 - 1.0) / 0.3)), abs=0.015)


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
    assert dict(PARTICIPATION) == {"strict": Strict, "logit": Logit}
    assert all(PARTICIPATION[name].name == name for name in PARTICIPATION)


@pytest.mark.parametrize("name", ["strict", "logit"])
@pytest.mark.parametrize(
    ("field", "value"),
    [("patience", 0), ("patience", 1.5), ("memory", 0.0), ("return_delay", -1.0), ("whitewash", 1.1)],
)
def test_an_impossible_parameter_is_named(name: str, field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^participation rule '{name}': {field} is {value}, expected"):
        make_participation(name, {field: value})
