"""Scenario, instance, run and state files by a stranger: one line, exit code 2, nothing executed, little memory."""

from __future__ import annotations

import io
import json
import pickle
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import scenarios.solving
from market.privacy_auction.tensors import BadTensorFile, read_tensors, write_tensors
from scenarios.auction_state import read_state
from scenarios.cli import main
from scenarios.results import BadRun, Run
from scenarios.studies.gathering import measured_in
from scenarios.studies.store import MANIFEST, BadStudy, Store
from scenarios.yaml_text import MAX_VALUES, BadYaml, read_yaml


class Executed:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def layers(first: str, each: str, count: int) -> str:
    """A first line named a0, and lines a1, a2, ... that are each made of nine of the line before."""
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{n}: &a{n} {each.format(', '.join([f'*a{n - 1}'] * 9))}" for n in range(1, count)]
    return "\n".join(lines) + "\n"


BOMBS = {
    "aliases": (layers("[1, 2, 3]", "[{}]", 9), "more than 100,000 values"),
    "merged keys": (layers("{k: 1}", "{{!!merge <<: [{}]}}", 7), "line 2: a key must be text"),
    "values": ("a: [" + "1," * (2 * MAX_VALUES + 9) + "]", "more than 100,000 values"),
    "depth": ("[" * 5000, "nested too deeply"),
    "itself": ("a: &a [*a]", "more than 100,000 values"),
    "code": ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_yaml_that_swells_or_executes_is_refused_in_one_line(name):
    text, problem = BOMBS[name]
    with pytest.raises(BadYaml, match=problem) as caught:
        read_yaml(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "untouched"),
    [("[" + "1," * 201 + "]", "compose_node"), ("[" + "{a: b}," * 70 + "]", "construct_document")],
    ids=["before it is parsed", "before anything is made of it"],
)
def test_yaml_of_too_many_values_costs_no_time(text, untouched, monkeypatch):
    def touched(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("scenarios.yaml_text.MAX_VALUES", 100)
    monkeypatch.setattr(f"scenarios.yaml_text._Loader.{untouched}", touched)
    with pytest.raises(BadYaml, match="more than 100 values"):
        read_yaml(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("population: {initial: 100000000000}", "population.initial: 100000000000: expected a whole number at least 1"),
        ("centers: {count: 100000000000}", "centers.count: 100000000000: expected a whole number at least 0"),
        ("window: .nan", "window: .nan: expected a finite number"),
        ("seed: " + "9" * 101, "line 1: a whole number of more than 100 digits"),
    ],
)
def test_numbers_out_of_all_bounds_are_refused(text, line, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(text)
    assert main(["run", "s.yaml", "--quiet"]) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"s.yaml: {line}")
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]


def test_an_instance_of_empty_lists_is_refused_before_they_are_made(tmp_path, capfd):
    (tmp_path / "lists.json").write_text('{"data_size": [' + "[]," * scenarios.solving.MAX_LISTS + "[]]}")
    tracemalloc.start()
    code = main(["solve", "ipfl", str(tmp_path / "lists.json")])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code == 2
    assert re.fullmatch(r"[^\n]*: more than 1,000,000 lists or 30,000,000 values\n", capfd.readouterr().err)
    assert peak < 2**25


@pytest.mark.parametrize(
    ("number", "expected"),
    [("1e999", "finite number"), ("NaN", "NaN: expected a number"), ("-Infinity", "-Infinity: expected a number")],
)
def test_numbers_that_are_none_are_refused_in_an_instance(number, expected, tmp_path, capfd):
    """Distances of models have no other bound that a NaN could not pass."""
    market = {
        "gain_scale": [1.0, 1.0], "data_size": [9.0, 9.0], "sharing_cost": [0.1, 0.1], "dissimilarity_penalty": 1.0,
        "payment_rule": "ipfl", "model_distance": [[0.0, "number"], [0.5, 0.0]],
    }  # fmt: skip
    place = tmp_path / "i.json"
    place.write_text(json.dumps(market).replace('"number"', "0.5"))
    assert main(["solve", "ipfl", str(place)]) == 0
    place.write_text(json.dumps(market).replace('"number"', number))
    assert main(["solve", "ipfl", str(place)]) == 2
    assert re.fullmatch(rf"[^\n]*model_distance\.0\.1: [^\n]*{expected}\n", capfd.readouterr().err)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("scenario.yaml", b"a: &a [*a]", "more than 100,000 values"),
        ("scenario.yaml", b"#" * 1_000_001, "it has more than 1,000,000 bytes"),
        ("run.json", b"[" * 100_000, "not JSON"),
        ("run.json", b'{"a": 1' + b"0" * 5000 + b"}", "not JSON"),
        ("run.json", b"\xff", "cannot be read"),
    ],
)
def test_the_notes_of_a_strange_run_are_refused_in_one_line(name, content, problem, tmp_path):
    (tmp_path / name).write_bytes(content)
    run = Run(tmp_path)
    with pytest.raises(BadRun, match=problem) as caught:
        _ = run.scenario if name == "scenario.yaml" else run.info
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_the_tables_of_a_strange_run_are_refused_where_memory_does_not_suffice(tmp_path, monkeypatch):
    """Half a megabyte says a text of ten million letters fifty thousand times, or is of other types than a table."""
    codes = pa.DictionaryArray.from_arrays(pa.array([0] * 50_000, pa.int32()), pa.array(["x" * 10**7]))
    events, runs = tmp_path / "events.parquet", tmp_path / "runs.parquet"
    for path, name in ((events, "kind"), (runs, "title")):
        pq.write_table(pa.table({name: codes}), path, store_schema=False)
        assert path.stat().st_size < 2**20
    for ask in (lambda: Run(tmp_path).events, lambda: Run(tmp_path).columns("events", ["kind"], None)):
        with pytest.raises(BadRun, match=r"^[^\n]*events\.parquet: [^\n]* column kind is of type string$"):
            ask()
    monkeypatch.setattr("learning.parquet_files.memory_at_hand", lambda: 2**36)
    with pytest.raises(BadRun, match=r"^[^\n]*: its text is 500,000,000,000 bytes long, for which memory [^\n]*$"):
        _ = Run(tmp_path).runs
    monkeypatch.setattr("learning.parquet_files.memory_at_hand", lambda: 2**20)
    pq.write_table(pa.table({"seed": np.zeros(10**6, dtype=np.int64)}), runs)
    with pytest.raises(BadRun, match="it says that it has 1,000,000 rows and 8,000,"):
        _ = Run(tmp_path).runs


def test_the_state_of_an_auctions_training_is_never_unpickled(tmp_path):
    pickled, saved = pickle.dumps(Executed(tmp_path / "executed")), io.BytesIO()
    torch.save({"network": "regretnet", "state": Executed(tmp_path / "executed")}, saved)
    for content in (pickled, saved.getvalue(), (2**60).to_bytes(8, "little") + b"{}"):
        (tmp_path / "state").write_bytes(content)
        with pytest.raises(ValueError, match="not the state of a training"):
            read_state(tmp_path / "state", [])
    assert not (tmp_path / "executed").exists()


def test_no_module_can_unpickle_or_evaluate_text():
    """What would execute a stranger's file is called nowhere; torchvision's and a user's own modules come by name."""
    forbidden = re.compile(
        r"\bpickle\b(?!=)|\bcloudpickle\b|\bmarshal\b|\bshelve\b|torch\.load\(|allow_pickle=True|read_pickle"
        r"|yaml\.(unsafe_)?load\((?!text, _Loader\))|(?<![\w.])(eval|exec)\(|trust_remote_code=True"
    )
    floors = [Path(__file__).parents[2] / floor for floor in ("learning", "market", "agents", "scenarios")]
    found = [
        f"{path.name}:{number}: {line.strip()}"
        for floor in floors
        for path in sorted(floor.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if forbidden.search(line) and not re.search(r"no pickle|pickled weights", line)
    ]
    assert found == []


def test_a_key_of_millions_of_letters_is_not_repeated_in_the_message(tmp_path, capfd):
    (tmp_path / "i.json").write_text(json.dumps({"k" * 5_000_000: 1}))
    assert main(["solve", "qd-rdfl", str(tmp_path / "i.json")]) == 2
    (tmp_path / "s.yaml").write_text(f"{'k' * 300_000}: 1\n" * 2)
    assert main(["run", str(tmp_path / "s.yaml")]) == 2
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 2
    assert max(map(len, said)) < 1000


def test_weights_whose_tensors_share_their_bytes_are_refused(tmp_path):
    """A megabyte of names for the same megabyte of numbers would take sixteen gigabytes."""
    write_tensors(tmp_path / "good", {"a": np.ones(8, np.float32), "b": np.zeros(0, np.float32)}, {})
    assert read_tensors(tmp_path / "good").values["a"].sum() == 8.0
    entry = {"dtype": "F32", "shape": [2**18], "data_offsets": [0, 2**20]}
    header = json.dumps({f"t{number}": entry for number in range(300)}).encode()
    (tmp_path / "shared").write_bytes(len(header).to_bytes(8, "little") + header + bytes(2**20))
    tracemalloc.start()
    with pytest.raises(BadTensorFile, match="tensors share their bytes"):
        read_tensors(tmp_path / "shared")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23


def test_the_notes_of_a_study_that_are_too_large_are_not_read(tmp_path, monkeypatch):
    Store(tmp_path).write_plan("name: notes\n", {})
    assert Store(tmp_path).manifest() == {}
    monkeypatch.setattr("learning.limits.check_size.__defaults__", (9,))
    with pytest.raises(BadStudy, match=rf"^[^\n]*{MANIFEST}[^\n]*$"):
        Store(tmp_path).manifest()


def test_of_the_key_figures_of_a_run_in_a_study_only_the_first_row_is_looked_at(tmp_path):
    """Codes take a few bytes a row, but a list of rows would say a long text two thousand times."""
    folder = Store(tmp_path).run_folder("run-1")
    folder.mkdir(parents=True)
    codes = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), pa.array(["x" * 10**5]))
    pq.write_table(pa.table({"welfare": [1.5] * 2000, "said": codes}), folder / "runs.parquet")
    tracemalloc.start()
    assert measured_in(Store(tmp_path), "run-1")["welfare"] == 1.5
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23
