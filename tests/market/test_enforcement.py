from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.streams import Streams
from market.enforcement import EnforcementPolicy, Verdicts, audit, confusion, drift, sanction, violations
from market.mechanism import DATA_SIZE, QUALITY, SHARING_COST

probability = st.floats(0.0, 1.0)
policies = st.builds(
    EnforcementPolicy,
    slash_share=probability,
    initial_reputation=probability,
    reputation_gain=probability,
    reputation_loss=probability,
    reputation_decay=probability,
    probation_rounds=st.integers(0, 5),
    expel_after=st.integers(0, 3),
    expel_below=probability,
)
owners = st.lists(
    st.tuples(st.booleans(), st.integers(0, 2**52), probability, st.integers(0, 4), st.integers(0, 20)),
    min_size=1,
    max_size=12,
)


def sanctioned(policy: EnforcementPolicy, rows: list[tuple[bool, int, float, int, int]], round: int = 10):
    flagged, deposit, reputation, strikes, until = (np.array(column) for column in zip(*rows, strict=True))
    verdicts = Verdicts(np.ones(len(rows), dtype=np.bool_), flagged)
    return flagged, deposit, sanction(policy, verdicts, deposit, reputation, strikes, until, round)


def test_a_claim_beyond_the_tolerance_is_a_violation_in_both_directions() -> None:
    truth = {DATA_SIZE: np.full(5, 100.0)}
    claims = {DATA_SIZE: np.array([94.9, 95.0, 100.0, 105.0, 105.1])}
    lied = violations(EnforcementPolicy(tolerance=0.05), claims, truth, np.ones(5, dtype=np.bool_))
    np.testing.assert_array_equal(lied, [True, False, False, False, True])


def test_an_infinite_claim_is_true_of_an_infinite_truth_only() -> None:
    infinite, finite = np.array([np.inf, np.inf]), np.array([np.inf, 5.0])
    honest = np.ones(2, dtype=np.bool_)
    assert violations(EnforcementPolicy(), {SHARING_COST: finite}, {SHARING_COST: infinite}, honest).tolist() == [0, 1]
    assert violations(EnforcementPolicy(), {SHARING_COST: infinite}, {SHARING_COST: finite}, honest).tolist() == [0, 1]


def test_any_one_false_claim_is_enough() -> None:
    truth = {DATA_SIZE: np.array([100.0, 100.0]), QUALITY: np.array([0.5, 0.5])}
    claims = {DATA_SIZE: np.array([100.0, 100.0]), QUALITY: np.array([0.5, 0.9])}
    lied = violations(EnforcementPolicy(), claims, truth, np.ones(2, dtype=np.bool_))
    np.testing.assert_array_equal(lied, [False, True])


def test_not_training_is_a_violation_even_with_true_claims() -> None:
    truth = {DATA_SIZE: np.array([100.0, 100.0])}
    np.testing.assert_array_equal(violations(EnforcementPolicy(), truth, truth, np.array([True, False])), [False, True])


def test_a_claim_that_is_no_number_and_a_claim_to_have_what_is_not_there_are_lies() -> None:
    truth = {DATA_SIZE: np.array([100.0, 0.0, 0.0])}
    claims = {DATA_SIZE: np.array([np.nan, 1e-3, 0.0])}
    lied = violations(EnforcementPolicy(tolerance=0.5), claims, truth, np.ones(3, dtype=np.bool_))
    np.testing.assert_array_equal(lied, [True, True, False])


@given(st.floats(1e-6, 1e6), probability)
def test_a_claim_at_the_edge_of_the_tolerance_is_no_lie(true: float, tolerance: float) -> None:
    truth = {DATA_SIZE: np.array([true, true])}
    claims = {DATA_SIZE: np.array([true * (1.0 + tolerance), true * (1.0 - tolerance)])}
    assert not violations(EnforcementPolicy(tolerance=tolerance), claims, truth, np.ones(2, dtype=np.bool_)).any()


def test_audits_detections_and_false_alarms_come_at_their_rates() -> None:
    policy = EnforcementPolicy(audit_rate=0.3, detection_rate=0.8, false_alarm_rate=0.1)
    count = 200_000
    streams, ids = Streams(5), np.arange(count)
    guilty = ids % 2 == 0
    verdicts = audit(policy, guilty, streams.uniform("audit", ids), streams.uniform("verdict", ids))
    assert verdicts.audited.mean() == pytest.approx(0.3, abs=0.005)
    assert verdicts.flagged[guilty].mean() == pytest.approx(0.3 * 0.8, abs=0.005)
    assert verdicts.flagged[~guilty].mean() == pytest.approx(0.3 * 0.1, abs=0.005)
    assert not (verdicts.flagged & ~verdicts.audited).any()


@given(st.lists(st.tuples(st.booleans(), st.floats(1e-9, 1 - 1e-9), st.floats(1e-9, 1 - 1e-9)), min_size=1))
def test_perfect_enforcement_finds_exactly_the_violations(rows: list[tuple[bool, float, float]]) -> None:
    guilty, audit_draw, verdict_draw = (np.array(column) for column in zip(*rows, strict=True))
    verdicts = audit(EnforcementPolicy(audit_rate=1.0), guilty, audit_draw, verdict_draw)
    assert verdicts.audited.all()
    np.testing.assert_array_equal(verdicts.flagged, guilty)
    assert not audit(EnforcementPolicy(audit_rate=0.0), guilty, audit_draw, verdict_draw).audited.any()


def test_verdicts_are_counted_against_the_truth() -> None:
    violation = np.array([True, True, True, False, False])
    verdicts = Verdicts(np.array([True, True, False, True, True]), np.array([True, False, False, True, False]))
    assert confusion(violation, verdicts) == (1, 1, 2)


@given(policies, owners)
def test_a_penalty_never_exceeds_the_deposit_and_spares_who_was_not_found_guilty(policy, rows) -> None:
    flagged, deposit, sanctions = sanctioned(policy, rows)
    assert (sanctions.slashed_micro >= 0).all()
    assert (sanctions.slashed_micro <= deposit).all()
    assert not sanctions.slashed_micro[~flagged].any()
    assert not sanctions.expelled[~flagged].any()


@given(policies, owners)
def test_reputation_stays_in_its_range_and_strikes_count_guilty_verdicts(policy, rows) -> None:
    flagged, _, sanctions = sanctioned(policy, rows)
    assert ((sanctions.reputation >= 0.0) & (sanctions.reputation <= 1.0)).all()
    np.testing.assert_array_equal(sanctions.strikes - np.array([row[3] for row in rows]), flagged)


@given(policies, owners)
def test_a_guilty_verdict_never_leaves_a_better_standing_than_a_clean_round(policy, rows) -> None:
    _, _, guilty = sanctioned(policy, [(True, *row[1:]) for row in rows])
    _, _, clean = sanctioned(policy, [(False, *row[1:]) for row in rows])
    assert (guilty.reputation <= clean.reputation).all()


def test_the_slashed_share_is_cut_to_whole_micro_units() -> None:
    policy = EnforcementPolicy(slash_share=0.29)
    _, _, sanctions = sanctioned(policy, [(True, 100, 0.5, 0, 0), (True, 10, 0.5, 0, 0), (False, 100, 0.5, 0, 0)])
    np.testing.assert_array_equal(sanctions.slashed_micro, [29, 2, 0])


def test_reputation_rises_in_clean_rounds_and_falls_with_a_verdict() -> None:
    policy = EnforcementPolicy(reputation_gain=0.1, reputation_loss=0.5)
    _, _, sanctions = sanctioned(policy, [(False, 0, 0.6, 0, 0), (True, 0, 0.6, 0, 0)])
    np.testing.assert_allclose(sanctions.reputation, [0.64, 0.3])


def test_reputation_drifts_back_to_its_initial_value() -> None:
    policy = EnforcementPolicy(initial_reputation=0.5, reputation_decay=0.25, reputation_gain=0.0)
    standing = np.array([0.1, 0.9])
    np.testing.assert_allclose(drift(policy, standing), [0.2, 0.8])
    for _ in range(60):
        standing = drift(policy, standing)
    np.testing.assert_allclose(standing, 0.5, atol=1e-6)
    _, _, sanctions = sanctioned(policy, [(False, 0, 0.1, 0, 0)])
    np.testing.assert_allclose(sanctions.reputation, [0.2])


def test_probation_covers_the_following_rounds_and_is_never_shortened() -> None:
    policy = EnforcementPolicy(probation_rounds=3)
    _, _, sanctions = sanctioned(
        policy, [(True, 0, 0.5, 0, 0), (True, 0, 0.5, 0, 20), (False, 0, 0.5, 0, 12)], round=10
    )
    # Rounds 11, 12 and 13 are served: 14 is the first one without probation.
    np.testing.assert_array_equal(sanctions.probation_until, [14, 20, 12])
    _, _, lenient = sanctioned(EnforcementPolicy(), [(True, 0, 0.5, 0, 4)])
    np.testing.assert_array_equal(lenient.probation_until, [4])


def test_the_last_strike_expels() -> None:
    policy = EnforcementPolicy(expel_after=2)
    _, _, sanctions = sanctioned(policy, [(True, 0, 0.5, 0, 0), (True, 0, 0.5, 1, 0), (False, 0, 0.5, 1, 0)])
    np.testing.assert_array_equal(sanctions.expelled, [False, True, False])
    _, _, never = sanctioned(replace(policy, expel_after=0), [(True, 0, 0.5, 99, 0)])
    assert not never.expelled.any()


def test_a_ruined_standing_expels_its_guilty_owner_only() -> None:
    policy = EnforcementPolicy(expel_below=0.3, reputation_loss=0.5)
    _, _, sanctions = sanctioned(policy, [(True, 0, 0.5, 0, 0), (True, 0, 0.9, 0, 0), (False, 0, 0.1, 0, 0)])
    np.testing.assert_array_equal(sanctions.expelled, [True, False, False])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("audit_rate", 1.5),
        ("detection_rate", -0.1),
        ("false_alarm_rate", float("nan")),
        ("slash_share", 2.0),
        ("reputation_loss", 1.01),
        ("deposit", -1.0),
        ("tolerance", float("inf")),
        ("probation_rounds", -1),
        ("expel_after", -3),
    ],
)
def test_an_impossible_rule_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: expected .*, got {value}$"):
        EnforcementPolicy(**{field: value})
