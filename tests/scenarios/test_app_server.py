"""Starting the page: what is wrong with the call is one line and exit code 2, before anything is served."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import pytest

from scenarios.cli import main


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["app", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err.strip()


def test_a_port_that_is_taken_is_refused(capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("solara", reason="the page needs the extra app")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(["quickstart", "--port", str(port)], capsys)
    assert said == f"--port: {port}: cannot be used (Address already in use)"


def test_an_unknown_scenario_is_refused(capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("solara", reason="the page needs the extra app")
    assert "did you mean 'quickstart'?" in refused(["quickstrat"], capsys)
    assert refused(["missing.yaml"], capsys) == "missing.yaml: no such file"


def test_a_folder_without_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("solara", reason="the page needs the extra app")
    assert "holds no complete run" in refused([str(tmp_path)], capsys)


def test_without_the_extra_the_command_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "solara" else there(name))
    assert refused([], capsys) == "datagora app: needs the extra app: pip install 'datagora[app]'"
