"""Fields of a scenario that name something in a registry, and the checks of its parameters.

A field may hold a bare name, or a name with parameters beside it; these are checked against the signature of what is
named, and those left out are filled in.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model
from pydantic_core import PydanticCustomError

from learning.registry import Registry, UnknownName
from scenarios import registries


class Named(BaseModel):
    """A name from a registry, and the parameters of what it names."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    name: str

    @property
    def params(self) -> dict[str, Any]:
        """The parameters given beside the name."""
        return dict(self.model_extra or {})


class StrategyShare(Named):
    """A strategy, its parameters and its share of those who arrive."""

    share: Annotated[float, Field(gt=0)] = 1.0


@functools.cache
def _signature_model(entry: Callable[..., Any], skip: frozenset[str]) -> type[BaseModel]:
    """A pydantic model of the keyword parameters of ``entry``, to check types and unknown names."""
    # Fields of a dataclass may come from a base class in another module, whose names mean something there only.
    plain = inspect.isclass(entry) and not dataclasses.is_dataclass(entry)
    hints = typing.get_type_hints(entry.__init__ if plain else entry)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(entry).parameters.values():
        if parameter.name not in skip and parameter.kind is not parameter.VAR_KEYWORD:
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (hints.get(parameter.name, Any), default)
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    return create_model("Parameters", __config__=config, **fields)


def problem_at(field: str, value: Any, expected: str) -> PydanticCustomError:
    """An error below the place where it is raised: ``field`` is appended to the path by the loader."""
    return PydanticCustomError("named", "{expected}", {"field": field, "value": value, "expected": expected})


def check_parameters(entry: Callable[..., Any], params: Mapping[str, Any], skip: frozenset[str]) -> None:
    """Raise one readable error unless ``params`` fit the signature of ``entry``."""
    model = _signature_model(entry, skip)
    try:
        model.model_validate(dict(params))
    except ValidationError as problem:
        first = problem.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = list(model.model_fields)
            expected = str(UnknownName("parameter", field, known)) if known else "no parameter here"
            raise problem_at(field, first["input"], expected) from None
        if first["type"] == "missing":
            raise problem_at(field, None, "is missing") from None
        raise problem_at(field, first["input"], first["msg"]) from None


def _held(given: Any) -> Any:
    """A parameter in which whole numbers that no column holds are decimal ones: 10^30 is a float."""
    if isinstance(given, list):
        return [_held(one) for one in given]
    return float(given) if isinstance(given, int) and not -(2**63) <= given < 2**63 else given


NamedKind = TypeVar("NamedKind", bound=Named)


def check_named(kind: Callable[[], Registry[Any]], skip: frozenset[str], value: NamedKind) -> NamedKind:
    """Check a ``Named`` against its registry and fill in the parameters that were left out.

    Classes are built once, so that they can refuse a value themselves.
    """
    try:
        entry = kind()[value.name]
    except UnknownName as unknown:
        raise problem_at("name", value.name, str(unknown)) from None
    params = {name: _held(given) for name, given in value.params.items()}
    check_parameters(entry, params, skip)
    if inspect.isclass(entry):
        try:
            entry(**params)
        except ValueError as problem:
            message = str(problem)
            field = next((name for name in params if name in message), "")
            raise problem_at(field, params.get(field, params), message) from None
    known = inspect.signature(entry).parameters.values()
    defaults = {p.name: p.default for p in known if p.default is not p.empty and p.name not in skip}
    return type(value).model_validate({**defaults, **value.model_dump(), **params})


def check_strategy(value: StrategyShare) -> StrategyShare:
    """Check a strategy, and the transformers in the list ``with``, and fill in the parameters that were left out."""
    given = value.model_dump()
    steps = given.pop("with", [])
    plain = check_named(registries.strategies, frozenset(), StrategyShare.model_validate(given))
    if not isinstance(steps, (list, tuple)):
        raise problem_at("with", steps, f"a list, known: {', '.join(registries.strategy_transformers())}")
    chain = [_check_step(place, step) for place, step in enumerate(steps)]
    if not chain:
        return plain
    from agents.strategies import make_strategy

    try:
        make_strategy(plain.name, {**plain.params, "with": chain})
    except ValueError as problem:
        raise problem_at("with", chain, str(problem)) from None
    return StrategyShare.model_validate({**plain.model_dump(), "with": chain})


def _check_step(place: int, step: Any) -> dict[str, Any]:
    kind, field = registries.strategy_transformers, f"with.{place}"
    given = as_named(kind, field, step)
    if not isinstance(given, dict) or not isinstance(given["name"], str):
        raise problem_at(field, step, f"a name, known: {', '.join(kind())}")
    name, params = given["name"], {key: item for key, item in given.items() if key != "name"}
    try:
        entry = kind()[name]
    except UnknownName as unknown:
        raise problem_at(field, name, str(unknown)) from None
    try:
        check_parameters(entry, params, frozenset({"inner"}))
    except PydanticCustomError as problem:
        found = problem.context or {}
        raise problem_at(f"{field}.{found['field']}", found["value"], found["expected"]) from None
    known = inspect.signature(entry).parameters.values()
    return {"name": name, **{p.name: p.default for p in known if p.name != "inner"}, **params}


def _registered(kind: Callable[[], Registry[Any]], value: str) -> str:
    try:
        kind()[value]
    except UnknownName as unknown:
        raise problem_at("", value, str(unknown)) from None
    return value


def as_named(kind: Callable[[], Registry[Any]], key: str, value: Any) -> Any:
    """A bare name is short for ``{name: ...}``; ``kind`` and ``name`` mean the same, ``key`` is the usual one."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and "name" not in value:
        if "kind" not in value:
            raise problem_at(key, None, f"is missing, known: {', '.join(kind())}")
        return {"name": value["kind"], **{name: item for name, item in value.items() if name != "kind"}}
    return value


def _bare_name(kind: Callable[[], Registry[Any]], value: Any) -> Any:
    """A bare name is short for ``{name: ...}``; ``kind`` needs torch, so the loader checks against it."""
    return {"name": value} if isinstance(value, str) else value


def _from_number(value: Any) -> Any:
    """A bare number is short for a constant."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"name": "constant", "value": float(value)}
    return value


def _from_null(value: Any) -> Any:
    """A bare null is short for one that is constant."""
    return {"name": "constant", "value": None} if value is None else value


def check_dataset(value: str | Named) -> str | Named:
    """Check a data set: a file of arrays (.npz), or a name in the registry, bare or with parameters."""
    if isinstance(value, str) and value.endswith(".npz"):
        return value
    return check_choice(registries.datasets, frozenset({"folder"}), value)


def check_choice(kind: Callable[[], Registry[Any]], skip: frozenset[str], value: str | Named) -> str | Named:
    """Check a name, bare or with parameters, against its registry; a bare one stays bare."""
    if isinstance(value, Named):
        return check_named(kind, skip, value)
    _registered(kind, value)
    try:
        check_parameters(kind()[value], {}, skip)
    except PydanticCustomError as problem:
        field = (problem.context or {})["field"]
        raise problem_at("", value, f"{field} is missing, write {{name: {value}, {field}: ...}}") from None
    return value


def name_and_parameters(value: str | Named) -> tuple[str, dict[str, Any]]:
    """What a bare name, or a name with parameters, stands for."""
    return (value, {}) if isinstance(value, str) else (value.name, value.params)


def _choice(
    model: type[Named], kind: Callable[[], Registry[Any]], key: str = "name", skip: tuple[str, ...] = ()
) -> Any:
    """The type of a field that names something: bare or with parameters, checked against its registry."""
    return Annotated[
        model,
        AfterValidator(partial(check_named, kind, frozenset(skip))),
        BeforeValidator(partial(as_named, kind, key)),
    ]


if TYPE_CHECKING:
    Strategy: TypeAlias = StrategyShare
    MechanismChoice: TypeAlias = Named
    Participation: TypeAlias = Named
    Adaptation: TypeAlias = Named
    Confirmation: TypeAlias = Named
    Distribution: TypeAlias = Named
    SharingCost: TypeAlias = Named
    Partition: TypeAlias = Named
    StalenessFunction: TypeAlias = Named
    Algorithm: TypeAlias = Named
    Aggregation: TypeAlias = Named
    ServerStep: TypeAlias = Named
    ContributionMethod: TypeAlias = Named
    Merging: TypeAlias = Named
    Personalization: TypeAlias = Named
    DataGenerator: TypeAlias = Named
    Competition: TypeAlias = Named
    Patience: TypeAlias = Named
    ArrivalProcess: TypeAlias = Named
    RegulationChoice: TypeAlias = Named
    AuditPolicyChoice: TypeAlias = Named
    DetectorChoice: TypeAlias = Named
    SlashingChoice: TypeAlias = Named
    DepositChoice: TypeAlias = Named
    AdmissionChoice: TypeAlias = Named
    BanChoice: TypeAlias = Named
    AppealChoice: TypeAlias = Named
    FaultChoice: TypeAlias = Named
else:
    Strategy = Annotated[
        StrategyShare, AfterValidator(check_strategy), BeforeValidator(partial(as_named, registries.strategies, "name"))
    ]
    MechanismChoice = _choice(Named, registries.mechanisms)
    Participation = _choice(Named, registries.participation_rules)
    Adaptation = _choice(Named, registries.adaptation_rules)
    Confirmation = _choice(Named, registries.confirmation_rules)
    Distribution = Annotated[_choice(Named, registries.distributions, "kind"), BeforeValidator(_from_number)]
    SharingCost = Annotated[Distribution, BeforeValidator(_from_null)]
    StalenessFunction = _choice(Named, registries.staleness_functions)
    Algorithm = Annotated[Named, BeforeValidator(partial(_bare_name, registries.algorithms))]
    Aggregation = Annotated[Named, BeforeValidator(partial(_bare_name, registries.robust_rules))]
    ServerStep = Annotated[Named, BeforeValidator(partial(_bare_name, registries.server_optimizers))]
    ContributionMethod = Annotated[Named, BeforeValidator(partial(_bare_name, registries.contribution_methods))]
    Merging = Annotated[Named, BeforeValidator(partial(_bare_name, registries.merging_rules))]
    Personalization = Annotated[Named, BeforeValidator(partial(_bare_name, registries.personalization_methods))]
    DataGenerator = Annotated[Named, BeforeValidator(partial(_bare_name, registries.generators))]
    Competition = _choice(Named, registries.rivalries, "kind")
    Patience = _choice(Named, registries.patience_kinds)
    ArrivalProcess = _choice(Named, registries.arrival_processes)
    RegulationChoice = _choice(Named, registries.regulations)
    AuditPolicyChoice = _choice(Named, registries.audit_policies)
    DetectorChoice = _choice(Named, registries.detectors)
    SlashingChoice = _choice(Named, registries.slashing_schedules)
    DepositChoice = _choice(Named, registries.deposit_schedules)
    AdmissionChoice = _choice(Named, registries.admissions)
    BanChoice = _choice(Named, registries.bans)
    AppealChoice = _choice(Named, registries.appeals)
    FaultChoice = _choice(Named, registries.faults, "kind")
    Partition = _choice(Named, registries.partitions, skip=("labels", "shards", "streams", "groups"))
