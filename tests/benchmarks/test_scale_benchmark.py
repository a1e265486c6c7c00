"""The benchmarks of scale play what they say and report it honestly; the bounds themselves are slow tests."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from benchmarks import scale
from benchmarks.costs import growth, held_at_most, held_now, per_unit
from benchmarks.scale import MARKETS, line, play, play_apart, slopes

linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory of a process from /proc")


def run(owners: int, cpu: float, wall: float, gib: float) -> dict[str, float]:
    figures = dict.fromkeys(("written", "events", "active", "participants", "arrived", "accuracy"), 0.0)
    return figures | {"owners": owners, "cpu": cpu, "wall": wall, "peak": gib * 2**30}


def test_slopes_tell_by_which_power_costs_grow() -> None:
    sizes = [10.0, 100.0, 1000.0]
    assert growth(sizes, [3.0 * size**2 for size in sizes]) == pytest.approx(2.0)
    assert growth(sizes, [5.0] * 3) == pytest.approx(0.0, abs=1e-12)
    assert per_unit([100, 200, 300], [7.0, 9.0, 11.0]) == pytest.approx(0.02)


def test_a_bound_is_told_beside_the_figures_that_it_was_asked_of() -> None:
    assert "under 300 s and 8 GiB: reached" in line("sampled", 10, run(1_000_000, 20.0, 299.0, 7.9))
    assert "missed" in line("sampled", 10, run(1_000_000, 20.0, 301.0, 7.9))
    assert "missed" in line("sampled", 10, run(1_000_000, 20.0, 20.0, 8.1))
    assert "under" not in line("sampled", 10, run(100_000, 20.0, 20.0, 1.0))
    assert "under" not in line("sampled", 5, run(1_000_000, 20.0, 20.0, 1.0))


def test_the_slope_of_the_last_step_is_told_beside_that_of_all() -> None:
    runs = [run(1000, 1.0, 1.0, 1.0), run(10_000, 1.0, 1.0, 1.0), run(100_000, 10.0, 10.0, 1.0)]
    assert "processor time 0.50, 1.00 in the last step" in slopes("sampled", runs)


@linux
def test_memory_is_what_the_process_holds_and_has_held() -> None:
    before = held_now()
    block = bytearray(b"x") * 60_000_000
    assert 55_000_000 < held_now() - before < 70_000_000
    del block
    assert held_at_most() >= before + 55_000_000


@linux
@pytest.mark.parametrize("market", MARKETS)
def test_every_market_lives(market: str) -> None:
    found = play(market, 120, 2)
    assert found["owners"] == 120
    assert found["active"] > 100
    if market != "qd_rdfl":  # there the best data alone are bought
        assert found["arrived"] > 80
    if market in ("sampled", "churn"):
        assert found["arrived"] <= scale.COHORT
    assert found["written"] > 0


@linux
def test_one_market_is_told_as_json(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["scale", "--one", "sampled", "--sizes", "150", "--rounds", "1"])
    scale.main()
    assert json.loads(capsys.readouterr().out)["arrived"] <= scale.COHORT


@linux
def test_a_table_ends_in_slopes(monkeypatch, capsys) -> None:
    monkeypatch.setattr(scale, "play_apart", lambda market, owners, rounds: run(owners, owners / 1e4, 1.0, 1.0))
    monkeypatch.setattr(sys, "argv", ["scale", "--markets", "sampled", "--sizes", "1000000", "1000"])
    scale.main()
    told = capsys.readouterr().out
    assert re.search(r"\| sampled \| 1,000 .*\n\| sampled \| 1,000,000 .*reached", told)
    assert "sampled: slope of processor time 1.00" in told


@linux
@pytest.mark.slow
def test_a_million_owners_play_ten_rounds_within_eight_gib() -> None:
    found = play_apart("sampled", 1_000_000, 10)
    _, gib = scale.ASKED["sampled", 1_000_000, 10]
    assert found["active"] == 1_000_000
    assert found["peak"] < gib * 2**30


@pytest.mark.parametrize("arguments", [["--sizes", "0"], ["--sizes", "1000", "-5"], ["--rounds", "0"]])
def test_sizes_and_rounds_that_are_none_are_refused_before_anything_is_played(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["scale", *arguments])
    with pytest.raises(SystemExit, match="2"):
        scale.main()
    assert capsys.readouterr().out == ""
