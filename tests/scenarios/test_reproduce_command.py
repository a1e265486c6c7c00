"""``datagora reproduce``: what it refuses, and that its folder appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from scenarios import reproduce
from scenarios.cli import main
from scenarios.reproduce import System, system_names
from scenarios.reproduce.folder import publish
from scenarios.reproduce.qd_rdfl.matching import matching
from scenarios.reproduce.study import Options, Study


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """An empty folder; commands run there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def one_study(monkeypatch) -> None:
    """The quickest study alone, in place of the whole system."""
    system = System("QD-RDFL", "a paper", (matching,))
    monkeypatch.setattr(reproduce, "find_system", lambda name: system)


def refused(capfd, *arguments: str) -> str:
    """The single line on standard error that a refused command ends with."""
    assert main(["reproduce", *arguments]) == 2
    printed, line = capfd.readouterr()
    assert printed == ""
    assert line.count("\n") == 1
    return line.rstrip("\n")


def test_systems_are_known_without_importing_them() -> None:
    assert "qd-rdfl" in system_names()


def test_an_unknown_system_is_refused_with_the_known_ones(place, capfd) -> None:
    line = refused(capfd, "qd-rfdl")
    assert "qd-rfdl" in line
    assert "qd-rdfl" in line


@pytest.mark.parametrize("name", ["digitz", "missing.npz"])
def test_data_that_cannot_be_loaded_are_refused_before_anything_is_played(name: str, place, capfd) -> None:
    line = refused(capfd, "qd-rdfl", "--dataset", name)
    assert line.startswith("--dataset: ")
    assert name in line
    assert list(place.iterdir()) == []


def test_a_folder_with_something_in_it_is_refused(place, capfd) -> None:
    (place / "out").mkdir()
    (place / "out" / "mine.txt").write_text("mine")
    assert "not empty" in refused(capfd, "qd-rdfl", "--out", "out")
    assert [entry.name for entry in (place / "out").iterdir()] == ["mine.txt"]


def test_a_file_in_place_of_the_folder_is_refused_even_with_force(place, capfd) -> None:
    (place / "out").write_text("mine")
    assert "is a file" in refused(capfd, "qd-rdfl", "--out", "out", "--force")


def test_the_working_folder_itself_is_refused(place, capfd) -> None:
    assert "cannot be replaced" in refused(capfd, "qd-rdfl", "--out", ".", "--force")


def test_force_replaces_results_and_keeps_other_files(place, capfd, one_study) -> None:
    assert main(["reproduce", "qd-rdfl", "--quick", "--out", "a/out"]) == 0
    table = place / "a" / "out" / "matching.csv"
    first = table.read_bytes()
    table.write_text("old")
    (place / "a" / "out" / "mine.txt").write_text("mine")
    assert main(["reproduce", "qd-rdfl", "--quick", "--out", "a/out", "--force"]) == 0
    assert table.read_bytes() == first
    assert (place / "a" / "out" / "mine.txt").read_text() == "mine"
    assert [entry.name for entry in (place / "a").iterdir()] == ["out"], "no hidden folder is left"


def test_the_terminal_shows_the_judged_rows_and_counts_the_others(place, capfd, one_study) -> None:
    assert main(["reproduce", "qd-rdfl", "--quick", "--out", "out"]) == 0
    table = pd.read_csv(place / "out" / "matching.csv")
    others = (table["verdict"] == "not comparable").sum()
    printed = capfd.readouterr().out.splitlines()
    judged = [line for line in printed if "  reproduced" in line or "  differs" in line]
    assert len(judged) == len(table) - others > 0
    assert [line for line in printed if line.startswith("not comparable")] == (
        [f"not comparable: {others} rows, in matching.csv"] if others else []
    )


def test_the_folder_is_named_after_system_and_data(place, capfd, one_study) -> None:
    assert main(["reproduce", "qd-rdfl", "--quick", "--dataset", "iris"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "runs/reproduce-qd-rdfl-iris-quick/reproduce.html"
    assert (place / "runs/reproduce-qd-rdfl-iris-quick/reproduce.html").exists()


def test_an_interrupted_command_leaves_nothing(place, capfd, monkeypatch) -> None:
    def interrupted(options: Options) -> Study:
        raise KeyboardInterrupt

    system = System("QD-RDFL", "a paper", (matching, interrupted))
    monkeypatch.setattr(reproduce, "find_system", lambda name: system)
    assert main(["reproduce", "qd-rdfl", "--quick", "--out", "out"]) == 130
    assert list(place.iterdir()) == []


def test_files_that_cannot_be_written_leave_the_old_ones(place) -> None:
    publish(place / "out", {"a.txt": b"old"}, force=False)
    with pytest.raises(OSError, match="no/such"):
        publish(place / "out", {"a.txt": b"new", "no/such": b""}, force=True)
    assert (place / "out" / "a.txt").read_bytes() == b"old"
    assert [entry.name for entry in place.iterdir()] == ["out"]
