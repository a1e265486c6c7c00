"""Half-lives over several runs: bounds that know that owners of one run meet the same market."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from scenarios import analysis
from scenarios.analysis.spells import CENSORED

SLOW, FAST = 0.05, 0.4
"""Hazards of leaving, per window, in runs that go well and in runs that do not; either is as likely."""


def runs_of(chance: np.random.Generator, runs: int, owners: int, end: float = 40.0) -> pd.DataFrame:
    """Stays of owners whose hazard is that of their run."""
    hazard = np.repeat(chance.choice([SLOW, FAST], runs), owners)
    stay = chance.exponential(1.0 / hazard)
    return pd.DataFrame({
        "run": np.repeat(np.arange(runs), owners),
        "entry": 0.0,
        "exit": np.minimum(stay, end),
        "cause": np.where(stay > end, CENSORED, "voluntary"),
    })  # fmt: skip


def half_life(spells: pd.DataFrame, **options: object) -> pd.Series:
    return analysis.half_life(analysis.kaplan_meier_over_runs(spells, **options)).iloc[0]  # type: ignore[arg-type]


def test_bounds_hold_the_true_half_life_about_as_often_as_they_say_and_those_of_independent_owners_do_not() -> None:
    true = brentq(lambda time: (np.exp(-SLOW * time) + np.exp(-FAST * time)) / 2.0 - 0.5, 0.0, 40.0)
    chance, held, naive = np.random.default_rng(7), 0, 0
    for _ in range(100):
        spells = runs_of(chance, runs=10, owners=20)
        robust = half_life(spells, resamples=400)
        alone = analysis.half_life(analysis.kaplan_meier(spells)).iloc[0]
        held += robust["lower"] <= true <= robust["upper"]
        naive += alone["lower"] <= true <= alone["upper"]
    assert held >= 88
    assert naive < 75


def test_curve_and_half_life_are_those_of_all_owners_together() -> None:
    spells = runs_of(np.random.default_rng(1), runs=4, owners=10)
    together, over = analysis.kaplan_meier(spells), analysis.kaplan_meier_over_runs(spells, resamples=50)
    kept = ["group", "time", "at_risk", "ended", "survival"]
    pd.testing.assert_frame_equal(over[kept], together[kept])
    assert (over["lower"] <= over["survival"]).all()
    assert (over["survival"] <= over["upper"]).all()


def test_bounds_of_two_runs_are_the_two_runs() -> None:
    """Student's t of one degree of freedom asks for all that was drawn: both times the one run, or the other."""
    one = pd.DataFrame({"run": 0, "entry": 0.0, "exit": [1.0, 2.0, 3.0], "cause": "voluntary"})
    other = one.assign(run=1, exit=[5.0, 6.0, 7.0])
    found = half_life(pd.concat([one, other]))
    assert found.tolist() == ["all", 3.0, 2.0, 6.0]


def test_a_resampled_curve_is_that_of_the_runs_drawn_with_all_their_owners() -> None:
    spells = runs_of(np.random.default_rng(3), runs=3, owners=6)
    late = spells.assign(entry=np.where(np.arange(len(spells)) % 2, spells["exit"] / 2.0, 0.0))
    found = analysis.kaplan_meier_over_runs(late, resamples=3000)
    every = [
        analysis.kaplan_meier(pd.concat([late[late["run"] == run] for run in (a, b, c)]))
        for a in range(3) for b in range(3) for c in range(3)
    ]  # fmt: skip
    for row in found.iloc[1:].itertuples():
        survivals = [float(curve.loc[curve["time"] <= row.time, "survival"].iloc[-1]) for curve in every]
        assert row.lower == pytest.approx(min(survivals)), "of three runs t asks for the least of all 27"
        assert row.upper == pytest.approx(max(survivals))


def test_one_run_says_nothing_about_others_and_the_same_seed_gives_the_same_bounds() -> None:
    spells = runs_of(np.random.default_rng(2), runs=5, owners=8)
    alone = half_life(spells[spells["run"] == 0])
    assert np.isfinite(alone["half_life"])
    assert np.isnan([alone["lower"], alone["upper"]]).all()
    first, second, other = (half_life(spells, resamples=200, seed=seed) for seed in (1, 1, 2))
    assert first.equals(second)
    assert first["half_life"] == other["half_life"]


def test_curves_of_very_many_owners_take_little_memory_and_come_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody leaves at a time of its own: all curves at once would take 16 MB, and sorting them as much again."""
    spells = runs_of(np.random.default_rng(4), runs=4, owners=1500)
    tracemalloc.start()
    found = analysis.kaplan_meier_over_runs(spells, resamples=400)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) > 4000
    assert peak < 2**23
    monkeypatch.setattr("scenarios.analysis.over_runs.TIMES_AT_ONCE", 10**6)
    pd.testing.assert_frame_equal(analysis.kaplan_meier_over_runs(spells, resamples=400), found, check_exact=True)
