from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from market.baselines import FixedPrice, Free, Proportional, Shapley
from market.mechanism import (
    CONTRIBUTION,
    COST,
    DATA_SIZE,
    QUALITY,
    Advice,
    Allocation,
    Board,
    Guarantee,
    Outcome,
    Reports,
    Settlement,
    Terms,
    Types,
)
from market.properties import Conditions, budget_gap, individual_rationality, misreport_gain, play, truthful_claims
from market.settling import arrivals, pay_arrivals

TYPES = Types(np.array([100.0, 50.0, 200.0]), np.array([1.0, 0.8, 0.5]), np.array([0.01, 0.03, 0.02]))


@dataclass(frozen=True)
class PayAsClaimed:
    """Pays each owner its claimed cost: a mechanism that invites to lie about it, for the checks to find."""

    name: ClassVar[str] = "pay_as_claimed"
    needs: ClassVar[tuple[str, ...]] = (DATA_SIZE, COST)
    measures: ClassVar[tuple[str, ...]] = ()
    watches_members: ClassVar[bool] = False
    guarantees: ClassVar[tuple[Guarantee, ...]] = ()
    reference: ClassVar[str] = "none"

    def announce(self, board: Board) -> Terms:
        return Terms(board.round, board.budget)

    def recommend(self, terms: Terms, types: Types) -> Advice:
        return Advice(np.ones(len(types), dtype=np.bool_), np.ones(len(types)), types.cost * types.data_size)

    def plan(self, terms: Terms, reports: Reports) -> Allocation:
        everybody = np.ones(len(reports), dtype=np.bool_)
        return Allocation(reports.owner, everybody, reports.data_share, np.zeros(len(reports)), reports.claims)

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement:
        due = allocation.claims[COST] * allocation.claims[DATA_SIZE] * arrivals(allocation, outcome)
        return pay_arrivals(allocation, outcome, due, claimed=0.0)


def test_utility_is_payment_less_true_cost_and_zero_for_those_who_stay_away() -> None:
    played = play(FixedPrice(0.02), TYPES, truthful_claims(TYPES), 100.0)
    assert played.payments.tolist() == pytest.approx([2.0, 0.0, 4.0])
    assert played.utilities.tolist() == pytest.approx([1.0, 0.0, 0.0])


def test_a_lie_changes_the_payment_and_not_the_true_cost() -> None:
    claims = {**truthful_claims(TYPES), DATA_SIZE: 3.0 * TYPES.data_size}
    played = play(FixedPrice(0.02), TYPES, claims, 100.0)
    assert played.payments.tolist() == pytest.approx([6.0, 0.0, 12.0])
    assert played.utilities.tolist() == pytest.approx([5.0, 0.0, 8.0])


def test_who_trains_in_vain_bears_its_cost() -> None:
    late = Conditions(arrived=np.array([False, True, True]))
    played = play(FixedPrice(0.02), TYPES, truthful_claims(TYPES), 100.0, conditions=late)
    assert played.utilities.tolist() == pytest.approx([-1.0, 0.0, 0.0])


def test_free_participation_loses_by_the_cost_of_training() -> None:
    assert individual_rationality(Free(), TYPES, 100.0) == (3, pytest.approx(-4.0))


def test_a_posted_price_is_rational_until_the_budget_binds() -> None:
    assert individual_rationality(FixedPrice(0.02), TYPES, 100.0) == (0, 0.0)
    short = individual_rationality(FixedPrice(0.02), TYPES, 4.5)
    assert short.violations == 1
    assert short.worst == pytest.approx(4.0 * 0.75 - 4.0)


def test_the_search_finds_the_lie_that_pays_and_how_much() -> None:
    gain = misreport_gain(PayAsClaimed(), TYPES, 100.0, COST, [0.5, 1.0, 2.0, 4.0])
    assert gain.largest_gain == pytest.approx(3.0 * 4.0)  # owner 2: four times its cost of 4
    assert gain.share_gaining == 1.0


def test_nobody_gains_by_a_false_cost_under_a_posted_price() -> None:
    assert misreport_gain(FixedPrice(0.02), TYPES, 100.0, COST, [0.0, 0.3, 0.9, 1.1, 5.0]) == (0.0, 0.0)


def test_data_can_be_overstated_with_profit_under_a_posted_price() -> None:
    gain = misreport_gain(FixedPrice(0.02), TYPES, 100.0, DATA_SIZE, [2.0])
    assert gain.largest_gain == pytest.approx(4.0)  # the owner of 200 samples; the second is out by its true cost
    assert gain.share_gaining == pytest.approx(2 / 3)


def test_a_lie_may_bring_in_an_owner_that_would_honestly_stay_away() -> None:
    types = Types(np.array([100.0, 100.0]), np.ones(2), np.array([0.01, 0.2]))
    assert play(Proportional(), types, truthful_claims(types), 10.0).utilities.tolist() == pytest.approx([9.0, 0.0])
    gain = misreport_gain(Proportional(), types, 24.0, DATA_SIZE, [19.0], conditions=Conditions(claimed=100.0))
    assert gain.largest_gain == pytest.approx(24.0 * 0.95 - 20.0)
    assert gain.share_gaining == 0.5


def test_quality_claims_stay_within_their_range() -> None:
    perfect = Types(np.array([100.0, 100.0]), np.array([1.0, 1.0]), np.zeros(2))
    assert misreport_gain(Proportional(), perfect, 10.0, QUALITY, [5.0]) == (0.0, 0.0)


def test_claims_do_not_enter_a_payment_by_measured_contribution() -> None:
    measured = Conditions(measured={CONTRIBUTION: np.array([0.1, 0.2, -0.1])})
    assert misreport_gain(Shapley(), TYPES, 100.0, DATA_SIZE, [0.5, 3.0], conditions=measured) == (0.0, 0.0)
    assert play(Shapley(), TYPES, truthful_claims(TYPES), 30.0, conditions=measured).payments.tolist() == pytest.approx(
        [10.0, 20.0, 0.0]
    )


def test_the_budget_gap_is_what_is_left() -> None:
    assert budget_gap(FixedPrice(0.02), TYPES, 100.0) == pytest.approx(94.0)
    assert budget_gap(Proportional(), TYPES, 100.0) == pytest.approx(0.0)
    assert budget_gap(PayAsClaimed(), TYPES, 5.0) == pytest.approx(5.0 - 6.5)
    assert budget_gap(Shapley(), TYPES, 100.0) == 100.0


def test_an_empty_market_has_properties_too() -> None:
    nobody = Types(np.zeros(0), np.zeros(0), np.zeros(0))
    assert individual_rationality(FixedPrice(), nobody, 1.0) == (0, 0.0)
    assert misreport_gain(FixedPrice(), nobody, 1.0, COST, [2.0]) == (0.0, 0.0)
    assert budget_gap(Proportional(), nobody, 1.0) == 1.0
