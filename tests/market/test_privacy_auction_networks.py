"""What neural auctions keep by construction, trained or not, and deviations at the cost of one owner."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from auction_oracles import FACTORS, total_cost, uniform_bids

from market.privacy_auction import Bids, settle
from market.privacy_auction.deviations import grid_regret
from market.privacy_auction.networks.columns import clear, regret, report_of
from market.privacy_auction.networks.context import others
from market.privacy_auction.networks.game import Deviations, Profile, context_terms
from market.privacy_auction.networks.regretnet import indeterminacy
from market.privacy_auction.networks.shipped import NETWORKS, new_network

BY_CONSTRUCTION = ["mfg_regretnet", "mfg_regretnet_free_markup"]
every_network = pytest.mark.parametrize("name", NETWORKS)


def untrained(name, seed=0):
    """A network with random weights, in double precision."""
    return new_network(name, seed).double().eval().requires_grad_(False)


def profile_of(*bids_and_budgets):
    """Profiles of equal size as one batch."""
    report = torch.stack([report_of(bids) for bids, _ in bids_and_budgets])
    return Profile(report, torch.tensor([budget for _, budget in bids_and_budgets], dtype=torch.float64))


def binding_profile(owners, seeds, factor=0.3):
    return profile_of(*((bids, factor * total_cost(bids)) for bids in (uniform_bids(owners, s) for s in seeds)))


# ---- by construction ----------------------------------------------------------------------------------------------


@every_network
def test_owners_in_another_order_get_the_same(name):
    network, bids = untrained(name), uniform_bids(25)
    order = np.random.default_rng(1).permutation(25)
    budget = 0.4 * total_cost(bids)
    for one, other in zip(clear(network, bids, budget), clear(network, bids.take(order), budget), strict=True):
        np.testing.assert_allclose(one[order], other, atol=1e-6)


@every_network
@pytest.mark.parametrize("owners", [1, 5, 50, 1000])
def test_the_same_weights_serve_any_number_of_owners(name, owners):
    bids = uniform_bids(owners)
    sale = clear(untrained(name), bids, 0.5 * total_cost(bids))
    assert sale.epsilon.shape == sale.payment.shape == (owners,)
    assert np.isfinite(sale.epsilon).all()
    assert np.isfinite(sale.payment).all()


@every_network
def test_columns_are_cleared_as_a_batch_is(name):
    network, bids = untrained(name), uniform_bids(40)
    budget = 0.3 * total_cost(bids)
    sold = network(profile_of((bids, budget)))
    sale = clear(network, bids, budget)
    np.testing.assert_allclose(sale.epsilon, sold.epsilon[0].numpy(), rtol=1e-9)
    np.testing.assert_allclose(sale.payment, sold.payment[0].numpy(), rtol=1e-9)


def test_a_market_of_many_pieces_is_cleared_as_one(monkeypatch):
    network, bids = untrained("mfg_regretnet"), uniform_bids(1000)
    whole = clear(network, bids, 20.0)
    monkeypatch.setattr("market.privacy_auction.networks.columns._OWNERS_AT_ONCE", 7)
    pieces = clear(network, bids, 20.0)
    np.testing.assert_allclose(pieces.payment, whole.payment, rtol=1e-12)


@pytest.mark.parametrize("name", BY_CONSTRUCTION)
def test_untrained_weights_break_neither_rationality_nor_budget_nor_caps(name):
    for seed in range(5):
        network = untrained(name, seed)
        for owners in (1, 2, 10, 300):
            for factor in (*FACTORS, 20.0):
                bids = uniform_bids(owners, seed)
                budget = factor * total_cost(bids)
                outcome = settle(bids, clear(network, bids, budget))
                assert outcome.utility.min() >= 0.0
                assert outcome.total_payment <= budget
                assert sum(outcome.payment.tolist()) <= budget  # in another order of summation
                assert (outcome.epsilon <= bids.privacy_budget).all()


@every_network
def test_payments_keep_within_the_budget_whatever_the_weights(name):
    for seed in range(5):
        bids = uniform_bids(10, seed)
        budget = 0.05 * total_cost(bids)
        assert clear(untrained(name, seed), bids, budget).payment.sum() <= budget * (1 + 1e-6)


def test_scaling_payments_alone_would_make_owners_lose():
    network, bids = untrained("mfg_regretnet"), uniform_bids(10)
    budget = 0.2 * total_cost(bids)
    own, total = network.quantities(profile_of((bids, budget)))
    raw_epsilon, raw_payment = own[0].T.numpy()
    scale = budget / float(total)
    assert scale < 1
    assert (scale * raw_payment - bids.valuation * raw_epsilon).min() < -1e-3
    assert settle(bids, clear(network, bids, budget)).utility.min() >= 0


def test_where_the_budget_does_not_bind_lies_never_pay_even_before_training():
    # The envelope ties payment to allocation, and an owner's own report does not enter its own terms.
    for seed in range(2):
        network, bids = untrained("mfg_regretnet", seed), uniform_bids(10, seed)
        found = regret(network, bids, 1000 * total_cost(bids))
        assert clear(network, bids, 1000 * total_cost(bids)).payment.sum() < 999 * total_cost(bids)
        assert found.mean < 1e-9


def test_payment_is_the_area_under_the_curve_of_supply():
    # Myerson: p(v) = v x(v) + the integral of x from v upwards, here by numerical quadrature.
    network, bids = untrained("mfg_regretnet"), uniform_bids(6)
    budget = 1e6
    valuations = np.linspace(0.0, 40.0, 400_001)
    sums = context_terms(report_of(bids)).sum(dim=0)
    report = np.stack([valuations, np.full(len(valuations), bids.privacy_budget[0])], axis=-1)
    deviation = torch.from_numpy(report)
    moved = sums + context_terms(deviation) - context_terms(report_of(bids)[0])
    epsilon, payment = network.own(deviation, moved, 6, torch.tensor(budget)).T.numpy()
    upper = np.trapezoid(epsilon[::-1], valuations[::-1])
    for place in (0, 5_000, 20_000):
        area = -upper - np.trapezoid(epsilon[: place + 1], valuations[: place + 1])
        assert payment[place] == pytest.approx(valuations[place] * epsilon[place] + area, rel=1e-5)


def test_the_paper_s_parametrisation_sells_one_owner_at_most_and_lets_owners_lose():
    losers = 0
    for seed in range(5):
        network, bids = untrained("mfg_regretnet_paper", seed), uniform_bids(10, seed)
        budget = 0.2 * total_cost(bids)
        outcome = settle(bids, clear(network, bids, budget))
        assert (outcome.epsilon / bids.privacy_budget).sum() <= 1 + 1e-6
        assert outcome.total_payment <= budget * (1 + 1e-6)
        weight = outcome.epsilon / outcome.epsilon.sum()
        assert weight.sum() == pytest.approx(1.0, abs=1e-9)
        for scarce in (budget, 0.01 * budget):
            losers += int((settle(bids, clear(network, bids, scarce)).utility < -1e-6).sum())
    assert losers > 0


def test_dm_regretnet_chooses_one_level_outright_and_softly_while_it_trains():
    network, bids = untrained("dm_regretnet"), uniform_bids(200)
    budget = 0.5 * total_cost(bids)
    levels = 8 * clear(network, bids, budget).epsilon / bids.privacy_budget
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-12)
    own, _ = network.quantities(profile_of((bids, budget)))
    assert network.indeterminacy(own).abs().max() <= 1e-6
    own, _ = network.train().quantities(profile_of((bids, budget)))
    assert network.indeterminacy(own).min() > 0.01


def test_indeterminacy_runs_from_nothing_to_m_parts_of_m_plus_one():
    levels = torch.stack([torch.eye(9, dtype=torch.float64)[3], torch.full((9,), 1 / 9, dtype=torch.float64)])
    np.testing.assert_allclose(indeterminacy(levels), [0.0, 8 / 9], atol=1e-12)


# ---- the mean field and deviations --------------------------------------------------------------------------------


def test_the_mean_field_moves_with_the_deviator_as_if_computed_anew():
    bids = uniform_bids(12)
    report = report_of(bids)
    changed = report.clone()
    changed[4] = torch.tensor([1.3, 0.2], dtype=torch.float64)
    moved = context_terms(report).mean(dim=0) + (context_terms(changed[4]) - context_terms(report[4])) / 12
    np.testing.assert_allclose(moved, context_terms(changed).mean(dim=0), atol=1e-12)


def test_an_owner_s_report_moves_the_terms_of_the_others_and_not_its_own():
    report = report_of(uniform_bids(8))
    changed = report.clone()
    changed[2, 0] = 1.4
    before, after = (
        others(each, context_terms(each).sum(dim=0), 8, torch.tensor(3.0, dtype=torch.float64))
        for each in (report, changed)
    )
    assert after.price[2] == pytest.approx(float(before.price[2]), rel=1e-12)
    np.testing.assert_allclose(after.shape[2], before.shape[2], atol=1e-12)
    rest = [0, 1, 3, 4, 5, 6, 7]
    assert (after.price[rest] > before.price[rest]).all()
    assert before.price[2] == pytest.approx(float(report[[0, 1, 3, 4, 5, 6, 7], 0].mean()))


@every_network
def test_the_exact_deviation_is_the_market_cleared_again(name):
    network, bids = untrained(name), uniform_bids(9)
    budget = 0.3 * total_cost(bids)
    lie = torch.stack([torch.linspace(0, 1.4, 9), 0.5 * torch.from_numpy(bids.privacy_budget)], dim=-1).double()
    sold = Deviations(network, profile_of((bids, budget)), "exact").sold(lie[None])
    for owner in range(9):
        valuation, cap = bids.valuation.copy(), bids.privacy_budget.copy()
        valuation[owner], cap[owner] = lie[owner].tolist()
        sale = clear(network, Bids.of_equals(valuation, cap), budget)
        assert float(sold.epsilon[0, owner]) == pytest.approx(sale.epsilon[owner], rel=1e-9)
        assert float(sold.payment[0, owner]) == pytest.approx(sale.payment[owner], rel=1e-9)


@every_network
@pytest.mark.parametrize("mode", ["exact", "frozen", "first_order"])
def test_to_deviate_to_the_truth_is_not_to_deviate(name, mode):
    network, profile = untrained(name), binding_profile(6, range(3))
    deviations = Deviations(network, profile, mode)
    honest, again = network(profile), deviations.sold(profile.report)
    for sold in (deviations.truthful(), again):
        np.testing.assert_allclose(sold.epsilon, honest.epsilon, rtol=1e-9)
        np.testing.assert_allclose(sold.payment, honest.payment, rtol=1e-9)


def test_some_owners_deviate_as_they_do_among_all():
    network, profile = untrained("mfg_regretnet"), binding_profile(20, range(2))
    rows = torch.tensor([3, 11, 17])
    lie = 0.7 * profile.report
    for mode in ("exact", "frozen", "first_order"):
        everybody = Deviations(network, profile, mode).sold(lie)
        some = Deviations(network, profile, mode, rows).sold(lie[:, rows])
        np.testing.assert_allclose(some.payment, everybody.payment[:, rows], rtol=1e-12)


@pytest.mark.parametrize("name", BY_CONSTRUCTION)
def test_frozen_deviations_err_by_one_over_n_and_first_order_ones_by_its_square(name):
    network, sizes = untrained(name, 3), [10, 20, 40, 80, 160, 320, 640]
    errors = {"frozen": [], "first_order": []}
    for owners in sizes:
        profile = binding_profile(owners, range(8))
        rows = torch.arange(10)
        lie = profile.report[:, rows] * torch.tensor([1.6, 0.8], dtype=torch.float64)
        exact = Deviations(network, profile, "exact", rows).sold(lie).payment
        for mode, found in errors.items():
            sold = Deviations(network, profile, mode, rows).sold(lie).payment
            found.append(float((sold - exact).abs().mean()))
    for mode, slope in (("frozen", -1.0), ("first_order", -2.0)):
        assert np.polyfit(np.log(sizes), np.log(errors[mode]), 1)[0] == pytest.approx(slope, abs=0.3)


@every_network
def test_regret_of_a_network_is_no_less_than_the_plain_grid_finds(name):
    network, bids = untrained(name), uniform_bids(3)
    budget = 0.3 * total_cost(bids)
    plain = grid_regret(lambda said, money: clear(network, said, money), bids, budget)
    found = regret(network, bids, budget)
    assert (found.gain >= plain.gain - 1e-9).all()
    assert found.mean_cost == pytest.approx(plain.mean_cost)


def test_the_mean_field_is_reached_at_one_over_the_root_of_n():
    network = untrained("mfg_regretnet")
    factor, chance = 0.3 * 1.275, np.random.default_rng(0)
    own = Bids.of_equals(np.array([0.4]), np.array([2.0]))
    limit = None
    sizes, errors, bid_errors = [200_000, 100, 400, 1600, 6400], [], []
    for owners in sizes:
        payments, means = [], []
        for _ in range(1 if limit is None else 120):
            valuation, cap = chance.uniform(0, 1, owners), chance.uniform(0.1, 5, owners)
            valuation[0], cap[0] = own.valuation[0], own.privacy_budget[0]
            payments.append(clear(network, Bids.of_equals(valuation, cap), factor * owners).payment[0])
            means.append(valuation.mean())
        if limit is None:
            limit = payments[0]
        else:
            errors.append(np.abs(np.array(payments) - limit).mean())
            bid_errors.append(np.abs(np.array(means) - 0.5).mean())
    assert np.polyfit(np.log(sizes[1:]), np.log(bid_errors), 1)[0] == pytest.approx(-0.5, abs=0.05)
    assert np.polyfit(np.log(sizes[1:]), np.log(errors), 1)[0] == pytest.approx(-0.5, abs=0.1)
