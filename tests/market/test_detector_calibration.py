"""Detectors set to a share of false alarms, and how well measured rates are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.enforcement.calibration import above, calibrated, conformal_limit
from market.enforcement.detectors import DETECTORS
from market.enforcement.rates import design_effect, rate


@given(st.lists(st.integers(-5, 5), min_size=9, max_size=40), st.sampled_from([0.1, 0.25, 0.5]))
def test_a_calibrated_limit_flags_no_larger_share_of_a_cohort_than_asked_for(scores: list[int], share: float) -> None:
    # Each of n + 1 exchangeable scores is as likely to be the new one: leave each out in turn.
    everything = np.array(scores, dtype=np.float64)
    beyond = [
        everything[place] > conformal_limit(np.delete(everything, place), share)
        for place in range(len(everything))
        if len(everything) > round(1 / share)
    ]
    assert not beyond or np.mean(beyond) <= share + 1e-12


def test_a_calibrated_limit_is_the_quantile_that_the_rank_says() -> None:
    scores = np.arange(19.0)
    assert conformal_limit(scores, 0.05) == 18.0
    assert conformal_limit(scores, 0.1) == 17.0
    assert conformal_limit(np.append(scores[:-1], np.nan), 0.1) == 16.0, "who has no score is never flagged"
    with pytest.raises(ValueError, match="18 clean rounds, 19 or more are needed"):
        conformal_limit(scores[:-1], 0.05)


@given(st.lists(st.lists(st.integers(-5, 5), min_size=1, max_size=6), min_size=6, max_size=12))
def test_a_limit_by_owners_flags_no_larger_share_of_a_further_owners_rounds(owners: list[list[int]]) -> None:
    # Each of k + 1 exchangeable owners is as likely to be the new one, with any of its rounds: leave each out in turn.
    share, beyond = 0.2, []
    for place, own in enumerate(owners):
        others = [rounds for number, rounds in enumerate(owners) if number != place]
        whose = np.repeat(np.arange(len(others)), [len(rounds) for rounds in others])
        limit = conformal_limit(np.concatenate(others).astype(np.float64), share, whose)
        beyond.append(np.mean(np.array(own) > limit))
    assert np.mean(beyond) <= share + 1e-9


def test_many_rounds_of_few_owners_do_not_stand_for_owners() -> None:
    """One owner in ten scores high in all of its hundred rounds: the next such one is as likely as one in eleven."""
    scores, whose = np.repeat(np.append(np.zeros(9), 7.0), 100), np.repeat(np.arange(10), 100)
    assert conformal_limit(scores, 0.15) == 0.0, "taken for independent, rounds let a tenth be flagged"
    assert conformal_limit(scores, 0.15, whose) == 7.0
    with pytest.raises(ValueError, match="10 clean owners, 19 or more are needed"):
        conformal_limit(scores, 0.05, whose)


@given(st.lists(st.integers(-5, 5), min_size=9, max_size=40), st.sampled_from([0.1, 0.25, 0.5]))
def test_owners_with_a_round_each_are_so_many_rounds(scores: list[int], share: float) -> None:
    clean = np.array(scores, dtype=np.float64)
    assert conformal_limit(clean, share, np.arange(len(clean))) == conformal_limit(clean, share)


@pytest.mark.parametrize("name", ["update_norm", "update_direction", "loss_drop", "held_out_gain", "near_copy"])
def test_a_calibrated_detector_flags_what_is_beyond_the_clean_scores_and_keeps_its_kind(name: str) -> None:
    clean = np.linspace(0.1, 0.5, 99)
    detector = calibrated(DETECTORS[name](), clean, 0.02)
    assert type(detector) is DETECTORS[name]
    assert detector.limit == pytest.approx(conformal_limit(clean, 0.02), rel=2e-5)
    assert detector.flagged(clean).sum() == 1
    assert detector.flagged(np.array([0.6, np.nan])).tolist() == [True, False]


def test_what_cannot_be_calibrated_says_why() -> None:
    with pytest.raises(ValueError, match="no limit that could be set"):
        calibrated(DETECTORS["duplicate"](), np.zeros(50), 0.1)
    with pytest.raises(ValueError, match="no finite score"):
        calibrated(DETECTORS["update_norm"](), np.full(50, np.inf), 0.1)


def test_a_limit_is_written_with_few_digits_and_never_too_low() -> None:
    found = [above(number) for number in (0.96404673, -0.3203431658, 1.81379013, 0.0, 123456789.0)]
    assert found == [0.964047, -0.320343, 1.8138, 1e-06, 123457000.0]


def test_rounds_of_one_owner_tell_less_than_as_many_of_different_owners() -> None:
    flags, whose = np.repeat([True, False, True, False, False], 10), np.repeat(np.arange(5), 10)
    # All rounds of an owner are alike, so 50 rounds are worth five: the variance of a share of five is 5/4 larger.
    assert design_effect(flags, whose) == pytest.approx(10 * 5 / 4)
    assert rate(flags, whose).high - rate(flags, whose).low > 2 * (rate(flags).high - rate(flags).low)
    alone = np.arange(50)
    assert design_effect(flags, alone) == pytest.approx(50 / 49)
    assert design_effect(np.zeros(50, dtype=np.bool_), whose) == 10.0, "where nothing differs nothing tells"


def test_the_interval_of_grouped_rounds_holds_as_often_as_it_says() -> None:
    generator, held = np.random.default_rng(5), 0
    whose = np.repeat(np.arange(40), 12)
    for _ in range(1000):
        liable = generator.beta(1.0, 3.0, 40)  # owners differ much in how often they are flagged
        found = rate(generator.random(480) < np.repeat(liable, 12), whose)
        held += found.low <= 0.25 <= found.high
    assert 925 <= held <= 975
