"""Runs leave nothing behind: memory stays flat over many of them in one process."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.costs import per_unit
from benchmarks.long_life import WARM, long_market, memory_after, play, short_market
from scenarios.simulation import Simulation

linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory of a process from /proc")
FEW_OBJECTS, FEW_BYTES = 20.0, 20_000.0
"""What a run may leave behind on average: far less than a simulation, which has hundreds of objects, or its tables."""


def forget(simulation: Simulation) -> None:
    """What becomes of a run that nobody needs any more."""


def play_some(runs: int, then: Callable[[Simulation], None] = forget) -> None:
    """Play short markets of a few seeds: new ones would fill the cache of stream keys, which has a bound of its own."""
    for number in range(runs):
        then(play(short_market(number % 3)))
    gc.collect()


def objects_left_behind(runs: int, then: Callable[[Simulation], None] = forget) -> float:
    """Objects by which this process has grown per short run."""
    gc.collect()
    before = len(gc.get_objects())
    play_some(runs, then)
    return (len(gc.get_objects()) - before) / runs


def bytes_left_behind(runs: int) -> float:
    """Bytes by which what Python and NumPy hold has grown per short run."""
    tracemalloc.start()
    try:
        play_some(3)
        before, _ = tracemalloc.get_traced_memory()
        play_some(runs)
        return (tracemalloc.get_traced_memory()[0] - before) / runs
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Imports and caches are no leak."""
    play_some(6)


def test_runs_leave_no_objects_behind() -> None:
    assert objects_left_behind(25) < FEW_OBJECTS


def test_a_run_that_somebody_holds_on_to_would_be_seen() -> None:
    kept: list[Simulation] = []
    assert objects_left_behind(3, then=kept.append) > 10 * FEW_OBJECTS


def test_runs_leave_no_columns_behind() -> None:
    assert bytes_left_behind(6) < FEW_BYTES


def test_the_long_market_lives_and_learns() -> None:
    row = play(long_market(owners=40, rounds=12)).world.last_row
    assert row["participants"] > 20
    assert row["accuracy"] > 0.5


@linux
@pytest.mark.slow
def test_memory_stays_flat_over_a_thousand_runs() -> None:
    numbers, held = zip(*memory_after(1000, 100), strict=True)
    assert numbers[0] == WARM
    assert per_unit(numbers, held) < 2048, "bytes per run"
