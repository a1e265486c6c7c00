"""Stays of a whole study, and short names of what varies in it."""

from __future__ import annotations

import pandas as pd
import pytest
from study_files import plan_of, play_here

from scenarios import analysis
from scenarios.studies import open_study
from scenarios.studies.levels import short_names
from scenarios.studies.report import sections
from scenarios.studies.stays import study_spells

RATE = "enforcement.audit_rate"


def test_the_stays_of_a_study_are_those_of_its_runs_one_by_one(tmp_path):
    changes = {"horizon": 5, "enforcement.expel_after": 1}
    plan = plan_of(tmp_path, keep=["runs", "episodes"], set=changes, factors={RATE: [0.5, 1.0]}, replications=3)
    study = play_here(plan, tmp_path / "out")
    together = study_spells(open_study(study.folder))
    assert set(together[RATE]) == {0.5, 1.0}
    for run, stays in together.groupby("run"):
        alone = analysis.tenure_spells(study.run(str(run)))
        pd.testing.assert_frame_equal(stays[list(alone.columns)].reset_index(drop=True), alone)
    titles = [section.title for section in sections(study)]
    assert "Stays of owners that joined as free_rider_global" in titles


@pytest.mark.parametrize(
    ("levels", "names"),
    [
        ([0.25, 1.0], ["0.25", "1"]),
        (["none", "{name: imitation, rate: 0.1}"], ["none", "imitation"]),
        (["{mechanism: free, budget: 1}", "{mechanism: {name: shapley, step: 2}, budget: 1}"], ["free", "shapley"]),
        (["{rate: 0.2}", "{rate: 0.2, fee: 1.0}", "{rate: 0.2, start: 0.1}"], ["nothing else", "fee 1.0", "start 0.1"]),
        (["{a: 1, b: 2}", "{a: 2, b: 1}", "{a: 1, b: 1}"], ["a 1, b 2", "a 2, b 1", "a 1, b 1"]),
        (["x" * 40 + "1", "x" * 40 + "2"], ["1: " + "x" * 35 + "…", "2: " + "x" * 35 + "…"]),
        (["{not yaml", "plain"], ["{not yaml", "plain"]),
    ],
)
def test_a_short_name_says_what_tells_levels_apart(levels, names):
    assert list(short_names(levels).values()) == names
