"""``datagora solve`` and ``check``: one JSON object for an instance, or one line about what is wrong with it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from learning.registry import UnknownName
from scenarios.cli import main
from scenarios.instances import INSTANCES, instance_kind, instance_names

COMMAND = Path(sys.executable).with_name("datagora")
GOOD = '{"quality": [0.9, 1.0]}'


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """An empty folder; commands run there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capfd, *arguments: str) -> str:
    """The single line on standard error that a refused command ends with."""
    assert main(arguments) == 2
    printed, line = capfd.readouterr()
    assert printed == ""
    assert line.count("\n") == 1
    return line.rstrip("\n")


@pytest.mark.parametrize("task", ["solve", "check"])
def test_it_prints_one_json_object_and_nothing_else(task, place, capfd):
    (place / "market.json").write_text(GOOD)
    assert main([task, "qd-rdfl", "market.json"]) == 0
    printed, news = capfd.readouterr()
    assert news == ""
    assert printed.count("\n") == 1
    assert json.loads(printed)["trade"] is True


def test_a_dash_reads_standard_input(place, capfd, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    assert main(["solve", "qd-rdfl", "-"]) == 0
    assert json.loads(capfd.readouterr().out)["trade"] is True


def test_the_installed_command_reads_a_pipe():
    done = subprocess.run([COMMAND, "solve", "qd_rdfl", "-"], input=GOOD, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["contribution"] == pytest.approx([0.0969529, 0.0969529], abs=1e-7)


def test_numbers_are_printed_at_full_precision(place, capfd):
    (place / "market.json").write_text(GOOD)
    main(["solve", "qd-rdfl", "market.json"])
    kind = instance_kind("qd-rdfl")
    assert json.loads(capfd.readouterr().out) == kind.solve(kind.schema.model_validate(json.loads(GOOD)))


def test_dashes_and_underscores_name_the_same_system():
    assert instance_kind("qd_rdfl") is instance_kind("qd-rdfl") is INSTANCES["qd-rdfl"]


def test_every_name_has_a_kind_that_refuses_unknown_keys():
    assert "qd-rdfl" in instance_names()
    assert "fields" not in instance_names()
    for name in instance_names():
        assert instance_kind(name).schema.model_config["extra"] == "forbid"


def test_an_unknown_system_is_refused_with_the_nearest_name(place, capfd):
    assert refused(capfd, "solve", "qdrdfl", "-") == "MECHANISM: unknown mechanism 'qdrdfl', did you mean 'qd-rdfl'?"
    with pytest.raises(UnknownName):
        instance_kind("fields")


def test_naming_systems_imports_none_of_them():
    code = "import scenarios.instances as i, sys; i.instance_names(); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "market.json: line 1, column 1: not JSON: Expecting value"),
        ('{"quality": [1,}', "market.json: line 1, column 16: not JSON: Expecting value"),
        ("[1]", "market.json: [1]: expected an object of keys and values"),
        ('{"quality": [1], "quality": [2]}', "market.json: quality: stands there twice"),
        ('{"quality": [1, NaN]}', "market.json: quality.1: NaN: expected a number"),
        ('{"quality": [-Infinity, 1]}', "market.json: quality.0: -Infinity: expected a number"),
        ('{"quality": [1e999, 1]}', "market.json: quality.0: .inf: expected a finite number"),
        ('{"quality": [' + "9" * 5000 + "]}", "market.json: not JSON: a number with too many digits"),
        ("[" * 100_000, "market.json: not JSON: nested too deeply"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_proper_json_is_refused(text, line, place, capfd):
    (place / "market.json").write_text(text)
    assert refused(capfd, "solve", "qd-rdfl", "market.json") == line


def test_a_file_that_cannot_be_read_is_refused(place, capfd):
    assert refused(capfd, "solve", "qd-rdfl", "none.json") == "none.json: no such file"
    assert refused(capfd, "check", "qd-rdfl", ".") == ".: cannot be read (Is a directory)"
    (place / "latin.json").write_bytes('{"quality": ["é"]}'.encode("latin-1"))
    assert refused(capfd, "solve", "qd-rdfl", "latin.json") == "latin.json: expected text in UTF-8"


def test_standard_input_is_named_in_a_refusal(place, capfd, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{}")))
    assert refused(capfd, "solve", "qd-rdfl", "-") == "standard input: quality: expected a value"
