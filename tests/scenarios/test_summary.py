"""The tables of strategies that end a run, against the run's own tables counted by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from scenarios.cli import main
from scenarios.results import Run, open_run
from scenarios.summary import AUDITS, STAYS, strategy_summary

LIVELY = """\
title: A small market in which owners return, change their strategy and are blamed wrongly
horizon: 16
seed: 3
population:
  initial: 16
  strategies: [honest, {name: free_rider_global, claim_factor: 1.5}, misreport_size]
  participation: {name: logit, temperature: 0.3, patience: 1, return_delay: 60.0}
  adaptation: {name: imitation, rate: 0.3}
market: {budget: 4}
enforcement: {deposit: 1, audit_rate: 0.5, detection_rate: 0.8, false_alarm_rate: 0.4, expel_after: 4}
data: {train_limit: 400, test_limit: 200}
"""


def play(folder: Path, *changes: str) -> Path:
    (folder / "lively.yaml").write_text(LIVELY)
    options = [word for change in changes for word in ("--set", change)]
    assert main(["run", str(folder / "lively.yaml"), "--out", str(folder / "run"), "--quiet", *options]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the lively scenario."""
    return play(tmp_path_factory.mktemp("lively"))


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return open_run(folder)


def test_the_scenario_puts_the_tables_to_the_test(run: Run) -> None:
    assert (run.episodes["strategy_joined"].astype(str) != run.episodes["strategy_left"].astype(str)).sum() > 2
    assert (run.episodes["stay"] > 1).sum() > 2
    assert run.rounds["false_positives"].sum() > 2
    assert run.rounds["false_negatives"].sum() > 2
    assert {"voluntary", "expelled", "censored"} <= set(run.episodes["exit_kind"])


def test_stays_are_counted_by_the_strategy_at_their_end(folder: Path, run: Run) -> None:
    table = strategy_summary(folder)[0].figures
    ends = Counter((stay.strategy_left, stay.exit_kind) for stay in run.episodes.itertuples())
    kinds = {"left": "voluntary", "expelled": "expelled", "bankrupt": "bankrupt", "still_there": "censored"}
    assert set(table.index) == set(run.episodes["strategy_left"])
    for strategy, row in table.iterrows():
        for column, kind in kinds.items():
            assert row[column] == ends[strategy, kind]
    assert (table[list(kinds)].sum(axis=1) == table["stays"]).all()
    assert table["stays"].sum() == run.runs.at[0, "joins"]


def test_money_is_the_mean_over_stays_of_what_each_stay_brought(folder: Path, run: Run) -> None:
    paid: Counter[tuple[int, int]] = Counter()
    for row in run.owners[run.owners["moment"] == "round"].itertuples():
        paid[row.owner, row.stay] += row.payment
    table = strategy_summary(folder)[0].figures
    for strategy, row in table.iterrows():
        mine = [stay for stay in run.episodes.itertuples() if stay.strategy_left == strategy]
        assert row["utility"] == pytest.approx(sum(stay.utility for stay in mine) / len(mine))
        assert row["paid"] == pytest.approx(sum(paid[stay.owner, stay.stay] for stay in mine) / len(mine), abs=1e-9)
    assert (table["paid"] * table["stays"]).sum() == pytest.approx(run.runs.at[0, "paid"])


def test_verdicts_are_counted_by_the_strategy_played_in_the_round(folder: Path, run: Run) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    words = {(True, True): "guilty_rightly", (True, False): "guilty_wrongly",
             (False, True): "missed", (False, False): "cleared"}  # fmt: skip
    for row in run.owners[run.owners["audited"]].itertuples():
        counts[row.strategy, words[row.flagged, row.violation]] += 1
    table = strategy_summary(folder)[1].figures
    assert {(name, word): table.at[name, word] for name, word in counts} == counts
    assert (table[list(words.values())].sum(axis=1) == table["audits"]).all()
    rounds = run.rounds
    assert table["audits"].sum() == rounds["audited"].sum()
    assert table["guilty_wrongly"].sum() == rounds["false_positives"].sum()


def test_the_tables_do_not_depend_on_how_many_owners_are_recorded(folder: Path, tmp_path: Path) -> None:
    sampled = play(tmp_path, "recording.owners_every=5", "recording.owners_sample=3")
    assert len(open_run(sampled).owners) < len(open_run(folder).owners) / 3
    for full, part in zip(strategy_summary(folder), strategy_summary(sampled), strict=True):
        pd.testing.assert_frame_equal(full.figures, part.figures)


def test_strategies_are_listed_as_in_the_pictures_and_printed_with_their_digits(folder: Path) -> None:
    for breakdown, measures in zip(strategy_summary(folder), (STAYS, AUDITS), strict=True):
        rows = dict(breakdown.rows())
        assert list(rows) == ["honest", "misreport_size", "free_rider_global"]
        first = breakdown.figures.iloc[0]
        assert rows["honest"] == [f"{first[measure.name]:.{measure.digits}f}" for measure in measures]


def test_a_market_without_audits_has_no_table_of_verdicts(tmp_path: Path) -> None:
    (stays,) = strategy_summary(play(tmp_path, "horizon=2", "enforcement.audit_rate=0"))
    assert stays.figures["stays"].sum() > 0
