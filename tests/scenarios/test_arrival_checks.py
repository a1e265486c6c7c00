"""Scenarios that would bring more persons than a run can hold: refused by expectation, before anybody is drawn."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.streams import Streams
from scenarios.engine.arrivals import poisson_ticks
from scenarios.errors import BadInput
from scenarios.loading import load_scenario


def refusal(*changes: str) -> str:
    with pytest.raises(BadInput) as caught:
        load_scenario("quickstart", overrides=list(changes))
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (["population.arrival_rate=1e6", "horizon=10"], "population.arrival_rate: 1000000.0: this brings some 1e+07"),
        (
            ["population.arrivals=[{name: poisson, rate: 1e6}]", "horizon=100"],
            "arrivals.0.name: poisson: this brings some 1e+08",
        ),
        (
            ["population.arrivals=[{name: cohorts, times: [0, 1], sizes: [5000000, 5000000]}]"],
            "arrivals.0.name: cohorts: this brings some 1e+07",
        ),
        (
            ["population.arrivals=[{name: self_exciting, rate: 1000, followers: 0.9999}]", "horizon=100000"],
            "arrivals.0.name: self_exciting: this brings some 9",
        ),
        (
            ["population.arrivals=[{name: seasonal, rate: 1e6, period: 9, swing: 1}]", "horizon=5"],
            "arrivals.0.name: seasonal: this brings some 1e+07",
        ),
        (
            ["population.arrivals=[{name: varying_rate, times: [0, 1], rates: [1, 1e6]}]", "horizon=10"],
            "arrivals.0.name: varying_rate: this brings some 1e+07",
        ),
        (
            ["population.initial=6000000", "population.arrivals=[{name: cohorts, times: [0], sizes: [4000001]}]"],
            "arrivals.0.name: cohorts: this brings some 4e+06",
        ),
        (
            ["horizon=30", "interventions=[{round: 3, set: {population.arrival_rate: 1e6}}]"],
            "this brings some 3e+07",
        ),
    ],
    ids=["rate", "poisson", "cohorts", "self-exciting", "seasonal", "varying rate", "together", "intervention"],
)
def test_more_persons_than_a_run_can_hold_are_refused(changes: list[str], line: str) -> None:
    said = refusal(*changes)
    assert line in said
    assert said.endswith("persons, and a run has at most 10,000,000 in all")


@pytest.mark.parametrize(
    "change",
    ["population.arrival_rate=99000", "population.arrivals=[{name: cohorts, times: [0], sizes: [5000000]}]"],
)
def test_millions_of_persons_are_no_mistake(change: str) -> None:
    scenario = load_scenario("quickstart", overrides=["population.initial=1000000", "horizon=50", change])
    assert scenario.population.initial == 1_000_000


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**40),
    rates=st.lists(st.sampled_from([0.0, 0.3, 2.0, 90.0, 4000.0]), min_size=1, max_size=4),
)
def test_arrivals_that_are_drawn_at_once_come_when_they_come_one_by_one(seed: int, rates: list[float]) -> None:
    window, end, streams = 1000, 900, Streams(seed)
    steps: list[tuple[float, float]] = [(place * end / len(rates), rate) for place, rate in enumerate(rates)]
    expected: list[int] = []
    number, left = 0, float(streams.exponential("arrival gap", 0, 0))
    for (begin, rate), (stop, _) in pairwise([*steps, (float(end), 0.0)]):
        if rate > 0:
            at = begin + window / rate * left
            while at < stop:
                expected.append(round(at))
                number += 1
                at += window / rate * float(streams.exponential("arrival gap", 0, number))
            left = (at - stop) / (window / rate)
    found: list[Any] = poisson_ticks(steps, window, end, streams)
    assert np.concatenate([np.zeros(0, dtype=np.int64), *found]).tolist() == expected
