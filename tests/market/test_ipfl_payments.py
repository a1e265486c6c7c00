from math import fsum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sharing_markets import PENALTY, buyers_of, random_market, with_cost

import market.ipfl.bundle
import market.ipfl.payments
from market.ipfl import BundleTooHard, SharingRules, SharingTypes, clear, play_round
from market.ipfl.bundle import best_bundle
from market.ipfl.gain import collaboration_gain
from market.ipfl.offers import offers_to
from market.ipfl.payments import exactly_summable, purchases

SEEDS = st.integers(0, 10**6)
RULES = ["ipfl", "critical", "vcg"]
STOP_RULES = ["break", "skip"]
ALL_RULES = [("ipfl", "break"), ("ipfl", "skip"), ("critical", "break"), ("critical", "skip"), ("vcg", "break")]


@given(seed=SEEDS, equal_sizes=st.booleans(), stop_rule=st.sampled_from(STOP_RULES))
def test_ipfl_pays_the_marginal_gain_less_the_dissimilarity(seed, equal_sizes, stop_rule):
    types, distance = random_market(seed, equal_sizes=equal_sizes)
    found = clear(types, distance, SharingRules(PENALTY, "ipfl", stop_rule))
    for i, buyer in enumerate(buyers_of(types, distance)):
        bought = sum(buyer.size[j] for j in np.flatnonzero(found.chosen[i]))
        for j in np.flatnonzero(found.chosen[i]):
            expected = buyer.gain(bought) - buyer.gain(bought - buyer.size[j]) - buyer.penalty[j]
            assert found.payment[i, j] == pytest.approx(expected, abs=1e-9)
    assert (found.payment[~found.chosen] == 0).all()


@given(seed=st.integers(0, 300), equal_sizes=st.booleans(), stop_rule=st.sampled_from(STOP_RULES))
def test_critical_pays_the_highest_cost_at_which_the_seller_is_still_chosen(seed, equal_sizes, stop_rule):
    types, distance = random_market(seed, 6, equal_sizes=equal_sizes, clusters=2)
    found = clear(types, distance, SharingRules(PENALTY, "critical", stop_rule))
    for i, j in np.argwhere(found.chosen)[:3]:
        for offset, still in ((-1e-6, True), (1e-6, False)):
            dearer = with_cost(types, j, found.payment[i, j] + offset)
            assert (j in buyers_of(dearer, distance)[i].bundle(stop_rule)) == still


@given(seed=st.integers(0, 300), equal_sizes=st.booleans())
def test_vcg_buys_the_best_bundle_and_pays_what_the_seller_adds_to_it(seed, equal_sizes):
    types, distance = random_market(seed, 6, equal_sizes=equal_sizes, clusters=2)
    found = clear(types, distance, SharingRules(PENALTY, "vcg"))
    for i, buyer in enumerate(buyers_of(types, distance)):
        best, surplus = buyer.best_bundle()
        assert set(np.flatnonzero(found.chosen[i]).tolist()) == best
        for j in best:
            pivot = buyer.cost[j] + surplus - buyer.best_bundle(without=j)[1]
            assert found.payment[i, j] == pytest.approx(pivot, abs=1e-9)


@pytest.mark.parametrize(("payment_rule", "stop_rule"), ALL_RULES)
@given(seed=SEEDS, owners=st.sampled_from([8, 30]), equal_sizes=st.booleans())
def test_no_seller_gets_less_than_its_cost_and_no_buyer_pays_more_than_it_gains(
    payment_rule, stop_rule, seed, owners, equal_sizes
):
    types, distance = random_market(seed, owners, equal_sizes=equal_sizes)
    outcome = play_round(types, types, distance, SharingRules(PENALTY, payment_rule, stop_rule))
    buyer, seller = np.nonzero(outcome.adjacency)
    assert (outcome.payment[buyer, seller] > types.sharing_cost[seller] - 1e-9).all()
    assert (outcome.gain - outcome.payment.sum(axis=1)).min() >= -1e-9


@given(seed=SEEDS, owners=st.sampled_from([8, 30]), equal_sizes=st.booleans(), stop_rule=st.sampled_from(STOP_RULES))
def test_the_critical_payment_is_never_above_the_published_one(seed, owners, equal_sizes, stop_rule):
    types, distance = random_market(seed, owners, equal_sizes=equal_sizes)
    published = clear(types, distance, SharingRules(PENALTY, "ipfl", stop_rule))
    critical = clear(types, distance, SharingRules(PENALTY, "critical", stop_rule))
    assert np.array_equal(published.chosen, critical.chosen)
    assert (critical.payment <= published.payment + 1e-9).all()


@pytest.mark.parametrize(("payment_rule", "stop_rule"), ALL_RULES)
def test_a_seller_has_no_hand_in_its_payment_but_by_being_chosen(payment_rule, stop_rule):
    types, distance = random_market(11, 20)
    rules = SharingRules(PENALTY, payment_rule, stop_rule)
    before = clear(types, distance, rules)
    seller = int(before.chosen.sum(axis=0).argmax())
    after = clear(with_cost(types, seller, 0.99 * float(types.sharing_cost[seller])), distance, rules)
    same = (before.chosen == after.chosen).all(axis=1) & before.chosen[:, seller]
    assert same.any()
    assert after.payment[same, seller] == pytest.approx(before.payment[same, seller], abs=1e-9)


@pytest.mark.parametrize("payment_rule", RULES)
@given(seed=SEEDS, owners=st.sampled_from([2, 8, 60]))
def test_what_owners_pay_and_get_adds_up_to_exactly_nothing(payment_rule, seed, owners):
    types, distance = random_market(seed, owners)
    outcome = play_round(types, types, distance, SharingRules(PENALTY, payment_rule))
    assert outcome.balance == fsum(outcome.net_payment) == sum(outcome.net_payment[::-1]) == 0.0


def test_transfers_of_two_hundred_owners_with_very_unequal_types_add_up_to_exactly_nothing():
    types, distance = random_market(2, 200)
    wild = SharingTypes(types.gain_scale * np.geomspace(1e-3, 1e6, 200), types.data_size, types.sharing_cost)
    outcome = play_round(wild, wild, distance, SharingRules(PENALTY))
    assert np.abs(outcome.net_payment).max() > 300
    assert sum(outcome.net_payment) == 0.0


@given(seed=SEEDS)
def test_rounding_for_exact_sums_changes_payments_by_next_to_nothing(seed):
    payment = np.random.default_rng(seed).exponential(size=(9, 9)) ** 3
    rounded = exactly_summable(payment)
    assert np.abs(rounded - payment).max() <= 2**-52 * payment.sum()
    assert fsum(rounded.ravel()) == rounded.sum(axis=1).sum() == rounded[::-1].sum(axis=0).sum()
    assert exactly_summable(0 * payment).sum() == 0.0


def test_many_edges_are_priced_in_pieces_with_the_same_result(monkeypatch):
    offers = offers_to(*random_market(7, 40), PENALTY)
    whole = purchases(offers, "critical", "break")
    monkeypatch.setattr(market.ipfl.payments, "_NUMBERS_AT_ONCE", 1)
    pieces = purchases(offers, "critical", "break")
    assert whole.chosen.sum() > 40
    assert np.array_equal(pieces.payment, whole.payment)


def test_a_bundle_that_would_take_too_much_memory_is_refused(monkeypatch):
    monkeypatch.setattr(market.ipfl.bundle, "_ALIVE_AT_MOST", 3)
    size = np.array([1000.0, 1010.0, 1030.0, 1070.0, 1150.0, 1310.0])
    with pytest.raises(BundleTooHard, match="the best bundle of 6 sellers cannot be found exactly"):
        best_bundle(1e7, 1000.0, size, 4e-3 * size, np.ones(6, dtype=np.bool_))


@pytest.mark.parametrize("payment_rule", ["ipfl", "critical", "vcg"])
def test_rounding_never_pays_a_seller_less_than_the_cost_it_named(payment_rule):
    # Penalties so near to the gain that the difference is all rounding.
    chance = np.random.default_rng(4)
    for _ in range(300):
        size, scale = chance.integers(20, 200, 3).astype(float), np.full(3, 8000.0)
        types = SharingTypes(scale, size, np.zeros(3))
        gain = collaboration_gain(scale[:, None], size[:, None], np.broadcast_to(size, (3, 3)))
        distance = gain * size[:, None] / size * chance.choice([1.0, 1 - 1e-16, 1 - 2e-16], (3, 3))
        bought = purchases(offers_to(types, distance, 1.0), payment_rule, "break")
        assert (bought.payment >= 0.0).all()
