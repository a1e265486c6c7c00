"""Statistics of studies: against formulas, against brute force, and on studies that were really played."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from study_files import plan_of, play_here

from learning.streams import Streams
from scenarios.results import BadRun
from scenarios.studies.designs import Morris, Saltelli
from scenarios.studies.differences import bootstrap_difference, bootstrap_mean, contrast, paired_differences
from scenarios.studies.discovery import boxes, discover
from scenarios.studies.effects import main_effects, phase_diagram, variance_shares
from scenarios.studies.factors import Factor, Range
from scenarios.studies.results import StudyResults
from scenarios.studies.sensitivity import morris_effects, sensitivity, sobol_indices
from scenarios.studies.sequential import interval_width, replications_needed

BUDGET, RATE = "market.budget", "enforcement.audit_rate"
LYING = {"name": "late", "table": "rounds", "value": "sum(late) + max(round)"}


@pytest.fixture(scope="module")
def grid(tmp_path_factory) -> StudyResults:
    """Two budgets by three audit rates by five seeds, played."""
    folder = tmp_path_factory.mktemp("grid")
    plan = plan_of(
        folder, factors={BUDGET: [5.0, 20.0], RATE: [0.0, 0.3, 0.9]}, replications=5, measures=["welfare", LYING],
        baseline={RATE: 0.0}, keep=["rounds"],
    )  # fmt: skip
    return play_here(plan, folder / "out")


# ---- reading ------------------------------------------------------------------------------------------------------


def test_a_table_of_a_study_is_the_tables_of_its_runs_one_after_the_other(grid):
    runs = [run for run, _ in grid.listing.runs]
    expected = pd.concat([grid.run(run).rounds.assign(run=run) for run in runs], ignore_index=True)
    found = grid.table("rounds").df()
    pd.testing.assert_frame_equal(found[expected.columns], expected, check_dtype=False, check_categorical=False)
    assert len(grid.table("rounds").filter("round = 1").fetchall()) == 30


def test_sql_joins_the_runs_with_their_tables(grid):
    query = f'SELECT "{BUDGET}" AS b, count(*) FROM runs JOIN rounds USING (run) GROUP BY b ORDER BY b'
    assert grid.sql(query).fetchall() == [(5.0, 30), (20.0, 30)]


def test_a_measure_can_be_a_total_over_any_table(grid):
    run = grid.measures.iloc[7]
    rounds = grid.run(run["run"]).rounds
    assert run["late"] == rounds["late"].sum() + rounds["round"].max()


def test_a_folder_without_a_study_is_told_in_one_line(tmp_path):
    with pytest.raises(BadRun, match="holds no study"):
        StudyResults(tmp_path)


# ---- intervals ----------------------------------------------------------------------------------------------------


def test_the_bootstrap_interval_covers_the_truth_about_as_often_as_it_says():
    chance = np.random.default_rng(5)
    found = [bootstrap_mean(chance.normal(2.0, 3.0, 25), resamples=600, seed=k) for k in range(400)]
    covered = np.mean([interval.low <= 2.0 <= interval.high for interval in found])
    assert 0.89 < covered < 0.975  # nominal 0.95; three standard errors of 400 trials are 0.033


def test_for_many_values_the_bootstrap_is_students_interval():
    values = np.random.default_rng(6).normal(1.0, 2.0, 2000)
    found = bootstrap_mean(values)
    half = stats.t.ppf(0.975, 1999) * values.std(ddof=1) / np.sqrt(2000)
    assert (found.mean, found.low, found.high) == pytest.approx(
        (values.mean(), values.mean() - half, values.mean() + half), abs=0.01
    )


def test_two_samples_differ_by_the_difference_of_their_means():
    chance = np.random.default_rng(7)
    first, second = chance.normal(3.0, 1.0, 500), chance.normal(1.0, 2.0, 400)
    found = bootstrap_difference(first, second)
    half = 1.96 * np.sqrt(first.var(ddof=1) / 500 + second.var(ddof=1) / 400)
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half), abs=0.03)


def test_an_interval_is_a_point_where_nothing_varies_and_unknown_for_a_single_value():
    assert bootstrap_mean([2.0, 2.0, 2.0]).low == 2.0
    assert np.isnan(bootstrap_mean([2.0]).low)


@settings(max_examples=25)
@given(values=st.lists(st.integers(-5, 5), min_size=3, max_size=30), width=st.floats(1.5, 5))
def test_so_many_replications_are_needed_as_brute_force_finds(values, width):
    deviation = np.std(values, ddof=1)
    counts = itertools.count(2)
    expected = next(n for n in counts if 2 * stats.t.ppf(0.975, n - 1) * deviation / np.sqrt(n) <= width)
    assert replications_needed(values, width) == expected


def test_the_width_is_that_of_students_interval():
    values = [1.0, 2.0, 4.0, 8.0]
    low, high = stats.t.interval(0.9, 3, np.mean(values), stats.sem(values))
    assert interval_width(values, 0.9) == pytest.approx(high - low)


def test_a_study_goes_on_until_the_interval_is_narrow_enough(tmp_path):
    wanted = {"least": 3, "most": 40, "measure": "welfare", "width": 4.0}
    study = play_here(plan_of(tmp_path, factors={RATE: [0.0, 0.9]}, replications=wanted), tmp_path / "out")
    for (_, point), count in zip(study.listing.cells, study.listing.replications, strict=True):
        values = study.measures.loc[study.measures["point"] == point, "welfare"]
        assert len(values) == count
        assert interval_width(values) <= 4.0 or count == 40
    assert max(study.listing.replications) > 3


# ---- differences --------------------------------------------------------------------------------------------------


def test_a_paired_difference_is_the_mean_over_seeds_of_differences_within_them(grid):
    table = paired_differences(grid, "welfare")
    assert contrast(grid) == RATE
    assert table[RATE].tolist() == [0.3] * 3 + [0.9] * 3
    assert table[BUDGET].tolist() == ["all", 5.0, 20.0] * 2
    cube = grid.measures.pivot(index="replication", columns=[BUDGET, RATE], values="welfare")
    gains = {budget: cube[budget, 0.9] - cube[budget, 0.0] for budget in (5.0, 20.0)}
    pooled = (gains[5.0] + gains[20.0]) / 2
    assert table["mean"].tolist()[3:] == pytest.approx([pooled.mean(), gains[5.0].mean(), gains[20.0].mean()])
    assert table["pairs"].tolist() == [5] * 6
    expected = bootstrap_mean(pooled, seed=grid.study.seed)
    assert (table["low"][3], table["high"][3]) == (expected.low, expected.high)


def test_paired_runs_differ_less_by_chance_than_independent_ones(tmp_path):
    content = {"factors": {"enforcement.audit_cost": [0.0, 0.1]}, "replications": 12, "measures": ["owner_utility"]}
    widths = {}
    for pairing in ("paired", "independent"):
        study = play_here(plan_of(tmp_path, pairing=pairing, **content), tmp_path / pairing)
        row = paired_differences(study, "owner_utility").iloc[0]
        widths[pairing] = row["high"] - row["low"]
    assert widths["paired"] < widths["independent"] / 2


def test_a_baseline_that_is_a_mapping_is_found_in_the_tables(tmp_path):
    fixed = {"name": "fixed_price", "price": 2.0}
    plan = plan_of(
        tmp_path, factors={"market.mechanism": ["proportional", fixed]}, replications=2, measures=["paid"],
        baseline={"market.mechanism": fixed}, keep=["runs"],
    )  # fmt: skip
    study = play_here(plan, tmp_path / "out")
    table = paired_differences(study, "paid")
    assert table["market.mechanism"].tolist() == ["proportional"]
    means = study.measures.groupby("market.mechanism")["paid"].mean()
    assert table["mean"][0] == pytest.approx(means["proportional"] - means["{name: fixed_price, price: 2.0}"])


def test_the_baseline_is_the_first_level_even_if_none_of_its_runs_is_done(tmp_path):
    plan = plan_of(tmp_path, factors={"data.dataset": ["gone.npz", "digits"]}, measures=["welfare"], keep=["runs"])
    study = play_here(plan, tmp_path / "out")
    assert study.baseline("data.dataset") == "gone.npz"
    assert paired_differences(study, "welfare").empty


def test_one_pair_tells_nothing_of_how_many_are_needed(tmp_path):
    study = play_here(plan_of(tmp_path, factors={BUDGET: [5.0, 20.0]}, measures=["paid"]), tmp_path / "out")
    assert paired_differences(study, "paid")["needed"].isna().all()


# ---- effects ------------------------------------------------------------------------------------------------------


def test_effects_are_means_by_level_less_the_mean_of_all(grid):
    table = main_effects(grid, "welfare").set_index(["field", "level"])
    means = grid.measures.groupby(RATE)["welfare"].mean()
    assert table.loc[RATE]["mean"].to_dict() == pytest.approx(means.to_dict())
    assert table.loc[RATE]["effect"].sum() == pytest.approx(0.0, abs=1e-9)
    assert (table["low"] <= table["mean"]).all()
    assert (table["mean"] <= table["high"]).all()


def test_shares_of_the_variance_are_those_of_nested_least_squares(grid):
    frame = grid.measures
    y = frame["welfare"].to_numpy() - frame["welfare"].mean()
    dummies = {
        key: pd.get_dummies(frame[list(key)].astype(str).agg("/".join, axis=1)).to_numpy(dtype=float)
        for key in ((BUDGET,), (RATE,), (BUDGET, RATE), ("replication",))
    }

    def explained(columns: np.ndarray) -> float:
        fitted = columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
        return float(((fitted - y.mean()) ** 2).sum() / (y**2).sum())

    shares = variance_shares(grid, "welfare").set_index("source")["share"]
    budget, rate = explained(dummies[BUDGET,]), explained(dummies[RATE,])
    assert shares[BUDGET] == pytest.approx(budget)
    assert shares[RATE] == pytest.approx(rate)
    assert shares[f"{BUDGET} x {RATE}"] == pytest.approx(explained(dummies[BUDGET, RATE]) - budget - rate)
    assert shares["seed"] == pytest.approx(explained(dummies["replication",]))
    assert shares.sum() == pytest.approx(1.0)


def test_a_phase_diagram_has_the_means_over_two_fields(grid):
    table = phase_diagram(grid, "welfare", x=RATE, y=BUDGET)
    assert (list(table.columns), list(table.index)) == ([0.0, 0.3, 0.9], [5.0, 20.0])
    here = grid.measures.query(f"`{RATE}` == 0.3 and `{BUDGET}` == 20.0")["welfare"]
    assert table.loc[20.0, 0.3] == pytest.approx(here.mean())


def test_a_fine_grid_keeps_all_its_levels(tmp_path):
    factors = {BUDGET: {"low": 1.0, "high": 20.0, "steps": 20}}
    study = play_here(plan_of(tmp_path, factors=factors, measures=["paid"], keep=["runs"]), tmp_path / "out")
    assert main_effects(study, "paid")["level"].tolist() == [float(level) for level in range(1, 21)]


def drawn_effects(folder: Path, **range_: Any) -> pd.DataFrame:
    """Effects over 16 points of a range."""
    design = {"kind": "latin_hypercube", "samples": 16}
    plan = plan_of(folder, factors={BUDGET: range_}, design=design, measures=["paid"], keep=["runs"])
    return main_effects(play_here(plan, folder / "out"), "paid")


def test_a_narrow_range_of_drawn_points_is_cut_into_bins_with_names_of_their_own(tmp_path):
    table = drawn_effects(tmp_path, low=1000.0, high=1010.0)
    assert table["level"].nunique() == len(table) == 6
    assert table["runs"].sum() == 16


def test_a_logarithmic_range_is_cut_by_equal_ratios(tmp_path):
    table = drawn_effects(tmp_path, low=1e-3, high=1e3, scale="log")
    assert table["runs"].sum() == 16
    assert table["runs"].max() <= 4, "equally wide bins would have nearly all points in the first one"


# ---- sensitivity --------------------------------------------------------------------------------------------------


def test_sobol_indices_of_the_ishigami_function_are_the_known_ones():
    factors = [Factor(name, range=Range(low=-np.pi, high=np.pi)) for name in "abc"]
    points = Saltelli(samples=2048).points(factors, Streams(1))
    a, b, c = (np.array([point[name] for point in points.values]) for name in "abc")
    table = sobol_indices(list("abc"), np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a))
    assert table["first"].tolist() == pytest.approx([0.3139, 0.4424, 0.0], abs=0.03)
    assert table["total"].tolist() == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.03)


def test_morris_effects_of_a_linear_function_are_its_slopes():
    factors = [Factor("a", range=Range(low=0.0, high=2.0)), Factor("b", range=Range(low=1.0, high=2.0))]
    points = Morris(trajectories=8).points(factors, Streams(1))
    outcome = np.array([3 * point["a"] - 5 * point["b"] for point in points.values])
    assert points.places is not None
    table = morris_effects(["a", "b"], points.places, outcome)
    assert table["mean"].tolist() == pytest.approx([6.0, -5.0])
    assert table["mean size"].tolist() == pytest.approx([6.0, 5.0])
    assert table["spread"].tolist() == pytest.approx([0.0, 0.0], abs=1e-9)


@pytest.mark.parametrize("design", [{"kind": "saltelli", "samples": 4}, {"kind": "morris", "trajectories": 4}])
def test_the_indices_of_a_study_are_those_of_its_points_in_order(tmp_path, design):
    factors = {BUDGET: {"low": 1.0, "high": 30.0}, "market.revenue": {"low": 1.0, "high": 9.0}}
    plan = plan_of(tmp_path, factors=factors, design=design, measures=["paid"], set={"horizon": 1})
    study = play_here(plan, tmp_path / "out")
    outcome = study.runs["paid"].to_numpy()
    assert len(outcome) == len(plan.points.values) > len(set(outcome))
    table = sensitivity(study, "paid").set_index("field")
    column = "total" if design["kind"] == "saltelli" else "mean size"
    assert table[column]["market.revenue"] == 0.0, "what the model earns is not what owners are paid"
    assert table[column][BUDGET] > 0


def test_indices_need_their_design_and_every_point(grid):
    with pytest.raises(BadRun, match="indices need the design saltelli or morris, not grid"):
        sensitivity(grid, "welfare")


# ---- discovery ----------------------------------------------------------------------------------------------------


def test_a_box_that_was_planted_is_found():
    chance = np.random.default_rng(8)
    factors = pd.DataFrame({"rate": chance.random(600), "budget": chance.random(600), "rule": ["flat", "steep"] * 300})
    holds = ((factors["rate"] < 0.4) & (factors["budget"] > 0.7) & (factors["rule"] == "flat")).to_numpy()
    found = boxes(factors, holds, depth=4).iloc[0]
    assert (found["density"], found["coverage"]) == (1.0, 1.0)
    parts = found["box"].split(" and ")
    assert {part.split()[0] for part in parts} == {"rate", "budget", "rule"}
    assert "rule = flat" in parts or "rule is not steep" in parts
    bounds = {part.split()[0]: float(part.split()[-1]) for part in parts if not part.startswith("rule")}
    assert bounds == pytest.approx({"rate": 0.4, "budget": 0.7}, abs=0.02)


def test_nothing_is_found_where_a_condition_always_or_never_holds(grid):
    assert discover(grid, "welfare > 1e9").empty
    assert discover(grid, "welfare < 1e9").empty
    with pytest.raises(BadRun, match="condition 'wellfare > 1'"):
        discover(grid, "wellfare > 1")
