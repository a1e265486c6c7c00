"""How many persons a scenario may bring: counted before anybody is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.arrivals import make_arrivals
from scenarios.choices import problem_at

if TYPE_CHECKING:
    from scenarios.schema import Scenario

MOST_PERSONS = 10_000_000
"""Most persons of a run, by expectation, and most moments that an arrival process draws to find its own."""


def check_arrivals(scenario: Scenario) -> None:
    """Initial persons, arrivals at the rate, and each process together must not be too many by expectation.

    The error (that of ``problem_at``) names what brings them above ``MOST_PERSONS``.
    """
    people = scenario.population
    room = float(MOST_PERSONS) - people.initial - len(people.arrival_times)
    room -= _within(room, people.arrival_rate * scenario.horizon, "arrival_rate", people.arrival_rate)
    for place, chosen in enumerate(people.arrivals):
        coming = make_arrivals(chosen.name, chosen.params).drawn(scenario.horizon)
        room -= _within(room, coming, f"arrivals.{place}.name", chosen.name)


def _within(room: float, coming: float, field: str, value: object) -> float:
    """How many are coming, if there is room for them."""
    if coming > room:
        expected = f"this brings some {coming:.3g} persons, and a run has at most {MOST_PERSONS:,} in all"
        raise problem_at(f"population.{field}", value, expected)
    return coming
