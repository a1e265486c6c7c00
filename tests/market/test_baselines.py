from __future__ import annotations

import numpy as np
import pytest

from market.baselines import PRICE, RATIONED, FixedPrice, Free, Proportional, Shapley
from market.mechanism import (
    CONTRIBUTION,
    COST,
    DATA_SIZE,
    QUALITY,
    Board,
    Mechanism,
    Outcome,
    Reports,
    Settlement,
    Types,
)
from market.settling import share_out

SIZE = np.array([100.0, 50.0, 200.0])
FINE = np.array([1.0, 0.8, 0.5])
COSTS = np.array([0.01, 0.03, 0.02])
TYPES = Types(SIZE, FINE, COSTS)
CLAIMED = {DATA_SIZE: SIZE, QUALITY: FINE, COST: COSTS}
ALL_ARRIVE = (True, True, True)


def settled(
    mechanism: Mechanism,
    *,
    budget: float,
    arrived: tuple[bool, ...] = ALL_ARRIVE,
    reputation: tuple[float, ...] = (1.0, 1.0, 1.0),
    contribution: tuple[float, ...] = (0.0, 0.0, 0.0),
) -> Settlement:
    terms = mechanism.announce(Board(round=0, budget=budget))
    reports = Reports(np.arange(3), CLAIMED, np.ones(3), np.array(reputation))
    allocation = mechanism.plan(terms, reports)
    came = allocation.selected & np.array(arrived)
    outcome = Outcome(came, came / max(1, came.sum()), 0.5, 0.4, {CONTRIBUTION: np.array(contribution)})
    return mechanism.settle(terms, allocation, outcome)


def paid(settlement: Settlement) -> list[float]:
    column = np.zeros(3)
    column[settlement.transfers.payee] = settlement.transfers.amount
    return column.tolist()


def test_free_pays_nobody_and_everybody_gets_the_model() -> None:
    settlement = settled(Free(), budget=100.0)
    assert len(settlement.transfers.amount) == 0
    assert settlement.delivered.all()
    advice = Free().recommend(Free().announce(Board(0, 100.0)), TYPES)
    assert advice.participate.all()
    assert not advice.expected_payment.any()


def test_fixed_price_pays_the_price_per_claimed_sample_to_those_not_dearer() -> None:
    settlement = settled(FixedPrice(0.02), budget=100.0)
    assert paid(settlement) == pytest.approx([2.0, 0.0, 4.0])
    assert settlement.delivered.tolist() == [True, False, True]
    assert settlement.claimed == 300.0


def test_fixed_price_scales_all_payments_when_the_budget_is_short() -> None:
    assert paid(settled(FixedPrice(0.02), budget=3.0)) == pytest.approx([1.0, 0.0, 2.0])
    assert paid(settled(FixedPrice(0.02), budget=3.0, arrived=(True, True, False))) == pytest.approx([2.0, 0.0, 0.0])


def test_fixed_price_never_pays_an_arrival_less_than_promised() -> None:
    mechanism = FixedPrice(0.02)
    terms = mechanism.announce(Board(round=0, budget=3.0))
    allocation = mechanism.plan(terms, Reports(np.arange(3), CLAIMED, np.ones(3), np.ones(3)))
    assert allocation.promised.tolist() == pytest.approx([1.0, 0.0, 2.0])
    assert paid(settled(mechanism, budget=3.0, arrived=(False, True, True)))[2] >= allocation.promised[2]


def test_an_honest_owner_accepts_a_price_that_covers_its_cost() -> None:
    mechanism = FixedPrice(0.02)
    advice = mechanism.recommend(mechanism.announce(Board(0, 100.0)), TYPES)
    assert advice.participate.tolist() == [True, False, True]
    assert advice.expected_payment.tolist() == pytest.approx([2.0, 1.0, 4.0])


def test_an_honest_owner_reckons_with_a_rationed_price() -> None:
    mechanism = FixedPrice(0.02)
    terms = mechanism.announce(Board(0, 4.5, claimed=300.0))
    assert terms.figures == {PRICE: 0.02, RATIONED: pytest.approx(0.75)}
    assert mechanism.recommend(terms, TYPES).participate.tolist() == [True, False, False]
    assert mechanism.announce(Board(0, 0.0)).figures[RATIONED] == 0.0
    assert mechanism.announce(Board(0, 100.0, claimed=300.0)).figures[RATIONED] == 1.0


def test_proportional_shares_the_budget_by_claimed_data_times_quality() -> None:
    settlement = settled(Proportional(), budget=24.0)
    assert paid(settlement) == pytest.approx([10.0, 4.0, 10.0])  # units 100, 40, 100
    assert settlement.claimed == 240.0


def test_proportional_leaves_the_share_of_the_absent_to_the_others() -> None:
    assert paid(settled(Proportional(), budget=24.0, arrived=(True, True, False))) == pytest.approx(
        [120 / 7, 48 / 7, 0]
    )


def test_reputation_weighs_as_much_as_its_exponent_says() -> None:
    standing = (1.0, 0.5, 0.2)
    flat = settled(Proportional(), budget=24.0, reputation=standing)
    square = settled(Proportional(reputation_exponent=2.0), budget=24.0, reputation=standing)
    weight = np.array([100.0, 40.0 * 0.25, 100.0 * 0.04])
    assert paid(flat) == pytest.approx([10.0, 4.0, 10.0])
    assert paid(square) == pytest.approx((24.0 * weight / weight.sum()).tolist())
    assert square.claimed == flat.claimed


def test_claiming_more_pays_under_proportional_shares() -> None:
    mechanism = Proportional()
    terms = mechanism.announce(Board(0, 24.0))
    inflated = {**CLAIMED, DATA_SIZE: SIZE * np.array([3.0, 1.0, 1.0])}
    allocation = mechanism.plan(terms, Reports(np.arange(3), inflated, np.ones(3), np.ones(3)))
    outcome = Outcome(np.ones(3, dtype=np.bool_), np.full(3, 1 / 3), 0.5, 0.4)
    assert paid(mechanism.settle(terms, allocation, outcome))[0] == pytest.approx(24.0 * 300 / 440)


@pytest.mark.parametrize("mechanism", [Proportional(), Shapley()])
def test_the_expected_share_counts_the_others_as_in_the_last_round(mechanism: Mechanism) -> None:
    advice = mechanism.recommend(mechanism.announce(Board(3, 10.0, claimed=400.0)), TYPES)
    assert advice.expected_payment.tolist() == pytest.approx([10 * 100 / 500, 10 * 40 / 440, 10 * 100 / 500])
    assert advice.participate.tolist() == [True, False, False]  # at costs of 1, 1.5 and 4


@pytest.mark.parametrize("mechanism", [Proportional(), Shapley()])
def test_in_the_first_round_everybody_hopes_for_the_whole_budget(mechanism: Mechanism) -> None:
    advice = mechanism.recommend(mechanism.announce(Board(0, 10.0)), TYPES)
    assert advice.expected_payment.tolist() == [10.0, 10.0, 10.0]
    assert advice.participate.all()


def test_an_owner_without_data_expects_nothing() -> None:
    nothing = Types(np.zeros(1), np.ones(1), np.ones(1))
    advice = Proportional().recommend(Proportional().announce(Board(0, 10.0)), nothing)
    assert advice.expected_payment.tolist() == [0.0]


def test_shapley_shares_the_budget_by_the_positive_part_of_the_contribution() -> None:
    assert paid(settled(Shapley(), budget=12.0, contribution=(0.3, -0.2, 0.1))) == pytest.approx([9.0, 0.0, 3.0])


def test_shapley_pays_nobody_when_nobody_contributed() -> None:
    settlement = settled(Shapley(), budget=12.0, contribution=(0.0, -0.2, -0.1))
    assert len(settlement.transfers.amount) == 0
    assert settlement.delivered.all()


@pytest.mark.parametrize("units", [[0.0, 5e-324, 0.0], [1e308, 1e308, 1e308], [1e-300, 1e300, 0.0]])
def test_shares_survive_extreme_numbers(units: list[float]) -> None:
    assert share_out(7.0, np.array(units)).sum() == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("mechanism", "field", "value"),
    [
        (FixedPrice, "price", 0.0),
        (FixedPrice, "price", -1.0),
        (FixedPrice, "price", float("nan")),
        (Proportional, "reputation_exponent", -0.5),
        (Proportional, "reputation_exponent", float("inf")),
    ],
)
def test_an_impossible_parameter_is_refused_by_name(mechanism: type, field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: expected .*, got {value}$"):
        mechanism(**{field: value})
