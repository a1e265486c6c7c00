"""What no rule may break, on any market that hypothesis can think of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.privacy_auction import RULES, Bids, settle
from market.privacy_auction.deviations import cap_violations, individual_rationality, is_budget_feasible

RATIONAL = ["pac", "pac_capped", "vcg", "csra", "all_in", "first_best", "mfg_regretnet", "mfg_regretnet_free_markup"]
WITHIN_CAPS = [
    "pac_capped",
    "all_in",
    "mfg_pricing",
    "first_best",
    "mfg_regretnet",
    "mfg_regretnet_free_markup",
    "mfg_regretnet_paper",
    "regretnet",
    "dm_regretnet",
]
WITHIN_BUDGET = sorted({*RATIONAL, *WITHIN_CAPS})
EXACT = ["mfg_regretnet", "mfg_regretnet_free_markup"]


@st.composite
def markets(draw):
    owners = draw(st.integers(1, 12))

    def column(low, high):
        numbers = st.floats(low, high, allow_subnormal=False)
        return np.array(draw(st.lists(numbers, min_size=owners, max_size=owners)))

    scale = draw(st.sampled_from([1e-6, 1.0, 1e6]))
    bids = Bids(scale * column(0.0, 2.0), column(0.01, 10.0), np.ones(owners))
    return bids, scale * draw(st.floats(1e-3, 100.0))


@pytest.mark.parametrize("name", RATIONAL)
@given(market=markets())
@settings(max_examples=50)
def test_nobody_loses_by_telling_the_truth(name, market):
    bids, budget = market
    outcome = settle(bids, RULES[name](bids, budget))
    assert individual_rationality(outcome, budget).violations == 0
    assert name not in EXACT or outcome.utility.min() >= 0.0


@pytest.mark.parametrize("name", WITHIN_BUDGET)
@given(market=markets())
@settings(max_examples=50)
def test_payments_keep_within_the_budget(name, market):
    bids, budget = market
    sale = RULES[name](bids, budget)
    assert (sale.payment >= 0.0).all()
    assert is_budget_feasible(sale, budget)
    assert name not in EXACT or sale.payment.sum() <= budget


@pytest.mark.parametrize("name", WITHIN_CAPS)
@given(market=markets())
@settings(max_examples=50)
def test_nobody_sells_more_than_it_has(name, market):
    bids, budget = market
    sale = RULES[name](bids, budget)
    assert (sale.epsilon >= 0.0).all()
    assert not cap_violations(bids, sale).any()
    assert name not in EXACT or (sale.epsilon <= bids.privacy_budget).all()


@given(market=markets(), unit=st.sampled_from([1e-3, 1e3]))
@settings(max_examples=50)
def test_the_trained_auction_knows_no_unit_of_money_or_epsilon(market, unit):
    bids, budget = market
    sale = RULES["mfg_regretnet"](bids, budget)
    money = RULES["mfg_regretnet"](Bids.of_equals(unit * bids.valuation, bids.privacy_budget), unit * budget)
    np.testing.assert_allclose(money.epsilon, sale.epsilon, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(money.payment, unit * sale.payment, rtol=1e-6, atol=1e-12 * unit)
    privacy = RULES["mfg_regretnet"](Bids.of_equals(bids.valuation / unit, unit * bids.privacy_budget), budget)
    np.testing.assert_allclose(privacy.epsilon, unit * sale.epsilon, rtol=1e-6, atol=1e-12 * unit)
    np.testing.assert_allclose(privacy.payment, sale.payment, rtol=1e-6, atol=1e-12 * budget)
