"""Runs in processes of their own that are killed, told to stop, out of disk or damaged, and gone on with."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from kept_runs import command, cut_down

import scenarios.buffers
import scenarios.checkpoints.course
import scenarios.recorder
from scenarios.buffers import ROW_GROUP
from scenarios.checkpoints.branching import branch
from scenarios.checkpoints.places import only_one, unfinished, windows_kept
from scenarios.checkpoints.playing import Keeping, play_kept, resume
from scenarios.checkpoints.recording import KeptRecorder
from scenarios.checkpoints.rows import RowLogs
from scenarios.checkpoints.saving import Interval
from scenarios.cli import main
from scenarios.errors import BadInput
from scenarios.loading import library, resolved_yaml
from scenarios.playing import play
from scenarios.recorder import CHECKPOINTS
from scenarios.tables import TABLES
from scenarios.versions import versions

SMALL: dict[str, Any] = {
    "name": "small",
    "seed": 3,
    "horizon": 14,
    "population": {
        "initial": 10,
        "arrival_rate": 1.0,
        "strategies": [{"name": "honest"}, {"name": "free_rider_copy"}, {"name": "misreport_size", "factor": 2.0}],
        "types": {"link_time": 20.0},
        "adaptation": {"name": "imitation", "rate": 0.2},
    },
    "round": {"late": "buffer", "buffer_size": 4},
    "centers": {"count": 2, "slots": 2, "rate": 20.0},
    "learning": {"server": "fedadam"},
    "data": {"train_limit": 200, "test_limit": 60},
    "enforcement": {"audit_rate": 0.3, "deposit": 2.0},
}
LITTLE = 8_500  # bytes: more than the scenario, less than the table of owners
PATIENCE = 300.0  # seconds that a busy machine may need


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path


@pytest.fixture(scope="module")
def uninterrupted(scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return play(str(scenario), out=tmp_path_factory.mktemp("whole") / "run", device="cpu", voice="quiet")


def assert_same_results(run: Path, other: Path) -> None:
    for name in (*(table.file_name for table in TABLES.values()), "scenario.yaml"):
        assert (run / name).read_bytes() == (other / name).read_bytes(), name


def wait_until(come: Any) -> None:
    """Wait until ``come()`` is true."""
    end = time.monotonic() + PATIENCE
    while not come():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def reached(run: Path) -> int:
    """After how many windows the newest checkpoint of an unfinished run was taken; -1 before there is anything."""
    try:
        partial = unfinished(run)
        return max((window for window, _ in windows_kept(partial)), default=0)
    except (BadInput, OSError):
        return -1


def kill_again_and_again(start: list[str], run: Path, kills: int, chance: random.Random) -> int:
    """Play ``start`` into ``run`` under kills at random moments until it is through; how many kills met a live run."""
    met = 0
    for number in range(kills + 1):
        process = command(start if number == 0 or reached(run) < 0 else ["resume", str(run), "-q"])
        if number < kills:
            goal = reached(run) + chance.choice([0, 1, 1, 2])
            wait_until(lambda goal=goal, process=process: reached(run) >= goal or process.exitcode is not None)
            time.sleep(chance.uniform(0.0, 0.2))
            met += process.exitcode is None
            os.kill(process.pid, signal.SIGKILL) if process.exitcode is None else None
        process.join(PATIENCE)
        if run.exists():
            return met
    raise AssertionError("the run never came to its end")


def test_a_run_killed_five_times_gives_the_same_bytes(scenario: Path, uninterrupted: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    start = ["run", str(scenario), "--out", str(run), "--device", "cpu", "-q", "--checkpoint-every", "1"]
    assert kill_again_and_again(start, run, 5, random.Random(5)) >= 3
    assert_same_results(uninterrupted, run)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"))


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("name", sorted(library()))
def test_every_ready_made_scenario_survives_three_kills(name: str, device: str, tmp_path: Path) -> None:
    """Fifty kills and more, over all mechanisms."""
    file = tmp_path / "cut.yaml"
    file.write_text(resolved_yaml(cut_down(name, horizon=10)))
    whole, run = tmp_path / "whole", tmp_path / "run"
    play(str(file), out=whole, device=device, voice="quiet")
    start = ["run", str(file), "--out", str(run), "--device", device, "-q", "--checkpoint-every", "1"]
    kill_again_and_again(start, run, 3, random.Random(name))
    assert_same_results(whole, run)


def test_a_run_told_to_terminate_keeps_a_checkpoint_first(scenario: Path, uninterrupted: Path, tmp_path: Path) -> None:
    run, said = tmp_path / "run", tmp_path / "said"
    # Checkpoints by the hour: the only one there can be is the one of the signal.
    process = command(["run", str(scenario), "--out", str(run), "--device", "cpu", "--checkpoint-every", "1h"], said)
    wait_until(lambda: said.exists() and "playing small" in said.read_text())
    os.kill(process.pid, signal.SIGTERM)
    process.join(PATIENCE)
    assert process.exitcode == 130
    assert f"stopped; go on with: datagora resume {run}" in said.read_text()
    assert not run.exists()
    assert 1 <= reached(run) < SMALL["horizon"]
    assert resume(run, voice="quiet") == run
    assert_same_results(uninterrupted, run)


@pytest.fixture(scope="module")
def killed(scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hidden folder of a run that was killed after some windows, with a checkpoint after each."""
    run = tmp_path_factory.mktemp("killed") / "run"
    process = command(["run", str(scenario), "--out", str(run), "--device", "cpu", "-q", "--checkpoint-every", "1"])
    wait_until(lambda: reached(run) >= 4)
    os.kill(process.pid, signal.SIGKILL)
    process.join(PATIENCE)
    return unfinished(run)


@pytest.fixture
def partial(killed: Path, tmp_path: Path) -> Path:
    """That folder, for one test: the run that was to become ``tmp_path / "run"``."""
    return Path(shutil.copytree(killed, tmp_path / killed.name))


def test_damaged_checkpoints_are_refused_and_the_one_before_is_used(
    partial: Path, uninterrupted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    (newest, first), (older, second), (oldest, _), *_ = windows_kept(
        partial
    )  # three are kept, and one more while the newest is written
    with (first / "columns.npz").open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    (second / "state.json").unlink()
    assert resume(run) == run
    said = capsys.readouterr().err
    assert f"the checkpoint after window {newest} is refused: the checksum of columns.npz is wrong" in said
    assert f"the checkpoint after window {older} is refused: state.json is missing; trying the one before" in said
    assert f"from window {oldest}" in said
    assert_same_results(uninterrupted, run)


def test_without_any_good_checkpoint_a_run_starts_again(
    partial: Path, uninterrupted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    for _, place in windows_kept(partial):
        (place / "manifest.json").write_bytes(b"{}")
    assert resume(run, voice="quiet") == run
    assert "no checkpoint: played again from the start" in capsys.readouterr().err
    assert_same_results(uninterrupted, run)


def test_a_disk_that_fills_up_ends_the_run_in_one_line_and_it_goes_on_with_more_room(
    scenario: Path, killed: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    run, said = tmp_path / "run", tmp_path / "said"
    start = ["run", str(scenario), "--out", str(run), "--device", "cpu", "-q", "--checkpoint-every", "1"]
    process = command(start, said, largest_file=400)  # no room for anything
    process.join(PATIENCE)
    assert process.exitcode == 2
    assert said.read_text().splitlines()[0].endswith("scenario.yaml: File too large")
    assert len(said.read_text().splitlines()) == 1
    assert list(tmp_path.iterdir()) == [said], "nothing half written stays"

    partial = Path(shutil.copytree(killed, tmp_path / killed.name))
    process = command(["resume", str(run)], said, largest_file=LITTLE)  # for notes, not for a checkpoint or a table
    process.join(PATIENCE)
    assert process.exitcode == 2
    text = said.read_text()
    assert ": File too large; the last one is kept" in text
    assert f"stopped; go on with: datagora resume {run}" in text
    assert "Traceback" not in text
    assert unfinished(run) == partial
    assert resume(run, voice="quiet") == run
    assert_same_results(uninterrupted, run)


def test_an_interrupted_write_of_a_checkpoint_leaves_the_one_before(
    partial: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    window, place = windows_kept(partial)[0]
    half = place.with_name(f".{place.name.removesuffix(str(window))}{window + 1}.partial")
    half.mkdir()
    (half / "state.json").write_text("[1, 2")
    assert resume(run, voice="quiet") == run
    assert_same_results(uninterrupted, run)


def test_full_row_groups_survive_a_break(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row groups of 20 rows, so that most tables have some before the break and some after it."""
    for module in (scenarios.buffers, scenarios.recorder):
        monkeypatch.setattr(module, "ROW_GROUP", 20)
    whole = play(str(scenario), out=tmp_path / "whole", device="cpu", voice="quiet")

    def with_a_signal(voice: str) -> Any:
        def tell(moments: Any, windows: int) -> Any:
            for moment in moments:
                if moment.window == 6:
                    os.kill(os.getpid(), signal.SIGTERM)
                yield moment

        return tell

    monkeypatch.setattr(scenarios.checkpoints.course, "told", with_a_signal)
    run = tmp_path / "run"
    assert play_kept(str(scenario), Keeping("4"), out=run, device="cpu", voice="quiet") is None
    assert "stopping after this window, with a checkpoint" in capsys.readouterr().err
    logs = unfinished(run) / CHECKPOINTS / "rows"
    assert (logs / "events.arrows").stat().st_size > 0
    assert (logs / "transfers.arrows").stat().st_size > 0
    with (logs / "events.arrows").open("ab") as file:
        file.write(b"what was written after the last checkpoint")
    monkeypatch.undo()
    for module in (scenarios.buffers, scenarios.recorder):
        monkeypatch.setattr(module, "ROW_GROUP", 20)
    assert resume(run, voice="quiet") == run
    assert_same_results(whole, run)


def test_two_processes_cannot_play_one_run(partial: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with only_one(partial), pytest.raises(BadInput, match="another process is playing this run"):
        resume(run)


def test_a_run_that_ends_while_another_process_waits_for_it_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    partial, run = tmp_path / ".run.partial-7", tmp_path / "run"
    (partial / CHECKPOINTS).mkdir(parents=True)
    lock = fcntl.flock

    def as_it_ends(handle: int, how: int) -> None:
        partial.rename(run)
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", as_it_ends)
    with pytest.raises(BadInput, match="another process has just ended this run"), only_one(partial):
        pass
    assert list(tmp_path.iterdir()) == [run]


def test_a_branch_that_is_being_played_cannot_be_resumed_by_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = ["horizon=3", "learning.enabled=false", "population.initial=3"]
    past = play("quickstart", changes=change, out=tmp_path / "past", voice="quiet")
    assert past is not None
    refused: list[str] = []

    def with_a_rival(voice: str) -> Any:
        def tell(moments: Any, windows: int) -> Any:
            for moment in moments:
                with pytest.raises(BadInput) as rival:
                    resume(tmp_path / "branch")
                refused.append(str(rival.value))
                yield moment

        return tell

    monkeypatch.setattr(scenarios.checkpoints.course, "told", with_a_rival)
    out = branch(past, 1, ["market.budget=3"], out=tmp_path / "branch", keeping=Keeping("1"), voice="quiet")
    assert out == tmp_path / "branch"
    assert len(refused) == 3
    assert all("another process is playing this run" in line for line in refused)


def test_a_run_that_a_killed_replacement_had_put_aside_is_not_resumed(tmp_path: Path) -> None:
    change = ["horizon=2", "learning.enabled=false", "population.initial=3"]
    run = play_kept("quickstart", Keeping("1"), changes=change, out=tmp_path / "run", force=True, voice="quiet")
    assert run is not None
    # A kill came after the new run had taken its name, and before the old one was removed.
    shutil.copytree(run, tmp_path / ".run.partial-7.older")
    with pytest.raises(BadInput, match="this run is complete, there is nothing to resume"):
        resume(run)


def test_files_of_the_user_come_back_after_a_kill_while_a_run_was_replaced(tmp_path: Path) -> None:
    run, aside = tmp_path / "run", tmp_path / ".run.partial-7.older"
    aside.mkdir()  # the kill came when the old run was put aside, and the new one had not taken its name
    (aside / "run.json").write_text("{}")
    (aside / "notes.txt").write_text("mine")
    (tmp_path / ".run.partial-7").mkdir()
    KeptRecorder(run, force=True, partial=tmp_path / ".run.partial-7").close("name: new\n", {})
    assert (run / "notes.txt").read_text() == "mine"
    assert (run / "scenario.yaml").read_text() == "name: new\n"
    assert list(tmp_path.iterdir()) == [run]


def test_there_must_be_something_to_resume(uninterrupted: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="this run is complete, there is nothing to resume"):
        resume(uninterrupted)
    with pytest.raises(BadInput, match="no run with checkpoints was interrupted here"):
        resume(tmp_path / "nothing")


def test_the_state_of_another_datagora_is_refused_and_other_libraries_are_warned_of(
    partial: Path,
    uninterrupted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    here = versions()["versions"]
    monkeypatch.setattr(scenarios.checkpoints.course, "versions", lambda: {"versions": {**here, "datagora": "9.9"}})
    with pytest.raises(BadInput, match=rf"it is of Datagora {here['datagora']}, this is 9\.9: go on with the version"):
        resume(run)
    assert reached(run) >= 1
    capsys.readouterr()
    monkeypatch.setattr(scenarios.checkpoints.course, "versions", lambda: {"versions": {**here, "torch": "9.9"}})
    assert resume(run, voice="quiet") == run
    assert capsys.readouterr().err == "warning: written with other versions of torch; the last bits may differ\n"
    assert_same_results(uninterrupted, run)


@pytest.mark.parametrize("start", [["run", "quickstart"], ["branch", "past", "--at", "1", "--set", "market.budget=3"]])
def test_how_many_checkpoints_stay_is_refused_where_none_are_taken(
    start: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*start, "--checkpoint-keep", "2"]) == 2
    said = "--checkpoint-keep: 2: there are no checkpoints without --checkpoint-every\n"
    assert capsys.readouterr().err == said
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_for_nothing_is_refused_with_checkpoints_too(scenario: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--address: auto: a run needs no cluster without --spread"):
        play_kept(str(scenario), Keeping("1"), out=tmp_path / "run", address="auto")
    assert list(tmp_path.iterdir()) == []


# -- branches --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_checkpoints(scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("kept") / "run"
    start = ["run", str(scenario), "--out", str(run), "--device", "cpu", "-q"]
    process = command([*start, "--checkpoint-every", "2", "--checkpoint-keep", "all"])
    process.join(PATIENCE)
    assert process.exitcode == 0
    return run


def test_checkpoints_change_no_byte_of_a_run(with_checkpoints: Path, uninterrupted: Path) -> None:
    assert_same_results(uninterrupted, with_checkpoints)
    assert (with_checkpoints / "run.json").read_bytes() == (uninterrupted / "run.json").read_bytes()
    assert len(windows_kept(with_checkpoints)) >= 4


def test_a_branch_is_the_run_with_an_intervention(
    with_checkpoints: Path, uninterrupted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = ["market.budget=3", "enforcement.audit_rate=0.9"]
    one = branch(with_checkpoints, 7, changes, out=tmp_path / "one", voice="quiet")
    assert "played again" not in capsys.readouterr().err
    other = branch(uninterrupted, 7, changes, out=tmp_path / "other", voice="quiet")
    assert "no checkpoint before round 7: played again from the start" in capsys.readouterr().err
    whole = play(str(one / "scenario.yaml"), out=tmp_path / "whole", device="cpu", voice="quiet")
    assert_same_results(whole, one)
    assert_same_results(whole, other)
    assert (one / "events.parquet").read_bytes() != (uninterrupted / "events.parquet").read_bytes()
    assert not (one / CHECKPOINTS).exists()
    assert '"at_round": 7' in (one / "run.json").read_text()


@pytest.mark.parametrize(
    ("at", "changes", "said"),
    [
        (
            3,
            ["population.initial=20"],
            r"--set: population\.initial: 20: no lever, for a run starts from who is there",
        ),
        (3, ["enforcement.audit_rate=2"], r"--set: enforcement\.audit_rate: 2"),
        (3, ["market.budget"], r"--set: market\.budget: expected path\.to\.key=value"),
        (3, [], "a branch needs something that changes"),
        (99, ["market.budget=1"], r"--at: 99: expected a round from 0 to \d+"),
    ],
)
def test_what_cannot_act_later_is_refused_in_one_line(
    at: int, changes: list[str], said: str, uninterrupted: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        branch(uninterrupted, at, changes, out=tmp_path / "branch")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "branch").exists()


# -- parts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rounds", "seconds"),
    [("10", 10, None), ("30s", None, 30.0), ("5min", None, 300.0), ("1.5h", None, 5400.0)],
)
def test_intervals_are_rounds_or_times(text: str, rounds: int | None, seconds: float | None) -> None:
    assert Interval.read(text) == Interval(rounds, seconds)


@pytest.mark.parametrize(("every", "times"), [("0.001s", 3), ("1h", 0), ("2", 1), ("1", 3)])
def test_a_checkpoint_is_due_after_so_many_rounds_or_so_much_time(every: str, times: int, tmp_path: Path) -> None:
    change = ["horizon=3", "learning.enabled=false", "population.initial=3"]
    run = play_kept("quickstart", Keeping(every, "all"), changes=change, out=tmp_path / "run", voice="quiet")
    assert run is not None
    assert len(windows_kept(run)) == times


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "5 weeks", "", "min", "9" * 30])
def test_other_intervals_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="--checkpoint-every"):
        Interval.read(text)


def test_row_groups_come_back_from_their_logs_up_to_a_mark(tmp_path: Path) -> None:
    from scenarios.buffers import TableBuffer
    from scenarios.checkpoints.rows import check

    buffer, logs = TableBuffer(TABLES["events"]), RowLogs(tmp_path)
    columns: dict[str, Any] = dict.fromkeys(("seq", "tick", "round", "owner"), range(ROW_GROUP))
    groups = [
        rows
        for kind in ("open", "close", "audit")
        for rows in buffer.append({**columns, "kind": kind, "value": [0.5] * ROW_GROUP})
    ]
    for rows in groups[:2]:
        logs.append("events", rows)
    marks = logs.marks()
    logs.append("events", groups[2])
    logs.close()
    check(tmp_path, marks)
    again = RowLogs(tmp_path)
    again.cut(marks)
    again.append("events", groups[2])
    assert [rows.equals(group) for rows, group in zip(again.read("events"), groups, strict=True)] == [True] * 3
    again.close()
