"""Quotes: what an owner may expect for what it will really send is what the settlement then pays it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cocogen_games import plain_utilities
from test_cocogen_mechanism import game_of, members_of, rivals, types_of
from test_qd_rdfl_mechanism import board as contest_board
from test_qd_rdfl_mechanism import members as contest_members
from test_qd_rdfl_mechanism import types as contest_types

from learning.columns import FloatColumn
from market.baselines import FixedPrice, Proportional, Shapley
from market.cocogen.mechanism import CoCoGen
from market.ipfl.mechanism import IPFL
from market.mechanism import (
    CONTRIBUTION,
    COST,
    DATA_SIZE,
    EMD,
    MECHANISMS,
    PROFITABILITY,
    QUALITY,
    Board,
    Mechanism,
    Outcome,
    Reports,
    Settlement,
    Types,
)
from market.privacy_auction.mechanism import LEAST_EPSILON
from market.qd_rdfl.mechanism import FEE, QDRDFL
from market.quoting import Offers, Quoting

SIZE = np.array([100.0, 50.0, 200.0])
FINE = np.array([1.0, 0.8, 0.5])
CHEAP = np.array([0.01, 0.001, 0.002])
TYPES = Types(SIZE, FINE, CHEAP, np.arange(3))


def offers(types: Types, said: Types | None = None, share: float = 1.0, work: float | None = None) -> Offers:
    """All the owners offer this share of what they claim, and train on it unless ``work`` says otherwise."""
    ones = np.ones(len(types))
    return Offers(types, said or types, share * ones, (share if work is None else work) * ones, 0.0 * ones, ones)


def received(settlement: Settlement, owner: int) -> float:
    return float(settlement.transfers.amount[settlement.transfers.payee == owner].sum())


def paid_beside_others(mechanism: Mechanism, said: Types, share: float, contribution: FloatColumn) -> tuple[float, ...]:
    """Pay of the first owner when it joins two others, and the quote that it had for this share of its claims."""
    rest = np.array([1, 2])

    def round_of(owners: np.ndarray, board: Board, given: FloatColumn) -> Settlement:
        columns = {DATA_SIZE: said.data_size, QUALITY: said.quality, COST: said.cost}
        claims = {name: column[owners] for name, column in columns.items()}
        terms = mechanism.announce(board)
        allocation = mechanism.plan(terms, Reports(owners, claims, given, np.ones(len(owners))))
        came = np.ones(len(owners), dtype=np.bool_)
        outcome = Outcome(came, came / len(owners), 0.5, 0.4, {CONTRIBUTION: contribution[owners]})
        return mechanism.settle(terms, allocation, outcome)

    first = round_of(rest, Board(0, 30.0), np.ones(2))
    board = Board(1, 30.0, claimed=first.claimed)
    quote = mechanism.quote(mechanism.announce(board), offers(TYPES, said, share))  # type: ignore[attr-defined]
    second = round_of(np.arange(3), board, np.array([share, 1.0, 1.0]))
    return received(second, 0), float(quote.payment[0])


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("lie", [1.0, 3.0])
@pytest.mark.parametrize("mechanism", [FixedPrice(0.02), Proportional()], ids=["fixed_price", "proportional"])
def test_who_offers_a_part_is_quoted_what_that_part_of_its_claims_is_paid(
    mechanism: Mechanism, lie: float, share: float
) -> None:
    said = replace(TYPES, data_size=SIZE * np.array([lie, 1.0, 1.0]))
    pay, quoted = paid_beside_others(mechanism, said, share, np.zeros(3))
    assert quoted == pytest.approx(pay)


def test_measured_contributions_are_quoted_by_what_is_true_and_trained_on() -> None:
    share, lie = 0.25, replace(TYPES, data_size=3.0 * SIZE)
    pay, quoted = paid_beside_others(Shapley(), TYPES, share, SIZE * FINE * np.array([share, 1.0, 1.0]))
    assert quoted == pytest.approx(pay)
    terms = Shapley().announce(Board(1, 30.0, claimed=140.0))
    honest, lying = (Shapley().quote(terms, offers(TYPES, said)).payment for said in (TYPES, lie))
    assert lying.tolist() == honest.tolist()
    assert not Shapley().quote(terms, offers(TYPES, lie, work=0.0)).payment.any()


def test_who_claims_a_cost_above_the_posted_price_is_not_taken() -> None:
    terms = FixedPrice(0.02).announce(Board(1, 30.0, claimed=100.0))
    said = replace(TYPES, cost=np.array([0.05, 0.02, 0.01]))
    quote = FixedPrice(0.02).quote(terms, offers(TYPES, said))
    assert quote.taken.tolist() == [False, True, True]
    assert quote.payment.tolist() == [0.0, 1.0, 4.0]


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_in_the_contest_a_member_that_holds_back_is_quoted_prize_less_fee_of_what_it_offers(share: float) -> None:
    mechanism, quality = QDRDFL(), np.array([0.9, 1.0, 0.95, 0.97])
    terms = mechanism.announce(contest_board(contest_members(quality)))
    types = contest_types(quality)
    advised = mechanism.recommend(terms, types).data_share
    given = advised * np.array([share, 1.0, 1.0, 1.0])
    ones = np.ones(4)
    quote = mechanism.quote(terms, Offers(types, types, given, given, 0.0 * ones, ones))
    allocation = mechanism.plan(terms, Reports(np.arange(4), {QUALITY: quality}, given, ones))
    came = np.ones(4, dtype=np.bool_)
    settlement = mechanism.settle(terms, allocation, Outcome(came, ones / 4, 0.5, 0.4))
    fees = settlement.further[FEE]
    assert quote.payment[0] == pytest.approx(received(settlement, 0) - fees.amount[fees.payer == 0].sum())


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_who_chooses_its_synthetic_volume_is_quoted_the_utility_of_the_game_for_it(share: float) -> None:
    mechanism = CoCoGen(redistribution_rate=0.05, rule="best_reply")
    claims, competition = rivals(seed=1)
    types = types_of(claims, competition, np.arange(6))
    terms = mechanism.announce(Board(0, 0.0, members=members_of(claims, competition)))
    advice = mechanism.recommend(terms, types)
    assert advice.synthetic_volume is not None
    volume, ones = advice.synthetic_volume.copy(), np.ones(6)
    one = int(np.argmax(volume))
    volume[one] *= share
    quote = mechanism.quote(terms, Offers(types, types, ones, ones, volume, ones))
    utility = plain_utilities(game_of(mechanism, claims, competition, 0.05), volume)
    assert quote.payment[one] == pytest.approx(utility[one] + claims[PROFITABILITY][one], rel=1e-6)


def test_what_an_organisation_claims_to_earn_does_not_make_it_earn_more() -> None:
    """Competition is known to all here: claims are counted in the redistribution, which a distance does not enter."""
    mechanism = CoCoGen(redistribution_rate=0.05, rule="best_reply")
    claims, competition = rivals(seed=1)
    types = types_of(claims, competition, np.arange(6))
    said = types_of({**claims, PROFITABILITY: 3.0 * claims[PROFITABILITY], EMD: claims[EMD]}, competition, np.arange(6))
    terms = mechanism.announce(Board(0, 0.0, members=members_of(claims, competition)))
    volume, ones = np.full(6, 100.0), np.ones(6)
    honest, lying = (
        mechanism.quote(terms, Offers(types, one, ones, ones, volume, ones)).payment for one in (types, said)
    )
    assert lying.tolist() == honest.tolist()


def test_who_generates_less_than_it_was_told_saves_its_cost_and_learns_less() -> None:
    mechanism = CoCoGen(redistribution_rate=0.05, rule="best_reply")
    claims, competition = rivals(seed=1)
    types = types_of(claims, competition, np.arange(6))
    terms = mechanism.announce(Board(0, 0.0, members=members_of(claims, competition)))
    volume, ones = np.full(6, 500.0), np.ones(6)
    made, shirked, none_told = (
        mechanism.quote(terms, Offers(types, types, ones, ones, told, share * ones)).payment
        for told, share in ((volume, 1.0), (volume, 0.0), (0.0 * ones, 1.0))
    )
    counted = 0.05 * competition.sum(axis=1) * 500.0
    np.testing.assert_allclose(shirked - none_told, counted, rtol=1e-9)
    assert (shirked != made).all()


PRICES = {"fixed_price": FixedPrice(), "proportional": Proportional(), "shapley": Shapley()}


@pytest.mark.parametrize("name", PRICES)
def test_who_follows_the_advice_is_quoted_what_the_advice_expects(name: str) -> None:
    mechanism = PRICES[name]
    terms = mechanism.announce(Board(1, 30.0, claimed=123.0))
    quote = mechanism.quote(terms, offers(TYPES))
    assert quote.payment.tolist() == mechanism.recommend(terms, TYPES).expected_payment.tolist()


def test_markets_without_a_quote_pay_by_nothing_but_the_claims() -> None:
    """Pay by bids, by bills for models, or none: the share of the data that is offered changes nothing there."""
    silent = {name for name, mechanism in MECHANISMS.items() if not issubclass(mechanism, Quoting)} | {IPFL.name}
    assert not issubclass(IPFL, Quoting)
    assert silent == {"free", "ipfl", "model_sharing", "privacy_auction"}
    auction = MECHANISMS["privacy_auction"]()
    terms = auction.announce(Board(0, 30.0, members=contest_members([1.0, 1.0])))
    claims = {"valuation": np.array([1.0, 2.0]), "privacy_budget": np.full(2, 1.0 + LEAST_EPSILON)}
    whole, part = (
        auction.plan(
            terms, Reports(np.arange(2), {**claims, DATA_SIZE: np.full(2, 50.0)}, share * np.ones(2), np.ones(2))
        ).promised
        for share in (1.0, 0.2)
    )
    assert whole.any()
    assert part.tolist() == whole.tolist()
