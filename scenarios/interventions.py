"""Interventions: policy levers that are turned while a run goes on, written into the scenario so that it replays.

A lever is a scenario's value that can change between two rounds: every number under ``enforcement``, and the model
owner's budget, revenue and mechanism. An intervention names the round at whose opening it acts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

if TYPE_CHECKING:
    from market.mechanism import Mechanism
    from scenarios.problems import Problem
    from scenarios.schema import Scenario

MARKET_LEVERS = ("budget", "revenue", "mechanism")
MECHANISM = "market.mechanism"
RULES = ("audit_policy", "detectors", "votes", "slashing", "admission", "deposits", "ban", "appeal", "regulation")
"""Parts of ``enforcement`` that hold for the whole run: what has to be measured follows from them."""


def levers() -> tuple[str, ...]:
    """Dotted paths of everything that an intervention can set, in the order of the schema."""
    from scenarios.schema import EnforcementSpec

    enforcement = (f"enforcement.{name}" for name in EnforcementSpec.model_fields if name not in RULES)
    return (*(f"market.{name}" for name in MARKET_LEVERS), *enforcement)


def changed(scenario: Scenario, settings: Mapping[str, Any]) -> Scenario:
    """The scenario with some levers set, checked like any other; ``settings``: values by dotted path.

    Raises pydantic's ``ValidationError``; the paths must be levers.
    """
    from scenarios.schema import WITHIN_A_RUN

    content = scenario.model_dump(mode="json", exclude={"interventions"})
    for path, value in settings.items():
        part, name = path.split(".")
        content[part][name] = value
    return type(scenario).model_validate(content, context=WITHIN_A_RUN)


def mechanisms_of_run(scenario: Scenario) -> list[Mechanism]:
    """The mechanism that a run starts with and those that its interventions bring, built; they must be valid."""
    from scenarios.registries import mechanisms

    later = [{MECHANISM: one.set[MECHANISM]} for one in scenario.interventions if MECHANISM in one.set]
    chosen = [scenario.market.mechanism, *(changed(scenario, settings).market.mechanism for settings in later)]
    return [mechanisms()[one.name](**one.params) for one in chosen]


def check_interventions(scenario: Scenario) -> Problem | None:
    """What is wrong with the first bad one of a scenario's interventions, if any is."""
    from scenarios.problems import Problem, first_problem

    latest, now = 0, scenario
    for number, intervention in enumerate(scenario.interventions):
        place = ("interventions", number)
        if intervention.round < latest:
            return Problem((*place, "round"), intervention.round, f"{latest} or more, as they stand in order of rounds")
        latest = intervention.round
        if not intervention.set:
            return Problem((*place, "set"), {}, "a lever and its value, such as enforcement.audit_rate: 0.3")
        for path, value in intervention.set.items():
            field = (*place, "set", path)
            if path not in levers():
                return Problem(field, value, problem=f"no lever, known: {', '.join(levers())}")
            if path == MECHANISM and scenario.round.late == "buffer":
                return Problem(field, value, problem="cannot change with late: buffer, which pays for earlier plans")
            try:
                now = changed(now, {path: value})
            except ValidationError as error:
                found = first_problem(error, {}, type(scenario))
                return _blamed(Problem(field, value, found.expected, found.problem), path, found.field)
    return None


def _blamed(problem: Problem, path: str, found: Sequence[str | int]) -> Problem:
    """The problem of a lever; where the lever is well but does not go with another value, that one is named."""
    place = ".".join(map(str, found))
    if place.startswith(path):
        return problem
    return problem._replace(expected="", problem=f"{place} {problem.problem or f'must be {problem.expected}'}")
