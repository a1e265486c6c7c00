"""Whatever is killed, and whenever: finished runs stay, only runs in flight are lost, and the end is the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from study_files import plan_of, play, play_here, results, seats

from scenarios.results import open_run
from scenarios.studies import open_study
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


def start(plan: Plan, folder: Path) -> subprocess.Popen[bytes]:
    """A batch in a process of its own."""
    code = "import sys; from scenarios.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "batch", str(plan.file), "--out", str(folder), "--resume", "--workers", "2"]
    return subprocess.Popen([*command, "--quiet"], stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(("kills", "runs"), [(5, 20), pytest.param(50, 200, marks=pytest.mark.slow)])
def test_a_study_that_is_killed_again_and_again_ends_as_if_nothing_had_happened(tmp_path, kills, runs):
    chance = random.Random(kills)
    plan = plan_of(tmp_path, replications=runs, keep=["rounds", "events"], set={"horizon": 6})
    store = Store(tmp_path / "torn")
    batch, survivors = start(plan, store.folder), dict[str, tuple[int, int]]()
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
            batch = start(plan, store.folder)
    assert batch.wait(timeout=600) == 0
    study = open_study(store.folder)
    assert (study.runs["status"] == "done").all()
    assert len(study.runs) == runs
    assert not list(store.folder.glob(".swept*"))
    play_here(plan, tmp_path / "whole")
    assert results(store.folder) == results(tmp_path / "whole")


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
