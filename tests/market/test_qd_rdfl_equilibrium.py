"""The whole market against the published figures: golden rows, no trade, money flow, misreports, random markets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from market.qd_rdfl.baselines import FIXED_REWARD, random_reward
from market.qd_rdfl.equilibrium import CapsBind, Centers, Market, model_owner_utility, solve
from market.qd_rdfl.matching import ALONE

TENTHS = np.arange(1, 11) / 10
MISREPORT = np.array([0.92, 0.95, 0.97, 0.99, 1.0, 0.93, 0.96, 0.98, 0.94, 0.91])


def random_market(seed, solver=None):
    draw = np.random.default_rng(seed)
    count = int(draw.integers(2, 40))
    centers = solver and Centers(draw.uniform(0.1, 1.0, count), float(draw.uniform(0.2, 1.5)), solver)
    return Market(draw.uniform(0.5, 1.0, count), centers=centers, revenue_sensitivity=float(draw.uniform(3.0, 10.0)))


@pytest.mark.parametrize("mode", ["active_set", "foc"])
@pytest.mark.parametrize(
    ("quality", "given", "reward", "model_owner", "mean_owner"),
    [
        ([0.9, 1.0], None, 0.38889, 0.0338019, 0.0974915),
        ([0.9, 1.0], FIXED_REWARD, 1.0, -0.0305862, 0.2506925),
        ([1.0] * 10, None, 1.38889, 0.6384367, 0.0138889),
        ([1.0] * 10, FIXED_REWARD, 1.0, 0.6046347, 0.0100000),
    ],
)
def test_golden_rows(quality, given, reward, model_owner, mean_owner, mode):
    found = solve(Market(np.array(quality), reward=given, owner_solver=mode))
    assert found.trade
    assert found.reward == pytest.approx(reward, abs=1e-5)
    assert found.utility_model_owner == pytest.approx(model_owner, abs=1e-7)
    assert found.utility_owner.mean() == pytest.approx(mean_owner, abs=1e-7)


@pytest.mark.parametrize("count", [2, 5, 10, 60])
@pytest.mark.parametrize("mode", ["active_set", "foc"])
def test_equal_owners_of_quality_1_have_the_closed_form(count, mode):
    found = solve(Market(np.ones(count), owner_solver=mode))
    reward = 2.5 - count / (count - 1)
    assert found.reward == pytest.approx(reward, abs=1e-12)
    assert found.contribution == pytest.approx(np.full(count, reward * (count - 1) / count**2), abs=1e-12)
    assert found.utility_owner == pytest.approx(np.full(count, reward / count**2), abs=1e-12)


def test_prices_enter_as_their_product():
    quality = np.array([0.8, 0.9, 1.0])
    found = solve(Market(quality, market_factor=0.5, unit_price=1.2))
    twin = solve(Market(quality / 0.6))
    assert found.effective_contribution == pytest.approx(twin.effective_contribution, abs=1e-14)
    assert found.contribution == pytest.approx(found.effective_contribution / quality, abs=1e-14)
    assert found.utility_owner == pytest.approx(found.payment - 0.6 * found.contribution, abs=1e-14)


PUBLISHED = {10: (0.582, 0.012), 20: (0.661, 0.009), 30: (0.687, 0.008), 40: (0.700, 0.007), 50: (0.708, 0.006),
             60: (0.713, 0.006)}  # fmt: skip
MNIST_LOG = {10: 0.581, 20: 0.664, 30: 0.680, 40: 0.711, 50: 0.716, 60: 0.716}


@pytest.mark.parametrize("count", PUBLISHED)
def test_mean_utility_of_the_model_owner_with_the_authors_noise(count):
    draw = np.random.default_rng(count)
    utilities = []
    for _ in range(2000):
        noise = draw.uniform(0.0, 0.1, count) ** 2
        quality = 1.0 - 0.1 * (noise - noise.min()) / np.ptp(noise)
        utilities.append(solve(Market(quality, owner_solver="foc")).utility_model_owner)
    mean, deviation = PUBLISHED[count]
    assert np.mean(utilities) == pytest.approx(mean, abs=0.0015)
    assert np.std(utilities) == pytest.approx(deviation, abs=0.001)
    assert abs(MNIST_LOG[count] - np.mean(utilities)) <= 2.0 * np.std(utilities)


def test_the_best_reward_beats_the_baselines_for_equal_owners():
    draw = np.random.default_rng(1)
    for count in range(2, 61):
        market = Market(np.ones(count))
        best = solve(market)
        for reward in (FIXED_REWARD, random_reward(best.reward, draw.random())):
            other = solve(replace(market, reward=reward))
            assert other.reward == reward
            assert best.utility_model_owner >= other.utility_model_owner - 1e-12


def test_the_random_reward_is_between_half_and_all_of_the_best():
    assert random_reward(1.4, 0.0) == 0.7
    assert 0.7 < random_reward(1.4, 0.999) < 1.4


# ---- no trade -----------------------------------------------------------------------------------------------------


def figures(found):
    columns = found.contribution, found.effective_contribution, found.payment, found.utility_owner
    centers = [] if found.load is None else [found.load, found.utility_center]
    return np.concatenate([[found.reward, found.utility_model_owner], *columns, *centers])


@pytest.mark.parametrize("mode", ["active_set", "foc"])
@pytest.mark.parametrize(
    "change",
    [
        {"revenue_sensitivity": 2.0},
        {"revenue_sensitivity": 0.0},
        {"unit_price": 50.0},
        {"quality": np.ones(1)},
        {"quality": np.ones(1), "reward": 1.0},
        {"quality": np.zeros(3)},
        {"quality": np.array([0.0, 0.0, 1.0]), "reward": 1.0},
        {"reward": 0.0},
    ],
    ids=str,
)
def test_without_trade_everything_is_zero(change, mode):
    market = replace(Market(np.ones(3), centers=Centers(np.array([0.3, 0.6, 1.0])), owner_solver=mode), **change)
    found = solve(market)
    assert not found.trade
    assert not figures(found).any()
    assert (found.match == ALONE).all()
    assert not found.active.any()


def test_caps_of_zero_close_the_market():
    assert not solve(Market(np.ones(3), cap=np.zeros(3))).trade
    assert not solve(Market(np.ones(3), cap=np.array([0.0, 0.0, 1.0]), reward=1.0)).trade
    assert solve(Market(np.ones(3), cap=np.array([0.0, 0.1, 0.1]), reward=1.0)).trade


def test_worthless_owners_stay_out_of_a_market_that_trades():
    found = solve(Market(np.array([0.0, 0.9, 1.0])))
    assert found.active.tolist() == [False, True, True]
    assert found.contribution[0] == found.payment[0] == found.utility_owner[0] == 0.0
    assert found.reward == solve(Market(np.array([0.9, 1.0]))).reward


# ---- caps ---------------------------------------------------------------------------------------------------------


def test_contributions_respect_caps_in_units_of_data():
    cap = np.array([0.05, 0.2, 0.02, 0.3])
    found = solve(Market(np.array([0.6, 0.9, 1.0, 0.95]), cap=cap))
    assert (found.contribution <= cap * (1.0 + 1e-15)).all()
    assert found.contribution[2] == pytest.approx(0.02, rel=1e-15)


def test_caps_cost_the_model_owner_and_spare_the_owners_nothing():
    free = solve(Market(MISREPORT))
    capped = solve(Market(MISREPORT, cap=np.full(10, 0.05)))
    assert capped.utility_model_owner < free.utility_model_owner
    assert (capped.utility_owner >= 0.0).all()


def test_the_first_order_mode_takes_caps_only_while_they_do_not_bind():
    market = Market(MISREPORT, cap=np.full(10, 1.0), owner_solver="foc")
    assert (solve(market).contribution == solve(replace(market, cap=None)).contribution).all()
    with pytest.raises(CapsBind, match="owner 4") as caught:
        solve(replace(market, cap=np.array([*[1.0] * 4, 0.1, *[1.0] * 5])))
    assert caught.value.owner == 4


# ---- what the parties get -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["equilibrium", "authors"])
def test_nobody_loses_and_no_money_appears(solver):
    for seed in range(200):
        market = random_market(seed, solver)
        found = solve(market)
        assert (found.utility_owner >= -1e-12).all()
        assert found.utility_model_owner >= -1e-12
        cost = market.centers.cost
        assert (found.utility_center[cost <= market.fee] >= -1e-12).all()
        load = found.load
        if solver == "authors" and found.trade:
            load = found.contribution[np.argsort(found.match)]
            assert found.utility_center == pytest.approx(load * (market.fee - cost), abs=1e-12)
            assert load.sum() == pytest.approx(found.contribution.sum(), abs=1e-12)
        together = found.utility_model_owner + found.utility_owner.sum() + found.utility_center.sum()
        made = market.revenue_scale * np.log1p(found.effective_contribution.sum()) - (cost * load).sum()
        assert together == pytest.approx(made, abs=1e-12)
        assert found.payment.sum() == pytest.approx(found.reward, abs=1e-12)


def test_the_dearest_center_of_the_authors_study_earns_nothing():
    found = solve(Market(MISREPORT, centers=Centers(TENTHS, solver="authors")))
    assert found.utility_center[-1] == 0.0
    assert found.utility_center[:-1].min() > 0.0
    owner = int(np.flatnonzero(found.match == 4)[0])
    assert found.utility_center[4] == pytest.approx(found.contribution[owner] * (1.0 - 0.5), abs=1e-15)


@pytest.mark.parametrize("solver", ["equilibrium", "authors"])
def test_equal_centers_leave_no_undefined_figure(solver):
    found = solve(Market(MISREPORT, centers=Centers(np.ones(10), solver=solver)))
    assert np.isfinite(figures(found)).all()
    assert sorted(found.match.tolist()) == list(range(10))


@pytest.mark.parametrize("solver", ["equilibrium", "authors"])
@pytest.mark.parametrize("count", [1, 3, 14])
def test_with_other_numbers_of_centers_some_stay_alone(solver, count):
    found = solve(Market(MISREPORT, centers=Centers(np.linspace(0.2, 0.9, count), solver=solver)))
    assert np.isfinite(figures(found)).all()
    matched = found.match[found.match != ALONE]
    assert len(set(matched.tolist())) == len(matched) == min(10, count)
    if count == 14:
        assert set(matched.tolist()) == set(range(4, 14)), "owners want the dearest centers"


# ---- misreported quality ------------------------------------------------------------------------------------------


def test_before_quality_is_measured_a_higher_report_pays():
    reports = {0.90: 0.00308, 0.92: 0.00592, 0.94: 0.00954, 0.96: 0.01384, 0.98: 0.01875, 1.00: 0.02419}
    utilities = []
    for report, published in reports.items():
        lied = solve(Market(np.array([report, *MISREPORT[1:]])))
        assert lied.utility_owner[0] == pytest.approx(published, abs=1e-5)
        utilities.append(lied.utility_owner[0])
    assert (np.diff(utilities) > 0.0).all()


def test_the_model_owner_is_scored_on_true_quality():
    honest, lying = Market(MISREPORT), Market(np.array([1.0, *MISREPORT[1:]]))
    scores = [
        model_owner_utility(market, found.contribution, found.reward, MISREPORT)
        for market, found in ((honest, solve(honest)), (lying, solve(lying)))
    ]
    assert scores == pytest.approx([0.5745, 0.5712], abs=1e-4)
    assert scores[0] == pytest.approx(solve(honest).utility_model_owner, abs=1e-15)
    assert solve(lying).utility_model_owner > scores[1], "what it believes is more than what it has"


def test_a_report_that_moves_no_contribution_moves_no_score():
    market = Market(MISREPORT)
    found = solve(market)
    scores = [
        model_owner_utility(replace(market, quality=reported), found.contribution, found.reward, MISREPORT)
        for reported in (MISREPORT, np.ones(10), np.full(10, 0.5))
    ]
    assert scores[0] == scores[1] == scores[2]


def test_the_first_order_mode_pays_for_negative_contributions():
    quality = 0.9 + 0.1 * np.linspace(0.0, 1.0, 40)
    found = solve(Market(quality, owner_solver="foc"))
    assert found.contribution.min() < 0.0
    assert (found.utility_owner >= 0.0).all(), "and still looks individually rational"
    assert found.active.sum() < 40
