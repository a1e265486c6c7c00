import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sharing_markets import PENALTY, buyers_of, random_market, with_cost

from market.ipfl import SharingRules, SharingTypes, clear
from market.ipfl.bundle import best_bundle
from market.ipfl.clearing import flip_gains
from market.ipfl.greedy import greedy_purchases
from market.ipfl.offers import offers_to

SEEDS = st.integers(0, 10**6)
STOP_RULES = ["break", "skip"]


def graph(types, distance, stop_rule="break"):
    return greedy_purchases(offers_to(types, distance, PENALTY), stop_rule)


def alike(owners, penalty, cost=1.0):
    """Owners that differ in nothing, K / N = 100, with the same dissimilarity penalty for every pair."""
    types = SharingTypes(np.full(owners, 5e5), np.full(owners, 5000.0), np.full(owners, cost))
    return types, np.full((owners, owners), penalty / PENALTY)


# ---- who buys from whom -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("penalty", "purchases"), [(0.29, 2), (0.31, 1), (1.92, 1), (1.94, 0)])
def test_equal_owners_buy_as_many_models_as_the_marginal_gains_allow(penalty, purchases):
    # Marginal gains are 2.9289, 1.2976 and 0.7735; the cost is 1.
    found = graph(*alike(10, penalty))
    assert (found.sum(axis=1) == purchases).all()


@pytest.mark.parametrize("stop_rule", STOP_RULES)
@given(seed=SEEDS, equal_sizes=st.booleans())
def test_the_graph_is_box_2(stop_rule, seed, equal_sizes):
    types, distance = random_market(seed, equal_sizes=equal_sizes)
    found = graph(types, distance, stop_rule)
    expected = [buyer.bundle(stop_rule) for buyer in buyers_of(types, distance)]
    assert [set(np.flatnonzero(row).tolist()) for row in found] == expected


@pytest.mark.parametrize("stop_rule", STOP_RULES)
def test_the_graph_of_two_hundred_owners_is_box_2(stop_rule):
    types, distance = random_market(5, 200)
    found = graph(types, distance, stop_rule)
    for buyer in (0, 77, 199):
        assert set(np.flatnonzero(found[buyer]).tolist()) == buyers_of(types, distance)[buyer].bundle(stop_rule)


def test_among_equals_those_with_lower_numbers_are_bought():
    found = graph(*alike(6, 0.29))
    assert [np.flatnonzero(row).tolist() for row in found] == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1], [0, 1]]


def test_roles_follow_from_the_types():
    types, distance = random_market(3, 12)
    types.gain_scale[[0, 5]] = 0.0
    types.sharing_cost[[1, 7]] = 1000.0
    types.sharing_cost[2] = np.inf
    found = graph(types, distance)
    assert found.any()
    assert not found[[0, 5]].any(), "who gains nothing buys nothing"
    assert not found[:, [1, 2, 7]].any(), "who asks too much, or does not sell, sells nothing"
    assert not found.diagonal().any()


def test_a_free_seller_of_the_same_model_is_bought_by_everybody_who_gains():
    types, distance = random_market(4)
    types.sharing_cost[3] = 0.0
    distance[:, 3] = 0.0
    assert graph(types, distance)[:, 3].sum() == len(types) - 1


@pytest.mark.parametrize(("cost", "stop_rule", "buys"), [(31.5, "break", 0), (31.5, "skip", 1), (np.inf, "break", 1)])
def test_a_large_seller_that_is_never_worth_its_price_stops_the_printed_rule(cost, stop_rule, buys):
    # All of its data is worth 30.9 to owner 0, but its threshold is above that of the small seller. An infinite cost
    # has no threshold.
    sizes = np.array([500.0, 1e6, 2000.0])
    types = SharingTypes(np.array([5e5, 0.0, 0.0]), sizes, np.array([9.0, cost, 1.0]))
    assert graph(types, np.zeros((3, 3)), stop_rule)[0].tolist() == [False, False, bool(buys)]


@given(seed=SEEDS, equal_sizes=st.booleans(), factor=st.floats(1.01, 10), owner=st.integers(0, 7))
def test_a_higher_cost_never_brings_a_new_buyer(seed, equal_sizes, factor, owner):
    types, distance = random_market(seed, equal_sizes=equal_sizes)
    dearer = with_cost(types, owner, factor * float(types.sharing_cost[owner]))
    for stop_rule in STOP_RULES:
        before, after = graph(types, distance, stop_rule)[:, owner], graph(dearer, distance, stop_rule)[:, owner]
        assert not (after & ~before).any()


@given(seed=SEEDS)
def test_the_numbering_of_owners_does_not_matter(seed):
    types, distance = random_market(seed, 12)
    order = np.random.default_rng(seed).permutation(12)
    shuffled = SharingTypes(types.gain_scale[order], types.data_size[order], types.sharing_cost[order])
    found = graph(shuffled, distance[order][:, order])
    assert np.array_equal(found, graph(types, distance)[order][:, order])


def test_buyers_can_be_decided_apart_from_each_other():
    types, distance = random_market(9, 30)
    some = np.array([2, 11, 29])
    assert np.array_equal(
        greedy_purchases(offers_to(types, distance, PENALTY, some), "skip"), graph(types, distance, "skip")[some]
    )


# ---- how good the graph is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_rule", STOP_RULES)
@given(seed=SEEDS)
def test_with_equal_sizes_no_single_change_of_the_graph_helps_its_buyer(stop_rule, seed):
    types, distance = random_market(seed, equal_sizes=True)
    offers = offers_to(types, distance, PENALTY)
    assert flip_gains(offers, greedy_purchases(offers, stop_rule)).max() <= 1e-9


@given(seed=SEEDS)
def test_with_any_sizes_no_removal_helps_and_with_skip_no_addition(seed):
    types, distance = random_market(seed, 20)
    offers = offers_to(types, distance, PENALTY)
    printed, mended = greedy_purchases(offers, "break"), greedy_purchases(offers, "skip")
    assert flip_gains(offers, printed)[printed].max(initial=0.0) <= 1e-9
    assert flip_gains(offers, mended).max() <= 1e-9


def test_with_unequal_sizes_the_printed_rule_leaves_additions_that_would_help():
    missed = 0
    for seed in range(100):
        offers = offers_to(*random_market(seed), PENALTY)
        chosen = greedy_purchases(offers, "break")
        missed += int(((flip_gains(offers, chosen) > 1e-9) & ~chosen).any(axis=1).sum())
    assert missed > 20  # of 800 buyers


@given(seed=SEEDS)
def test_what_a_flip_saves_is_the_change_of_the_buyers_objective(seed):
    types, distance = random_market(seed, 5)
    offers = offers_to(types, distance, PENALTY)
    chosen = np.random.default_rng(seed).random((5, 5)) < 0.4
    np.fill_diagonal(chosen, False)
    saved = flip_gains(offers, chosen)
    assert np.isneginf(saved.diagonal()).all()
    for i, buyer in enumerate(buyers_of(types, distance)):
        now = set(np.flatnonzero(chosen[i]).tolist())
        for j in buyer.size:
            change = buyer.objective(tuple(now)) - buyer.objective(tuple(now ^ {j}))
            assert saved[i, j] == pytest.approx(change, abs=1e-9)


def test_with_equal_sizes_the_greedy_graph_is_the_best_of_all_graphs():
    for seed in range(10):
        types, distance = random_market(seed, 4, equal_sizes=True, clusters=2)
        buyers = buyers_of(types, distance)
        pairs = [(i, j) for i in range(4) for j in range(4) if i != j]

        def total(edges, buyers=buyers):
            return sum(buyer.objective(tuple(j for i, j in edges if i == k)) for k, buyer in enumerate(buyers))

        every = itertools.product([False, True], repeat=12)
        best = min(total(tuple(itertools.compress(pairs, chosen))) for chosen in every)
        found = [(int(i), int(j)) for i, j in np.argwhere(graph(types, distance))]
        assert total(found) == pytest.approx(best, abs=1e-9)


def test_with_unequal_sizes_the_greedy_graph_falls_short_of_the_best_and_skip_by_less():
    shares = {}
    for stop_rule in STOP_RULES:
        ratios = []
        for seed in range(40):
            types, distance = random_market(seed)
            buyers, found = buyers_of(types, distance), graph(types, distance, stop_rule)
            greedy = -sum(b.objective(tuple(np.flatnonzero(row))) for b, row in zip(buyers, found, strict=True))
            ratios.append(greedy / sum(buyer.best_bundle()[1] for buyer in buyers))
        shares[stop_rule] = np.mean(ratios)
        assert max(ratios) <= 1 + 1e-9
    assert 0.6 < shares["break"] < 0.95
    assert 0.95 < shares["skip"] < 1.0


# ---- the best bundle ----------------------------------------------------------------------------------------------


@given(seed=SEEDS, equal_sizes=st.booleans(), scale=st.sampled_from([0.0, 3e5, 5e6, 1e8]))
def test_the_best_bundle_is_the_best_of_all_bundles(seed, equal_sizes, scale):
    types, distance = random_market(seed, 9, equal_sizes=equal_sizes)
    types.gain_scale[0] = scale
    buyer, offers = buyers_of(types, distance)[0], offers_to(types, distance, PENALTY)
    found = best_bundle(scale, buyer.held, offers.size[0], offers.price[0], offers.available[0])
    expected, surplus = buyer.best_bundle()
    assert found.surplus == pytest.approx(surplus, abs=1e-9)
    assert -buyer.objective(tuple(np.flatnonzero(found.chosen))) == pytest.approx(surplus, abs=1e-9)
    if not equal_sizes:
        assert set(np.flatnonzero(found.chosen).tolist()) == expected


def test_the_best_bundle_of_many_similar_sellers_satisfies_every_exchange_of_two():
    chance = np.random.default_rng(0)
    size = chance.integers(500, 12000, 120).astype(np.float64)
    price = size * 1e-4 * chance.uniform(0.9, 1.1, 120)
    found = best_bundle(1e9, 1000.0, size, price, np.ones(120, dtype=np.bool_))
    assert 20 < found.chosen.sum() < 110
    bought, paid = size[found.chosen].sum(), price[found.chosen].sum()
    assert found.surplus == pytest.approx(np.sqrt(1e6) - np.sqrt(1e9 / (1000 + bought)) - paid)
    out, put = np.flatnonzero(found.chosen), np.flatnonzero(~found.chosen)
    totals = 1000 + bought - size[out][:, None] + size[put]
    exchanged = np.sqrt(1e6) - np.sqrt(1e9 / totals) - (paid - price[out][:, None] + price[put])
    assert exchanged.max() <= found.surplus + 1e-9


# ---- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda types, distance: distance[:4], r"must be \[5, 5\], got \[4, 5\]"),
        (lambda types, distance: -distance, "distances must be numbers of at least 0"),
        (lambda types, distance: distance * np.nan, "distances must be numbers of at least 0"),
    ],
)
def test_distances_that_do_not_fit_are_refused(change, complaint):
    types, distance = random_market(0, 5)
    with pytest.raises(ValueError, match=complaint):
        clear(types, change(types, distance), SharingRules(PENALTY))


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        (([1.0, 1.0], [1.0], [1.0]), "of one length"),
        (([-1.0], [1.0], [1.0]), "gain scales must be"),
        (([np.nan], [1.0], [1.0]), "gain scales must be"),
        (([1.0], [0.0], [1.0]), "data sizes must be"),
        (([1.0], [np.inf], [1.0]), "data sizes must be"),
        (([1.0], [1.0], [-0.1]), "sharing costs must be"),
        (([1.0], [1.0], [np.nan]), "sharing costs must be"),
    ],
)
def test_types_that_cannot_be_are_refused(columns, complaint):
    with pytest.raises(ValueError, match=complaint):
        SharingTypes(*map(np.array, columns))


def test_negative_distances_on_the_diagonal_are_rounding_and_are_not_looked_at():
    types, distance = random_market(0, 5)
    exact = clear(types, distance, SharingRules(PENALTY))
    np.fill_diagonal(distance, -1e-16)
    assert np.array_equal(clear(types, distance, SharingRules(PENALTY)).payment, exact.payment)
