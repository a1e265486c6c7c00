"""Every command that writes, where nothing can be written: one line, exit code 2, and all is as it was before.

Folders really lack the permission and files really cannot grow: the commands run in a process for which that holds.
"""

from __future__ import annotations

import re
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from failing_places import Ask, asked, tell_of_a_broken_law, without_privilege, without_room
from kept_runs import PROCESSES
from study_files import plan_of, play_here

import scenarios.buffers
import scenarios.recorder
from market.privacy_auction.tensors import write_tensors
from scenarios.checkpoints.playing import Keeping, play_kept
from scenarios.cli import app, main
from scenarios.reproduce.folder import publish
from scenarios.soak import command as soaking
from scenarios.writing import write_together

COMMANDS: dict[str, list[str]] = {
    "run": ["run", "tiny.yaml", "--out", "place/new", "-q"],
    "run --force": ["run", "tiny.yaml", "--out", "place/run", "--force", "-q"],
    "run --checkpoint-every": ["run", "tiny.yaml", "--checkpoint-every", "1", "--out", "place/new", "-q"],
    "resume": ["resume", "place/cut", "-q"],
    "branch": ["branch", "place/run", "--at", "1", "--set", "market.budget=5", "-q"],
    "batch": ["batch", "study.yaml", "--workers", "1", "--out", "place/new", "-q"],
    "batch --resume": ["batch", "study.yaml", "--workers", "1", "--resume", "--out", "place/study", "-q"],
    "report of a run": ["report", "place/run"],
    "report of a study": ["report", "place/study"],
    "analyse": ["analyse", "place/run"],
    "analyse --out": ["analyse", "place/run", "--out", "place/new/tables"],
    "tournament": ["tournament", "--quick", "--mechanism", "fixed_price", "--workers", "1", "--out", "place/new", "-q"],
    "fingerprint": ["fingerprint", "fixed_price", "--quick", "--workers", "1", "--out", "place/new", "-q"],
    "anarchy": ["anarchy", "fixed_price", "--workers", "1", "--out", "place/new", "-q"],
    "reproduce": ["reproduce", "qd-rdfl", "--quick", "--out", "place/new"],
    "soak": ["soak", "--most", "1", "--out", "place/new", "-q"],
    "detectors": [
        *("detectors", "--out", "place/new.csv", "--set", "horizon=2", "--set", "population.initial=4"),
        *("--set", "data.train_limit=100", "--set", "data.test_limit=40"),
    ],
    "auction train": ["auction", "train", "regretnet", "--iterations", "1", "--out", "place/new.safetensors"],
}


ONLY_PRINT = {"solve", "check", "calibrate", "app", "list"}
"""``app`` keeps a run when a button is pressed: tests/scenarios/test_app_server.py."""

AT_THE_END = {"reproduce", "soak"}
"""They play for minutes before they write: what they write with is tested below."""


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scenario, a study, and a ``place`` with a run, one that was cut off, and a study in it."""
    scratch = tmp_path_factory.mktemp("scratch")
    place = scratch / "place"
    place.mkdir()
    plan = plan_of(scratch, replications=2)
    run = play_kept(str(scratch / "tiny.yaml"), Keeping("1"), out=place / "run", device="cpu", voice="quiet")
    assert run is not None
    cut = place / ".cut.partial-1"
    cut.mkdir()
    shutil.copytree(run / "checkpoints", cut / "checkpoints")
    play_here(plan, place / "study")
    return scratch


@pytest.fixture(scope="module")
def ask_without_permission(scratch: Path) -> Iterator[Ask]:
    """Commands of a user who may read all of ``place``, and write nothing there."""
    places = [scratch / "place", *(scratch / "place").rglob("*")]
    before = {path: path.stat().st_mode for path in places}
    for path in places:
        path.chmod(0o555 if path.is_dir() else 0o444)
    with asked(without_privilege, scratch) as ask:
        yield ask
    for path, mode in before.items():
        path.chmod(mode)


@pytest.fixture(scope="module")
def ask_without_room(scratch: Path) -> Iterator[Ask]:
    """Commands on a disk that has room for folders, but for no file that is longer than a line."""
    with asked(without_room, scratch) as ask:
        yield ask


def everything(folder: Path) -> dict[Path, bytes | None]:
    """All that is below a folder: files by their bytes, folders."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def assert_refused(ask: Ask, words: list[str], scratch: Path, reason: str) -> None:
    before = everything(scratch)
    code, error = ask(words)
    *others, last = error.splitlines()
    assert code == 2, error
    assert re.search(reason, last), error
    assert all(re.match("stopped; go on with: |training regretnet, ", line) for line in others), error
    assert everything(scratch) == before


def test_every_command_is_listed_here() -> None:
    names = {each.name for each in app.registered_commands}
    assert names | {"auction"} == {words[0] for words in COMMANDS.values()} | ONLY_PRINT


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_that_nobody_may_write_to_is_told(name: str, scratch: Path, ask_without_permission: Ask) -> None:
    assert_refused(ask_without_permission, COMMANDS[name], scratch, "place.*: Permission denied$")


@pytest.mark.parametrize("name", [name for name, words in COMMANDS.items() if any("/new" in word for word in words)])
def test_a_file_in_the_place_of_a_folder_is_told(name: str, scratch: Path, ask_without_permission: Ask) -> None:
    words = [word.replace("place/new", "tiny.yaml/new") for word in COMMANDS[name]]
    reason = r"tiny\.yaml.*(: Not a directory|: its folder does not exist|: expected a file in a folder that exists)$"
    assert_refused(ask_without_permission, words, scratch, reason)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in AT_THE_END])
def test_a_full_disk_is_told_and_leaves_nothing_half_written(name: str, scratch: Path, ask_without_room: Ask) -> None:
    assert_refused(ask_without_room, COMMANDS[name], scratch, "place.*: File too large$")


@pytest.fixture
def no_room() -> Iterator[None]:
    """The kernel refuses files of this process that are longer than a line, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_in_the_middle_of_a_run_leaves_nothing(
    scratch: Path, tmp_path: Path, no_room: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row groups of five rows, so that some tables are being written, and have to be given up, when one is refused."""
    for module in (scenarios.buffers, scenarios.recorder):
        monkeypatch.setattr(module, "ROW_GROUP", 5)
    assert main(["run", str(scratch / "tiny.yaml"), "--out", str(tmp_path / "runs" / "new"), "-q"]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'runs' / 'new'}: File too large\n"
    assert list(tmp_path.iterdir()) == []


def test_no_half_of_a_trained_auction_is_left(tmp_path: Path, no_room: None) -> None:
    file = tmp_path / "new.safetensors"
    with pytest.raises(OSError, match="File too large") as problem:
        write_tensors(file, {"weights": np.ones(100, dtype=np.float32)}, {"network": "regretnet"})
    assert problem.value.filename == str(file)
    assert list(tmp_path.iterdir()) == []


def test_of_files_that_belong_together_none_is_replaced_where_one_has_no_room(tmp_path: Path, no_room: None) -> None:
    one, other = tmp_path / "study.yaml", tmp_path / "manifest.json"
    one.write_bytes(b"older")
    with pytest.raises(OSError, match="File too large") as problem:
        write_together({one: b"newer", other: b"long" * 100})
    assert problem.value.filename == str(other)
    assert everything(tmp_path) == {one: b"older"}


@pytest.mark.parametrize("older", [True, False])
def test_a_reproduction_appears_whole_or_not_at_all(older: bool, tmp_path: Path, no_room: None) -> None:
    folder = tmp_path / "runs" / "new"
    if older:
        publish(folder, {"one.csv": b"older", "mine.txt": b"precious"}, force=False)
    before = everything(tmp_path)
    with pytest.raises(OSError, match="File too large") as problem:
        publish(folder, {"one.csv": b"a line", "two.csv": b"a table\n" * 100}, force=True)
    assert problem.value.filename == str(folder / "two.csv")
    assert everything(tmp_path) == before


def test_a_soak_that_cannot_keep_what_it_found_says_so_after_its_summary(
    tmp_path: Path, no_room: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker tells of a broken law, for no market is known that breaks one."""
    monkeypatch.setattr(soaking, "_PROCESSES", PROCESSES)
    monkeypatch.setattr(soaking, "work", tell_of_a_broken_law)
    assert main(["soak", "--most", "1", "--out", str(tmp_path / "runs" / "kept"), "-q"]) == 2
    printed, error = capsys.readouterr()
    assert "1 markets" in printed
    assert "soak-1-3: books_close: off by 1" in printed
    assert re.fullmatch(r"\S+soak-1-3\.yaml: File too large\n", error)
    assert list(tmp_path.iterdir()) == []
