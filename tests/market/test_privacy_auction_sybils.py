"""False names in the privacy auction: paid for each, privacy lost once by record and added up by owner."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from market.privacy_auction import RULES, Bids
from market.privacy_auction.sybils import composed_epsilon, split_bids, sybil_gain

WORKED = Bids(np.array([0.1, 0.2, 0.3, 0.4]), np.array([2.0, 0.4, 1.5, 3.0]), np.array([10.0, 10.0, 20.0, 30.0]))


def random_bids(seed: int, owners: int = 8) -> Bids:
    chance = np.random.default_rng(seed)
    return Bids(chance.uniform(0.1, 1, owners), chance.uniform(0.2, 5, owners), chance.uniform(1, 50, owners))


def test_names_share_the_data_and_keep_valuation_and_privacy_budget() -> None:
    several = split_bids(WORKED, owner=2, names=4)
    assert several.valuation.tolist() == [0.1, 0.2, 0.4, 0.3, 0.3, 0.3, 0.3]
    assert several.privacy_budget.tolist() == [2.0, 0.4, 3.0, 1.5, 1.5, 1.5, 1.5]
    assert several.data_size.tolist() == [10.0, 10.0, 30.0, 5.0, 5.0, 5.0, 5.0]


def test_two_names_under_shared_payments_by_hand() -> None:
    """mfg_pricing pays B eps / sum eps for each name: with budget 1 the first owner has 2/6.9, then 2 * 2/8.9."""
    found = sybil_gain(RULES["mfg_pricing"], WORKED, 1.0, owner=0, names=2)
    assert found.honest == pytest.approx(2 / 6.9 - 0.1 * 2)
    assert found.split == pytest.approx(4 / 8.9 - 0.1 * 2)
    assert found.gain > 0


def composed(epsilons: list[float], delta: float = 1e-5) -> float:
    """What Gaussian releases of these epsilons about the same data come to, from the definition alone."""

    def excess(epsilon: float, mu: float) -> float:
        return float(norm.cdf(mu / 2 - epsilon / mu) - np.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu) - delta)

    mus = [brentq(lambda mu, e=epsilon: excess(e, mu), 1e-3, 10.0) for epsilon in epsilons]
    return float(brentq(lambda epsilon: excess(epsilon, float(np.sqrt(np.square(mus).sum()))), 1e-9, 100.0))


def test_counted_by_owner_the_losses_of_all_names_add_up_as_in_the_ledger() -> None:
    found = sybil_gain(RULES["mfg_pricing"], WORKED, 1.0, owner=0, names=2)
    assert found.composed == pytest.approx(4 / 8.9 - 0.1 * composed([2.0, 2.0]))
    assert composed_epsilon(np.array([0.0, 0.5, 2.0])) == pytest.approx(composed([0.5, 2.0]))
    assert composed_epsilon(np.zeros(3)) == 0.0


@pytest.mark.parametrize("rule", ["pac_capped", "vcg", "all_in", "mfg_pricing"])
@given(seed=st.integers(0, 2**32), owner=st.integers(0, 7))
def test_one_name_changes_nothing(rule: str, seed: int, owner: int) -> None:
    bids = random_bids(seed)
    found = sybil_gain(RULES[rule], bids, 0.5 * float(bids.valuation @ bids.privacy_budget), owner, 1)
    assert found.split == pytest.approx(found.honest, abs=1e-9)
    assert found.composed == pytest.approx(found.honest, abs=1e-6)


def gains(rule: str) -> list[float]:
    """What the cheapest owner of random markets gains with four names."""
    found = []
    for seed in range(12):
        bids = random_bids(seed)
        equal = Bids.of_equals(bids.valuation, bids.privacy_budget)
        budget = 0.5 * float(bids.valuation @ bids.privacy_budget)
        found.append(sybil_gain(RULES[rule], equal, budget, int(np.argmin(bids.valuation)), 4).gain)
    return found


@pytest.mark.parametrize("rule", ["pac", "pac_capped", "vcg", "mfg_pricing", "mfg_regretnet"])
def test_a_rule_that_pays_by_the_head_is_not_proof_against_false_names(rule: str) -> None:
    assert np.mean(gains(rule)) > 0


def test_all_in_pays_by_the_data_so_that_names_bring_nothing() -> None:
    assert max(gains("all_in")) <= 1e-9


def test_at_least_one_name_is_needed() -> None:
    with pytest.raises(ValueError, match="names must be at least 1, got 0"):
        split_bids(WORKED, 0, 0)
