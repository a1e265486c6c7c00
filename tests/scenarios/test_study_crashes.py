"""Whatever is killed, and whenever: finished runs stay, only runs in flight are lost, and the end is the same."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from study_files import plan_of, play, play_here, results, seats

from scenarios.results import open_run
from scenarios.simulation import Simulation
from scenarios.studies import keeping, open_study, playing
from scenarios.studies.batch import Batch
from scenarios.studies.local import MOST_DEATHS, LocalEngine
from scenarios.studies.planning import Plan
from scenarios.studies.progress import Standing
from scenarios.studies.store import Store

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds worker processes in /proc")


def workers_of(process: int) -> list[int]:
    """Process ids of the workers that a batch has now."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    except FileNotFoundError:  # one of them ended while we looked
        return []


def start(plan: Plan, folder: Path, *options: str, workers: int = 2) -> subprocess.Popen[bytes]:
    """A batch in a process of its own."""
    code = "import sys; from scenarios.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "batch", str(plan.file), "--out", str(folder), "--resume", "--quiet"]
    return subprocess.Popen([*command, "--workers", str(workers), *options], stdout=subprocess.DEVNULL)


EACH_WINDOW = ("--checkpoint-every", "1")


@pytest.mark.parametrize(
    ("kills", "runs", "horizon", "options"),
    [
        pytest.param(5, 20, 6, (), id="5 kills"),
        pytest.param(50, 200, 6, (), marks=pytest.mark.slow, id="50 kills"),
        pytest.param(10, 24, 40, EACH_WINDOW, marks=pytest.mark.slow, id="10 kills with checkpoints"),
    ],
)
def test_a_study_that_is_killed_again_and_again_ends_as_if_nothing_had_happened(
    tmp_path, kills, runs, horizon, options
):
    chance = random.Random(kills)
    plan = plan_of(tmp_path, replications=runs, keep=["rounds", "events"], set={"horizon": horizon})
    store = Store(tmp_path / "torn")
    batch, survivors = start(plan, store.folder, *options), dict[str, tuple[int, int]]()
    killed = 0
    while True:
        # The kills are spread over the study; each comes at a random moment of the runs then in flight.
        while batch.poll() is None and len(store.done()) < 1 + killed * (runs - 4) // kills:
            time.sleep(0.01)
        if killed == kills:
            break
        assert batch.poll() is None, "the study ended before its time"
        time.sleep(chance.uniform(0, 0.3))
        targets = workers_of(batch.pid) if chance.random() < 0.6 else []
        os.kill(chance.choice(targets) if targets else batch.pid, signal.SIGKILL)
        killed += 1
        if not targets:
            assert batch.wait(timeout=60) == -signal.SIGKILL
        done = store.done()
        assert survivors.keys() <= done, "a finished run is lost"
        for run in done:
            entry = store.run_folder(run).stat()
            assert survivors.setdefault(run, (entry.st_ino, entry.st_mtime_ns)) == (entry.st_ino, entry.st_mtime_ns)
            assert len(open_run(store.run_folder(run)).runs) == 1, "a run in its place is whole"
        if batch.poll() is not None:
            batch = start(plan, store.folder, *options)
    assert batch.wait(timeout=600) == 0
    study = open_study(store.folder)
    assert (study.runs["status"] == "done").all()
    assert len(study.runs) == runs
    assert not list(store.folder.glob(".swept*"))
    assert not store.unfinished.exists()
    play_here(plan, tmp_path / "whole")
    assert results(store.folder) == results(tmp_path / "whole")


# ---- checkpoints --------------------------------------------------------------------------------------------------


LONG = {"replications": 2, "keep": ["rounds", "events"], "set": {"horizon": 60}}


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Path:
    """The folder of a study that was killed when its first run had got somewhere."""
    place = tmp_path_factory.mktemp("killed")
    store = Store(place / "torn")
    batch = start(plan_of(place, **LONG), store.folder, *EACH_WINDOW, workers=1)
    while not list(store.unfinished.glob(".*.partial-*/checkpoints/window-000005")):
        assert batch.poll() is None, "the study ended before its time"
        time.sleep(0.01)
    workers = workers_of(batch.pid)
    os.kill(batch.pid, signal.SIGKILL)
    batch.wait(timeout=60)
    while any(Path(f"/proc/{worker}").exists() for worker in workers):  # they see that their batch is gone
        time.sleep(0.01)
    assert store.done() == set()
    return store.folder


@pytest.fixture
def torn(killed, tmp_path) -> Store:
    """The same, for one test."""
    return Store(shutil.copytree(killed, tmp_path / "torn", symlinks=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    """The results of the study without checkpoints and without a break."""
    place = tmp_path_factory.mktemp("whole")
    return results(play_here(plan_of(place, **LONG), place / "study").folder)


def test_a_run_that_was_cut_off_goes_on_from_its_checkpoint_to_the_same_bytes(torn, whole, tmp_path, monkeypatch):
    played, real = [], playing.play_into
    monkeypatch.setattr(playing, "play_into", lambda folder, task: (played.append(task.run), real(folder, task)))
    monkeypatch.setattr(keeping, "play_into", None)
    [begun] = {leftover.name.split(".")[1] for leftover in torn.unfinished.iterdir()}
    study = play_here(plan_of(tmp_path, **LONG), torn.folder)
    assert study.runs["status"].tolist() == ["done", "done"]
    assert len(played) == 1, "only the other one is begun"
    assert begun not in played
    assert results(torn.folder) == whole
    assert not torn.unfinished.exists()


def test_a_run_without_any_good_checkpoint_is_played_again_from_its_start(torn, whole, tmp_path):
    for manifest in torn.unfinished.glob(".*/checkpoints/*/manifest.json"):
        manifest.write_bytes(b"{}")
    play_here(plan_of(tmp_path, **LONG), torn.folder)
    assert results(torn.folder) == whole
    assert not torn.unfinished.exists()


def test_a_run_whose_words_or_tables_were_changed_is_not_gone_on_with(torn, tmp_path):
    changed = LONG | {"keep": ["owners"]}
    play_here(plan_of(tmp_path, **changed), torn.folder)
    play_here(plan_of(tmp_path, **changed), tmp_path / "other")
    assert results(torn.folder) == results(tmp_path / "other")


def test_a_run_that_fails_is_not_gone_on_with(torn, tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("as it may")

    monkeypatch.setattr(Simulation, "play", fail)
    study = play_here(plan_of(tmp_path, **LONG), torn.folder)
    assert study.runs["status"].tolist() == ["failed", "failed"]
    assert not torn.unfinished.exists()


def test_a_run_that_was_over_when_it_was_killed_only_gets_its_place(torn, whole, tmp_path, monkeypatch):
    """Killed between its last byte and its name in the study."""
    for leftover in torn.unfinished.iterdir():
        shutil.rmtree(leftover)
    plan = plan_of(tmp_path, **LONG)
    play_here(plan, tmp_path / "study")
    for run in plan.runs([2]):
        shutil.copytree(tmp_path / "study" / "runs" / run.id, torn.unfinished / run.id)
    monkeypatch.setattr(Simulation, "play", None)
    play_here(plan, torn.folder)
    assert results(torn.folder) == whole
    assert not torn.unfinished.exists()


# ---- workers ------------------------------------------------------------------------------------------------------


def test_workers_that_are_killed_while_they_start_do_not_end_a_study_that_goes_on(tmp_path):
    plan = plan_of(tmp_path, replications=8, keep=["runs"], set={"horizon": 1})
    store = Store(tmp_path / "out")
    killed: list[int] = []

    class KillTheOther:
        def tell(self, standing: Standing) -> None:
            others = [worker.process.pid for worker in engine._workers if worker.played == 0 and standing.done]
            for process in others:
                if process is not None and process not in killed:
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)

    with store.begin(), LocalEngine(seats(store, 2)) as engine:
        standing = Batch(plan, store).play(engine, lambda total: KillTheOther())
    assert len(killed) >= MOST_DEATHS
    assert (standing.done, standing.failed) == (8, 0)


def test_a_run_that_ends_its_worker_every_time_becomes_an_error_and_the_others_are_played(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAGORA_ALLOW_CODE", "1")
    module = tmp_path / "deadly.py"
    module.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    plan = plan_of(
        tmp_path,
        design={"kind": "list", "points": [{"learning.enabled": False}, {"learning.enabled": True}]},
        set={"learning.model": f"{module}:Net"},
    )
    standing = play(plan, tmp_path / "out")
    assert (standing.done, standing.failed) == (1, 1)
    runs = open_study(tmp_path / "out").runs
    assert runs["status"].tolist() == ["done", "failed"]
    assert runs["error"][1] == f"its worker process was lost {MOST_DEATHS} times, last by SIGKILL"
