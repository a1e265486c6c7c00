"""Detectors of groups on made-up records: rings that they find, chance that they leave alone, what they cannot see."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact
from sklearn.linear_model import LogisticRegression

from market.enforcement.groups import BidComovement, MarketRecord, Matrix, ReciprocalTrade, fitted
from market.mechanism import COST, DATA_SIZE


def bids(claimed: Matrix) -> MarketRecord:
    """A market in which nobody trades models."""
    rounds, owners = claimed.shape
    nobody = np.zeros((rounds, owners, owners), dtype=np.bool_)
    return MarketRecord(
        {COST: claimed, DATA_SIZE: np.full((rounds, owners), 100.0)}, nobody, np.full((owners, owners), np.nan)
    )


def rotation(rounds: int, members: int, size: int = 4) -> Matrix:
    """Each member bids its cost of 1 in every ``size``-th round, and twice that in the others."""
    turn = np.arange(rounds)[:, None] % size == np.arange(members)[None, :] % size
    return np.where(turn, 1.0, 2.0)


def trades(rounds: int, owners: int, seed: int, ring: list[int]) -> MarketRecord:
    """Owners buy by chance, the nearer two models are the likelier; members of the ring buy from each other always."""
    chance = np.random.default_rng(seed)
    apart = chance.uniform(0.0, 1.0, (owners, owners))
    apart = (apart + apart.T) / 2.0
    bought = chance.random((rounds, owners, owners)) < 1.0 - apart
    bought[:, [[member] for member in ring], ring] = True
    bought[:, np.arange(owners), np.arange(owners)] = False
    return MarketRecord({DATA_SIZE: np.full((rounds, owners), 100.0)}, bought, apart)


def test_bidders_that_take_turns_are_found_among_those_that_bid_by_themselves() -> None:
    chance = np.random.default_rng(2)
    alone = chance.uniform(1.0, 2.0, (24, 10))
    flagged = BidComovement().flagged(BidComovement().score(bids(np.hstack([rotation(24, 4), alone]))))
    assert flagged[:4].all()
    assert flagged[4:].sum() <= 1


def test_independent_bidders_are_blamed_no_more_often_than_the_limit_says() -> None:
    chance, blamed = np.random.default_rng(3), 0
    for _ in range(60):
        claimed = np.exp(chance.normal(size=(16, 10)))
        claimed[chance.random((16, 10)) < 0.2] = np.nan  # rounds that they missed
        blamed += int(BidComovement(evidence=1.0).flagged(BidComovement().score(bids(claimed))).sum())
    assert blamed / 600 <= 0.1


def test_the_chance_of_two_bidders_in_the_same_round_is_that_of_fishers_exact_test() -> None:
    one, other = np.array([2, 1, 2, 2, 1, 2, 1, 1, 2.0]), np.array([2, 1, 2, 1, 1, 2, 1, 2, 2.0])
    both = [[np.sum((one == a) & (other == b)) for b in (2, 1)] for a in (2, 1)]
    still = np.full(9, 1.0)
    found = BidComovement(lags=0).score(bids(np.column_stack([one, other, still, still, still])))
    np.testing.assert_allclose(found[:2], -np.log10(fisher_exact(both, alternative="greater").pvalue))
    assert np.isnan(found[2:]).all(), "bids that never change say nothing"


def test_a_shock_that_moves_everybody_is_no_agreement() -> None:
    chance = np.random.default_rng(4)
    shock = np.exp(np.cumsum(chance.normal(size=(20, 1)), axis=0))
    own = np.exp(0.05 * chance.normal(size=(20, 8)))
    assert not BidComovement().flagged(BidComovement().score(bids(shock * own))).any()


def test_a_ring_that_never_moves_is_not_seen_and_a_common_calendar_is_taken_for_one() -> None:
    """The weaknesses: what looks alike is all that there is to see."""
    constant = np.tile([1.5, 1.5, 1.5, 1.0, 1.0, 1.0], (24, 1))
    assert np.isnan(BidComovement().score(bids(constant))).all()
    strangers = np.hstack(
        [rotation(24, 1), 3.0 * rotation(24, 1), np.ones((24, 4))]
    )  # both are dear in three rounds of 4
    assert BidComovement().flagged(BidComovement().score(bids(strangers))).tolist() == [True, True, *[False] * 4]


def test_a_logistic_regression_gives_the_probabilities_of_another_library() -> None:
    chance = np.random.default_rng(5)
    causes = chance.normal([3.0, -1.0], [2.0, 0.1], (300, 2))
    happened = chance.random(300) < 1.0 / (1.0 + np.exp(3.0 - causes[:, 0]))
    other = LogisticRegression(C=0.5, tol=1e-10, max_iter=1000)
    standard = (causes - causes.mean(axis=0)) / causes.std(axis=0)
    other.fit(standard, happened)
    np.testing.assert_allclose(fitted(causes, happened, 2.0), other.predict_proba(standard)[:, 1], atol=1e-6)
    assert fitted(causes, np.ones(300, dtype=np.bool_)).tolist() == [1.0] * 300


def test_a_ring_that_trades_whatever_its_models_are_is_found() -> None:
    detector, ring = ReciprocalTrade(), [0, 1, 2]
    found = blamed = 0
    for seed in range(10):
        flagged = detector.flagged(detector.score(trades(20, 16, seed, ring)))
        found, blamed = found + int(flagged[:3].sum()), blamed + int(flagged[3:].sum())
    assert found >= 27, "of 30 members"
    assert blamed <= 8, "of 130 others"


def test_neighbours_with_models_alike_are_expected_to_trade() -> None:
    """Two pairs buy from each other in every round: one is as near as can be, the other far apart."""
    record = trades(30, 14, 1, [])
    apart, bought = record.dissimilarity.copy(), record.bought.copy()
    for one, other, distance in ((0, 1, 0.0), (2, 3, 0.9)):
        apart[one, other] = apart[other, one] = distance
        bought[:, one, other] = bought[:, other, one] = True
    score = ReciprocalTrade(partners=1).score(MarketRecord(record.claims, bought, apart))
    assert score[2] > score[0] + 1.0
    assert score[3] > score[1] + 1.0


def test_where_nobody_trades_there_is_nothing_to_go_by() -> None:
    assert np.isnan(ReciprocalTrade().score(bids(np.ones((5, 3))))).all()


@pytest.mark.parametrize("detector", [BidComovement, ReciprocalTrade])
def test_an_empty_market_has_no_scores(detector) -> None:
    assert len(detector().score(bids(np.ones((4, 0))))) == 0
