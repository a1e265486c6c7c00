"""Free entry: where a population of equal owners stops growing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.qd_rdfl.entry import entry_utility, equal_owner_utility, free_entry_size
from market.qd_rdfl.equilibrium import Market


def test_an_outside_option_of_a_cent_feeds_eleven():
    assert free_entry_size(2.5, 1.0, 0.01) == 11
    assert equal_owner_utility(2.5, 1.0, 11) >= 0.01 > equal_owner_utility(2.5, 1.0, 12)


def test_owners_who_join_while_it_pays_stop_at_the_theory():
    for outside in (0.002, 0.01, 0.03):
        present = 2
        while entry_utility(Market(np.ones(present)), 1.0) >= outside:
            present += 1
        assert present == free_entry_size(2.5, 1.0, outside)


@given(st.floats(0.1, 20.0), st.floats(0.05, 5.0), st.floats(1e-4, 1.0))
def test_the_size_is_the_largest_that_feeds_its_owners(scale, cost, outside):
    sizes = range(2, math.isqrt(math.ceil(scale / outside)) + 3)
    feeding = [size for size in sizes if equal_owner_utility(scale, cost, size) >= outside]
    assert free_entry_size(scale, cost, outside) == max(feeding, default=0)


def test_a_newcomers_prediction_is_what_it_gets():
    market = Market(np.array([0.9, 0.95, 1.0]), cap=np.array([0.2, 0.2, 0.2]))
    assert entry_utility(Market(np.ones(10)), 1.0) == pytest.approx(equal_owner_utility(2.5, 1.0, 11), abs=1e-14)
    assert entry_utility(Market(np.ones(20)), 0.5) == 0.0
    assert 0.0 < entry_utility(market, 1.0, cap=0.01) < entry_utility(market, 1.0)
    assert entry_utility(Market(np.ones(1)), 1.0) == pytest.approx(equal_owner_utility(2.5, 1.0, 2), abs=1e-14)


@pytest.mark.parametrize("outside", [0.0, -1.0, math.inf, math.nan])
def test_without_an_outside_option_there_is_no_end(outside):
    with pytest.raises(ValueError, match="outside_option"):
        free_entry_size(2.5, 1.0, outside)


def test_one_owner_alone_has_no_market():
    assert equal_owner_utility(2.5, 1.0, 1) == equal_owner_utility(2.5, 1.0, 0) == 0.0
