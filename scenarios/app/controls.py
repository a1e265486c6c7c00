"""The controls of the view, made from the schema: what a value may be and what it means stand there only."""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError

from learning.registry import Registry
from scenarios.choices import Named, check_dataset
from scenarios.interventions import levers
from scenarios.registries import datasets
from scenarios.schema import MarketSpec, Scenario

Kind = Literal["share", "number", "whole", "choice", "switch"]
"""``share`` is a number from 0 to 1; ``choice`` one of some names."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Market": ("market.mechanism", "market.budget", "market.revenue"),
    "Enforcement": (
        "enforcement.audit_rate",
        "enforcement.deposit",
        "enforcement.detection_rate",
        "enforcement.false_alarm_rate",
        "enforcement.slash_share",
        "enforcement.audit_cost",
        "enforcement.expel_after",
    ),
    "Population": ("population.initial", "population.arrival_rate", "population.departure_rate"),
    "Learning": ("data.dataset", "learning.enabled", "learning.learning_rate"),
    "Run": ("seed", "horizon"),
}
"""Dotted paths of the values that the view offers, by group; the mix of strategies is beside them."""

LABELS = {"population.initial": "initial owners", "learning.enabled": "train models", "horizon": "horizon (windows)"}
"""Names of values whose own name says too little without the part of the scenario that they stand in."""

LEVERS = tuple(path for path in levers() if any(path in paths for paths in GROUPS.values()))
"""Those that can be turned while a run goes on."""


@dataclass(frozen=True)
class Control:
    """One value: its path, a short name, what it means, what it may be (``low`` and ``high``: bounds, if any)."""

    path: str
    label: str
    help: str
    kind: Kind
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


@functools.lru_cache(maxsize=1)
def controls() -> dict[str, Control]:
    """All controls by path."""
    return {path: _control(path) for paths in GROUPS.values() for path in paths}


def _control(path: str) -> Control:
    model: type[BaseModel] = Scenario
    *parts, name = path.split(".")
    for part in parts:
        inner = model.model_fields[part].annotation
        assert isinstance(inner, type)
        model = inner
    field = model.model_fields[name]
    label, meaning = LABELS.get(path, name.replace("_", " ")), field.description or ""
    registry = next(_registries(field.annotation, field.metadata), None)
    if registry is not None:
        return Control(path, label, meaning, "choice", choices=tuple(registry))
    limits = {type(limit): limit for limit in _constraints(field.annotation, field.metadata)}
    low = _bound(limits, (Ge, "ge"), (Gt, "gt"))
    high = _bound(limits, (Le, "le"), (Lt, "lt"))
    leaves = _leaves(field.annotation)
    if bool in leaves:
        return Control(path, label, meaning, "switch")
    kind: Kind = "whole" if int in leaves else "share" if (low, high) == (0, 1) else "number"
    return Control(path, label, meaning, kind, low, high)


def _registries(annotation: Any, metadata: Sequence[Any]) -> Iterator[Registry[Any]]:
    """The registry that the name is checked against, if its type says so."""
    for check in _constraints(annotation, metadata):
        if isinstance(check, (AfterValidator, BeforeValidator)):
            func: Any = check.func
            if isinstance(func, functools.partial):
                yield func.args[0]()
            elif func is check_dataset:
                yield datasets()


def _constraints(annotation: Any, metadata: Sequence[Any]) -> Iterator[Any]:
    yield from metadata
    if typing.get_origin(annotation) is typing.Annotated:
        yield from typing.get_args(annotation)[1:]
    for part in typing.get_args(annotation):
        if not isinstance(part, (str, int)):
            yield from _constraints(part, ())


def _bound(limits: Mapping[Any, Any], *kinds: tuple[Any, str]) -> float | None:
    return next((getattr(limits[kind], name) for kind, name in kinds if kind in limits), None)


def _leaves(annotation: Any) -> list[Any]:
    inner = typing.get_args(annotation)
    return [leaf for part in inner for leaf in _leaves(part)] if inner else [annotation]


def value_at(scenario: Scenario, path: str) -> Any:
    """The value of a scenario at a path; of a thing with parameters, its name."""
    value: Any = scenario
    for part in path.split("."):
        value = getattr(value, part)
    return value.name if isinstance(value, Named) else value


def mechanism_parameters(chosen: str | Mapping[str, Any]) -> dict[str, Any]:
    """A mechanism by name, or by name and some parameters, with all of its parameters; as given if that cannot be."""
    given = {"name": chosen} if isinstance(chosen, str) else dict(chosen)
    try:
        return MarketSpec.model_validate({"mechanism": given}).mechanism.model_dump(mode="json")
    except ValidationError:
        return given


def strategy_names() -> tuple[str, ...]:
    """All strategies that a population can hold."""
    from scenarios.registries import strategies

    return tuple(strategies())


def mix_of(scenario: Scenario) -> tuple[dict[str, Any], ...]:
    """The strategies of a scenario with their shares and parameters, as a scenario file writes them."""
    return tuple(share.model_dump(mode="json") for share in scenario.population.strategies)


def factors(share: Mapping[str, Any]) -> dict[str, float | int]:
    """The numeric parameters of a strategy or a mechanism, such as the factor of a misreport."""
    return {
        name: value
        for name, value in share.items()
        if name != "share" and isinstance(value, (int, float)) and not isinstance(value, bool)
    }
