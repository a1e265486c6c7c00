"""A batch from plan to folder: every run is kept once, the same bytes whoever played them, errors beside results."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from study_files import plan_of, play, play_here, results, seats, write_study

from scenarios.cli import main
from scenarios.recorder import Recorder
from scenarios.results import open_run
from scenarios.schema import Scenario
from scenarios.simulation import Simulation
from scenarios.studies import open_study
from scenarios.studies.batch import Batch
from scenarios.studies.local import LocalEngine
from scenarios.studies.planning import Plan
from scenarios.studies.progress import Standing
from scenarios.studies.store import BadStudy, Store, commit

GONE = "gone.npz"
STUDY: dict[str, Any] = {
    "factors": {"market.budget": [5.0, 10.0], "data.dataset": ["digits", GONE]},
    "replications": 3,
    "keep": ["rounds"],
}


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> tuple[Plan, Path]:
    """A study of twelve runs, half of which fail, played by two workers that are replaced after five runs."""
    folder = tmp_path_factory.mktemp("study")
    plan = plan_of(folder, **STUDY)
    standing = play(plan, folder / "two", workers=2, recycle=5)
    assert (standing.runs, standing.done, standing.failed) == (12, 6, 6)
    return plan, folder / "two"


# ---- what is kept -------------------------------------------------------------------------------------------------


def test_a_run_of_a_study_has_the_bytes_of_the_same_run_played_alone(played, tmp_path):
    plan, folder = played
    run = next(iter(plan.runs(plan.first_replications())))
    scenario = Scenario.model_validate(run.cell.resolved() | {"seed": run.seed})
    Simulation(scenario=scenario, device="auto", recorder=Recorder(tmp_path / "alone")).run()
    kept, alone = results(folder / "runs" / run.id), results(tmp_path / "alone")
    assert kept.keys() == alone.keys()
    for name in ("runs.parquet", "rounds.parquet", "scenario.yaml", "run.json"):
        assert kept[name] == alone[name], name
    assert pq.read_table(folder / "runs" / run.id / "owners.parquet").num_rows == 0, "only the asked rows are kept"
    assert open_run(folder / "runs" / run.id).rounds["round"].tolist() == [0, 1]


def test_the_table_of_runs_has_a_row_for_every_run_in_the_order_of_the_plan(played):
    plan, folder = played
    runs = open_study(folder).runs
    assert runs["run"].tolist() == [run.id for run in plan.runs(plan.first_replications())]
    assert runs["market.budget"].tolist() == [5.0] * 6 + [10.0] * 6
    assert runs["replication"].tolist() == [0, 1, 2] * 4
    done = runs["status"] == "done"
    assert (done == (runs["data.dataset"] == "digits")).all()
    assert runs.loc[done, "welfare"].notna().all()


def test_a_failed_run_is_a_row_with_its_error_and_a_file_with_its_traceback(played):
    _, folder = played
    runs = open_study(folder).runs
    failed = runs[runs["status"] == "failed"]
    assert failed["error"].str.contains(GONE).all()
    assert failed["welfare"].isna().all()
    text = (folder / "failed" / f"{failed.iloc[0]['run']}.txt").read_text()
    assert text.startswith("Traceback (most recent call last):")
    assert "in play_into" in text


def test_all_files_of_a_run_are_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    finished, target = tmp_path / "finished", tmp_path / "runs" / "done"
    finished.mkdir()
    target.parent.mkdir()
    for name in "abc":
        (finished / name).write_text(name)
    flushed: list[str] = []

    def note(handle: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{handle}"))

    monkeypatch.setattr(os, "fsync", note)
    commit(finished, target)
    assert set(flushed[:3]) == {str(finished / name) for name in "abc"}
    assert flushed[3:] == [str(finished), str(target.parent)]


def test_nothing_is_left_of_the_work(played):
    _, folder = played
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock", "failed", "manifest.json", "runs", "runs.parquet", "study.yaml",
    ]  # fmt: skip


def test_whoever_resumes_a_torn_study_ends_with_the_same_bytes(played, tmp_path):
    plan, folder = played
    store = Store(tmp_path / "one")
    with store.begin():
        for run in list(plan.runs(plan.first_replications()))[::2]:
            if (folder / "runs" / run.id).exists():
                shutil.copytree(folder / "runs" / run.id, store.run_folder(run.id))
    kept = {run: store.run_folder(run).stat().st_ino for run in store.done()}
    assert kept
    study = play_here(plan, store.folder)
    assert study.runs["status"].value_counts().to_dict() == {"done": 6, "failed": 6}
    assert {run: store.run_folder(run).stat().st_ino for run in kept} == kept, "what was there is not played again"
    assert results(store.folder) == results(folder)


def test_a_finished_study_is_not_played_again(played):
    plan, folder = played
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*")}
    standing = play(plan, folder)
    assert (standing.done, standing.failed) == (6, 6)
    assert {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*")} == before


# ---- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """An empty folder; commands run there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capfd, *arguments: str) -> str:
    """The single line that a refused command ends with."""
    assert main(["batch", *arguments]) == 2
    printed, line = capfd.readouterr()
    assert (printed, line.count("\n")) == ("", 1)
    return line.rstrip("\n")


def test_batch_prints_a_table_resumes_with_more_replications_and_tells_machines(place, capfd):
    write_study(place, "mine.yaml", title="Do budgets pay?", factors={"market.budget": [5.0, 10.0]}, replications=2)
    assert main(["batch", "mine.yaml", "--workers", "1"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert re.match(r"Do budgets pay\?: 4 of 4 runs done, \d+ s", lines[0])
    assert lines[2].split() == ["market.budget", "runs", "final_accuracy", "welfare"]
    assert [line.split()[:2] for line in lines[3:5]] == [["5", "2"], ["10", "2"]]
    assert lines[-1] == str(place / "runs" / "mine")
    assert "already holds a study, use --resume" in refused(capfd, "mine.yaml")

    write_study(place, "mine.yaml", factors={"market.budget": [5.0, 10.0]}, replications=3)
    assert main(["batch", "mine.yaml", "--workers", "1", "--resume", "--json"]) == 0
    told = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["event"] for line in told] == ["progress"] * (len(told) - 1) + ["end"]
    assert (told[0]["runs"], told[0]["done"], told[0]["failed"]) == (6, 4, 0), "where it starts"
    assert (told[-1]["done"], told[-1]["folder"]) == (6, str(place / "runs" / "mine"))


def test_failed_runs_make_the_exit_code_one_and_are_played_again_only_when_asked(place, capfd):
    missing = place / GONE
    write_study(place, set={"data.dataset": str(missing)})
    assert main(["batch", "study.yaml", "--workers", "1"]) == 1
    assert re.search(rf"^1 failed: .*{GONE}", capfd.readouterr().out, re.MULTILINE)
    x, y = np.random.default_rng(1).random((120, 8), dtype=np.float32), np.arange(120) % 3
    np.savez(missing, x_train=x, y_train=y, x_test=x, y_test=y)
    assert main(["batch", "study.yaml", "--resume", "--quiet"]) == 1
    assert main(["batch", "study.yaml", "--workers", "1", "--resume", "--retry", "--quiet"]) == 0
    runs = open_study(place / "runs" / "study").runs
    assert runs["status"].tolist() == ["done"]


def test_a_folder_with_something_else_is_refused(place, capfd):
    write_study(place)
    (place / "mine").mkdir()
    (place / "mine" / "letter.txt").write_text("dear")
    assert refused(capfd, "study.yaml", "--out", "mine") == (
        f"--out: {place / 'mine'} is not empty, give a new folder or use --resume"
    )
    assert refused(capfd, "study.yaml", "--out", "mine", "--resume").startswith("--out: ")


def test_what_a_machine_lacks_is_told_before_anything_is_written(place, capfd):
    write_study(place, resources={"gpus": 64})
    assert refused(capfd, "study.yaml").startswith("resources.gpus: 64: this machine has ")
    assert not (place / "runs").exists()


def test_an_address_needs_the_engine_that_has_one(place, capfd):
    write_study(place)
    assert refused(capfd, "study.yaml", "--address", "auto") == "--address: auto: only the engine ray has an address"
    assert main(["run", "tiny.yaml", "--address", "auto"]) == 2
    assert capfd.readouterr().err == "--address: auto: a run needs no cluster without --spread\n"


def test_checkpoints_need_an_interval_and_an_engine_of_this_machine(place, capfd):
    write_study(place)
    often = "--checkpoint-every: often: expected a number of rounds, or a time such as 30s, 5min or 2h"
    assert refused(capfd, "study.yaml", "--checkpoint-every", "often") == often
    line = "--checkpoint-every: 5: only the engine local can: machines share no disk"
    assert refused(capfd, "study.yaml", "--checkpoint-every", "5", "--engine", "ray") == line
    assert not (place / "runs").exists()


def test_two_batches_cannot_play_in_one_folder(tmp_path):
    store = Store(tmp_path / "study")
    with store.begin(), pytest.raises(BadStudy, match="another batch is playing here"), Store(store.folder).begin():
        pass


def test_a_damaged_manifest_is_told_in_one_line_and_loses_nothing(played, capfd):
    plan, folder = played
    manifest = folder / "manifest.json"
    whole = manifest.read_bytes()
    try:
        for damaged in (whole[: len(whole) // 2], whole.replace(b"5.0", b"6.0"), b"\xff\xfe", b"[]", b""):
            manifest.write_bytes(damaged)
            line = refused(capfd, str(plan.file), "--out", str(folder), "--resume")
            assert (
                line
                == f"{manifest}: is damaged; remove it and resume the batch, which writes it anew and keeps all runs"
            )
            assert main(["report", str(folder)]) == 2
            assert capfd.readouterr().err.startswith(f"{manifest}: is damaged")
        manifest.unlink()
        assert main(["batch", str(plan.file), "--out", str(folder), "--resume", "--quiet"]) == 1
        assert manifest.read_bytes() == whole
    finally:
        manifest.write_bytes(whole)


def test_a_damaged_run_is_named_and_played_again_when_its_folder_is_removed(place, capfd):
    write_study(place, replications=2)
    study = play_here(plan_of(place, replications=2), place / "out")
    damaged = study.store.run_folder(study.runs["run"][1])
    whole = (damaged / "runs.parquet").read_bytes()
    (damaged / "runs.parquet").write_bytes(whole[:50])
    assert refused(capfd, "study.yaml", "--out", "out", "--resume") == (
        f"{damaged}/runs.parquet: is damaged; remove {damaged} and resume the batch, which plays it again"
    )
    shutil.rmtree(damaged)
    assert main(["batch", "study.yaml", "--out", "out", "--resume", "--quiet", "--workers", "1"]) == 0
    assert (damaged / "runs.parquet").read_bytes() == whole


def test_a_full_disk_is_told_in_one_line_and_loses_nothing(place):
    """The kernel refuses every file that grows beyond a few kilobytes, as a full disk would."""
    write_study(place, replications=2)
    code = "import sys; from scenarios.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "batch", "study.yaml", "--workers", "1", "--quiet"]

    def narrow() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, 6_000))

    whole = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # Python would leave files of half a module
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=narrow, env=whole)
    assert done.returncode == 2
    assert re.fullmatch(r".*: File too large; 0 of 2 runs are done, resume when there is room\n", done.stderr)
    store = Store(place / "runs" / "study")
    assert (store.done(), store.failed()) == (set(), set())
    assert (play_here(plan_of(place, replications=2), store.folder).runs["status"] == "done").all()


# ---- growth -------------------------------------------------------------------------------------------------------


def resident() -> int:
    """Memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("runs", [100, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory of a process from /proc")
def test_the_parent_does_not_grow_with_the_runs_that_have_ended(tmp_path, runs):
    plan = plan_of(tmp_path, replications=runs, keep=["runs"], set={"horizon": 1, "population.initial": 2})
    store = Store(tmp_path / "out")
    seen: list[int] = []

    class Watch:
        def tell(self, standing: Standing) -> None:
            if standing.done == (len(seen) + 1) * runs // 10:
                seen.append(resident())

    with store.begin(), LocalEngine(seats(store, 1), recycle=1000) as engine:
        standing = Batch(plan, store).play(engine, lambda total: Watch())
    assert (standing.done, standing.failed) == (runs, 0)
    assert len(seen) == 10
    assert seen[-1] - seen[1] < 2_000_000 + 100 * runs
    assert len(open_study(store.folder).runs) == runs
