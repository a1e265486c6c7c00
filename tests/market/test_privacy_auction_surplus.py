"""Server value and total surplus: what tells a rule that buys from one that gives the budget away."""

from __future__ import annotations

import math

import numpy as np
import pytest
from auction_oracles import total_cost, uniform_bids
from hypothesis import given
from hypothesis import strategies as st

from market.privacy_auction import RULES, Sale, settle
from market.privacy_auction.bids import nothing
from market.privacy_auction.surplus import server_value, total_surplus

BIDS = uniform_bids(12, 4)


def part(share):
    """The same share of everybody's privacy budget, for free."""
    return Sale(share * BIDS.privacy_budget, np.zeros(len(BIDS)))


def test_buying_everything_is_worth_what_is_declared():
    assert server_value(BIDS, part(1.0), worth=40.0) == pytest.approx(40.0)
    assert server_value(BIDS, part(1.0)) == pytest.approx(total_cost(BIDS))
    assert server_value(BIDS, part(0.5), worth=40.0) == pytest.approx(40.0 * math.log(1.5) / math.log(2.0))


def test_nothing_and_everything_have_no_surplus_and_the_cheap_half_has_some():
    assert total_surplus(BIDS, nothing(len(BIDS))) == 0.0
    assert total_surplus(BIDS, part(1.0)) == pytest.approx(0.0, abs=1e-12)
    assert total_surplus(BIDS, RULES["first_best"](BIDS, 0.3 * total_cost(BIDS))) > 0.0


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_value_rises_and_every_further_epsilon_is_worth_less(one, other):
    low, high = sorted((one, other))
    values = [server_value(BIDS, part(share)) for share in (low, (low + high) / 2, high)]
    assert values[0] <= values[1] <= values[2]
    assert values[1] - values[0] >= values[2] - values[1] - 1e-12


def test_payments_make_no_surplus():
    free = part(0.4)
    paid = Sale(free.epsilon, np.full(len(BIDS), 3.0))
    assert total_surplus(BIDS, paid) == total_surplus(BIDS, free)


def test_surplus_is_what_server_and_owners_gain_together():
    outcome = settle(BIDS, RULES["mfg_regretnet"](BIDS, 0.6 * total_cost(BIDS)))
    server = server_value(BIDS, outcome) - outcome.total_payment
    assert total_surplus(BIDS, outcome) == pytest.approx(server + outcome.social_welfare)
