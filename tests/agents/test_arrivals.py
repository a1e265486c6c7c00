from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from agents.arrivals import (
    ARRIVALS,
    Arrivals,
    Cohorts,
    Draws,
    Poisson,
    Seasonal,
    SelfExciting,
    Trace,
    VaryingRate,
    make_arrivals,
)
from learning.streams import Streams

END, WINDOW = 400.0, 60.0


def arrivals(process: Arrivals, seed: int = 3, key: int = 1, end: float = END) -> np.ndarray:
    return process.visits(end, WINDOW, Draws(Streams(seed), key)).arrive


def looks_exponential(gaps: np.ndarray) -> bool:
    """By the test of Kolmogorov and Smirnov; one in a thousand right processes would fail."""
    return bool(stats.kstest(gaps, stats.expon.cdf).pvalue > 1e-3)


def test_a_poisson_process_has_exponential_gaps_and_its_mean_count() -> None:
    times = arrivals(Poisson(rate=5.0))
    assert looks_exponential(np.diff(times, prepend=0.0) * 5.0)
    assert stats.poisson(5.0 * END).sf(len(times)) == pytest.approx(0.5, abs=0.499)


@pytest.mark.parametrize(
    "process",
    [
        VaryingRate(times=[0.0, 100.0, 200.0], rates=[1.0, 9.0, 2.0]),
        Seasonal(rate=4.0, period=24.0, swing=0.9, phase=0.25),
    ],
    ids=lambda process: process.name,
)
def test_on_the_clock_of_its_own_rate_a_thinned_process_is_poisson(process: VaryingRate | Seasonal) -> None:
    times = arrivals(process)
    grid = np.linspace(0.0, END, 200_001)
    expected = integrate.cumulative_trapezoid(process.rate_at(grid), grid, initial=0.0)
    assert looks_exponential(np.diff(np.interp(times, grid, expected), prepend=0.0))
    assert abs(len(times) - expected[-1]) < 4 * np.sqrt(expected[-1])
    assert (process.rate_at(grid) <= process.highest + 1e-12).all()


def test_a_rate_of_its_own_is_followed_in_straight_lines_and_kept_outside() -> None:
    process = VaryingRate(times=[10.0, 20.0], rates=[1.0, 3.0])
    assert process.rate_at(np.array([0.0, 10.0, 15.0, 20.0, 99.0])).tolist() == [1.0, 1.0, 2.0, 3.0, 3.0]


def test_on_the_clock_of_its_own_rate_a_self_exciting_process_is_poisson() -> None:
    rate, followers, decay = 2.0, 0.6, 0.5
    times = arrivals(SelfExciting(rate=rate, followers=followers, decay=decay))
    # The compensator, arrival by arrival and by the definition: every earlier arrival has brought its part so far.
    earlier = np.tril(np.subtract.outer(times, times), -1)
    brought = followers * np.where(np.tri(len(times), k=-1) > 0, -np.expm1(-decay * earlier), 0.0).sum(axis=1)
    assert looks_exponential(np.diff(rate * times + brought, prepend=0.0))
    # In the long run rate / (1 - followers) come, and the counts vary 1 / (1 - followers)^2 times as much as Poisson's.
    mean = rate / (1.0 - followers) * END
    assert abs(len(times) - mean) < 4 * np.sqrt(mean) / (1.0 - followers)
    counts, even = (np.bincount((seen / 20.0).astype(int)) for seen in (times, arrivals(Poisson(rate=5.0))))
    assert counts.var() / counts.mean() > 2.0 > even.var() / even.mean(), "they come in bunches"


def test_without_followers_a_self_exciting_process_is_poisson() -> None:
    assert looks_exponential(np.diff(arrivals(SelfExciting(rate=5.0, followers=0.0)), prepend=0.0) * 5.0)


def test_cohorts_come_in_their_sizes_within_their_spread() -> None:
    times = arrivals(Cohorts(times=[50.0, 10.0], sizes=[300, 200], spread=2.0))
    assert (np.diff(times) >= 0).all()
    first, second = times[times < 12.0], times[times >= 12.0]
    assert (len(first), len(second)) == (200, 300)
    assert stats.kstest((second - 50.0) / 2.0, stats.uniform.cdf).pvalue > 1e-3
    assert set(arrivals(Cohorts(times=[5.0], sizes=[3]))) == {5.0}


@given(end=st.floats(0.1, 50.0), more=st.floats(0.0, 50.0), seed=st.integers(0, 2**32))
def test_a_longer_run_begins_like_a_shorter_one(end: float, more: float, seed: int) -> None:
    for process in (Poisson(rate=1.0), Seasonal(rate=1.0, period=7.0), SelfExciting(rate=1.0)):
        short, long = (arrivals(process, seed, end=horizon) for horizon in (end, end + more))
        np.testing.assert_array_equal(short, long[: len(short)])
        assert (long[len(short) :] >= end).all()


def test_two_processes_of_a_scenario_have_draws_of_their_own() -> None:
    first, second = (arrivals(Poisson(rate=5.0), key=key) for key in (1, 2))
    assert not set(first) & set(second)


TRACE = "who,arrive,leave\na,120,\nb,0,60.5\nc,30,30\n"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_trace_says_in_seconds_who_comes_and_goes(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"visits.{kind}"
    if kind == "csv":
        file.write_text(TRACE)
    else:
        columns = {"who": ["a", "b", "c"], "arrive": [120.0, 0.0, 30.0], "leave": [None, 60.5, 30.0]}
        parquet.write_table(pa.table(columns), file)
    visits = Trace(file=str(file), leave="leave").visits(END, WINDOW, Draws(Streams(1), 1))
    np.testing.assert_allclose(visits.arrive * WINDOW, [0.0, 30.0, 120.0])
    np.testing.assert_allclose(visits.leave * WINDOW, [60.5, 30.0, np.nan])
    assert np.isnan(Trace(file=str(file)).visits(END, WINDOW, Draws(Streams(1), 1)).leave).all()


def test_a_trace_may_come_from_a_spreadsheet(tmp_path: Path) -> None:
    file = tmp_path / "visits.csv"
    file.write_bytes(b"\xef\xbb\xbfarrive, leave\r\n0, 60\r\n30,\r\n")
    visits = Trace(file=str(file), leave="leave").visits(END, WINDOW, Draws(Streams(1), 1))
    np.testing.assert_allclose(visits.arrive * WINDOW, [0.0, 30.0])
    np.testing.assert_allclose(visits.leave * WINDOW, [60.0, np.nan])


@pytest.mark.parametrize(
    ("content", "params", "problem"),
    [
        (None, {}, "cannot be read"),
        (TRACE, {"arrive": "when"}, "has no column 'when', known: who, arrive, leave"),
        (TRACE, {"arrive": "who"}, "row 1: who is 'a', expected seconds from 0 on"),
        ("arrive\n5\n-1\n", {}, "row 2: arrive is '-1'"),
        ("arrive,leave\n5,4\n", {"leave": "leave"}, "row 1: leaves before it arrives"),
        ("arrive\n5\nnan\n", {}, "row 2: arrive is 'nan'"),
        ("", {}, "has no column 'arrive', known: none"),
        ("arriv\xe9\n5\n", {}, "is no CSV text in UTF-8"),
    ],
)
def test_a_bad_trace_is_refused_in_one_line(tmp_path: Path, content: str | None, params: dict, problem: str) -> None:
    file = tmp_path / "visits.csv"
    if content is not None:
        file.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=problem) as refused:
        make_arrivals("trace", {"file": str(file), **params})
    assert "\n" not in str(refused.value)


def test_a_file_that_only_says_it_is_parquet_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "visits.parquet"
    file.write_text(TRACE)
    with pytest.raises(ValueError, match="no Parquet file"):
        Trace(file=str(file))
    with pytest.raises(ValueError, match=r"ends in \.csv or \.parquet"):
        Trace(file="visits.txt")


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("poisson", {"rate": -1.0}, "rate"),
        ("varying_rate", {"times": [0.0, 1.0], "rates": [1.0]}, "rates"),
        ("varying_rate", {"times": [1.0, 0.0], "rates": [1.0, 2.0]}, "times"),
        ("varying_rate", {"times": [], "rates": []}, "times"),
        ("seasonal", {"rate": 1.0, "period": 0.0}, "period"),
        ("seasonal", {"rate": 1.0, "period": 1.0, "swing": 1.5}, "swing"),
        ("self_exciting", {"rate": 1.0, "followers": 1.0}, "followers"),
        ("cohorts", {"times": [0.0], "sizes": [1, 2]}, "sizes"),
        ("cohorts", {"times": [0.0], "sizes": [1.5]}, "sizes"),
    ],
)
def test_an_impossible_process_is_refused_by_name(name: str, params: dict, field: str) -> None:
    with pytest.raises(ValueError, match=f"^arrival process '{name}': {field} "):
        make_arrivals(name, params)


def test_the_registry_names_its_processes() -> None:
    assert all(ARRIVALS[name].name == name for name in ARRIVALS)
    assert len(ARRIVALS) == 6


@pytest.mark.parametrize(
    "process",
    [
        Poisson(rate=5.0),
        Cohorts(times=[1.0, 3.0], sizes=[700, 900]),
        SelfExciting(rate=3.0, followers=0.6, decay=0.01),
        SelfExciting(rate=3.0, followers=0.0),
        VaryingRate(times=[0.0, 100.0], rates=[5.0, 5.0]),
    ],
    ids=lambda process: process.name,
)
def test_as_many_are_expected_as_come_on_average(process: Arrivals) -> None:
    counts = np.array([len(arrivals(process, seed)) for seed in range(12)])
    error = counts.std() / np.sqrt(len(counts))
    assert abs(counts.mean() - process.drawn(END)) <= 4 * error


def test_followers_are_expected_as_the_equation_of_their_mean_rate_says() -> None:
    process = SelfExciting(rate=3.0, followers=0.9, decay=0.05)
    found = integrate.solve_ivp(
        lambda _, m: [m[1], process.decay * (process.rate - (1 - process.followers) * m[1])],
        (0.0, END), [0.0, process.rate], rtol=1e-10, atol=1e-10,
    )  # fmt: skip
    assert process.drawn(END) == pytest.approx(found.y[0, -1], rel=1e-8)
    assert SelfExciting(rate=3.0, followers=0.9, decay=5e-324).drawn(END) == 3.0 * END
    nearly = SelfExciting(rate=1e-3, followers=1 - 1e-12, decay=1.0)
    assert 0.0 < nearly.drawn(10.0) < 1.0, "in a short time even the most contagious bring few"
