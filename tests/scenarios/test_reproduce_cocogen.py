"""``datagora reproduce cocogen``: what the command leaves, and which published findings come out in which reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scenarios.cli import main
from scenarios.reproduce import find_system
from scenarios.reproduce.cocogen import cohort, curves, pictures, redistribution
from scenarios.reproduce.cocogen.tasks import measured_tasks
from scenarios.reproduce.page import png
from scenarios.reproduce.study import Options

NAMES = ["demand", "welfare", "curves", "cohort", "redistribution", "images"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What the command leaves."""
    out = tmp_path_factory.mktemp("reproduced") / "out"
    assert main(["reproduce", "cocogen", "--quick", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def tables(folder) -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(folder / f"{name}.csv") for name in NAMES}


def part(table: pd.DataFrame, **key: object) -> pd.DataFrame:
    for column, value in key.items():
        table = table[table[column].astype(str) == str(value)]
    assert len(table), key
    return table


# ---- what the command leaves ----------------------------------------------------------------------------------------


def test_there_is_a_table_and_a_picture_of_each_study_and_one_page(folder) -> None:
    wanted = {"reproduce.html", *(f"{name}.{kind}" for name in NAMES for kind in ("csv", "png"))}
    assert {entry.name for entry in folder.iterdir()} == wanted
    assert (folder / "reproduce.html").read_text().count("data:image/png;base64,") == len(NAMES)


def test_every_row_has_a_number_and_a_verdict_and_says_why(tables) -> None:
    for table in tables.values():
        assert table["found"].notna().all()
        assert table["published"].isna().all()
        assert table["why"].str.len().min() > 0
        assert set(table["verdict"]) <= {"reproduced", "differs", "not comparable"}


@pytest.mark.parametrize("name", ["demand", "cohort"])
def test_a_study_played_again_gives_the_same_bytes(name: str, folder) -> None:
    measured_tasks.cache_clear()
    again = find_system("cocogen").studies[NAMES.index(name)](Options("digits", quick=True))
    assert again.as_csv().encode() == (folder / f"{name}.csv").read_bytes()


# ---- findings -------------------------------------------------------------------------------------------------------


def test_generation_rises_with_competition_under_relative_and_falls_under_damage(tables) -> None:
    rises = part(tables["demand"], quantity="rise with competition", rate=0.0)
    assert (part(rises, reading="relative")["verdict"] == "reproduced").all()
    assert (part(rises, reading="damage")["verdict"] == "differs").all()
    assert (part(rises, reading="damage")["found"] <= 0).all()


def test_generation_rises_with_heterogeneity_where_caps_leave_room(tables) -> None:
    rises = part(tables["demand"], quantity="rise with heterogeneity", rate=0.0)
    assert (part(rises, reading="relative")["verdict"] == "reproduced").all()
    assert (part(rises, task="hard")["verdict"] == "reproduced").all()


def test_a_smaller_alpha_means_more_distant_labels(tables) -> None:
    distance = part(tables["demand"], quantity="mean EMD").sort_values("alpha")
    assert (np.diff(distance["found"]) < 0).all()
    assert distance["found"].between(0.0, 1.8).all()


def test_the_equilibrium_beats_the_baselines_under_relative_and_the_order_turns_under_damage(tables) -> None:
    judged = part(tables["welfare"], varied="competition", value=0.03)
    for baseline, turns in (("WCO", True), ("RaDG", True), ("VCFL", False)):
        rows = part(judged, quantity=f"more than {baseline} by")
        assert (part(rows, reading="relative")["verdict"] == "reproduced").all()
        assert (part(rows, reading="damage")["verdict"] == ("differs" if turns else "reproduced")).all()


def test_no_rule_gains_more_than_the_planner(tables) -> None:
    gains = part(tables["welfare"], quantity="gain over VCFL")
    gains = gains[gains["verdict"] == "not comparable"].pivot_table(
        index=["reading", "task", "varied", "value"], columns="rule", values="found"
    )
    assert (gains.drop(columns="optimum").le(gains["optimum"] + 1e-6, axis=0)).all(axis=None)


def test_transfers_balance_and_the_easy_task_has_a_moderate_best_rate(tables) -> None:
    table = tables["redistribution"]
    assert (part(table, quantity="sum of net payments / sum of gross ones")["verdict"] == "reproduced").all()
    best = part(table, task="easy", quantity="rate")["found"]
    assert best.between(0.0, redistribution.LARGEST_RATE, inclusive="neither").all()


def test_more_data_is_better_and_digits_are_learnt(tables) -> None:
    table = tables["curves"].set_index(["task", "quantity"])["found"]
    assert table["digits", "volume scale a"] > 0
    assert 0 < table["digits", "errors with a cohort's real data (%)"] < 15


def test_generated_digits_look_like_their_label_and_are_no_copies(tables) -> None:
    table = tables["images"].set_index(["samples", "quantity"])["found"]
    assert table["generated", pictures.SAME] > 90
    assert table["generated", pictures.NEAREST] > 0.5
    assert table["test", pictures.NEAREST] == 1.0


# ---- data that cannot be generated -----------------------------------------------------------------------------------


@pytest.mark.parametrize("study", [curves.curves, cohort.cohort, pictures.images])
def test_text_is_left_out_with_a_warning(study) -> None:
    played = study(Options("markov_text", quick=True))
    assert len(played.rows) == 0
    assert "left out" in played.warnings[0]
    assert png(played.figure).startswith(b"\x89PNG")
