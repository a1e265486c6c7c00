"""The report of a study: one page that needs nothing else, with what the design can tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from study_files import plan_of, play_here

from scenarios.cli import main
from scenarios.studies.end_table import cell_means
from scenarios.studies.report import write_report

BUDGET, RATE = "market.budget", "enforcement.audit_rate"


def page_of(folder: Path, **content: object) -> str:
    """The page about a study that is played here."""
    study = play_here(plan_of(folder, keep=["runs"], **content), folder / "out")
    return write_report(study.folder).read_text(encoding="utf-8")


def titles(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def test_the_page_of_a_grid_tells_differences_effects_and_a_phase_diagram(tmp_path, capsys):
    page = page_of(
        tmp_path, title="Rates & budgets <all>", factors={BUDGET: [5.0, 20.0], RATE: [0.0, 0.9]}, replications=3,
        measures=["welfare", "paid"],
    )  # fmt: skip
    parts = ["differences", "effects", "shares of the variance", "phase diagram"]
    expected = [f"{measure}: {part}" for measure in ("welfare", "paid") for part in parts]
    assert titles(page) == ["Means", *expected, "How this study came about"]
    assert "Rates &amp; budgets &lt;all&gt;" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page), "everything is inside"
    assert "@media print" in page
    capsys.readouterr()
    assert main(["report", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == str(tmp_path / "out" / "report.html")
    assert len(lines) == 7
    assert (tmp_path / "out" / "report.html").read_text() == page, "the same study gives the same page"


def test_the_page_of_drawn_points_tells_indices_and_boxes(tmp_path):
    ranges = {BUDGET: {"low": 1.0, "high": 30.0}, RATE: {"low": 0.0, "high": 1.0}}
    page = page_of(tmp_path, factors=ranges, design={"kind": "saltelli", "samples": 16}, measures=["welfare"])
    assert titles(page)[1:-1] == [
        "welfare: effects", "welfare: phase diagram", "welfare: indices (tiny)", "welfare: where it is low",
    ]  # fmt: skip


def test_a_study_of_which_nothing_is_done_has_no_page(tmp_path, capsys):
    play_here(plan_of(tmp_path, set={"data.dataset": "gone.npz"}), tmp_path / "out")
    assert main(["report", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'out'}: no run of this study is done\n"


def test_failed_runs_are_told_with_their_errors_beside_what_the_others_gave(tmp_path):
    page = page_of(tmp_path, factors={"data.dataset": ["gone.npz", "digits"]}, measures=["welfare"], replications=2)
    assert titles(page) == [
        "Means", "welfare: differences", "welfare: effects", "Failed runs", "How this study came about",
    ]  # fmt: skip
    assert "Nothing can be compared to data.dataset = gone.npz" in page
    assert page.count("BadData: gone.npz: there is no such file") == 2


def test_a_run_without_a_measure_is_left_out_of_its_mean(tmp_path):
    longer = {"name": "last of longer ones", "table": "rounds", "value": "CASE WHEN count(*) > 1 THEN max(round) END"}
    design = {"kind": "latin_hypercube", "samples": 4}
    plan = plan_of(tmp_path, factors={"horizon": [1, 3]}, design=design, measures=[longer], keep=["rounds"])
    means = cell_means(play_here(plan, tmp_path / "out"))
    assert means["runs"].tolist() == [4], "drawn points are not told one by one"
    assert means["last of longer ones"].tolist() == [2.0]


def test_levels_stand_as_they_were_set(tmp_path):
    page = page_of(tmp_path, factors={RATE: [0.4], BUDGET: [5.0, 12.5]}, measures=["paid"])
    assert "<td>12.5</td>" in page
    assert "0.400" not in page


def test_pictures_of_an_older_report_go_and_a_page_that_cannot_be_written_leaves_them(tmp_path):
    page_of(tmp_path, factors={BUDGET: [5.0, 12.5]}, measures=["paid"])
    plots = tmp_path / "out" / "plots"
    (plots / "99.png").write_bytes(b"old")
    write_report(tmp_path / "out")
    assert not (plots / "99.png").exists()
    kept = sorted(plots.iterdir())
    (tmp_path / "out" / "report.html").unlink()
    (tmp_path / "out" / "report.html").mkdir()
    with pytest.raises(OSError, match=r"report\.html"):
        write_report(tmp_path / "out")
    assert sorted(plots.iterdir()) == kept


@pytest.mark.parametrize("measures", [["final_accuracy"]])
def test_a_measure_that_no_run_has_is_said_to_be_missing(tmp_path, measures):
    page = page_of(tmp_path, factors={BUDGET: [5.0, 20.0]}, measures=measures)
    assert "No run has this measure." in page
