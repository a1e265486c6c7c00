"""A run whose cohorts are trained by a Ray cluster on this machine, killed in the middle and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scenarios.checkpoints.places import unfinished, windows_kept
from scenarios.errors import BadInput
from scenarios.tables import TABLES

PATIENCE = 600  # seconds: Ray takes long to start on a busy machine
RUN = ["run", "quickstart", "--device", "cpu", "--spread", "2", "--quiet"]
CHANGES = ("horizon=6", "data.train_limit=400", "data.test_limit=60", "population.initial=8")


def datagora(*words: str) -> subprocess.Popen[str]:
    """A command in a process of its own."""
    code = "import sys; from scenarios.cli import main; sys.exit(main())"
    command = [sys.executable, "-W", "ignore", "-c", code, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def play(*words: str) -> None:
    """A command that must come to its end."""
    process = datagora(*words)
    try:
        _, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0, said


def below(process: int) -> list[int]:
    """Ids of the processes that a process has started, and of those that these have."""
    with suppress(FileNotFoundError):  # one of them ended while we looked
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return [found for child in map(int, children) for found in (child, *below(child))]
    return []


def kept(run: Path) -> int:
    """After how many windows the newest checkpoint was taken."""
    with suppress(BadInput, OSError):
        return max((window for window, _ in windows_kept(unfinished(run))), default=0)
    return 0


@pytest.fixture
def ended() -> Iterator[list[int]]:
    """Processes that are ended, each by its id, when the test is over."""
    processes: list[int] = []
    yield processes
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two workers need two processors")
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds Ray's processes in /proc")
def test_a_spread_run_that_was_killed_goes_on_to_the_bytes_of_a_whole_one(tmp_path: Path, ended: list[int]) -> None:
    pytest.importorskip("ray")
    changes = [word for change in CHANGES for word in ("--set", change)]
    process = datagora(*RUN, *changes, "--checkpoint-every", "1", "--out", str(tmp_path / "torn"))
    end = time.monotonic() + PATIENCE
    while kept(tmp_path / "torn") < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "no checkpoint ever came"
        time.sleep(0.05)
    ended += below(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert 2 <= kept(tmp_path / "torn") < 6, "it was killed in the middle"
    play("resume", str(tmp_path / "torn"), "--quiet")
    play(*RUN, *changes, "--out", str(tmp_path / "whole"))
    for name in (*(table.file_name for table in TABLES.values()), "scenario.yaml"):
        assert (tmp_path / "torn" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    trained = (tmp_path / "torn" / "run.json").read_text()
    assert '"resumed_after_windows"' in trained
    assert '"training"' in trained
