"""Pay or quit: who leaves when the bill comes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.confirmation import CONFIRMATION, Confirmation, make_confirmation
from learning.registry import UnknownName
from learning.streams import Streams

RULES = [make_confirmation(name, {}) for name in CONFIRMATION]
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def columns(count: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Utilities on both sides of outside options, and a draw each."""
    owners, streams = np.arange(count), Streams(4)
    utility, outside, draw = (streams.uniform(name, owners) for name in ("utility", "outside", "draw"))
    return 4.0 * utility - 2.0, 2.0 * outside - 1.0, draw


@every_rule
def test_a_rule_is_a_described_value(rule: Confirmation) -> None:
    assert CONFIRMATION[rule.name] is type(rule)
    assert CONFIRMATION.description(rule.name).endswith(".")
    assert pickle.loads(pickle.dumps(rule)) == rule == make_confirmation(rule.name, {})


@every_rule
def test_nobody_leaves_a_round_that_is_worth_as_much_as_staying_outside(rule: Confirmation) -> None:
    utility, outside, draw = columns()
    better = np.maximum(utility, outside)
    assert not rule.quits(better, outside, draw).any()


@every_rule
def test_a_loss_that_float_arithmetic_makes_is_none(rule: Confirmation) -> None:
    assert not rule.quits(np.full(3, -1e-12), np.zeros(3), np.zeros(3)).any()


@every_rule
def test_an_empty_market_has_nobody_to_leave(rule: Confirmation) -> None:
    assert rule.quits(np.zeros(0), np.zeros(0), np.zeros(0)).shape == (0,)


def test_always_pays_whatever_it_costs() -> None:
    assert not make_confirmation("always", {}).quits(*columns()).any()


def test_strict_quits_every_round_that_is_worth_less_than_the_outside_option() -> None:
    utility, outside, draw = columns()
    assert make_confirmation("strict", {}).quits(utility, outside, draw).tolist() == (utility < outside).tolist()


@pytest.mark.parametrize("probability", [0.2, 0.5, 0.9])
def test_probabilistic_quits_such_rounds_as_often_as_it_says(probability: float) -> None:
    utility, outside, draw = columns()
    leaving = make_confirmation("probabilistic", {"probability": probability}).quits(utility, outside, draw)
    losing = utility < outside
    assert not leaving[~losing].any()
    assert leaving[losing].mean() == pytest.approx(probability, abs=0.05)


def test_probabilistic_quits_every_other_losing_round_by_default() -> None:
    assert make_confirmation("probabilistic", {}) == make_confirmation("probabilistic", {"probability": 0.5})


@given(probability=st.floats(0.0, 1.0))
def test_strict_and_always_are_the_ends_of_probabilistic(probability: float) -> None:
    utility, outside, draw = columns(200)
    leaving = make_confirmation("probabilistic", {"probability": probability}).quits(utility, outside, draw)
    strict = make_confirmation("strict", {}).quits(utility, outside, draw)
    assert not (leaving & ~strict).any()
    if probability == 1.0:
        assert leaving.tolist() == strict.tolist()
    if probability == 0.0:
        assert not leaving.any()


@every_rule
def test_one_owner_decides_as_in_a_crowd(rule: Confirmation) -> None:
    utility, outside, draw = columns(50)
    together = rule.quits(utility, outside, draw)
    alone = [rule.quits(utility[[k]], outside[[k]], draw[[k]])[0] for k in range(50)]
    assert together.tolist() == alone


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_a_probability_outside_0_and_1_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        make_confirmation("probabilistic", {"probability": probability})


def test_unknown_rules_and_parameters_are_refused() -> None:
    with pytest.raises(UnknownName, match="strict"):
        make_confirmation("stict", {})
    with pytest.raises(ValueError, match="takes no parameters, got 'patience'"):
        make_confirmation("strict", {"patience": 3})
