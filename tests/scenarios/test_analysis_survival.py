"""How long owners stay and why they go, on made-up spells whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifelines import AalenJohansenFitter, KaplanMeierFitter

from scenarios import analysis
from scenarios.analysis.spells import CENSORED, SPELL


def spells(*rows: tuple[float, float, str], strategy: str = "honest") -> pd.DataFrame:
    """Spells by entry, exit and cause."""
    return pd.DataFrame(
        [(owner, owner, 1, strategy, *row) for owner, row in enumerate(rows)], columns=list(SPELL)
    )  # fmt: skip


def exponential(rates: dict[str, float], count: int, *, end: float, late: bool = False, seed: int = 1) -> pd.DataFrame:
    """Stays that end with constant hazards by cause, seen until ``end``; all enter at 0 or late, over half of it."""
    rng = np.random.default_rng(seed)
    causes = list(rates)
    times = np.array([rng.exponential(1.0 / rates[cause], count) for cause in causes])
    entry = rng.uniform(0.0, end / 2, count) if late else np.zeros(count)
    exit, cause = entry + times.min(axis=0), np.array(causes, dtype=object)[times.argmin(axis=0)]
    cause[exit > end] = CENSORED
    owners = np.arange(count)
    return pd.DataFrame(dict(zip(
        SPELL, (owners, owners, np.ones(count), "honest", entry, np.minimum(exit, end), cause), strict=True
    )))  # fmt: skip


def at(table: pd.DataFrame, column: str, time: float, start: float = 1.0) -> float:
    """The value of a step function at a time; ``start`` before its first step."""
    known = table.loc[table["time"] <= time, column]
    return float(known.iloc[-1]) if len(known) else start


def test_the_curve_falls_by_the_share_of_those_at_risk() -> None:
    curve = analysis.kaplan_meier(spells((0, 1, "voluntary"), (0, 2, CENSORED), (0, 3, "expelled"), (0, 4, CENSORED)))
    assert at(curve, "survival", 1) == pytest.approx(3 / 4)
    assert at(curve, "survival", 3) == pytest.approx(3 / 4 * 1 / 2)


def test_who_enters_late_is_at_risk_only_from_then_on() -> None:
    curve = analysis.kaplan_meier(spells((0, 1, "voluntary"), (0, 3, "voluntary"), (2, 4, CENSORED), (2, 5, CENSORED)))
    assert at(curve, "survival", 1) == pytest.approx(1 / 2)  # two were there, not four
    assert at(curve, "survival", 3) == pytest.approx(1 / 2 * 2 / 3)


def test_who_comes_late_and_leaves_at_once_was_at_risk_at_no_time() -> None:
    alone = spells((0, 9, CENSORED), (5, 5, "voluntary"), (6, 9, CENSORED))
    assert at(analysis.kaplan_meier(alone), "survival", 9) == 1.0
    assert analysis.cumulative_incidence(alone).empty


def test_who_leaves_in_the_moment_of_joining_counts_on_the_clock_of_the_tenure() -> None:
    drawn = spells((0, 0, "voluntary"), (0, 4, CENSORED))
    assert at(analysis.kaplan_meier(drawn), "survival", 0) == 0.5
    assert analysis.churn_hazard(drawn, width=5)["ended"].tolist() == [1]


def test_a_curve_goes_on_to_the_last_look_at_its_group() -> None:
    curve = analysis.kaplan_meier(spells((0, 1, "voluntary"), (0, 7, CENSORED), (0, 9, CENSORED)))
    assert curve["time"].tolist() == [0, 1, 9]
    assert curve.iloc[-1][["at_risk", "ended"]].tolist() == [1, 0]
    assert curve["survival"].iloc[-1] == curve["survival"].iloc[-2] == pytest.approx(2 / 3)


@pytest.mark.parametrize("late", [False, True])
def test_the_curve_and_its_bounds_are_those_of_lifelines(late: bool) -> None:
    drawn = exponential({"voluntary": 0.1}, 60, end=30, late=late)
    drawn.loc[:9, "entry"] = 0.0  # enough early ones for lifelines
    peer = KaplanMeierFitter().fit(drawn["exit"], drawn["cause"] != CENSORED, entry=drawn["entry"] if late else None)
    ours, bounds = analysis.kaplan_meier(drawn), peer.confidence_interval_
    for time in (5.0, 12.0, 20.0):
        assert at(ours, "survival", time) == pytest.approx(float(peer.predict(time)))
        for column, theirs in (("lower", 0), ("upper", 1)):
            assert at(ours, column, time) == pytest.approx(float(bounds.loc[:time].iloc[-1, theirs]))


@pytest.mark.parametrize("late", [False, True])
def test_a_constant_hazard_gives_an_exponential_curve_and_its_half_life(late: bool) -> None:
    drawn = exponential({"voluntary": 0.1}, 4000, end=30, late=late)
    curve = analysis.kaplan_meier(drawn)
    assert at(curve, "survival", 10) == pytest.approx(np.exp(-1), abs=0.03)
    half = analysis.half_life(curve).iloc[0]
    assert half["half_life"] == pytest.approx(np.log(2) / 0.1, rel=0.08)
    assert half["lower"] < half["half_life"] < half["upper"]


def test_the_half_life_is_infinite_while_half_are_still_there() -> None:
    curve = analysis.kaplan_meier(spells((0, 1, "voluntary"), (0, 9, CENSORED), (0, 9, CENSORED)))
    assert analysis.half_life(curve)["half_life"].iloc[0] == np.inf


def test_the_mean_tenure_is_the_area_under_the_curve() -> None:
    curve = analysis.kaplan_meier(spells((0, 2, "voluntary"), (0, 6, "voluntary")))
    assert analysis.mean_tenure(curve, 6)["mean_tenure"].iloc[0] == pytest.approx((2 + 6) / 2)
    assert analysis.mean_tenure(curve, 4)["mean_tenure"].iloc[0] == pytest.approx((2 + 4) / 2)


def test_the_log_rank_test_tells_groups_apart_that_differ_and_not_those_that_do_not() -> None:
    slow, fast = (exponential({"voluntary": rate}, 200, end=30, seed=seed) for rate, seed in ((0.05, 2), (0.1, 3)))
    same = exponential({"voluntary": 0.05}, 200, end=30, seed=4)
    assert analysis.log_rank(pd.concat([slow, fast.assign(strategy="rider")]), "strategy").p_value < 1e-4
    assert analysis.log_rank(pd.concat([slow, same.assign(strategy="rider")]), "strategy").p_value > 0.01


def test_the_log_rank_test_refuses_late_entry_and_a_single_group() -> None:
    with pytest.raises(ValueError, match="late entry"):
        analysis.log_rank(spells((1, 2, "voluntary")), "strategy")
    with pytest.raises(ValueError, match="compares groups"):
        analysis.log_rank(spells((0, 2, "voluntary")), "strategy")


@pytest.mark.parametrize("late", [False, True])
def test_constant_competing_hazards_share_the_exits_in_proportion(late: bool) -> None:
    drawn = exponential({"voluntary": 0.06, "expelled": 0.02}, 4000, end=40, late=late)
    incidence = analysis.cumulative_incidence(drawn)
    for cause, share in (("voluntary", 0.75), ("expelled", 0.25)):
        rows = incidence[incidence["cause"] == cause]
        assert at(rows, "incidence", 20) == pytest.approx(share * (1 - np.exp(-0.08 * 20)), abs=0.03)


def test_incidence_and_its_bounds_are_those_of_lifelines_where_nobody_ties_or_comes_late() -> None:
    drawn = exponential({"voluntary": 0.06, "expelled": 0.02}, 150, end=40)
    code = drawn["cause"].map({CENSORED: 0, "voluntary": 1, "expelled": 2})
    for number, cause in ((1, "voluntary"), (2, "expelled")):
        # Censored at the end together: the only ties, which change nothing.
        peer = AalenJohansenFitter(calculate_variance=True, jitter_level=1e-9, seed=1)
        peer.fit(drawn["exit"], code, event_of_interest=number)
        ours = analysis.cumulative_incidence(drawn)
        ours = ours[ours["cause"] == cause]
        assert at(ours, "incidence", 39) == pytest.approx(float(peer.cumulative_density_.loc[:39].iloc[-1, 0]))
        spread = (at(ours, "upper", 39) - at(ours, "incidence", 39)) / 1.959964
        assert spread**2 == pytest.approx(float(peer.variance_.loc[:39].iloc[-1]), rel=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_curve_and_incidence_with_late_entry_and_ties_are_those_counted_owner_by_owner(seed: int) -> None:
    rng = np.random.default_rng(seed)
    entry = rng.integers(0, 6, 40).astype(float)
    exit = entry + rng.integers(1, 9, 40)
    causes = rng.choice(["voluntary", "expelled", CENSORED], 40)
    drawn = spells(*zip(entry, exit, causes, strict=True))
    survival, incidence = 1.0, {"voluntary": 0.0, "expelled": 0.0}
    for time in range(1, 16):
        there = sum(1 for start, end in zip(entry, exit, strict=True) if (start < time or start == 0) and end >= time)
        gone = {cause: sum(1 for end, why in zip(exit, causes, strict=True) if end == time and why == cause)
                for cause in incidence}  # fmt: skip
        for cause, count in gone.items():
            incidence[cause] += survival * count / there if count else 0.0
        survival *= 1 - sum(gone.values()) / there if any(gone.values()) else 1.0
        assert at(analysis.kaplan_meier(drawn), "survival", time) == pytest.approx(survival)
        for cause, expected in incidence.items():
            rows = analysis.cumulative_incidence(drawn)
            assert at(rows[rows["cause"] == cause], "incidence", time, 0.0) == pytest.approx(expected)


times = st.tuples(st.integers(0, 5), st.integers(1, 6), st.sampled_from(["voluntary", "expelled", "quit", CENSORED]))


@given(st.lists(times.map(lambda row: (float(row[0]), float(row[0] + row[1]), row[2])), min_size=1, max_size=30))
def test_the_causes_and_those_still_there_add_up_to_one(rows: list[tuple[float, float, str]]) -> None:
    drawn = spells(*rows)
    incidence, curve = analysis.cumulative_incidence(drawn), analysis.kaplan_meier(drawn)
    for time in incidence["time"].unique():
        gone = sum(at(part, "incidence", time) for _, part in incidence.groupby("cause"))
        assert gone + at(curve, "survival", time) == pytest.approx(1.0)
    assert incidence["incidence"].between(0, 1 + 1e-12).all()


def test_the_churn_hazard_is_exits_over_the_time_lived_in_the_band() -> None:
    table = analysis.churn_hazard(spells((0, 4, "voluntary"), (0, 15, CENSORED), (3, 10, "expelled")), width=10)
    first, second = (table.iloc[row] for row in (0, 1))
    assert (first["exposure"], first["ended"]) == (4 + 10 + 7, 2)
    assert first["hazard"] == pytest.approx(2 / 21)
    assert (second["exposure"], second["ended"], second["lower"]) == (5, 0, 0)


def test_the_churn_hazard_finds_a_constant_one_and_its_interval_covers_it() -> None:
    table = analysis.churn_hazard(exponential({"voluntary": 0.1}, 2000, end=20), width=5)
    assert ((table["lower"] < 0.1) & (table["upper"] > 0.1)).all()


def test_retention_is_the_share_of_the_cohort_that_is_still_there() -> None:
    drawn = spells((0, 3, "voluntary"), (0, 10, CENSORED), (0, 2, "quit"), (0, 5, CENSORED))
    table = analysis.retention(drawn.assign(joined=[0.0, 0.0, 5.0, 5.0]), end=10, width=5)
    assert table.loc[0.0].tolist() == [1.0, 0.5]
    assert table.loc[5.0].tolist() == [1.0, 0.5]
    assert table.attrs["stays"] == {0.0: 2, 5.0: 2}


def test_retention_is_blank_where_the_run_ended_before() -> None:
    drawn = spells((0, 3, "voluntary"), (0, 2, CENSORED))
    table = analysis.retention(drawn.assign(joined=[0.0, 8.0]), end=10, width=5)
    assert np.isnan(table.loc[5.0, 5.0])
