"""Memory that is left: the least of what the machine and the container of this process can still give."""

from __future__ import annotations

from pathlib import Path

import pytest

from learning import spare_memory
from learning.spare_memory import UNKNOWN, memory_at_hand


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the system's own files: a machine with 9,000 KiB to spare and no container."""
    (tmp_path / "meminfo").write_text("MemTotal: 20000 kB\nMemAvailable: 9000 kB\n")
    (tmp_path / "memory").mkdir()
    monkeypatch.setattr(spare_memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(spare_memory, "GROUPS", tmp_path)
    return tmp_path


def test_without_a_container_it_is_what_the_machine_has(system: Path) -> None:
    assert memory_at_hand() == 9000 * 1024


def test_where_the_system_does_not_say_what_is_available_it_is_what_there_is(system: Path) -> None:
    (system / "meminfo").unlink()
    assert 0 < memory_at_hand() <= UNKNOWN


FILES = {
    "version 2": ("memory.max", "memory.current", "memory.stat", ""),
    "version 1": ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_"),
}


@pytest.mark.parametrize("version", FILES)
@pytest.mark.parametrize(("bound", "left"), [("5000", 3000), ("1000", 0), ("max", 9000 * 1024)])
def test_a_container_leaves_its_bound_without_what_it_has_taken(
    version: str, bound: str, left: int, system: Path
) -> None:
    most, used, _, _ = FILES[version]
    (system / most).write_text(f"{bound}\n")
    (system / used).write_text("2000\n")
    assert memory_at_hand() == left


@pytest.mark.parametrize("version", FILES)
def test_files_that_the_system_holds_in_memory_are_no_memory_taken(version: str, system: Path) -> None:
    """Whoever writes large tables in a container is at its bound all the time; the system gives that back."""
    most, used, stat, prefix = FILES[version]
    (system / most).write_text("5000\n")
    (system / used).write_text("5000\n")
    (system / stat).write_text(f"{prefix}active_file 1000\n{prefix}inactive_file 3000\n{prefix}shmem 500\n")
    assert memory_at_hand() == 4000
