from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from market.ipfl.gain import collaboration_gain, selection_threshold

SCALES, SIZES = st.floats(1e3, 1e8), st.floats(10, 1e6)


def test_the_gain_is_how_much_bought_data_lowers_the_root_of_scale_by_size():
    scale, held, bought = np.array([5e5, 5e5, 0.0]), np.array([5000.0, 5000.0, 10.0]), np.array([10_000.0, 0.0, 7.0])
    assert collaboration_gain(scale, held, bought) == pytest.approx([10 - sqrt(5e5 / 15_000), 0.0, 0.0])


def test_a_gain_too_small_for_a_difference_of_roots_keeps_its_digits():
    small = collaboration_gain(np.array([1.0]), np.array([1e6]), np.array([1e-6]))
    assert small[0] == pytest.approx(0.5 * 1e-6 / 1e9, rel=1e-9, abs=0)  # the derivative times what was added


@given(scale=SCALES, size=SIZES, price=st.floats(1e-3, 1000))
def test_at_the_threshold_the_last_seller_is_worth_its_price(scale, size, price):
    scale, size = max(scale, 1e-2 * size), size
    threshold = float(selection_threshold(np.array([scale]), np.array([size]), np.array([price]))[0])
    assert threshold > size
    left = threshold - size
    rounding = price * threshold * 2e-16 / left  # what the last bit of the threshold is worth
    assert sqrt(scale / left) - sqrt(scale / threshold) == pytest.approx(price, abs=1e-9 * max(1.0, price) + rounding)


@given(scale=SCALES, size=SIZES, price=st.floats(1e-6, 1e3))
def test_the_threshold_is_the_root_that_a_bracketing_solver_finds(scale, size, price):
    found = float(selection_threshold(np.array([scale]), np.array([size]), np.array([price]))[0])

    def excess(logarithm):
        left = np.exp(logarithm)
        return np.log(sqrt(scale) * size / (sqrt(left * (left + size)) * (sqrt(left) + sqrt(left + size))) / price)

    left = np.exp(brentq(excess, -60, 60, xtol=1e-14, rtol=1e-14))
    assert found == pytest.approx(size + left, rel=1e-12)


def test_what_costs_nothing_is_always_worth_it_and_what_has_no_price_never():
    scale, size = np.array([5e5, 5e5, 5e5, 0.0]), np.full(4, 100.0)
    found = selection_threshold(scale, size, np.array([0.0, -1.0, inf, 1.0]))
    assert found.tolist() == [inf, inf, 100.0, 100.0]


def test_prices_and_scales_of_any_magnitude_are_met_without_a_warning():
    scale, size = np.array([1e-300, 1e300, 1e300, 1e-300]), np.array([1e12, 1e-6, 1e12, 1e-6])
    found = selection_threshold(scale, size, np.array([1e300, 1e-300, 1e-300, 1e300]))
    assert (found >= size).all()
    assert not np.isnan(found).any()
