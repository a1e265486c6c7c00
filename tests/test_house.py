"""What holds for the whole house: floors, quick start, nothing private in the files, a package that is complete."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
FLOORS = ("learning", "market", "agents", "scenarios")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

HEAVY = ("torch", "torchvision", "mesa", "matplotlib", "pandas", "pyarrow", "scipy", "sklearn")
TORCH = ("torch", "torchvision")


def output_of(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def own_files() -> list[Path]:
    """The text files that belong to the project: those that git tracks or would."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
        files = [ROOT / name for name in listed]
    else:
        places = ("*.*", "Makefile", ".ci/*", "docs/**/*", "benchmarks/**/*", "tests/**/*")
        places += tuple(f"{floor}/**/*" for floor in FLOORS)
        files = [path for place in places for path in ROOT.glob(place)]
    texts = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".html", ".css", ".js", ".cfg", ".ini", ""}
    return [path for path in files if path.is_file() and path.suffix in texts and "__pycache__" not in path.parts]


# ---- floors -------------------------------------------------------------------------------------------------------


def test_imports_go_down_the_floors_only():
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("scenarios.cli", (*HEAVY, "numpy", "networkx")),
        ("scenarios.schema", (*TORCH, "mesa", "matplotlib", "pandas", "pyarrow")),
        ("scenarios.loading", (*TORCH, "mesa", "matplotlib", "pandas", "pyarrow")),
        ("scenarios.recorder", (*TORCH, "mesa", "matplotlib")),
        ("market.baselines", (*TORCH, "mesa", "simpy", "matplotlib")),
        ("agents.strategies", (*TORCH, "mesa", "matplotlib")),
        ("learning.partition", (*TORCH, "mesa", "matplotlib")),
    ],
)
def test_a_module_starts_without_what_it_does_not_need(module, unwanted):
    loaded = output_of(
        f"import {module}, sys; print(' '.join(name for name in sys.modules if '.' not in name))"
    ).split()
    assert module.split(".")[0] in loaded
    assert not set(unwanted) & set(loaded)


def test_importing_the_command_line_seeds_and_starts_nothing():
    code = "import random; before = random.getstate(); import scenarios.cli; print(before == random.getstate())"
    assert output_of(code) == "True"


# ---- what is in the files -----------------------------------------------------------------------------------------

PRIVATE = {
    "a machine's path": re.compile(r"(?<![\w.:*~}])/(?:home|root|work|Users|mnt|opt|srv)/\w"),
    "a package index": re.compile(r"(?:extra-)?index-url|find-links|--trusted-host|simple/?[\"'\s]*$", re.IGNORECASE),
    "an address with a password": re.compile(r"\w+://[^/\s:@]+:[^/\s@]+@"),
    "a bare host": re.compile(r"https?://(?!localhost|127\.)(?:\d+\.\d+\.\d+\.\d+|[\w-]+(?::\d+)?/)"),
}


@pytest.mark.parametrize("what", PRIVATE)
def test_no_file_gives_away(what):
    found = []
    for path in own_files():
        if path == Path(__file__):
            continue  # the patterns themselves
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if PRIVATE[what].search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found


# ---- the package --------------------------------------------------------------------------------------------------


def pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.!]*", line) for line in lines)  # no address, no +local
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def wanted() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(text) for text in [*PROJECT["dependencies"], *(text for extra in extras for text in extra)]]


@pytest.mark.parametrize("requirement", wanted(), ids=str)
def test_every_dependency_is_pinned_to_a_version_that_its_range_allows(requirement):
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_the_pinned_torch_is_the_one_that_the_pinned_torchvision_asks_for():
    asked = [Requirement(text) for text in distribution("torchvision").requires or ()]
    torch = next(requirement for requirement in asked if requirement.name == "torch")
    assert distribution("torchvision").version.split("+")[0] == pins()["torchvision"]
    assert torch.specifier.contains(pins()["torch"])


def test_a_wheel_holds_every_module_and_every_file_that_is_read(tmp_path):
    copy = tmp_path / "source"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "build", "dist", "out", "runs", "*.egg-info"))
    code = "import setuptools.build_meta as build; print(build.build_wheel('..'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / done.stdout.splitlines()[-1]) as wheel:
        names = set(wheel.namelist())
    for floor in FLOORS:
        files = [path for path in (copy / floor).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert {str(path.relative_to(copy)) for path in files} <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
