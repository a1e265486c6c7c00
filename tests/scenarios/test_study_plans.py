"""From a study file to its list of runs: designs, seeds, names of runs, and one clear line about every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_files import plan_of, write_study

from learning.streams import Streams
from scenarios.errors import BadInput
from scenarios.loading import load_scenario
from scenarios.schema import Scenario
from scenarios.studies.designs import DESIGNS, LatinHypercube, Morris, Saltelli, Sobol
from scenarios.studies.factors import Factor, Range
from scenarios.studies.loading import load_study, resolved_study
from scenarios.studies.planning import make_plan
from scenarios.studies.ready_made import library
from scenarios.studies.schema import TableName
from scenarios.tables import TABLES

BUDGET, RATE = "market.budget", "enforcement.audit_rate"
TWO = [Factor(BUDGET, range=Range(low=1.0, high=5.0)), Factor(RATE, levels=(0.0, 0.5))]


def line(folder: Path, **content: Any) -> str:
    """The one line that a bad study is refused with, without the file's path."""
    with pytest.raises(BadInput) as refused:
        plan_of(folder, **content)
    text = str(refused.value)
    assert "\n" not in text
    return text.replace(f"{folder}/", "")


def measured(value: str, *, name: str = "x", table: str = "rounds") -> dict[str, Any]:
    """A study with a measure of its own, which keeps the rows of rounds."""
    return {"measures": [{"name": name, "table": table, "value": value}], "keep": ["rounds"]}


# ---- designs ------------------------------------------------------------------------------------------------------


def test_a_grid_has_every_combination_and_the_last_factor_changes_fastest(tmp_path):
    plan = plan_of(tmp_path, factors={BUDGET: [5.0, 10.0], RATE: {"low": 0.0, "high": 0.4, "steps": 3}})
    assert [(point[BUDGET], point[RATE]) for point in plan.points.values] == [
        (5.0, 0.0), (5.0, 0.2), (5.0, 0.4), (10.0, 0.0), (10.0, 0.2), (10.0, 0.4),
    ]  # fmt: skip


def test_steps_of_a_range_are_the_numbers_that_a_person_would_write():
    assert Factor("x", range=Range(low=0.0, high=1.0, steps=11)).grid()[3] == 0.3
    assert Factor("x", range=Range(low=0.1, high=0.7, steps=3)).grid() == (0.1, 0.4, 0.7)


def test_a_list_is_played_as_it_is_written(tmp_path):
    points = [{BUDGET: 5.0, RATE: 0.1}, {RATE: 0.3, BUDGET: 7.0}]
    plan = plan_of(tmp_path, design={"kind": "list", "points": points})
    assert plan.points.values == points
    assert [Scenario.model_validate(cell.resolved()).market.budget for cell in plan.cells] == [5.0, 7.0]


def test_a_latin_hypercube_has_one_point_in_every_slice_of_every_factor():
    points = LatinHypercube(samples=20).points(TWO, Streams(3))
    assert points.places is not None
    for column in points.places.T:
        assert sorted(np.floor(column * 20).astype(int)) == list(range(20))


def test_sobol_points_halve_every_factor_evenly():
    places = Sobol(samples=32).points(TWO, Streams(3)).places
    assert places is not None
    assert [int((column < 0.5).sum()) for column in places.T] == [16, 16]


def test_saltelli_points_have_the_structure_that_the_indices_need():
    places = Saltelli(samples=8).points(TWO, Streams(3)).places
    assert places is not None
    for block in places.reshape(8, 6, 2):  # A, A with a column of B each, B with a column of A each, B
        a, b = block[0], block[5]
        np.testing.assert_array_equal(block[1:3], [[b[0], a[1]], [a[0], b[1]]])
        np.testing.assert_array_equal(block[3:5], [[a[0], b[1]], [b[0], a[1]]])


def test_a_morris_trajectory_changes_one_factor_at_a_time():
    places = Morris(trajectories=4).points(TWO, Streams(3)).places
    assert places is not None
    steps = np.diff(places.reshape(4, 3, 2), axis=1) != 0
    assert (steps.sum(axis=2) == 1).all()
    assert (steps.sum(axis=1) == 1).all()


@pytest.mark.parametrize("name", ["latin_hypercube", "sobol", "saltelli", "morris"])
def test_a_drawn_design_depends_on_the_seed_of_the_study_alone(name):
    def values(seed: int) -> list[dict[str, Any]]:
        return DESIGNS[name]().points(TWO, Streams(seed)).values

    assert values(1) == values(1)
    assert values(1) != values(2)


@given(
    low=st.floats(0.001, 100),
    width=st.floats(0.001, 100),
    place=st.floats(0, 1),
    scale=st.sampled_from(["linear", "log"]),
)
def test_a_value_of_a_range_lies_within_it(low, width, place, scale):
    factor = Factor("x", range=Range(low=low, high=low + width, scale=scale))
    assert low <= factor.value(place) <= low + width


def test_whole_numbers_have_equal_shares_of_a_range():
    factor = Factor("horizon", range=Range(low=1.0, high=4.0, whole=True))
    drawn = [factor.value(place) for place in (np.arange(4000) + 0.5) / 4000]
    assert {value: drawn.count(value) for value in set(drawn)} == {1: 1000, 2: 1000, 3: 1000, 4: 1000}


def test_a_log_range_has_equal_ratios():
    assert Factor("x", range=Range(low=1.0, high=100.0, scale="log", steps=3)).grid() == pytest.approx((1, 10, 100))


# ---- runs ---------------------------------------------------------------------------------------------------------


def test_paired_replications_have_the_same_seed_in_every_combination(tmp_path):
    runs = list(plan_of(tmp_path, factors={BUDGET: [5.0, 10.0]}, replications=3).runs([3, 3]))
    assert [run.seed for run in runs[:3]] == [run.seed for run in runs[3:]]
    assert len({run.seed for run in runs}) == 3
    assert len({run.id for run in runs}) == 6


def test_independent_replications_have_seeds_of_their_own(tmp_path):
    plan = plan_of(tmp_path, factors={BUDGET: [5.0, 10.0]}, replications=3, pairing="independent")
    assert len({run.seed for run in plan.runs([3, 3])}) == 6


def test_a_larger_study_keeps_the_names_of_the_runs_it_had(tmp_path):
    small = plan_of(tmp_path, factors={BUDGET: [10.0]}, replications=2)
    large = plan_of(tmp_path, factors={BUDGET: [5.0, 10.0, 20.0]}, replications=4)
    names = {run.id for run in large.runs([4, 4, 4])}
    assert {run.id for run in small.runs([2])} < names


def test_the_name_of_a_run_says_what_is_played_and_not_what_it_is_called(tmp_path):
    before = plan_of(tmp_path)
    scenario = tmp_path / "tiny.yaml"
    study, file = load_study(tmp_path / "study.yaml")
    scenario.write_text(scenario.read_text().replace("A tiny market", "Another title"))
    assert make_plan(study, file).cells[0].digest == before.cells[0].digest
    scenario.write_text(scenario.read_text().replace("budget: 10", "budget: 11"))
    assert make_plan(study, file).cells[0].digest != before.cells[0].digest


def test_a_cell_holds_the_scenario_that_the_option_set_would_make(tmp_path):
    plan = plan_of(tmp_path, factors={"market.mechanism": [{"name": "fixed_price", "price": 2.0}]}, set={"horizon": 3})
    expected = load_scenario(
        tmp_path / "tiny.yaml", overrides=["horizon=3", "market.mechanism={name: fixed_price, price: 2.0}"]
    )
    assert Scenario.model_validate(plan.cells[0].resolved()) == expected


def test_points_that_meet_are_one_run(tmp_path):
    design = {"kind": "latin_hypercube", "samples": 8}
    plan = plan_of(tmp_path, factors={RATE: [0.1, 0.2]}, design=design)
    runs = list(plan.runs([1] * 8))
    assert (len(runs), len({run.id for run in runs})) == (8, 2)


# ---- mistakes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"factors": {"market.bugdet": [1.0]}}, "factors.market.bugdet: 1.0: unknown key, did you mean 'budget'?"),
        ({"factors": {"enforcement.audit_rate": [2.0]}}, "factors.enforcement.audit_rate: 2.0: expected a probability"),
        ({"set": {"horizons": 3}}, "set.horizons: 3: unknown key, did you mean 'horizon'?"),
        ({"factors": {BUDGET: []}}, f"factors.{BUDGET}: the design is empty: this factor has no level"),
        ({"factors": {BUDGET: 3.0}}, f"factors.{BUDGET}: 3.0: expected a list of levels, or {{low, high}}"),
        ({"factors": {BUDGET: {"low": 3.0, "high": 1.0}}}, f"factors.{BUDGET}.high: 1.0: must be above low"),
        ({"factors": {BUDGET: {"low": 0.0, "high": 1.0, "scale": "log"}}}, "must be above 0 where the scale is log"),
        ({"factors": {BUDGET: {"low": 0.0, "high": 1.0}}}, "design: grid: a grid needs levels or 'steps' for"),
        ({"design": {"kind": "list", "points": []}}, "points: at least one point must be listed"),
        ({"design": {"kind": "list", "points": [{BUDGET: 1.0}, {RATE: 0.1}]}}, "point 1 sets enforcement.audit_rate"),
        ({"design": "gird"}, "design: gird: unknown design 'gird', did you mean 'grid'?"),
        ({"design": {"kind": "sobol", "samples": 9}, "factors": {BUDGET: [1.0, 2.0]}}, "must be a power of two"),
        ({"design": "morris"}, "design: morris: this design needs factors"),
        ({"replications": 0}, "replications: 0: expected a whole number at least 1"),
        ({"replications": {"least": 9, "most": 3, "width": 0.1}}, "replications.most: 3: must be at least as large"),
        ({"scenarios": ["tiny.yaml", "./tiny.yaml"]}, "scenarios: tiny: two scenarios of this name"),
        ({"scenarios": ["huge.yaml"]}, "scenarios.huge: huge.yaml: no such file"),
        ({"scenarios": ["quickstrat"]}, "scenarios.quickstrat: quickstrat: no such file or ready-made scenario, did"),
        ({"scenarios": {"a": "tiny.yaml", "b": "tiny.yaml"}}, "b, point 0, plays the same as a, point 0"),
        ({"factors": {"seed": [1, 2]}}, "seed: runs get their seeds from replications"),
        ({"factors": {"market": [{}], BUDGET: [1.0]}}, f"{BUDGET}: clashes with market"),
        ({"set": {BUDGET: 1.0}, "factors": {BUDGET: [1.0]}}, f"{BUDGET}: clashes with {BUDGET}"),
        ({"measures": ["accuracies"]}, "measures: accuracies: no measure, known: windows, rounds"),
        ({"measures": ["welfare", "welfare"]}, "measures: welfare: two measures of this name"),
        ({"baseline": {RATE: 0.5}}, f"baseline.{RATE}: 0.5: nothing that varies, known: scenario"),
        ({"replications": {"least": 3, "width": 0}}, "replications.width: 0: expected a number above 0"),
        (
            {"measures": [{"name": "a", "tabel": "rounds"}]},
            "measures.0.tabel: rounds: unknown key, did you mean 'table'",
        ),
        (measured("sum(lyingg)"), 'measures.x: sum(lyingg): Binder Error: Referenced column "lyingg" not found'),
        (measured("round"), "measures.x: round: Binder Error: column"),
        (measured("max('a')"), "measures.x: max('a'): expected one number per run, but this is VARCHAR"),
        (measured("max(round), 1"), "expected one number per run, but this is BIGINT, INTEGER"),
        (measured("count(*)", table="owners"), "measures.x: owners: rows of this table are not kept, see keep"),
        (measured("count(*)", name="run"), "measures.run: this name is taken by a column of the tables of a study"),
        ({**measured("count(*)", name=BUDGET), "factors": {BUDGET: [1.0]}}, f"measures.{BUDGET}: this name is taken"),
        ({"repetitions": 3}, "repetitions: 3: unknown key, did you mean 'replications'?"),
    ],
)
def test_a_mistake_is_told_in_one_line(tmp_path, content, expected):
    assert expected in line(tmp_path, **content)


def test_a_study_without_a_file_names_the_ready_made_ones(tmp_path):
    with pytest.raises(BadInput, match="did you mean 'free_rider_audits'"):
        load_study("free_rider_audit")


# ---- ready-made studies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", library())
def test_a_ready_made_study_can_be_planned_and_read_back(name, tmp_path):
    study, file = load_study(name)
    plan = make_plan(study, file)
    assert len(plan.cells) > 1
    assert study.title
    copy = tmp_path / f"{name}.yaml"
    copy.write_text(resolved_study(study))
    assert load_study(copy)[0] == study


def test_every_table_can_be_kept():
    assert set(get_args(TableName)) == set(TABLES)


def test_a_study_file_is_found_by_its_path(tmp_path):
    path = write_study(tmp_path, "mine.yaml")
    study, file = load_study(path)
    assert (study.name, file) == ("mine", path)
