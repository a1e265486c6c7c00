from __future__ import annotations

import math

import numpy as np
import pytest

from agents.adaptation import ADAPTATION, Adaptation, Imitation, NoAdaptation
from learning.streams import Streams

COUNT = 20_000
OWNERS = np.arange(COUNT)
LOOK, SWITCH = Streams(8).uniform("look", OWNERS), Streams(8).uniform("switch", OWNERS)


def share_that_switches(rule: Adaptation, own: float, theirs: float) -> float:
    """Everybody plays 0, every neighbour plays 1: the share that plays 1 afterwards."""
    looking = rule.looks(LOOK)
    count = int(looking.sum())
    zeros, ones = np.zeros(count, dtype=np.int64), np.ones(count, dtype=np.int64)
    after = rule.adapt(zeros, np.full(count, own), ones, np.full(count, theirs), SWITCH[looking])
    return float(after.sum() / COUNT)


@pytest.mark.parametrize("gap", [-2.0, 0.5, 2.0])
def test_imitation_follows_the_fermi_function(gap: float) -> None:
    share = share_that_switches(Imitation(rate=0.4, selection=1.5), 3.0, 3.0 + gap)
    assert share == pytest.approx(0.4 / (1 + math.exp(-1.5 * gap)), abs=0.014)  # four standard errors


@pytest.mark.parametrize(("rule", "gap"), [(Imitation(rate=1.0), 0.0), (Imitation(rate=1.0, selection=0.0), 5.0)])
def test_equal_payoffs_and_no_selection_mean_a_fair_coin(rule: Imitation, gap: float) -> None:
    assert share_that_switches(rule, 3.0, 3.0 + gap) == pytest.approx(0.5, abs=0.014)


def test_strong_selection_copies_the_better_paid_only() -> None:
    rule = Imitation(rate=1.0, selection=1e9)
    assert share_that_switches(rule, 3.0, 3.001) == 1.0
    assert share_that_switches(rule, 3.001, 3.0) == 0.0


def test_who_does_not_look_keeps_its_strategy() -> None:
    assert share_that_switches(Imitation(rate=0.0, selection=10.0), 0.0, 100.0) == 0.0


def test_adapting_leaves_its_input_alone() -> None:
    strategy = np.array([2, 5, 3], dtype=np.int32)
    payoffs, theirs, draws = np.zeros(3), np.array([-50.0, -50.0, 50.0]), np.full(3, 0.01)
    after = Imitation(rate=1.0).adapt(strategy, payoffs, np.array([4, 4, 4]), theirs, draws)
    assert after.tolist() == [2, 5, 4]
    assert strategy.tolist() == [2, 5, 3]


def test_nobody_adapts_under_none() -> None:
    assert share_that_switches(NoAdaptation(), 0.0, 100.0) == 0.0


def test_the_registry_names_its_rules() -> None:
    assert dict(ADAPTATION) == {"none": NoAdaptation, "imitation": Imitation}
    assert all(ADAPTATION[name].name == name for name in ADAPTATION)


@pytest.mark.parametrize(("field", "value"), [("rate", 1.1), ("rate", -0.1), ("selection", -1.0)])
def test_an_impossible_parameter_is_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{field} is {value}, expected a finite number"):
        Imitation(**{field: value})
