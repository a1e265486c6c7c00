"""The scenario: every parameter of a run, with its meaning, unit, bounds and default.

A scenario file is this schema written in YAML. Names (strategies, mechanisms, data sets, ...) come from the
registries; whatever else stands beside a name is a parameter of that thing and is checked against its signature.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from learning.registry import Registry, UnknownName

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Money = Annotated[float, Field(ge=0, le=1e6)]
Seconds = Annotated[float, Field(gt=0, le=1e6)]


class Spec(BaseModel):
    """Base of every part: unknown keys and wrong types are refused, infinities and NaN too."""

    # Defaults are validated like anything else, which fills in the parameters of what they name.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True)


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

    share: Positive = 1.0


@functools.cache
def _signature_model(entry: Callable[..., Any], skip: frozenset[str]) -> type[BaseModel]:
    """A pydantic model of the keyword parameters of ``entry``, to check types and unknown names."""
    hints = typing.get_type_hints(entry.__init__ if inspect.isclass(entry) else entry)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(entry).parameters.values():
        if parameter.name not in skip and parameter.kind is not parameter.VAR_KEYWORD:
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (hints.get(parameter.name, Any), default)
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    return create_model("Parameters", __config__=config, **fields)


def _problem(field: str, value: Any, expected: str) -> PydanticCustomError:
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
            raise _problem(field, first["input"], expected) from None
        if first["type"] == "missing":
            raise _problem(field, None, "is missing") from None
        raise _problem(field, first["input"], first["msg"]) from None


NamedKind = TypeVar("NamedKind", bound=Named)


def check_named(kind: Callable[[], Registry[Any]], skip: frozenset[str], value: NamedKind) -> NamedKind:
    """Check a ``Named`` against its registry and fill in the parameters that were left out.

    Classes are built once, so that they can refuse a value themselves.
    """
    try:
        entry = kind()[value.name]
    except UnknownName as unknown:
        raise _problem("name", value.name, str(unknown)) from None
    check_parameters(entry, value.params, skip)
    if inspect.isclass(entry):
        try:
            entry(**value.params)
        except ValueError as problem:
            message = str(problem)
            field = next((name for name in value.params if name in message), "")
            raise _problem(field, value.params.get(field, value.params), message) from None
    known = inspect.signature(entry).parameters.values()
    defaults = {p.name: p.default for p in known if p.default is not p.empty and p.name not in skip}
    return type(value).model_validate({**defaults, **value.model_dump()})


def _registered(kind: Callable[[], Registry[Any]], value: str) -> str:
    try:
        kind()[value]
    except UnknownName as unknown:
        raise _problem("", value, str(unknown)) from None
    return value


def as_named(kind: Callable[[], Registry[Any]], key: str, value: Any) -> Any:
    """A bare name is short for ``{name: ...}``; ``kind`` and ``name`` mean the same, ``key`` is the usual one."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and "name" not in value:
        if "kind" not in value:
            raise _problem(key, None, f"is missing, known: {', '.join(kind())}")
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


def strategies() -> Registry[Any]:
    """The strategy registry, filled."""
    import agents.strategies
    from agents.strategies.base import STRATEGIES

    del agents
    return STRATEGIES


def mechanisms() -> Registry[Any]:
    """The mechanism registry, filled."""
    import market.baselines
    import market.ipfl.mechanism
    import market.model_sharing
    import market.qd_rdfl.mechanism
    from market.mechanism import MECHANISMS

    del market
    return MECHANISMS


def participation_rules() -> Registry[Any]:
    """The registry of join, stay and exit rules."""
    from agents.participation import PARTICIPATION

    return PARTICIPATION


def adaptation_rules() -> Registry[Any]:
    """The registry of adaptation rules."""
    from agents.adaptation import ADAPTATION

    return ADAPTATION


def confirmation_rules() -> Registry[Any]:
    """The registry of rules to pay or quit."""
    from agents.confirmation import CONFIRMATION

    return CONFIRMATION


def distributions() -> Registry[Any]:
    """The registry of distributions."""
    from agents.private_types import DISTRIBUTIONS

    return DISTRIBUTIONS


def partitions() -> Registry[Any]:
    """The registry of partition methods."""
    from learning.partition import PARTITIONS

    return PARTITIONS


def datasets() -> Registry[Any]:
    """The registry of data sets."""
    from learning.data import DATASETS

    return DATASETS


def staleness_functions() -> Registry[Any]:
    """The registry of staleness functions."""
    from learning.staleness import STALENESS

    return STALENESS


def algorithms() -> Registry[Any]:
    """The registry of algorithms of federated optimization (imports torch)."""
    from learning.algorithms import ALGORITHMS

    return ALGORITHMS


def personalization_methods() -> Registry[Any]:
    """The registry of methods of personalised federated learning (imports torch)."""
    from learning.personalization import PERSONALIZATION

    return PERSONALIZATION


def contribution_methods() -> Registry[Any]:
    """The registry of methods that measure contributions to a round (imports torch)."""
    from learning.contribution import CONTRIBUTION

    return CONTRIBUTION


def merging_rules() -> Registry[Any]:
    """The registry of ways to merge uploads of different ages (imports torch)."""
    from learning.asynchronous import MERGING

    return MERGING


def robust_rules() -> Registry[Any]:
    """The registry of rules that make one model of the uploads (imports torch)."""
    from learning.robust import ROBUST

    return ROBUST


def server_optimizers() -> Registry[Any]:
    """The registry of server optimizers (imports torch)."""
    from learning.server import SERVER_OPTIMIZERS

    return SERVER_OPTIMIZERS


def models() -> Registry[Any]:
    """The registry of models (imports torch)."""
    from learning.models import MODELS

    return MODELS


def _dataset(value: str | Named) -> str | Named:
    if isinstance(value, str) and value.endswith(".npz"):
        return value
    return check_choice(datasets, frozenset({"folder"}), value)


def check_choice(kind: Callable[[], Registry[Any]], skip: frozenset[str], value: str | Named) -> str | Named:
    """Check a name, bare or with parameters, against its registry; a bare one stays bare."""
    if isinstance(value, Named):
        return check_named(kind, skip, value)
    _registered(kind, value)
    try:
        check_parameters(kind()[value], {}, skip)
    except PydanticCustomError as problem:
        field = (problem.context or {})["field"]
        raise _problem("", value, f"{field} is missing, write {{name: {value}, {field}: ...}}") from None
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
    Partition: TypeAlias = Named
    StalenessFunction: TypeAlias = Named
    Algorithm: TypeAlias = Named
    Aggregation: TypeAlias = Named
    ServerStep: TypeAlias = Named
    ContributionMethod: TypeAlias = Named
    Merging: TypeAlias = Named
    Personalization: TypeAlias = Named
else:
    Strategy = _choice(StrategyShare, strategies)
    MechanismChoice = _choice(Named, mechanisms)
    Participation = _choice(Named, participation_rules)
    Adaptation = _choice(Named, adaptation_rules)
    Confirmation = _choice(Named, confirmation_rules)
    Distribution = Annotated[_choice(Named, distributions, "kind"), BeforeValidator(_from_number)]
    StalenessFunction = _choice(Named, staleness_functions)
    Algorithm = Annotated[Named, BeforeValidator(partial(_bare_name, algorithms))]
    Aggregation = Annotated[Named, BeforeValidator(partial(_bare_name, robust_rules))]
    ServerStep = Annotated[Named, BeforeValidator(partial(_bare_name, server_optimizers))]
    ContributionMethod = Annotated[Named, BeforeValidator(partial(_bare_name, contribution_methods))]
    Merging = Annotated[Named, BeforeValidator(partial(_bare_name, merging_rules))]
    Personalization = Annotated[Named, BeforeValidator(partial(_bare_name, personalization_methods))]
    Partition = _choice(Named, partitions, skip=("labels", "shards", "streams", "groups"))


class PrivateTypes(Spec):
    """The private type of a data owner, drawn once per person."""

    cost: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "lognormal", "median": 0.01, "sigma": 0.3}),
        description="money per trained sample",
    )
    compute_rate: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "lognormal", "median": 20.0, "sigma": 0.5}),
        description="samples trained per second",
    )
    link_time: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "lognormal", "median": 2.0, "sigma": 0.5}),
        description="mean seconds to upload one model",
    )
    think_time: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "lognormal", "median": 1.0, "sigma": 0.5}),
        description="mean seconds before an answer leaves the owner",
    )
    model_value: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 0.5}),
        description="money per round that a perfect model is worth to the owner (chance level: 0)",
    )
    outside_option: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 0.1}),
        description="money per round earned when not taking part",
    )
    wealth: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 20.0}),
        description="money brought along on first arrival",
    )
    gain_scale: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 0.0}),
        description="K: n samples of its own and m of others' are worth sqrt(K/n) - sqrt(K/(n+m)) money a round",
    )
    sharing_cost: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 0.0}),
        description="money lost each time that another owner imports its model (for mechanisms that share models)",
    )


class PopulationSpec(Spec):
    """Who is there, who comes, and how they decide."""

    initial: Annotated[int, Field(ge=1)] = Field(40, description="persons that arrive when the run starts")
    arrival_rate: Annotated[float, Field(ge=0, le=1e6)] = Field(0.0, description="further persons per window (Poisson)")
    arrival_times: tuple[Annotated[float, Field(ge=0, le=1e12)], ...] = Field(
        (), description="further arrivals at these seconds (a trace)"
    )
    departure_rate: Annotated[float, Field(ge=0, le=1e6)] = Field(
        0.0, description="chance departures per owner and window, whatever they earn"
    )
    strategies: tuple[Strategy, ...] = Field(
        (StrategyShare(name="honest"),), min_length=1, description="strategies with their shares of those who arrive"
    )
    assignment: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (),
        description="number of the strategy (from 0) of persons 0, 1, ...; those beyond the list draw by share",
    )
    types: PrivateTypes = Field(default_factory=PrivateTypes, description="distributions of the private type")
    participation: Participation = Field(
        default_factory=lambda: Named(name="strict"), description="rule to join, stay, exit and return"
    )
    adaptation: Adaptation = Field(
        default_factory=lambda: Named(name="none"), description="rule to change strategy over time"
    )
    confirmation: Confirmation = Field(
        default_factory=lambda: Named(name="always"),
        description="rule to pay the bill or quit, where the mechanism lets owners choose",
    )

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, data: Any) -> Any:
        return _tuples(data, "strategies", "arrival_times", "assignment")

    @model_validator(mode="after")
    def _assignment_fits(self) -> PopulationSpec:
        for number in self.assignment:
            if number >= len(self.strategies):
                expected = f"below {len(self.strategies)}, the number of strategies"
                raise _problem("assignment", number, expected)
        return self


def _tuples(data: Any, *names: str) -> Any:
    """YAML knows lists only; the schema is frozen and keeps tuples."""
    if isinstance(data, dict):
        return {key: tuple(item) if key in names and isinstance(item, list) else item for key, item in data.items()}
    return data


class DataSpec(Spec):
    """The data, how it is spread over the owners, and how good it truly is."""

    dataset: Annotated[str | Named, AfterValidator(_dataset)] = Field(
        "digits", description="registered name, bare or with its parameters, or path to .npz"
    )
    partition: Partition = Field(
        default_factory=lambda: Named.model_validate({"name": "dirichlet", "alpha": 0.5}),
        description="how samples are dealt to shards",
    )
    shards: Annotated[int, Field(ge=1)] | None = Field(
        None, description="shards dealt; person k holds shard k modulo this (default: one per initial person)"
    )
    quality: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "uniform", "low": 0.6, "high": 1.0}),
        description="true quality of a shard, 0 to 1",
    )
    max_label_noise: Probability = Field(0.3, description="share of wrong labels at quality 0")
    max_class_loss: Probability = Field(0.0, description="share of the classes lost at quality 0")
    max_duplicates: Probability = Field(0.0, description="share of samples that are copies of others at quality 0")
    max_feature_noise: Annotated[float, Field(ge=0, le=100)] = Field(
        1.0, description="feature noise at quality 0, in standard deviations"
    )
    train_limit: Annotated[int, Field(ge=1)] | None = Field(None, description="use only the first training samples")
    test_limit: Annotated[int, Field(ge=1)] | None = Field(None, description="use only the first test samples")


class PrivacySpec(Spec):
    """What is done to each trained update before it leaves its owner. No privacy loss is accounted for yet."""

    clip: Positive | None = Field(None, description="largest L2 norm of an update, in units of weights (null: any)")
    noise_multiplier: NotNegative = Field(
        0.0, description="standard deviation of the Gaussian noise on each weight of an update, in units of clip"
    )

    @model_validator(mode="after")
    def _noise_needs_clip(self) -> PrivacySpec:
        if self.noise_multiplier > 0 and self.clip is None:
            raise _problem(
                "noise_multiplier", self.noise_multiplier, "the noise is in units of clip, so clip is needed"
            )
        return self


class MeasurementSpec(Spec):
    """What a contribution is counted in, and how much work may go into measuring it."""

    worth: Literal["accuracy", "negative_loss"] = Field(
        "accuracy", description="worth of some uploads' mean: its test accuracy (0 to 1) or its negative loss (nats)"
    )
    max_evaluations: Annotated[int, Field(ge=2)] | None = Field(
        None, description="models tested at most per measurement (default: as the method's parameters say)"
    )
    half_width: Positive | None = Field(
        None, description="sampling stops at confidence intervals this wide to either side, in units of the worth"
    )
    level: Annotated[float, Field(gt=0, lt=1)] = Field(0.95, description="level of these confidence intervals")


class LearningSpec(Spec):
    """The federated training that really runs."""

    enabled: bool = Field(True, description="false plays the market without training: no accuracy, no uploads")
    model: str | Named = Field("softmax", description="registered model, bare or with its parameters")
    epochs: Annotated[int, Field(ge=1)] = Field(1, description="local epochs per round")
    batch_size: Annotated[int, Field(ge=1, le=65536)] = Field(10, description="samples per local step")
    learning_rate: Positive = Field(0.1, description="local SGD step size")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="momentum of the local SGD")
    weight_decay: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="weight decay of the local SGD")
    algorithm: Algorithm = Field(
        default_factory=lambda: Named(name="fedavg"), description="algorithm of federated optimization"
    )
    aggregation: Aggregation = Field(
        default_factory=lambda: Named(name="mean"), description="rule that makes one model of the uploads"
    )
    server: ServerStep = Field(
        default_factory=lambda: Named.model_validate({"name": "fedavg", "learning_rate": 1.0}),
        description="optimizer of the server's step to that model",
    )
    personalization: Personalization | None = Field(
        None, description="how owners with models of their own learn from each other (null: one global model)"
    )
    privacy: PrivacySpec = Field(default_factory=PrivacySpec)
    contribution: ContributionMethod = Field(
        default_factory=lambda: Named.model_validate({"name": "shapley", "permutations": 20, "tolerance": 0.01}),
        description="how contributions are measured, where the mechanism asks for them",
    )
    measurement: MeasurementSpec = Field(default_factory=MeasurementSpec)
    backend: Literal["auto", "measured", "loop", "linear", "conv", "vmap", "loop_bf16", "compiled"] = Field(
        "auto",
        description="how a cohort is trained: auto goes by model and device, measured by a trial on this machine",
    )
    chunk: Annotated[int, Field(ge=1)] | None = Field(
        None, description="owners trained at once (default: as the back-end is chosen)"
    )
    threads: Annotated[int, Field(ge=1)] = Field(1, description="torch threads")


class RoundSpec(Spec):
    """Deadlines and the treatment of late updates."""

    report_deadline: Seconds = Field(10.0, description="seconds from opening until reports are due")
    train_deadline: Seconds = Field(40.0, description="seconds from the plan until updates are due")
    late: Literal["drop", "wait", "buffer"] = Field(
        "drop", description="late updates: dropped, waited for, or aggregated whenever enough have come (asynchronous)"
    )
    buffer_size: Annotated[int, Field(ge=1)] = Field(10, description="updates per aggregation when late is buffer")
    merging: Merging = Field(
        default_factory=lambda: Named(name="fedbuff"), description="what is made of the buffer's updates"
    )
    staleness: StalenessFunction = Field(
        default_factory=lambda: Named.model_validate({"name": "polynomial", "exponent": 0.5}),
        description="what counts of an update that started from an older version",
    )
    invited: Annotated[int, Field(ge=1)] | None = Field(None, description="owners invited per round (default: all)")


class MarketSpec(Spec):
    """The mechanism and the model owner's purse."""

    mechanism: MechanismChoice = Field(
        default_factory=lambda: Named(name="proportional"), description="how owners are selected and paid"
    )
    budget: Money = Field(20.0, description="money the model owner offers per round, while its purse lasts")
    treasury: Money = Field(1000.0, description="money the model owner starts with")
    revenue: Money = Field(30.0, description="money per round that a perfect model earns the model owner")
    neighbours: Annotated[int, Field(ge=0, le=1000)] = Field(4, description="owners that a newcomer shares models with")


class EnforcementSpec(Spec):
    """Deposits, audits, sanctions and standing."""

    deposit: Money = Field(0.0, description="money locked per owner while it is in the market")
    admission_fee: Money = Field(0.0, description="money paid to the regulator at each join")
    audit_rate: Probability = Field(0.0, description="chance that an owner's round is audited")
    detection_rate: Probability = Field(1.0, description="chance that an audit finds a violation")
    false_alarm_rate: Probability = Field(0.0, description="chance that an audit blames an honest round")
    tolerance: Annotated[float, Field(ge=0, le=1e6)] = Field(
        0.05, description="relative deviation of a claim that is not yet a lie"
    )
    slash_share: Probability = Field(1.0, description="share of the deposit taken from who is found guilty")
    audit_cost: Money = Field(0.0, description="money that one audit costs the regulator")
    initial_reputation: Probability = Field(0.5, description="standing of a new identity")
    reputation_gain: Probability = Field(0.05, description="share of the way to 1 gained in a clean round")
    reputation_loss: Probability = Field(0.5, description="share of the standing lost when found guilty")
    reputation_decay: Probability = Field(0.0, description="share of the way back to the initial standing per round")
    probation_rounds: Annotated[int, Field(ge=0)] = Field(0, description="rounds without sharing after a guilty audit")
    expel_after: Annotated[int, Field(ge=0)] = Field(0, description="guilty audits that end in expulsion (0: never)")
    expel_below: Probability = Field(0.0, description="standing below which an owner is expelled")


class CentersSpec(Spec):
    """Computing centers that train for the owners; without any, owners train on their own devices."""

    count: Annotated[int, Field(ge=0)] = Field(0, description="computing centers")
    slots: Annotated[int, Field(ge=1)] = Field(4, description="trainings that one center runs at once")
    rate: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 200.0}),
        description="samples per second of one slot, drawn per center",
    )
    cost_factor: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 1.0}),
        description="what a unit of work costs a center beside others (for mechanisms that pay centers)",
    )


class RecordingSpec(Spec):
    """What is written beside the events."""

    owners_every: Annotated[int, Field(ge=1)] = Field(1, description="rounds between rows of the owners table")
    owners_sample: Annotated[int, Field(ge=1)] | None = Field(None, description="owners recorded (default: all)")
    edges_every: Annotated[int, Field(ge=1)] = Field(1, description="rounds between records of the graph")
    network_every: Annotated[int, Field(ge=1)] = Field(
        5, description="rounds between rows of the network table, the graph's key figures (personal models only)"
    )


class Scenario(Spec):
    """One experiment."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=80)] = Field(
        "scenario", description="short name: lower-case letters, digits, - and _"
    )
    title: str = Field("", description="one line")
    description: str = Field("", description="what the scenario shows")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(1, description="root of every random number")
    horizon: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        60, description="windows to play; a round opens with each window"
    )
    window: Annotated[float, Field(ge=0.001, le=1e6)] = Field(60.0, description="simulated seconds per window")
    population: PopulationSpec = Field(default_factory=PopulationSpec)
    data: DataSpec = Field(default_factory=DataSpec)
    learning: LearningSpec = Field(default_factory=LearningSpec)
    round: RoundSpec = Field(default_factory=RoundSpec)
    market: MarketSpec = Field(default_factory=MarketSpec)
    enforcement: EnforcementSpec = Field(default_factory=EnforcementSpec)
    centers: CentersSpec = Field(default_factory=CentersSpec)
    recording: RecordingSpec = Field(default_factory=RecordingSpec)

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        # At the very end of a window the next round opens, and the last one of the run would not be settled.
        if self.round.late != "wait" and self.round.report_deadline + self.round.train_deadline >= self.window:
            raise _problem(
                "round.train_deadline",
                self.round.train_deadline,
                f"report_deadline + train_deadline must be below the window of {self.window:g} s",
            )
        mechanism = self.market.mechanism
        built = mechanisms()[mechanism.name](**mechanism.params)
        if not self.learning.enabled and built.measures:
            raise _problem(
                "market.mechanism.name",
                self.market.mechanism.name,
                "this mechanism measures what is trained, so learning must be enabled",
            )
        _check_personal(self, built)
        return self


def _check_personal(scenario: Scenario, mechanism: object) -> None:
    """Personal models and markets for them go together."""
    from market.mechanism import ModelMarket

    method, name = scenario.learning.personalization, scenario.market.mechanism.name
    if isinstance(mechanism, ModelMarket) and method is None:
        known = "proximal_centre" if name == "ipfl" else "fedamp"
        raise _problem(
            "learning.personalization", None, f"is missing: {name} needs owners with models of their own, as {known}"
        )
    if method is None:
        return
    if not isinstance(mechanism, ModelMarket):
        raise _problem(
            "market.mechanism.name",
            name,
            "this mechanism pays for one global model, but learning.personalization gives each owner its own: "
            "ipfl or model_sharing",
        )
    if name == "model_sharing" and method.name == "proximal_centre":
        raise _problem(
            "learning.personalization.name",
            method.name,
            "a method that decides by itself who uses whose model, as fedamp",
        )
    if scenario.round.late == "buffer":
        raise _problem("round.late", "buffer", "drop or wait: personal models are exchanged once a round")
    for field in ("algorithm", "aggregation", "server"):
        chosen, usual = (
            getattr(scenario.learning, field),
            LearningSpec.model_fields[field].get_default(call_default_factory=True),
        )
        if chosen.name != usual.name:
            raise _problem(
                f"learning.{field}.name",
                chosen.name,
                f"{usual.name}, for there is no global model to be made of uploads (learning.personalization decides)",
            )
