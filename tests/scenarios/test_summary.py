"""The table of strategies that ends a run, against the run's own tables counted by hand."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from scenarios.cli import main
from scenarios.results import open_run
from scenarios.summary import strategy_summary

SMALL = """\
title: A small market
horizon: 5
population:
  initial: 8
  strategies: [honest, {name: free_rider_global, share: 0.8}, misreport_size]
market: {budget: 10}
enforcement: {deposit: 2, audit_rate: 0.5, expel_after: 1}
data: {train_limit: 400, test_limit: 200}
"""


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> Path:
    """A finished run of the small scenario."""
    folder = tmp_path_factory.mktemp("played")
    (folder / "small.yaml").write_text(SMALL)
    assert main(["run", str(folder / "small.yaml"), "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def test_the_summary_agrees_with_the_tables_row_by_row(played):
    run = open_run(played)
    strategy = {}
    for stay in run.episodes.sort_values("stay").itertuples():
        strategy[stay.owner] = stay.strategy_left
    utility, paid, flagged, ends = Counter(), Counter(), Counter(), Counter()
    for stay in run.episodes.itertuples():
        utility[strategy[stay.owner]] += stay.utility
        ends[strategy[stay.owner], stay.exit_kind] += 1
    for row in run.owners[run.owners["moment"] == "round"].itertuples():
        if row.owner in strategy:
            paid[strategy[row.owner]] += row.payment
            flagged[strategy[row.owner]] += row.flagged
    table = strategy_summary(played)
    assert set(table.index) == set(strategy.values())
    assert flagged.total() > 0, "the scenario must put the column to the test"
    for name, row in table.iterrows():
        owners = sum(kind == name for kind in strategy.values())
        assert row["owners"] == owners
        assert row["utility"] == pytest.approx(utility[name] / owners)
        assert row["paid"] == pytest.approx(paid[name], abs=1e-4)
        assert row["flagged"] == flagged[name]
        for column, kind in (("left", "voluntary"), ("expelled", "expelled"), ("still_there", "censored")):
            assert row[column] == ends[name, kind]
    assert list(table["utility"]) == sorted(table["utility"], reverse=True)


def test_the_summary_counts_a_returned_owner_once(played, tmp_path):
    copy = shutil.copytree(played, tmp_path / "copy")
    episodes = open_run(played).episodes.copy()
    again = episodes.iloc[[0]].assign(stay=2, utility=5.0)
    pd.concat([episodes, again]).to_parquet(copy / "episodes.parquet", index=False)
    before, after = strategy_summary(played), strategy_summary(copy)
    name = episodes.iloc[0]["strategy_left"]
    assert after.loc[name, "owners"] == before.loc[name, "owners"]
    assert after.loc[name, "stays"] == before.loc[name, "stays"] + 1
    assert after.loc[name, "utility"] == pytest.approx(before.loc[name, "utility"] + 5 / before.loc[name, "owners"])
