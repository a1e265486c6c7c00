from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.money import MICRO, floor_micro, from_micro, split, to_micro

weights = st.lists(st.floats(0.0, 1e12), min_size=1, max_size=40).filter(lambda shares: sum(shares) > 0.0)


@pytest.mark.parametrize("cents", [29, 57, 58, 115, 1001, 123_456_789])
def test_a_price_in_cents_keeps_every_micro_unit(cents: int) -> None:
    assert int(to_micro(cents / 100)) == cents * 10_000


def test_a_product_that_rounds_low_does_not_lose_a_micro_unit() -> None:
    assert 1.001 * MICRO < 1_001_000
    assert int(to_micro(1.001)) == 1_001_000


def test_real_fractions_of_a_micro_unit_are_cut_off() -> None:
    np.testing.assert_array_equal(to_micro(np.array([0.0, 1.9e-6, 2 / 3, 5.0])), [0, 1, 666_666, 5_000_000])


@given(st.integers(0, 2**50))
def test_whole_micro_units_survive_the_way_to_money_and_back(micro: int) -> None:
    assert int(to_micro(from_micro(micro))) == micro


@given(st.floats(0.0, 1000.0))
def test_rounding_adds_less_than_a_hundred_thousandth_of_a_micro_unit(amount: float) -> None:
    exact = Fraction(amount) * MICRO
    assert exact - 1 < int(to_micro(amount)) <= exact + Fraction(1, 10**5)


@pytest.mark.parametrize("amount", [float("nan"), -0.01, float("inf"), -float("inf"), 1e10])
def test_what_is_no_amount_of_money_is_refused(amount: float) -> None:
    with pytest.raises(ValueError, match="amount of money"):
        to_micro(np.array([1.0, amount]))


def test_micro_units_are_rounded_like_money() -> None:
    np.testing.assert_array_equal(floor_micro(np.array([0.1 * 3 * 10, 2.5])), [3, 2])


@given(st.integers(0, 10**15), weights)
def test_parts_sum_to_the_total_exactly(total: int, shares: list[float]) -> None:
    parts = split(total, np.array(shares))
    assert int(parts.sum()) == total
    assert parts.min() >= 0


@given(st.integers(0, 10**9), weights)
def test_every_part_is_its_exact_quota_rounded_up_or_down(total: int, shares: list[float]) -> None:
    whole = sum(map(Fraction, shares))
    for part, share in zip(split(total, np.array(shares)).tolist(), shares, strict=True):
        assert abs(part - total * Fraction(share) / whole) < 1 + Fraction(1, 10**6)


@given(st.integers(1, 10**9), weights)
def test_nobody_gets_anything_for_a_share_of_zero(total: int, shares: list[float]) -> None:
    parts = split(total, np.array([0.0, *shares, 0.0]))
    assert parts[0] == 0
    assert parts[-1] == 0


@given(st.integers(0, 10**6), st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any))
def test_what_is_left_goes_to_the_largest_remainders_then_to_the_lower_index(total: int, shares: list[int]) -> None:
    quotas = [Fraction(total * share, sum(shares)) for share in shares]
    expected = [quota.numerator // quota.denominator for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda k: (expected[k] - quotas[k], k))
    for k in by_remainder[: total - sum(expected)]:
        expected[k] += 1
    np.testing.assert_array_equal(split(total, np.array(shares, dtype=np.float64)), expected)


def test_huge_totals_are_divided_without_loss() -> None:
    shares = np.random.default_rng(1).random(1000) ** 8
    assert int(split(2**53, shares).sum()) == 2**53


def test_nothing_to_divide_needs_no_shares() -> None:
    np.testing.assert_array_equal(split(0, np.zeros(3)), [0, 0, 0])


@pytest.mark.parametrize(
    ("total", "shares"), [(5, [0.0, 0.0]), (5, []), (-1, [1.0]), (5, [1.0, -1.0]), (5, [float("nan")])]
)
def test_impossible_divisions_are_refused(total: int, shares: list[float]) -> None:
    with pytest.raises(ValueError, match=r"shares|total_micro"):
        split(total, np.array(shares))
