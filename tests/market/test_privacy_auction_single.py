"""Hidden layers in single precision: large markets only, and sales as in double precision."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from market.privacy_auction.bids import Bids
from market.privacy_auction.networks import columns, single
from market.privacy_auction.networks.shipped import NETWORKS, shipped
from market.privacy_auction.networks.single import SingleTrunk, for_owners

HASTY = ("regretnet", "dm_regretnet", "mfg_regretnet_free_markup", "mfg_regretnet_paper")


def market(owners: int) -> tuple[Bids, float]:
    chance = np.random.default_rng(owners)
    bids = Bids.of_equals(chance.uniform(0, 1, owners), chance.uniform(0.1, 5, owners))
    return bids, 0.6 * float(bids.valuation @ bids.privacy_budget)


@pytest.mark.parametrize("name", HASTY)
def test_a_large_market_sells_what_it_sells_in_double_precision(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bids, budget = market(6000)
    exact = columns.clear(shipped(name), bids, budget)
    monkeypatch.setattr(single, "LARGE", 5000)
    found = columns.clear(shipped(name), bids, budget)
    assert not np.array_equal(found.payment, exact.payment), "it is another computation"
    np.testing.assert_allclose(found.epsilon, exact.epsilon, rtol=0, atol=1e-6 * exact.epsilon.max())
    np.testing.assert_allclose(found.payment, exact.payment, rtol=0, atol=1e-6 * exact.payment.max())
    assert found.payment.sum() <= budget


@pytest.mark.parametrize("name", NETWORKS)
def test_small_markets_and_narrow_networks_stay_in_double_precision(name: str) -> None:
    network = shipped(name)
    assert for_owners(network, single.LARGE - 1) is network
    assert (for_owners(network, single.LARGE) is network) == (name == "mfg_regretnet")
    assert not isinstance(network.trunk, SingleTrunk), "the shipped network is not touched"


def test_a_close_choice_is_made_in_double_precision() -> None:
    """Two levels that are nearly the same to everybody: single precision would choose by rounding."""
    trunk = copy.deepcopy(shipped("dm_regretnet").trunk)
    trunk.last.weight[1:9], trunk.last.bias[2:9] = 0.0, -100.0
    trunk.last.weight[1], trunk.last.bias[1] = trunk.last.weight[0], trunk.last.bias[0] + 1e-10
    features = torch.from_numpy(np.random.default_rng(1).random((300, 8)))
    assert torch.equal(SingleTrunk(trunk, options=9)(features), trunk(features))
    assert not torch.equal(SingleTrunk(trunk)(features), trunk(features))
    assert (trunk(features)[:, :9].argmax(dim=-1) == 1).all()
