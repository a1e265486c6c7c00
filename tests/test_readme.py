"""Every command and every piece of Python in the README and the documentation really runs, in the order it is given.

Blocks that start with ``bash``, ``console`` (lines after ``$``) and ``python`` are run; a block that names a file is
written to it. All blocks of one page share one folder, which looks like a fresh copy of the project. In a page
`make` only says what it would do; the tests below it play the demo for real.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from scenarios.loading import load_scenario

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# The environment is set up already, the demo has a test of its own, and the tests cannot run inside themselves.
MAKE = """
make() { command make -o .venv/installed -o .venv/installed-dev "$@"; }
"""
SEE_MAKE = """
make() { command make -n -o .venv/installed -o .venv/installed-dev "$@"; }
"""


class Block(NamedTuple):
    """A fenced block: the page's line it starts on, its language, the file it names, its text."""

    line: int
    language: str
    file: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = []
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```(\w+)[ ]*(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        language, file, content = match.groups()
        if language == "console":
            content = "\n".join(line[2:] for line in content.splitlines() if line.startswith("$ "))
        found.append(Block(text.count("\n", 0, match.start()) + 1, language, file, content))
    return found


@pytest.fixture
def copy(tmp_path) -> Path:
    """A folder with all that the project has, but none of its outputs."""
    for entry in ROOT.iterdir():
        if entry.name not in {".git", ".venv", "out", "runs", "build", "dist"}:
            (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    inherited = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "OUT"}  # from the `make test` that we may run in
    variables = {name: value for name, value in os.environ.items() if name not in inherited}
    variables |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_a_page_runs(page, copy):
    for block in blocks(page):
        if block.file:
            (copy / block.file).write_text(block.text, encoding="utf-8")
        if block.language in ("bash", "console"):
            # The colon keeps bash from turning into the last command: completion looks for the shell above it.
            done = run(["bash", "-euo", "pipefail", "-c", SEE_MAKE + block.text + "\n:"], copy)
        elif block.language == "python":
            done = run([sys.executable, "-W", "error", "-c", block.text], copy)
        else:
            continue
        assert done.returncode == 0, f"{page.name}:{block.line}: {block.text}\n{done.stdout}\n{done.stderr}"


def test_the_first_screen_of_the_readme_has_the_two_commands():
    first_screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:25])
    assert "\nmake demo\n" in first_screen
    assert "\nmake test\n" in first_screen


def test_the_demo_ends_with_a_table_plots_and_the_path_of_its_report(copy):
    done = run(["bash", "-euc", MAKE + "make demo"], copy)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    strategies = {strategy.name for strategy in load_scenario("quickstart").population.strategies}
    assert len(strategies) >= 5
    assert strategies <= {line.split()[0] for line in lines if line.strip()}
    assert [line for line in lines if re.fullmatch(r"out/demo/plots/\w+\.png", line)]
    assert lines[-1] == "out/demo/report.html"
    assert (copy / "out/demo/report.html").stat().st_size > 10_000


def test_the_test_command_checks_style_types_and_floors_before_it_tests(copy):
    commands = run(["bash", "-euc", SEE_MAKE + "make test"], copy).stdout
    order = ["ruff check", "ruff format --check", "mypy", "lint-imports", "pytest"]
    places = [commands.index(command) for command in order]
    assert places == sorted(places)


def test_every_link_to_a_file_leads_somewhere():
    for page in PAGES:
        targets = re.findall(r"\]\((?!\w+:|#)([^)#]+)", page.read_text(encoding="utf-8"))
        assert not [target for target in targets if not (page.parent / target).exists()], page.name
