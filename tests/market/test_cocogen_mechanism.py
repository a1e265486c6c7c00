"""The living CoCoGen+: the game is that of the reports, deposits cover what is paid, and truths come to light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cocogen_games import plain_utilities
from hypothesis import given
from hypothesis import strategies as st

from learning.columns import FloatColumn
from learning.streams import Streams
from market.cocogen import Game, LearningCurve, Organisations, equilibrium, filling, play, towards_global
from market.cocogen.beliefs import INTENSITY
from market.cocogen.mechanism import PERFORMANCE_PAY, REDISTRIBUTION, CoCoGen
from market.cocogen.netting import netted
from market.cocogen.published import EFFECTIVE, RATE
from market.cocogen.rate_search import Search, looked, proposed
from market.cocogen.rivalry import Markets, Pairs, Table
from market.mechanism import (
    DATA_SIZE,
    EMD,
    GENERATION_COST,
    OWN_PERFORMANCE,
    PROFITABILITY,
    Allocation,
    Board,
    LabelMixes,
    Members,
    Outcome,
    Reports,
    Settlement,
    Terms,
    Types,
)
from market.parties import WORLD

MIXES = np.random.default_rng(3).dirichlet(np.full(5, 0.5), 6)
LABELS = LabelMixes(MIXES, MIXES.mean(axis=0))


def rivals(count: int = 6, seed: int = 0, mean: float = 0.02) -> tuple[dict[str, FloatColumn], FloatColumn]:
    """Claims of rivals, and asymmetric intensities among them."""
    draw = np.random.default_rng(seed)
    claims = {
        DATA_SIZE: np.rint(draw.uniform(300, 3000, count)),
        EMD: draw.uniform(0.3, 1.6, count),
        GENERATION_COST: draw.uniform(0.01, 0.04, count),
        PROFITABILITY: draw.uniform(1000, 2500, count),
    }
    competition = draw.uniform(0, 2 * mean, (count, count))
    np.fill_diagonal(competition, 0.0)
    return claims, competition


def types_of(claims: dict[str, FloatColumn], competition: FloatColumn, owner: np.ndarray) -> Types:
    nothing = np.zeros(len(owner))
    columns = {**claims, "quality": nothing, "cost": nothing}
    return replace(Types.of(columns, owner), competition_pressure=competition @ claims[PROFITABILITY])


def members_of(claims: dict[str, FloatColumn], competition: FloatColumn, **more: Any) -> Members:
    count = len(claims[DATA_SIZE])
    return Members(np.arange(count), claims, {}, np.full(count, -1), competition=competition, **more)


def game_of(mechanism: CoCoGen, claims: dict[str, FloatColumn], competition: FloatColumn, rate: float) -> Game:
    """The static game of these claims, put together by hand."""
    count = len(competition)
    residual = towards_global(claims[EMD])
    return Game(
        Organisations(
            claims[DATA_SIZE],
            residual,
            claims[PROFITABILITY],
            claims[GENERATION_COST],
            np.full(count, mechanism.quadratic_cost),
            np.full(count, mechanism.synthetic_volume_cap),
        ),
        competition,
        LearningCurve(0.847, 0.209, 0.063, 0.8, personal_gain=0.05),
        mechanism.competition_model,
        rate,
        mechanism.contribution,
    )


def round_of(
    mechanism: CoCoGen,
    members: Members,
    types: Types,
    number: int = 0,
    arrived: np.ndarray | None = None,
    performance: FloatColumn | None = None,
    remembered: Mapping[str, float] | None = None,
) -> tuple[Terms, Allocation, Settlement]:
    """A round in which everybody reports what it claimed before and offers what is best for it."""
    board = Board(round=number, budget=0.0, members=members, lot=0.4, remembered=remembered or {})
    terms = mechanism.announce(board)
    advice = mechanism.recommend(terms, types)
    ones = np.ones(len(members))
    claims = {name: column for name, column in members.claims.items() if name in mechanism.needs}
    allocation = mechanism.plan(terms, Reports(members.owner, claims, ones, ones, advice.synthetic_volume))
    came = np.ones(len(members), dtype=np.bool_) if arrived is None else arrived
    measured = 0.8 * ones if performance is None else performance
    outcome = Outcome(came, came / max(1, came.sum()), 0.8, 0.7, {OWN_PERFORMANCE: measured})
    return terms, allocation, mechanism.settle(terms, allocation, outcome)


MECHANISMS = [
    CoCoGen(redistribution_rate=0.05),
    CoCoGen(competition_model="damage", redistribution_rate=0.05),
    CoCoGen(contribution="effective", redistribution_rate=0.02, quadratic_cost=1e-6),
]


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=["relative", "damage", "effective"])
def test_volumes_are_the_equilibrium_of_the_reports(mechanism: CoCoGen) -> None:
    claims, competition = rivals()
    _, allocation, _ = round_of(mechanism, members_of(claims, competition), types_of(claims, competition, np.arange(6)))
    static = equilibrium(game_of(mechanism, claims, competition, mechanism.redistribution_rate))
    np.testing.assert_allclose(allocation.synthetic_volume, static.synthetic_volume, atol=1e-5)
    assert (allocation.synthetic_volume > 0).any()


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=["relative", "damage", "effective"])
def test_the_advice_is_the_told_volume_and_its_worth_is_the_utility_of_the_game(mechanism: CoCoGen) -> None:
    claims, competition = rivals(seed=1)
    types = types_of(claims, competition, np.arange(6))
    terms, allocation, _ = round_of(mechanism, members_of(claims, competition), types)
    advice = mechanism.recommend(terms, types)
    np.testing.assert_allclose(advice.synthetic_volume, allocation.synthetic_volume, atol=1e-4)
    outcome = play(game_of(mechanism, claims, competition, mechanism.redistribution_rate), allocation.synthetic_volume)
    np.testing.assert_allclose(advice.expected_payment, outcome.utility + claims[PROFITABILITY], rtol=1e-7)


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=["relative", "damage", "effective"])
@given(seed=st.integers(0, 50), gone=st.sets(st.integers(0, 5), max_size=6))
def test_deposits_cover_the_redistribution_whoever_arrives(mechanism: CoCoGen, seed: int, gone: set[int]) -> None:
    claims, competition = rivals(seed=seed)
    arrived = ~np.isin(np.arange(6), list(gone))
    _, allocation, settlement = round_of(
        mechanism, members_of(claims, competition), types_of(claims, competition, np.arange(6)), arrived=arrived
    )
    moved = settlement.further[REDISTRIBUTION]
    paid = np.bincount(moved.payer, moved.amount, 6)
    assert (paid <= allocation.deposit * (1 + 1e-9) + 1e-9).all()
    assert set(moved.payer.tolist() + moved.payee.tolist()) <= set(np.flatnonzero(arrived).tolist())


def test_performance_is_paid_by_the_world_and_redistribution_by_rivals() -> None:
    claims, competition = rivals()
    mechanism = CoCoGen(redistribution_rate=0.05)
    accuracy = np.linspace(0.5, 0.9, 6)
    _, allocation, settlement = round_of(
        mechanism, members_of(claims, competition), types_of(claims, competition, np.arange(6)), performance=accuracy
    )
    pay, moved = settlement.further[PERFORMANCE_PAY], settlement.further[REDISTRIBUTION]
    assert (pay.payer == WORLD).all()
    np.testing.assert_allclose(pay.amount, claims[PROFITABILITY] * accuracy)
    net = np.bincount(moved.payee, moved.amount, 6) - np.bincount(moved.payer, moved.amount, 6)
    volume = allocation.synthetic_volume
    by_pairs = [
        sum(0.05 * (competition[i, j] * volume[i] - competition[j, i] * volume[j]) for j in range(6)) for i in range(6)
    ]
    np.testing.assert_allclose(net, by_pairs, atol=1e-6)


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=12))
def test_netted_payments_give_everybody_its_due(amounts: list[float]) -> None:
    due = np.array(amounts) - np.mean(amounts)
    owner = np.arange(len(due)) * 3 + 1
    moved = netted(owner, due)
    net = np.array([moved.amount[moved.payee == o].sum() - moved.amount[moved.payer == o].sum() for o in owner])
    np.testing.assert_allclose(net, due, atol=1e-9 * (1.0 + np.abs(due).sum()))
    assert (moved.amount > 0).all()
    assert len(moved.amount) < len(due)


@pytest.mark.parametrize("count", [0, 1])
def test_nobody_plays_no_game_and_one_alone_plays_against_nobody(count: int) -> None:
    claims, competition = rivals(count)
    mechanism = CoCoGen(redistribution_rate=0.05)
    _, allocation, settlement = round_of(
        mechanism, members_of(claims, competition), types_of(claims, competition, np.arange(count))
    )
    assert len(settlement.further[REDISTRIBUTION].amount) == 0
    assert allocation.deposit.tolist() == [0.0] * count
    if count:
        alone = equilibrium(game_of(mechanism, claims, competition, 0.05))
        np.testing.assert_allclose(allocation.synthetic_volume, alone.synthetic_volume, atol=1e-6)


def test_when_one_leaves_the_game_of_the_rest_is_solved_from_where_it_was() -> None:
    claims, competition = rivals()
    mechanism = CoCoGen(redistribution_rate=0.05)
    types = types_of(claims, competition, np.arange(6))
    _, _, settlement = round_of(mechanism, members_of(claims, competition), types)
    stay = np.array([0, 1, 2, 4, 5])
    left = {name: column[stay] for name, column in claims.items()}
    among = competition[np.ix_(stay, stay)]
    rest = replace(members_of(left, among), owner=stay)
    terms, again, _ = round_of(mechanism, rest, types_of(left, among, stay), 1, remembered=settlement.remembered)
    cold = equilibrium(game_of(mechanism, left, among, 0.05))
    np.testing.assert_allclose(again.synthetic_volume, cold.synthetic_volume, atol=1e-5)
    assert settlement.remembered[EFFECTIVE] > terms.figures[EFFECTIVE]


def test_who_would_not_generate_stays_in_the_game_with_its_data_and_its_rivalry() -> None:
    claims, competition = rivals()
    competition[2] = 0.5
    competition[2, 2] = 0.0  # feels more of its rivals than it earns
    claims[PROFITABILITY][4] = 0.0
    mechanism = CoCoGen(competition_model="damage", redistribution_rate=0.05)
    types = types_of(claims, competition, np.arange(6))
    _, allocation, _ = round_of(mechanism, members_of(claims, competition), types)
    told = allocation.synthetic_volume
    assert told[[2, 4]].tolist() == [0.0, 0.0]
    assert (told > 0).sum() >= 2
    # Nobody else gains by another volume in the game of all six, every sum of it written out.
    game = game_of(mechanism, claims, competition, 0.05)
    utility = plain_utilities(game, told)
    for player in (0, 1, 3, 5):
        for volume in [
            *np.linspace(0.0, 4000.0, 41),
            *np.clip(told[player] + np.array([-9.0, -1.0, 1.0, 9.0]), 0, 4000),
        ]:
            tried = np.where(np.arange(6) == player, volume, told)
            assert plain_utilities(game, tried)[player] <= utility[player] + 1e-9
    # What it loses to rivals, achieves, and has in the source's terms is that of the same game.
    np.testing.assert_allclose(
        mechanism.competition_loss(types, told, np.zeros(6), competition), play(game, told).payoffs.competition_loss
    )
    np.testing.assert_allclose(mechanism.performance(types, told), 1.0 + play(game, told).own_performance)


def test_best_replies_to_true_claims_are_the_equilibrium_and_lies_about_cost_change_nobodys_own_choice() -> None:
    claims, competition = rivals()
    types = types_of(claims, competition, np.arange(6))
    mechanism = CoCoGen(rule="best_reply")
    planned, chosen = (round_of(m, members_of(claims, competition), types)[1] for m in (CoCoGen(), mechanism))
    np.testing.assert_allclose(chosen.synthetic_volume, planned.synthetic_volume, atol=1e-4)
    dear = {**claims, GENERATION_COST: claims[GENERATION_COST] * np.array([1, 4, 1, 1, 1, 1])}
    told = round_of(CoCoGen(), members_of(dear, competition), types)[1].synthetic_volume
    kept = round_of(mechanism, members_of(dear, competition), types)[1].synthetic_volume
    assert told[1] < 0.7 * planned.synthetic_volume[1]
    assert kept[1] == pytest.approx(planned.synthetic_volume[1], rel=0.1)


def test_baselines_decide_otherwise_and_the_real_game_pays() -> None:
    claims, competition = rivals()
    types = types_of(claims, competition, np.arange(6))
    told = {
        rule: round_of(CoCoGen(rule=rule), members_of(claims, competition), types)[1].synthetic_volume
        for rule in ("equilibrium", "vcfl", "wco", "radg", "uniform", "optimum")
    }
    game = game_of(CoCoGen(), claims, competition, 0.0)
    welfare = {rule: play(game, volume).social_welfare for rule, volume in told.items()}
    assert not told["vcfl"].any()
    assert len(np.unique(told["uniform"])) == 1
    assert welfare["optimum"] > welfare["equilibrium"] > welfare["wco"] > welfare["vcfl"]
    assert len(np.unique(told["radg"])) == 6


def test_rules_that_do_not_ask_for_incentives_are_not_held_back_by_them() -> None:
    claims, competition = rivals()
    competition[:] = 0.5 * (1.0 - np.eye(6))  # under damage nobody would strengthen such rivals by itself
    types = types_of(claims, competition, np.arange(6))
    told = {
        rule: round_of(CoCoGen(rule=rule, competition_model="damage"), members_of(claims, competition), types)[1]
        for rule in ("equilibrium", "uniform", "wco", "radg", "optimum")
    }
    volume = {rule: allocation.synthetic_volume for rule, allocation in told.items()}
    assert not volume["equilibrium"].any()
    assert not volume["uniform"].any()
    game = game_of(CoCoGen(competition_model="damage"), claims, competition, 0.0)
    blind = replace(game, competition=np.zeros((6, 6)))
    np.testing.assert_allclose(volume["wco"], equilibrium(blind).synthetic_volume, atol=1e-5)
    assert volume["wco"].any()
    assert (volume["radg"] > 0).all()
    # The planner does at least as well as any of them, and as random volumes.
    welfare = {rule: plain_utilities(game, profile).sum() for rule, profile in volume.items()}
    assert welfare["optimum"] >= max(welfare.values()) - 1e-6
    draws = np.random.default_rng(0).uniform(0.0, 4000.0, (200, 6))
    assert max(plain_utilities(game, draw).sum() for draw in draws) <= welfare["optimum"] + 1e-6


@pytest.mark.parametrize("rule", ["equilibrium", "best_reply", "vcfl", "wco", "radg", "uniform", "optimum"])
def test_what_is_announced_is_what_the_rule_then_decides(rule: str) -> None:
    claims, competition = rivals(seed=2)
    mechanism = CoCoGen(rule=rule)
    members, types = members_of(claims, competition), types_of(claims, competition, np.arange(6))
    terms, allocation, _ = round_of(mechanism, members, types)
    np.testing.assert_allclose(terms.columns["synthetic volume"], allocation.synthetic_volume, atol=1e-3)
    effective = claims[DATA_SIZE].sum() + 0.8 * allocation.synthetic_volume.sum()
    assert terms.figures[EFFECTIVE] == pytest.approx(effective, rel=1e-6)


def test_a_claim_of_next_to_no_data_is_one_of_none() -> None:
    claims, competition = rivals()
    claims[DATA_SIZE] = np.array([1e-300, 0.0, 1e-4, 1000.0, 800.0, 500.0])
    types = types_of(claims, competition, np.arange(6))
    told = round_of(CoCoGen(), members_of(claims, competition), types)[1].synthetic_volume
    assert told[:3].tolist() == [0.0] * 3
    assert (told[3:] > 0).all()
    claims[DATA_SIZE] = np.full(6, 1e-300)
    assert not round_of(CoCoGen(), members_of(claims, competition), types)[1].synthetic_volume.any()


def test_filling_works_with_the_classes_that_owners_lack() -> None:
    claims, competition = rivals()
    claims[EMD] = np.abs(MIXES - LABELS.overall).sum(axis=1)
    mechanism = CoCoGen(synthetic_target="fill")
    types = replace(types_of(claims, competition, np.arange(6)), labels=LABELS)
    _, allocation, _ = round_of(mechanism, members_of(claims, competition, labels=LABELS), types)
    game = game_of(mechanism, claims, competition, 0.0)
    filled = replace(game, organisations=replace(game.organisations, residual_emd=filling(MIXES, LABELS.overall)))
    np.testing.assert_allclose(allocation.synthetic_volume, equilibrium(filled).synthetic_volume, atol=1e-5)
    np.testing.assert_allclose(
        mechanism.performance(types, allocation.synthetic_volume),
        1.0 + play(filled, allocation.synthetic_volume).own_performance,
    )


@pytest.mark.parametrize("model", ["relative", "damage"])
def test_what_owners_choose_gives_away_the_pressure_that_they_feel(model: Any) -> None:
    claims, competition = rivals(mean=0.03)
    claims[GENERATION_COST] *= 0.4 if model == "damage" else 1.0
    types = types_of(claims, competition, np.arange(6))
    mechanism = CoCoGen(competition="learned", believed_intensity=0.005, rule="best_reply", competition_model=model)
    unseen = replace(members_of(claims, competition), competition=None)
    _, allocation, settlement = round_of(mechanism, unseen, types)
    others = claims[PROFITABILITY].sum() - claims[PROFITABILITY]
    found = settlement.records[INTENSITY] * others
    inside = (allocation.synthetic_volume > 0) & (allocation.synthetic_volume < mechanism.synthetic_volume_cap)
    assert inside.sum() >= 3
    np.testing.assert_allclose(found[inside], types.competition_pressure[inside], rtol=1e-6)
    assert np.isnan(found[~inside]).all()
    # With what it has learnt the server expects what owners then do, without knowing any single intensity.
    learnt = replace(unseen, records=settlement.records)
    terms, allocation, _ = round_of(mechanism, learnt, types, number=1)
    if inside.all():
        np.testing.assert_allclose(terms.columns["synthetic volume"], allocation.synthetic_volume, rtol=1e-3)


@pytest.mark.parametrize("best", [0.0, 0.03, 0.08, 0.1])
def test_the_search_finds_the_best_rate_under_noise_and_a_trend(best: float) -> None:
    chance, search, tried = np.random.default_rng(int(best * 1000)), Search(0.0, 0.1), 0
    while search.high - search.low > 0.01:
        rate = proposed(search, 0.01)
        assert 0.0 <= rate <= 0.1
        search = looked(search, -((rate - best) ** 2) + 0.01 * tried + 2e-5 * chance.standard_normal(), 4, 0.01)
        tried += 1
    assert tried == 40  # five narrowings of eight looks
    assert proposed(search, 0.01) == pytest.approx(best, abs=0.01)
    assert looked(search, 1.0, 4, 0.01) == search


def test_a_rate_that_makes_no_difference_goes_down_and_a_steady_trend_decides_nothing() -> None:
    flat = rising = Search(0.0, 0.1)
    for look in range(8):
        flat, rising = looked(flat, 1.0, 4, 0.01), looked(rising, float(look), 4, 0.01)
    assert flat == rising == Search(0.0, Search(0.0, 0.1).right)


def test_the_pressure_that_is_read_off_is_of_all_members_also_of_those_whose_uploads_are_late() -> None:
    claims, competition = rivals(mean=0.03)
    types = types_of(claims, competition, np.arange(6))
    mechanism = CoCoGen(competition="learned", rule="best_reply")
    unseen = replace(members_of(claims, competition), competition=None)
    some = np.array([True, True, True, True, False, False])
    found = [round_of(mechanism, unseen, types, arrived=a)[2].records[INTENSITY] for a in (some, some | True)]
    assert np.isfinite(found[0]).any()
    assert found[0][:4].tolist() == found[1][:4].tolist()


def test_random_volumes_belong_to_owners_not_to_their_place() -> None:
    claims, competition = rivals()
    stay = np.array([1, 2, 4, 5])
    left = {name: column[stay] for name, column in claims.items()}
    among = competition[np.ix_(stay, stay)]
    mechanism = CoCoGen(rule="radg")
    everybody = round_of(mechanism, members_of(claims, competition), types_of(claims, competition, np.arange(6)))[1]
    rest = round_of(mechanism, replace(members_of(left, among), owner=stay), types_of(left, among, stay))[1]
    assert rest.synthetic_volume.tolist() == everybody.synthetic_volume[stay].tolist()


def test_the_search_is_the_servers_and_goes_on_whoever_leaves() -> None:
    claims, competition = rivals()
    types = types_of(claims, competition, np.arange(6))
    mechanism = CoCoGen(rate_search="golden_section", rate_looks=2, highest_rate=0.1)
    members, rates, remembered = members_of(claims, competition), [], {}
    for number in range(6):
        everybody_is_new = replace(members, owner=np.arange(6) + 10 * number)
        known = replace(types, owner=everybody_is_new.owner)
        terms, _, settlement = round_of(mechanism, everybody_is_new, known, number, remembered=remembered)
        rates.append(terms.figures[RATE])
        assert not settlement.records
        remembered |= settlement.remembered
        nobody = np.zeros(6, dtype=np.bool_)  # a round without uploads tells nothing
        idle = round_of(mechanism, everybody_is_new, known, number, arrived=nobody, remembered=remembered)[2]
        assert {**remembered, **idle.remembered} == remembered
    golden = (5**0.5 - 1) / 2
    late = replace(mechanism, rate_from=4, redistribution_rate=0.07)
    assert round_of(late, members_of(claims, competition), types, 3)[0].figures[RATE] == 0.07
    assert round_of(late, members_of(claims, competition), types, 4)[0].figures[RATE] == pytest.approx(rates[0])
    left, right = 0.1 * (1 - golden), 0.1 * golden
    assert rates[:4] == pytest.approx([left, right, right, left])
    below, above = 0.1 * golden * (1 - golden), 0.1 * (1 - golden * golden)
    assert any(rates[4] == pytest.approx(inner) for inner in (below, above))
    assert rates[5] > rates[4]


@pytest.mark.parametrize("rivalry", [Pairs(0.02), Pairs(0.02, density=0.4, symmetric=False), Markets(0.02, markets=2)])
def test_an_intensity_belongs_to_two_persons_whoever_else_is_there(rivalry: Any) -> None:
    streams, persons = Streams(4), np.arange(60)
    everybody = rivalry.among(persons, streams) @ np.eye(60)[:, [7]].ravel()
    some = np.array([50, 7, 12])
    few = rivalry.among(some, streams) @ np.array([0.0, 1.0, 0.0])
    assert few.tolist() == everybody[some].tolist()
    assert few[1] == 0.0
    whole = rivalry.among(persons, streams) @ np.ones(60)
    wanted = 0.02 * 59 * getattr(rivalry, "density", 1.0)
    assert whole.mean() == pytest.approx(wanted, rel=0.2)


def test_intensities_are_the_same_however_many_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rivalry, persons = Pairs(0.02, density=0.4, symmetric=False), np.array([3, 1, 4, 11, 5])
    at_once = rivalry.among(persons, Streams(4))
    monkeypatch.setattr("market.cocogen.rivalry._AT_ONCE", 7)
    assert rivalry.among(persons, Streams(4)).tolist() == at_once.tolist()
    assert rivalry.among(persons[:0], Streams(4)).shape == (0, 0)


def test_a_table_of_intensities_is_about_the_first_persons() -> None:
    table = Table(rows=[[0.0, 0.1], [0.2, 0.0]])
    assert table.among(np.array([5, 1, 0]), Streams(0)).toarray().tolist() == [[0, 0, 0], [0, 0, 0.2], [0, 0.1, 0]]
    assert table.among(np.arange(200_000), Streams(0)).nnz == 2  # those who come later cost no memory
    for rows, problem in (([[0.0, 1.0]], "expected 1 numbers"), ([[0.5]], "with itself"), ([[-1.0]], "from 0")):
        with pytest.raises(ValueError, match=problem):
            Table(rows=rows)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"rule": "magic"}, "rule: expected one of equilibrium"),
        ({"accuracy_limit": 0.0}, "accuracy_limit"),
        ({"synthetic_quality": 0.0}, "synthetic_quality"),
        ({"redistribution_rate": -1.0}, "redistribution_rate"),
        ({"rate_looks": 0}, "rate_looks"),
        ({"highest_rate": 0.5}, "highest_rate: has no effect without rate_search"),
        ({"believed_intensity": 0.1}, "believed_intensity: has no effect where competition is known"),
        ({"rate_looks": 3}, "rate_looks: expected an even number"),
        ({"volume_exponent": 1e300}, "volume_exponent: expected a number from 1e-06 to 10"),
        ({"volume_scale": float("inf")}, "volume_scale: expected a number from 0 to 1e"),
        ({"synthetic_volume_cap": 1e300}, "synthetic_volume_cap: expected a number from 0 to 1e"),
        ({"redistribution_rate": float("nan")}, "redistribution_rate: expected"),
        ({"rate_search": "golden_section", "redistribution_rate": 0.1}, "redistribution_rate: has no effect where"),
        ({"rate_search": "golden_section", "rule": "vcfl"}, "rate_search: has no effect under the rule vcfl"),
    ],
)
def test_a_bad_parameter_is_named(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        CoCoGen(**change)
