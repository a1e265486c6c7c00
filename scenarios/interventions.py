"""Interventions: policy levers that are turned while a run goes on, written into the scenario so that it replays.

A lever is a scenario's value that can change between two rounds. An intervention names the round at whose opening it
acts. What a lever names by a registered name has parameters, and what it lists has places: these are levers as well
(``market.mechanism.price``, ``faults.0.rate``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from scenarios.errors import BadInput

if TYPE_CHECKING:
    from market.mechanism import Mechanism
    from scenarios.problems import Problem
    from scenarios.schema import Scenario

MECHANISM = "market.mechanism"
MEASURED = ("enforcement.audit_policy", "enforcement.detectors")
"""Levers whose rules read what is measured of uploads."""
FAULTS = "faults"
LOCAL_TRAINING = tuple(
    f"learning.{name}" for name in ("epochs", "batch_size", "learning_rate", "momentum", "weight_decay")
)
_NUMBERS = (
    *(f"market.{name}" for name in ("budget", "revenue", "neighbours")),
    *(f"population.{name}" for name in ("arrival_rate", "departure_rate")),
    *(f"round.{name}" for name in ("report_deadline", "train_deadline", "invited", "buffer_size")),
    *LOCAL_TRAINING,
)
_CHOICES = (
    MECHANISM,
    *(f"population.{name}" for name in ("participation", "patience", "adaptation", "confirmation")),
)
DIVIDED = "cannot change where owners have several names: the data are divided when the run starts"
_SHARE = re.compile(r"population\.strategies\.\d+\.share")
_FIXED = {
    "seed": "the seed",
    "data": "the data",
    "population": "who is there at first and everybody's private type",
    "learning": "the model",
    "centers": "the computing centers",
    "window": "the length of a window",
}
"""What a run starts from, by the part of the scenario that says it."""


def levers() -> tuple[str, ...]:
    """Dotted paths of everything that an intervention can set, but for the parts of those with parts."""
    from scenarios.schema import EnforcementSpec

    enforcement = (f"enforcement.{name}" for name in EnforcementSpec.model_fields)
    return (*_NUMBERS, *_CHOICES, *enforcement, FAULTS)


def is_lever(path: str) -> bool:
    """Whether an intervention can set this: a lever, a part of one, or a strategy's share of those who arrive."""
    return touched({path: None}, *levers()) or _SHARE.fullmatch(path) is not None


def touched(settings: Mapping[str, Any], *names: str) -> bool:
    """Whether some of the settings concern one of these levers or a part of one."""
    return any(path == name or path.startswith(f"{name}.") for path in settings for name in names)


def changed(scenario: Scenario, settings: Mapping[str, Any]) -> Scenario:
    """The scenario with some levers set, checked like any other; ``settings``: values by dotted path.

    Raises pydantic's ``ValidationError``; ``LookupError`` for a part that nothing in the scenario has.
    """
    from scenarios.schema import WITHIN_A_RUN

    content = scenario.model_dump(mode="json", exclude={"interventions"})
    for path, value in settings.items():
        *way, last = path.split(".")
        place: Any = content
        for step in way:
            place = place[_step(place, step)]
        place[_step(place, last)] = value
    found = type(scenario).model_validate(content, context=WITHIN_A_RUN)
    return found.model_copy(update={"interventions": scenario.interventions})


def _step(place: Any, name: str) -> str | int:
    """The key or place in a list that a part of a path means. Raises ``LookupError`` where there is none."""
    if isinstance(place, dict):
        return name
    if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
        return int(name)
    raise LookupError(name)


def in_force(scenario: Scenario, made: int) -> Scenario:
    """What holds once the first ``made`` of the scenario's interventions, which are valid, have been made."""
    now = scenario
    for intervention in scenario.interventions[:made]:
        now = changed(now, intervention.set)
    return now


def mechanisms_of_run(scenario: Scenario) -> list[Mechanism]:
    """The mechanism that a run starts with and those that its interventions bring, built; they must be valid."""
    from scenarios.registries import mechanisms

    chosen, now = [scenario.market.mechanism], scenario
    for intervention in scenario.interventions:
        now = changed(now, intervention.set)
        if touched(intervention.set, MECHANISM):
            chosen.append(now.market.mechanism)
    return [mechanisms()[one.name](**one.params) for one in chosen]


def check_interventions(scenario: Scenario) -> Problem | None:
    """What is wrong with the first bad one of a scenario's interventions, if any is."""
    from scenarios.problems import Problem

    latest, now = 0, scenario
    for number, intervention in enumerate(scenario.interventions):
        place = ("interventions", number)
        if intervention.round < latest:
            return Problem((*place, "round"), intervention.round, f"{latest} or more, as they stand in order of rounds")
        latest = intervention.round
        if not intervention.set:
            return Problem((*place, "set"), {}, "a lever and its value, such as enforcement.audit_rate: 0.3")
        found = _turned(now, intervention.set) or next(_senseless(scenario, now, intervention.set), None)
        if found is not None:
            return found._replace(field=(*place, "set", *found.field))
        now = changed(now, intervention.set)
    return None


def _turned(now: Scenario, settings: Mapping[str, Any]) -> Problem | None:
    """What is wrong with these settings where ``now`` is in force: a path, or values alone or together."""
    from scenarios.problems import Problem

    for path, value in settings.items():
        if not is_lever(path):
            return Problem((path,), value, problem=_no_lever(path))
    if _refusal(now, settings) is None:
        return None
    alone = (_refusal(now, {path: value}) for path, value in settings.items())
    return next((problem for problem in alone if problem is not None), _refusal(now, settings))


def _no_lever(path: str) -> str:
    part = path.partition(".")[0]
    why = f", for a run starts from {_FIXED[part]}" if part in _FIXED else ""
    near = [lever for lever in levers() if lever.startswith(f"{part}.")]
    near = near or [f"{name}.*" for name in dict.fromkeys(lever.partition(".")[0] for lever in levers())]
    return f"no lever{why}; known: {', '.join(near).replace('faults.*', 'faults')}"


def _refusal(now: Scenario, settings: Mapping[str, Any]) -> Problem | None:
    """What the scenario's own checks say to these settings, about the last of them."""
    from scenarios.problems import Problem, first_problem

    path, value = list(settings.items())[-1]
    try:
        changed(now, settings)
    except LookupError:
        return Problem((path,), value, problem="the scenario has no such place")
    except ValidationError as error:
        found = first_problem(error, {}, type(now))
        return _blamed(Problem((path,), value, found.expected, found.problem), path, found.field)
    return None


def _blamed(problem: Problem, path: str, found: Sequence[str | int]) -> Problem:
    """The problem of a lever; where the lever is well but does not go with another value, that one is named."""
    place = ".".join(map(str, found))
    if place.startswith(path):
        return problem
    return problem._replace(expected="", problem=f"{place} {problem.problem or f'must be {problem.expected}'}")


def _senseless(first: Scenario, now: Scenario, settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What is valid by itself, but cannot be turned within this run, or would do nothing. ``first``: its start."""
    from scenarios.problems import Problem

    late, learns = first.round.late, first.learning.enabled
    idle = {"round.buffer_size": late != "buffer", "round.train_deadline": late == "wait"}
    for path, value in settings.items():
        if late == "buffer" and touched({path: value}, MECHANISM, *MEASURED):
            yield Problem((path,), value, problem="cannot change with late: buffer, which pays for earlier plans")
        elif idle.get(path):
            yield Problem((path,), value, problem=f"does nothing with round.late: {late}")
        elif _SHARE.fullmatch(path) and not _somebody_comes(first):
            yield Problem((path,), value, problem="does nothing, for nobody ever arrives (population.arrival_rate)")
        elif path == "population.arrival_rate" or _SHARE.fullmatch(path):
            yield from _divided(first, path, value)
        elif not learns and path.startswith("learning.") and path != "learning.epochs":
            yield Problem((path,), value, problem="does nothing without learning")
    path, value = list(settings.items())[-1]
    later = changed(now, settings)
    if touched(settings, *MEASURED):
        yield from _unmeasured(first, later, path, value)
    yield from _without_effect(later, settings)
    if learns and any(name.startswith(("learning.", "round.")) for name in settings):
        from scenarios.engine.learning_rules import rules_of

        try:
            rules_of(later)
        except BadInput as problem:
            said = problem.problem or f"must be {problem.expected}"
            yield Problem((path,), value, problem=f"{problem.field}: {said}")


def _without_effect(later: Scenario, settings: Mapping[str, Any]) -> Iterator[Problem]:
    """Rules of enforcement that are set, and could do nothing whatever else is turned in this run."""
    from pydantic_core import PydanticCustomError

    from scenarios.enforcement_checks import check_effect
    from scenarios.problems import Problem

    try:
        check_effect(later)
    except PydanticCustomError as error:
        context = error.context or {}
        rule = ".".join(str(context["field"]).split(".")[:2])
        for path in settings:
            if touched({path: None}, rule):
                yield Problem((path,), context["value"], problem=str(context["expected"]))


def _somebody_comes(first: Scenario) -> bool:
    """Whether anybody arrives in a run after its start, as it is written or as it is turned."""
    population = first.population
    turned = any(touched(one.set, "population.arrival_rate") for one in first.interventions)
    return bool(turned or population.arrival_rate or population.arrival_times or population.arrivals)


def _divided(first: Scenario, path: str, value: Any) -> Iterator[Problem]:
    """Who comes is settled where persons have several names."""
    from scenarios.problems import Problem

    if several_names(first):
        yield Problem((path,), value, problem=DIVIDED)


def several_names(scenario: Scenario) -> bool:
    """Whether anybody comes with several identities at once, among which its data are divided."""
    from agents.strategies import make_strategy
    from agents.strategies.sybil import Sybil

    return any(isinstance(make_strategy(one.name, one.params), Sybil) for one in scenario.population.strategies)


def _unmeasured(first: Scenario, later: Scenario, path: str, value: Any) -> Iterator[Problem]:
    """Rules that read what nobody has kept from the start."""
    from learning.inspection_names import REMEMBERING
    from scenarios.enforcement_checks import policy_of
    from scenarios.problems import Problem

    missing = (policy_of(later.enforcement).needs - policy_of(first.enforcement).needs) & REMEMBERING
    if missing:
        yield Problem((path,), value, problem=f"needs {min(missing)}, for which uploads must be kept from the start")
