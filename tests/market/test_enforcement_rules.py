"""What can be chosen in enforcement: audit policies, detectors, slashing, deposits, bans, appeals, measured rates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from learning.inspection_names import ALIGNMENT, DUPLICATES, HELD_OUT_GAIN, LOSS_DROP, SIMILARITY, UPDATE_NORM
from learning.streams import Streams
from market.enforcement import AUDIT_POLICIES, EnforcementPolicy, Evidence, Verdicts, audit, sanction
from market.enforcement.admission import FlatAdmission, LateAdmission
from market.enforcement.appeals import APPEALS, InnocentAppeal, RationalAppeal
from market.enforcement.auditing import ByAnomaly, ByReportGap, ByReputation, RandomAudits, share_out
from market.enforcement.bans import FOR_LIFE, IdentityBan, PersonBan
from market.enforcement.deposits import DEPOSITS, EscalatingDeposit, FlatDeposit, ProportionalDeposit
from market.enforcement.detectors import DETECTORS, GapDetector, NearCopyDetector, NormDetector
from market.enforcement.evidence import deviation, rank_gap
from market.enforcement.rates import area, rate
from market.enforcement.slashing import SLASHING, Escalating, Flat, Proportional

numbers = st.lists(st.just(0.0) | st.floats(1e-6, 1e6), min_size=1, max_size=20)


def evidence(count: int = 4, **measured: list[float]) -> Evidence:
    columns = {name: np.array(column, dtype=np.float64) for name, column in measured.items()}
    count = len(next(iter(columns.values()))) if columns else count
    return Evidence(np.full(count, 0.5), np.arange(count, dtype=np.float64), columns)


# ---- audit policies -----------------------------------------------------------------------------------------------


@given(weights=numbers, share=st.floats(1e-6, 1.0))
def test_audits_are_shared_out_by_weight_to_the_last_one(weights: list[float], share: float) -> None:
    weight = np.array(weights)
    open_ = int((weight > 0).sum())
    chance = share_out(weight, share * len(weight))
    assert ((chance >= 0) & (chance <= 1)).all()
    assert chance.sum() == pytest.approx(min(share * len(weight), open_), rel=1e-9, abs=1e-12)
    certain = chance > 1 - 1e-12
    if (~certain & (weight > 0)).any():
        unit = (chance / np.where(weight > 0, weight, 1))[~certain & (weight > 0)]
        assert np.ptp(unit) <= 1e-9 * unit.max()
        assert (chance[certain] / weight[certain] <= unit.min() * (1 + 1e-9)).all(), "nobody is cut that had less"


def test_random_audits_are_as_likely_for_everybody() -> None:
    assert RandomAudits().chances(0.3, evidence(3)).tolist() == [0.3] * 3


def test_a_bad_standing_draws_audits_but_leaves_nobody_safe() -> None:
    known = Evidence(np.array([1.0, 0.5, 0.0]), np.zeros(3))
    chance = ByReputation(focus=0.6).chances(0.3, known)
    # 0.9 audits are expected: 0.4 of them at random, 0.6 by 1 - reputation, which adds up to 1.5.
    np.testing.assert_allclose(chance, 0.9 * np.array([0.4 / 3, 0.4 / 3 + 0.2, 0.4 / 3 + 0.4]))
    assert ByReputation(focus=0.0).chances(0.3, known).tolist() == pytest.approx([0.3] * 3)


def test_a_contribution_far_below_the_others_draws_audits() -> None:
    known = evidence(**{HELD_OUT_GAIN: [0.10, 0.11, 0.09, 0.10, -0.5, np.nan]})
    chance = ByAnomaly(focus=1.0).chances(0.2, known)
    assert chance.argmax() == 4
    assert chance.sum() == pytest.approx(1.2)
    assert chance[4] == 1.0
    assert chance[5] == 0.0, "of what was not measured nothing is suspected"


def test_claims_above_what_was_measured_draw_audits() -> None:
    known = Evidence(np.full(4, 0.5), np.array([400.0, 100, 200, 300]), {HELD_OUT_GAIN: np.array([0.1, 0.2, 0.3, 0.4])})
    np.testing.assert_allclose(rank_gap(known.claimed, known.measured[HELD_OUT_GAIN]), [1, -1 / 3, -1 / 3, -1 / 3])
    assert ByReportGap(focus=1.0).chances(0.1, known).tolist() == [pytest.approx(0.4), 0, 0, 0]


def test_where_nobody_stands_out_all_are_audited_alike() -> None:
    assert ByReputation().chances(0.25, Evidence(np.ones(4), np.zeros(4))).tolist() == [0.25] * 4


def test_aimed_audits_come_at_their_chances() -> None:
    count = 40_000
    known = Evidence(np.tile([0.9, 0.1], count // 2), np.zeros(count))
    policy = EnforcementPolicy(audit_rate=0.2, audit_policy=ByReputation())
    ids, nobody = np.arange(count), np.zeros(count, dtype=np.bool_)
    verdicts = audit(policy, nobody, Streams(2).uniform("audit", ids), np.full(count, 0.5), known)
    assert verdicts.audited.mean() == pytest.approx(0.2, abs=0.01)
    for half in (slice(0, None, 2), slice(1, None, 2)):
        assert verdicts.audited[half].mean() == pytest.approx(verdicts.chance[half].mean(), abs=0.015)


# ---- detectors ----------------------------------------------------------------------------------------------------


def test_deviations_are_robust() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 1000.0])
    expected = (values - 3.0) / stats.median_abs_deviation(values, scale="normal")
    np.testing.assert_allclose(deviation(values), expected, rtol=1e-4)
    assert np.isnan(deviation(np.array([1.0, np.nan, 3.0]))[1])
    assert deviation(np.array([2.0, 2.0, 2.0])).tolist() == [0.0] * 3
    assert deviation(np.array([2.0, 2.0, 2.0, 2.0, 3.0]))[4] > 3.5, "most are alike, so that the MAD is 0"
    assert deviation(np.array([-np.inf, 1.0, 2.0]))[0] == -np.inf


SIGNALS = {
    UPDATE_NORM: [1.0, 1.1, 0.9, 1.05, 0.0, 60.0, np.nan],
    ALIGNMENT: [0.5, 0.4, 0.6, 0.5, 0.0, -0.7, np.nan],
    LOSS_DROP: [0.2, 0.1, 0.3, 0.2, 0.0, -0.4, np.nan],
    HELD_OUT_GAIN: [0.1, 0.0, 0.1, 0.2, -0.1, -0.4, np.nan],
    DUPLICATES: [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, np.nan],
    SIMILARITY: [0.2, 0.9, 0.1, 0.3, 1.0, 0.999, np.nan],
}


@pytest.mark.parametrize(
    ("name", "flagged"),
    [
        ("update_norm", [4, 5]),
        ("update_direction", [4, 5]),
        ("loss_drop", [4, 5]),
        ("held_out_gain", [1, 4, 5]),
        ("duplicate", [4, 5]),
        ("near_copy", [4, 5]),
    ],
)
def test_a_detector_flags_what_stands_out_and_nothing_without_a_signal(name: str, flagged: list[int]) -> None:
    found = DETECTORS[name]().flags(evidence(**SIGNALS))
    assert np.flatnonzero(found).tolist() == flagged


def test_claims_that_rank_high_above_the_measurement_are_flagged() -> None:
    known = Evidence(np.ones(3), np.array([3.0, 2.0, 1.0]), {LOSS_DROP: np.array([0.1, 0.2, 0.3])})
    assert GapDetector(measurement=LOSS_DROP).flags(known).tolist() == [True, False, False]


def test_detectors_vote_and_the_truth_is_of_no_influence() -> None:
    known = evidence(**SIGNALS)
    policy = EnforcementPolicy(audit_rate=1.0, detectors=(NormDetector(), NearCopyDetector(similarity=0.5)), votes=2)
    nobody, half = np.zeros(7, dtype=np.bool_), np.full(7, 0.5)
    for truth in (nobody, ~nobody):
        verdicts = audit(policy, truth, half, half, known)
        assert np.flatnonzero(verdicts.flagged).tolist() == [4, 5]
        assert verdicts.found_by.tolist() == [0, 2, 0, 0, 3, 3, 0]
    assert policy.needs == {UPDATE_NORM, SIMILARITY}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_the_area_is_the_chance_that_a_violation_scores_higher(cases: list[tuple[bool, int]]) -> None:
    guilty, scores = (np.array(column) for column in zip(*cases, strict=True))
    found = area(scores.astype(np.float64), guilty)
    if guilty.all() or not guilty.any():
        assert np.isnan(found)
    else:
        pairs = np.sign(np.subtract.outer(scores[guilty], scores[~guilty]))
        assert found == pytest.approx((pairs.mean() + 1) / 2)


def test_a_measured_rate_has_the_interval_of_wilson() -> None:
    found = rate(np.arange(40) < 7)
    expected = stats.binomtest(7, 40).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.share == 7 / 40
    assert np.isnan(rate(np.zeros(0, dtype=np.bool_)).share)


# ---- slashing and deposits ----------------------------------------------------------------------------------------


def fined(policy: EnforcementPolicy, deposit: list[int], strikes: list[int]) -> list[int]:
    count = len(deposit)
    verdicts = Verdicts(np.ones(count, dtype=np.bool_), np.ones(count, dtype=np.bool_))
    columns = np.array(deposit), np.full(count, 0.5), np.array(strikes), np.zeros(count, dtype=np.int64)
    return sanction(policy, verdicts, *columns, round=1).slashed_micro.tolist()


def test_fines_are_proportional_flat_or_escalating_and_never_above_the_deposit() -> None:
    deposits, strikes = [4_000_000, 4_000_000, 1_000_000], [0, 1, 5]
    assert fined(EnforcementPolicy(slash_share=0.5), deposits, strikes) == [2_000_000, 2_000_000, 500_000]
    assert fined(EnforcementPolicy(slashing=Flat(amount=1.5)), deposits, strikes) == [1_500_000, 1_500_000, 1_000_000]
    escalating = EnforcementPolicy(slashing=Escalating(first_share=0.25, factor=2.0))
    assert fined(escalating, deposits, strikes) == [1_000_000, 2_000_000, 1_000_000]


@pytest.mark.parametrize(
    ("slashing", "fine"), [(Proportional(), 2.0), (Flat(amount=9.0), 4.0), (Flat(amount=1.0), 1.0), (Escalating(), 1.0)]
)
def test_the_board_tells_what_a_first_verdict_takes(slashing, fine: float) -> None:
    policy = EnforcementPolicy(deposit=4.0, slash_share=0.5, slashing=slashing)
    assert policy.fine == fine
    share = policy.slash_share
    assert fined(policy, [4_000_000], [0]) == [round(1e6 * fine)], share


def test_deposits_are_flat_by_claim_or_by_record() -> None:
    claimed, strikes = np.array([10.0, 100.0, np.nan]), np.array([0, 1, 9])
    assert FlatDeposit().required(2.0, claimed, strikes).tolist() == [2_000_000] * 3
    by_claim = ProportionalDeposit(per_sample=0.1).required(2.0, claimed, strikes)
    assert by_claim.tolist() == [3_000_000, 12_000_000, 2_000_000]
    assert EscalatingDeposit().required(2.0, claimed, strikes).tolist() == [2_000_000, 4_000_000, 16_000_000]
    assert (EscalatingDeposit().required(2.0, claimed, np.full(3, 10**6)) == 16_000_000).all()


def test_admission_is_flat_or_grows_with_the_rounds_missed() -> None:
    missed = np.array([0, 3, 10])
    assert FlatAdmission().fee(2.0, missed).tolist() == [2.0, 2.0, 2.0]
    assert LateAdmission(per_round=0.5).fee(2.0, missed).tolist() == [2.0, 3.5, 7.0]


# ---- bans and appeals ---------------------------------------------------------------------------------------------


def test_a_ban_ends_after_its_rounds_or_never() -> None:
    assert IdentityBan(rounds=3).until(7) == 11  # rounds 8, 9 and 10
    assert PersonBan().until(7) == FOR_LIFE
    assert (IdentityBan.whole_person, PersonBan.whole_person) == (False, True)


def test_a_rational_owner_appeals_where_the_expected_refund_beats_the_fee() -> None:
    rule = RationalAppeal(fee=1.0, detection_rate=0.8, false_alarm_rate=0.1)
    guilty, stake = np.array([True, True, False, False]), np.array([3.0, 5.0, 0.1, 0.2])
    # Guilty: 0.2 * stake > 0.8; innocent: 0.9 * stake > 0.1.
    assert rule.lodged(guilty, stake).tolist() == [False, True, False, True]
    assert InnocentAppeal(fee=1.0).lodged(guilty, stake).tolist() == [False, False, True, True]


def test_an_appeal_errs_at_its_own_rates() -> None:
    rule, count = RationalAppeal(detection_rate=0.9, false_alarm_rate=0.2), 20_000
    draw = Streams(6).uniform("appeal", np.arange(count))
    assert rule.overturned(np.ones(count, dtype=np.bool_), draw).mean() == pytest.approx(0.1, abs=0.01)
    assert rule.overturned(np.zeros(count, dtype=np.bool_), draw).mean() == pytest.approx(0.8, abs=0.012)


@pytest.mark.parametrize(
    ("build", "line"),
    [
        (lambda: ByReputation(focus=1.5), "focus: expected a number between 0 and 1, got 1.5"),
        (lambda: ByAnomaly(measurement="luck"), "measurement: expected one of held_out_gain, "),
        (lambda: NearCopyDetector(similarity=2.0), "similarity: expected a cosine between -1 and 1, got 2.0"),
        (lambda: NormDetector(deviations=-1.0), "deviations: expected a number of at least 0, got -1.0"),
        (lambda: Flat(amount=float("inf")), "amount: expected a number of at least 0, got inf"),
        (lambda: Escalating(factor=0.5), "factor: expected a number of at least 1, got 0.5"),
        (lambda: EscalatingDeposit(most=0.0), "most: expected a number of at least 1, got 0.0"),
        (lambda: PersonBan(rounds=-1), "rounds: expected a number of rounds, got -1"),
        (lambda: RationalAppeal(detection_rate=2.0), "detection_rate: expected a number between 0 and 1, got 2.0"),
        (lambda: EnforcementPolicy(server_fee=1.1), "server_fee: expected a number between 0 and 1, got 1.1"),
    ],
)
def test_an_impossible_rule_is_refused_in_one_line(build, line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}"):
        build()


@pytest.mark.parametrize("registry", [AUDIT_POLICIES, DETECTORS, SLASHING, DEPOSITS, APPEALS], ids=lambda r: r.kind)
def test_every_entry_has_its_name_and_a_description(registry) -> None:
    assert all(registry[name].name == name and registry.description(name) for name in registry)
