"""What single strategies of the families do, by formulas worked out on their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from agents.population import Population
from agents.strategies import make_strategy
from agents.strategies.base import STRATEGIES, Observation
from learning.uploads import Upload
from market.mechanism import COST, DATA_SIZE, GAIN_SCALE, QUALITY, SHARING_COST, VALUATION

Observe = Callable[..., Observation]


def test_there_are_at_least_forty_strategies_in_families() -> None:
    assert len(STRATEGIES) >= 40
    assert len({entry.family for entry in STRATEGIES.values()}) >= 8


def test_a_gradual_lie_grows_by_the_same_factor_each_round(population: Population, observe: Observe) -> None:
    population.rounds_taken[:] = np.arange(len(population))
    seen = observe()
    claim = make_strategy("misreport_gradual", {"factor": 8.0, "rounds": 3}).report(seen)[DATA_SIZE]
    assert (claim / seen.own.data_size)[:6] == pytest.approx([1.0, 2.0, 4.0, 8.0, 8.0, 8.0])


def test_a_random_lie_is_as_often_up_as_down_and_within_its_bounds(observe: Observe) -> None:
    liar = make_strategy("misreport_random", {"most": 4.0})
    logs = np.stack(
        [
            np.log(liar.report(seen)[DATA_SIZE] / seen.own.data_size)
            for seen in (observe(round=number) for number in range(300))
        ]
    )
    assert np.abs(logs).max() <= np.log(4.0) + 1e-12
    assert logs.mean() == pytest.approx(0.0, abs=0.05)
    assert logs.std() == pytest.approx(np.log(4.0) / np.sqrt(3), rel=0.05)


def test_up_and_down_averages_out_in_logarithms(observe: Observe) -> None:
    liar = make_strategy("misreport_up_down", {"factor": 3.0, "rounds": 2})
    seen = [observe(round=number) for number in range(8)]
    ratio = np.array([(liar.report(one)[DATA_SIZE] / one.own.data_size)[0] for one in seen])
    assert ratio == pytest.approx([3, 3, 1 / 3, 1 / 3] * 2)


def test_who_bunches_claims_the_threshold_if_it_is_below_it(observe: Observe) -> None:
    seen = observe()
    claim = make_strategy("misreport_threshold", {"level": 0.5}).report(seen)[QUALITY]
    below = seen.own.quality < 0.5
    assert below.any()
    assert (claim[below] == 0.5).all()
    assert np.array_equal(claim[~below], seen.own.quality[~below])


def test_shaded_bids_are_the_equilibrium_of_the_first_price_auction(observe: Observe) -> None:
    # Costs uniform on [0, h]: among n bidders, (bid - cost) * P(all other bids are higher) is greatest at its own bid.
    seen, h, n = observe(), 1.0, 5
    seen = dataclasses.replace(seen, board=dataclasses.replace(seen.board, participants=n))
    bids = make_strategy("bid_shading", {"claim": VALUATION, "highest": h}).report(seen)[VALUATION]
    other = np.linspace(0.0, h, 20001)
    for cost, bid in zip(seen.own.valuation, bids, strict=True):
        would_bid = other + (h - other) / n
        profit = (would_bid - cost) * (1.0 - other / h) ** (n - 1)
        assert bid == pytest.approx(would_bid[np.argmax(profit)], abs=1e-3)


def test_a_rotation_has_one_honest_bidder_in_each_group_and_each_its_turn(observe: Observe) -> None:
    ring = make_strategy("bid_rotation", {"size": 4, "factor": 3.0})
    seen = [observe(round=number) for number in range(4)]
    honest = np.stack([ring.report(one)[COST] == one.own.cost for one in seen])
    assert (honest.sum(axis=0) == 1).all()
    assert (honest.sum(axis=1) == 3).all()  # of 12 members


def test_wash_traders_look_like_keen_buyers_and_cheap_sellers(observe: Observe) -> None:
    seen = observe()
    claims = make_strategy("wash_trader", {"factor": 2.0}).report(seen)
    assert np.array_equal(claims[GAIN_SCALE], 2.0 * seen.own.gain_scale)
    assert np.array_equal(claims[SHARING_COST], 0.5 * seen.own.sharing_cost)


def test_sabotage_begins_where_rivals_press(population: Population, observe: Observe) -> None:
    spoilt = make_strategy("sabotage_rivals", {"threshold": 0.5}).train(observe()).upload == Upload.SIGN_FLIP
    assert np.array_equal(spoilt, population.competition_pressure > 0.5 * population.profitability)


def test_who_waits_for_others_does_not_come_before_the_model_is_good_nor_loses_patience(
    population: Population, observe: Observe
) -> None:
    population.stay_rounds[:] = 1
    waiting, seen = make_strategy("wait_for_others", {"accuracy": 0.6}), observe()
    for accuracy, good in ((float("nan"), False), (0.59, False), (0.6, True)):
        now = dataclasses.replace(seen, board=dataclasses.replace(seen.board, accuracy=accuracy))
        assert np.array_equal(waiting.takes_part(now), seen.advice.participate & good)
        assert (waiting.stays(now) != good).all()


def test_who_has_waited_is_patient_until_it_has_tried_itself(population: Population, observe: Observe) -> None:
    waiting = make_strategy("wait_for_others", {"accuracy": 0.6})
    population.stay_rounds[:] = 0
    assert np.array_equal(waiting.stays(observe()), observe().advice.participate)  # the board has 0.7 by now
    population.training_cost[:] = 0.3  # it came, but its upload was too late
    assert not waiting.stays(observe()).any()


def test_a_season_comes_again_every_period(observe: Observe) -> None:
    bird = make_strategy("seasonal", {"rounds": 2, "period": 5})
    comes = [bird.takes_part(observe(round=number)).any() for number in range(10)]
    assert comes == [True, True, False, False, False] * 2
    over = [observe(round=number) for number in range(5)]  # the board after a round is that of the next one
    board = over[0].board
    seen = [dataclasses.replace(one, board=dataclasses.replace(board, round=one.terms.round + 1)) for one in over]
    assert [bird.stays(one).all() for one in seen] == [False, False, True, True, True]


def test_a_cherry_picker_wants_a_margin_over_its_cost(observe: Observe) -> None:
    seen = observe()
    own, advice = seen.own, seen.advice
    pays = advice.expected_payment / (own.cost * own.data_size * np.maximum(advice.data_share, 1e-9))
    comes = make_strategy("cherry_picker", {"margin": 0.5}).takes_part(seen)
    assert np.array_equal(comes, advice.participate & (pays >= 0.5))
    assert 0 < comes.sum() < advice.participate.sum()


def test_partial_training_offers_all_and_does_a_part(observe: Observe) -> None:
    seen, lazy = observe(), make_strategy("free_rider_partial", {"trained_share": 0.25})
    assert np.array_equal(lazy.offer(seen), seen.advice.data_share)
    assert lazy.train(seen).data_share == pytest.approx(0.25 * seen.advice.data_share)


def test_who_withholds_data_offers_no_more_than_it_trains_on(observe: Observe) -> None:
    seen, shy = observe(), make_strategy("withhold_data", {"offered_share": 0.25})
    assert shy.offer(seen) == pytest.approx(0.25 * seen.advice.data_share)
    assert np.array_equal(shy.train(seen).data_share, shy.offer(seen))


@pytest.mark.parametrize(
    ("name", "params", "complaint"),
    [
        ("misreport_gradual", {"claim": "sise"}, "unknown claim 'sise'"),
        ("bid_rotation", {"claim": "quality"}, "unknown claim 'quality', known: cost, valuation"),
        ("misreport_threshold", {"level": 1.5}, "level is 1.5"),
        ("reputation_milker", {"high": 0.3}, "low is 0.4"),
        ("seasonal", {"rounds": 11}, "rounds is 11"),
        ("attack_backdoor", {"poisoned": 0.0}, "poisoned is 0.0"),
        ("hit_and_run", {"rounds": 0}, "rounds is 0"),
        ("free_rider_partial", {"trained_share": 1.0}, "trained_share is 1.0"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(name: str, params: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"strategy '{name}'") as problem:
        make_strategy(name, params)
    assert complaint in str(problem.value)
