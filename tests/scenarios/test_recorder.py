"""Recorder, tables and reading back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_runs import small
from pandas.testing import assert_frame_equal
from synthetic_run import INFO, SCENARIO, make_folder, write_run

from scenarios.buffers import ROW_GROUP, TableBuffer
from scenarios.engine.leaving import ExitKind, write_episode
from scenarios.recorder import OWN_FILES, Codes, MemoryRecorder, Recorder
from scenarios.results import BadRun, open_run
from scenarios.simulation import Simulation
from scenarios.tables import TABLES

EVENT = {"seq": 0, "tick": 10, "round": 0, "kind": "join", "owner": 3, "value": 0.5}


def events(count: int, **changes: object) -> dict[str, object]:
    columns = {"seq": np.arange(count), "tick": 5, "round": 0, "kind": "join", "owner": np.arange(count), "value": 1.0}
    return columns | changes


def files(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_a_closed_run_has_every_table_even_empty_ones(tmp_path: Path) -> None:
    folder = Recorder(tmp_path / "run").close(SCENARIO, INFO)
    assert files(folder) == {f"{name}.parquet" for name in TABLES} | {"scenario.yaml", "run.json"}
    for table in TABLES.values():
        content = pq.read_table(folder / table.file_name)
        assert content.num_rows == 0
        assert content.schema.equals(table.schema)


def test_rows_come_back_as_written_and_single_values_fill_all_rows(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    recorder.write("events", EVENT)
    recorder.write("events", events(2, value=np.array([1.5, np.nan])))
    frame = open_run(recorder.close(SCENARIO, INFO)).events
    assert frame["seq"].tolist() == [0, 0, 1]
    assert frame["tick"].tolist() == [10, 5, 5]
    assert frame["kind"].tolist() == ["join"] * 3
    assert frame["value"].fillna(-1).tolist() == [0.5, 1.5, -1]


@pytest.mark.parametrize(
    "kinds",
    [
        ["leave", "join", "leave"],
        np.array(["leave", "join", "leave"]),
        Codes(np.array([2, 0, 2]), ["join", "never used", "leave"]),
        pa.array(["leave", "join", "leave"]).dictionary_encode(),
    ],
)
def test_labels_may_come_as_strings_codes_or_arrow_dictionaries(kinds: object) -> None:
    recorder = MemoryRecorder()
    recorder.write("events", EVENT)
    recorder.write("events", events(3, kind=kinds))
    column = recorder.table("events")["kind"]
    assert column.tolist() == ["join", "leave", "join", "leave"]
    assert column.cat.categories.tolist() == ["join", "leave"]


def test_a_single_code_fills_all_rows() -> None:
    recorder = MemoryRecorder()
    recorder.write("events", events(2, kind=Codes(np.int32(1), ["leave", "join"])))
    assert recorder.table("events")["kind"].tolist() == ["join", "join"]


def test_columns_are_copied_because_the_simulation_goes_on_changing_them() -> None:
    recorder, owners = MemoryRecorder(), np.arange(3)
    recorder.write("events", events(3, owner=owners))
    owners[:] = -7
    assert recorder.table("events")["owner"].tolist() == [0, 1, 2]


def test_a_table_in_memory_can_be_read_between_writes() -> None:
    recorder = MemoryRecorder()
    assert recorder.table("events").empty
    recorder.write("events", EVENT)
    assert len(recorder.table("events")) == 1
    recorder.write("events", events(4, kind="leave"))
    assert recorder.table("events")["kind"].tolist() == ["join"] + ["leave"] * 4


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({k: v for k, v in EVENT.items() if k != "owner"}, KeyError, "table 'events': missing owner"),
        (EVENT | {"colour": 1}, KeyError, "table 'events': unknown colour"),
        (events(3, owner=np.arange(2)), ValueError, "columns differ in length"),
        (EVENT | {"owner": 1.5}, TypeError, "column 'owner': expected int, got float64"),
        (EVENT | {"value": "much"}, TypeError, "column 'value': expected float"),
        (EVENT | {"kind": 3}, TypeError, "column 'kind': expected text, got 3"),
        (events(2, kind=Codes(np.array([0, 2]), ["a", "b"])), ValueError, "not an index into the 2 names"),
        (events(2, kind=Codes(np.array([0, -1]), ["a", "b"])), ValueError, "not an index into the 2 names"),
        (EVENT | {"kind": Codes(np.int64(2), ["a", "b"])}, ValueError, "column 'kind': a code is not an index"),
        (events(2, kind=Codes(np.zeros(2), ["a", "b"])), TypeError, "expected whole numbers as codes, got float64"),  # type: ignore[arg-type]
        (EVENT | {"value": np.zeros((2, 2))}, ValueError, "expected one value per row"),
    ],
)
def test_rows_that_do_not_fit_are_refused_with_the_column_named_and_leave_no_trace(
    columns: dict[str, object], error: type[Exception], message: str
) -> None:
    recorder = MemoryRecorder()
    with pytest.raises(error, match=message):
        recorder.write("events", columns)
    assert recorder.table("events").empty


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(KeyError, match="unknown table 'event', known: runs, rounds"):
        MemoryRecorder().write("event", EVENT)


def test_the_same_rows_give_the_same_bytes_however_they_are_dealt_over_calls(tmp_path: Path) -> None:
    count = ROW_GROUP + 1000
    whole, dealt = Recorder(tmp_path / "whole"), Recorder(tmp_path / "dealt")
    values, kinds = np.sqrt(np.arange(count)), np.arange(count) % 3
    names = ["join", "leave", "audit"]
    whole.write("events", events(count, value=values, kind=Codes(kinds, names)))
    for start in range(0, count, 777):
        part = slice(start, min(start + 777, count))
        rows = np.arange(count)[part]
        labels = [names[kind] for kind in kinds[part]]
        dealt.write("events", events(len(rows), seq=rows, owner=rows, value=values[part], kind=labels))
    one, two = whole.close(SCENARIO, INFO), dealt.close(SCENARIO, INFO)
    for name in files(one):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    written = pq.ParquetFile(one / "events.parquet")
    assert [written.metadata.row_group(k).num_rows for k in range(2)] == [ROW_GROUP, 1000]
    assert open_run(one).events["value"].tolist() == values.tolist()


def as_strings(labels: list[str]) -> object:
    return labels


def as_codes(labels: list[str]) -> object:
    names = sorted(set(labels), reverse=True)
    return Codes(np.array([names.index(label) for label in labels], dtype=np.int64), names)


def as_dictionary(labels: list[str]) -> object:
    return pa.array(labels, type=pa.string()).dictionary_encode()


@settings(max_examples=25, deadline=None)
@given(
    writes=st.lists(
        st.tuples(
            st.lists(st.sampled_from("abcde"), max_size=4), st.sampled_from([as_strings, as_codes, as_dictionary])
        ),
        max_size=6,
    )
)
def test_the_same_labels_give_the_same_bytes_in_whatever_form_they_come(
    writes: list[tuple[list[str], Callable[[list[str]], object]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dealt, one_by_one = Recorder(Path(folder) / "dealt"), Recorder(Path(folder) / "one_by_one")
        for labels, form in writes:
            dealt.write("events", events(len(labels), seq=7, owner=7, kind=form(labels)))
            for label in labels:
                one_by_one.write("events", EVENT | {"seq": 7, "tick": 5, "owner": 7, "value": 1.0, "kind": label})
        first, second = (recorder.close(SCENARIO, INFO) / "events.parquet" for recorder in (dealt, one_by_one))
        assert first.read_bytes() == second.read_bytes()


def test_writes_that_were_refused_or_had_no_rows_do_not_show_in_the_bytes(tmp_path: Path) -> None:
    plain, troubled = Recorder(tmp_path / "plain"), Recorder(tmp_path / "troubled")
    with pytest.raises(TypeError):
        troubled.write("events", EVENT | {"kind": "never", "value": "much"})
    troubled.write("events", events(0, kind="nowhere"))
    for recorder in (plain, troubled):
        recorder.write("events", EVENT)
        recorder.write("events", EVENT | {"kind": "leave"})
    one, two = plain.close(SCENARIO, INFO), troubled.close(SCENARIO, INFO)
    assert (one / "events.parquet").read_bytes() == (two / "events.parquet").read_bytes()


def test_a_row_group_lists_only_the_labels_seen_so_far(tmp_path: Path) -> None:
    at_once, in_two = Recorder(tmp_path / "at_once"), Recorder(tmp_path / "in_two")
    labels = ["join"] * ROW_GROUP + ["audit"]
    at_once.write("events", events(ROW_GROUP + 1, seq=7, owner=7, kind=labels))
    in_two.write("events", events(ROW_GROUP, seq=7, owner=np.full(ROW_GROUP, 7)))
    in_two.write("events", EVENT | {"seq": 7, "tick": 5, "owner": 7, "value": 1.0, "kind": "audit"})
    one, two = at_once.close(SCENARIO, INFO), in_two.close(SCENARIO, INFO)
    assert (one / "events.parquet").read_bytes() == (two / "events.parquet").read_bytes()


def test_labels_that_appear_in_a_later_row_group_are_read_back(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    recorder.write("events", events(ROW_GROUP))
    recorder.write("events", events(2, kind=["audit", "join"]))
    kinds = open_run(recorder.close(SCENARIO, INFO)).events["kind"]
    assert kinds.iloc[-3:].tolist() == ["join", "audit", "join"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=12))
def test_a_buffer_loses_and_repeats_nothing(lengths: list[int]) -> None:
    buffer, sent, got = TableBuffer(TABLES["events"]), [], []
    for length in lengths:
        values = len(sent) + np.arange(length)
        got += [table for table in buffer.append(events(length, seq=values))]
        sent += values.tolist()
    got.append(buffer.take())
    assert [seq for table in got for seq in table["seq"].to_pylist()] == sent


def test_two_identical_runs_are_byte_identical(tmp_path: Path) -> None:
    one, two = make_folder(tmp_path / "one", rounds=8), make_folder(tmp_path / "two", rounds=8)
    other = make_folder(tmp_path / "other", rounds=8, seed=8)
    for name in files(one):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    assert (one / "events.parquet").read_bytes() != (other / "events.parquet").read_bytes()


def test_nothing_is_visible_before_the_run_is_closed(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "deep" / "run")
    recorder.write("events", EVENT)
    assert files(tmp_path / "deep") == {f".run.partial-{os.getpid()}"}
    recorder.close(SCENARIO, INFO)
    assert files(tmp_path / "deep") == {"run"}


def test_an_aborted_run_leaves_nothing_behind_not_even_the_folders_above(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "deep" / "deeper" / "run")
    recorder.write("events", events(ROW_GROUP + 1))
    recorder.abort()
    recorder.abort()
    assert files(tmp_path) == set()
    with pytest.raises(RuntimeError, match="closed already"):
        recorder.write("events", EVENT)


def test_aborting_after_closing_keeps_the_run(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    folder = recorder.close(SCENARIO, INFO)
    recorder.abort()
    assert open_run(folder).scenario["name"] == "synthetic"


def test_a_partial_folder_of_a_killed_run_is_not_in_the_way(tmp_path: Path) -> None:
    left = tmp_path / f".run.partial-{os.getpid()}"
    left.mkdir()
    (left / "events.parquet").write_text("half a file")
    assert open_run(Recorder(tmp_path / "run").close(SCENARIO, INFO)).events.empty


def test_a_folder_that_holds_a_run_is_refused_without_force(tmp_path: Path) -> None:
    make_folder(tmp_path / "run", rounds=2)
    before = (tmp_path / "run" / "events.parquet").read_bytes()
    with pytest.raises(FileExistsError, match=r"run already holds a run, use --force") as refused:
        Recorder(tmp_path / "run")
    assert "\n" not in str(refused.value)
    assert files(tmp_path) == {"run"}
    assert (tmp_path / "run" / "events.parquet").read_bytes() == before


def test_any_other_folder_with_something_in_it_is_refused_and_an_empty_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileExistsError, match="is not empty"):
        Recorder(tmp_path / "full")
    assert open_run(Recorder(tmp_path / "empty").close(SCENARIO, INFO)).runs.empty


def test_force_replaces_the_older_run_only_when_the_new_one_closes_and_spares_foreign_files(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "run", rounds=2)
    (folder / "thesis.txt").write_text("years of work")
    (folder / "report.html").write_text("of the older run")
    recorder = Recorder(folder, force=True)
    assert len(open_run(folder).rounds) == 2
    recorder.close(SCENARIO, INFO)
    assert len(open_run(folder).rounds) == 0
    assert (folder / "thesis.txt").read_text() == "years of work"
    assert not (folder / "report.html").exists()
    assert files(tmp_path) == {"run"}


def test_an_aborted_forced_run_leaves_the_older_one(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "run", rounds=2)
    recorder = Recorder(folder, force=True)
    recorder.write("events", EVENT)
    recorder.abort()
    assert len(open_run(folder).rounds) == 2
    assert files(tmp_path) == {"run"}


def test_a_run_that_was_written_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    slow = Recorder(tmp_path / "run")
    make_folder(tmp_path / "run", rounds=2)
    with pytest.raises(FileExistsError):
        slow.close(SCENARIO, INFO)
    slow.abort()
    assert len(open_run(tmp_path / "run").rounds) == 2
    assert files(tmp_path) == {"run"}


def test_the_working_directory_and_files_are_refused_as_run_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path / "inside")
    for place in (Path("."), tmp_path, tmp_path / "file"):
        with pytest.raises(FileExistsError):
            Recorder(place, force=True)
    assert files(tmp_path) == {"inside", "file"}


def test_scenario_and_info_are_kept(tmp_path: Path) -> None:
    run = open_run(make_folder(tmp_path / "run", rounds=2))
    assert run.scenario_text == SCENARIO
    assert run.scenario["seed"] == 7
    assert run.info == json.loads((run.folder / "run.json").read_text()) == INFO


def test_info_that_is_no_json_leaves_no_run_folder(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    with pytest.raises(TypeError):
        recorder.close(SCENARIO, {"path": tmp_path})
    recorder.abort()
    assert files(tmp_path) == set()


def test_the_time_spent_recording_is_counted(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    opened = recorder.wall_seconds
    assert opened > 0
    write_run(recorder, rounds=3)
    written = recorder.wall_seconds
    assert written > opened
    recorder.close(SCENARIO, INFO)
    assert recorder.wall_seconds > written


def test_a_folder_without_a_complete_run_is_one_line(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "run", rounds=2)
    (folder / "edges.parquet").unlink()
    for place, problem in ((tmp_path / "none", "no such folder"), (folder, "edges.parquet is missing")):
        with pytest.raises(BadRun, match=problem) as bad:
            open_run(place)
        assert "\n" not in str(bad.value)


@pytest.mark.parametrize(
    ("name", "content", "read", "problem"),
    [
        ("rounds.parquet", b"PAR1 but not really", lambda run: run.rounds, "cannot be read as a table"),
        ("scenario.yaml", b"a: [1", lambda run: run.scenario, "not valid YAML"),
        ("scenario.yaml", b"- 1", lambda run: run.scenario, "expected a mapping"),
        ("scenario.yaml", b"\xff\xfe", lambda run: run.scenario, "cannot be read"),
        ("run.json", b"{", lambda run: run.info, "not JSON"),
    ],
)
def test_a_damaged_file_is_one_line_that_names_it(
    tmp_path: Path, name: str, content: bytes, read: object, problem: str
) -> None:
    folder = make_folder(tmp_path / "run", rounds=2)
    (folder / name).write_bytes(content)
    with pytest.raises(BadRun, match=problem) as bad:
        read(open_run(folder))  # type: ignore[operator]
    assert name in str(bad.value)
    assert "\n" not in str(bad.value)


def test_a_table_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "run", rounds=2)
    table = pq.read_table(folder / "rounds.parquet").drop_columns(["welfare"])
    pq.write_table(table, folder / "rounds.parquet")
    with pytest.raises(BadRun, match=r"rounds.parquet: misses the column\(s\) welfare"):
        _ = open_run(folder).rounds


def test_every_column_says_what_it_means_and_money_says_so() -> None:
    for table in TABLES.values():
        page = table.markdown()
        assert f"`{table.file_name}`" in page
        assert len(set(table.names)) == len(table.names)
        for column in table.columns:
            assert column.meaning
            assert f"| `{column.name}` | {column.kind} |" in page
            assert table.schema.field(column.name).metadata == {b"meaning": column.meaning.encode()}
    assert "run.json" in OWN_FILES


def test_episodes_written_for_several_owners_are_those_written_for_each() -> None:
    simulation = Simulation(scenario=small(horizon=3, learning={"enabled": False}), device="cpu")
    for _ in simulation.play():
        pass
    together, apart, owners = MemoryRecorder(), MemoryRecorder(), simulation.population.active()
    assert len(owners) > 1
    write_episode(replace(simulation.world, write=together.write), owners, ExitKind.CENSORED, simulation.now)
    for owner in owners.tolist():
        write_episode(replace(simulation.world, write=apart.write), owner, ExitKind.CENSORED, simulation.now)
    assert_frame_equal(together.table("episodes"), apart.table("episodes"))


def test_recording_does_not_import_the_heavy_libraries() -> None:
    code = (
        "import sys, scenarios.recorder, scenarios.tables, scenarios.results;"
        "print([name for name in ('torch', 'mesa', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
