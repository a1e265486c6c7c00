"""The scenario: every parameter of a run, with its meaning, unit, bounds and default.

A scenario file is this schema written in YAML. Names (strategies, mechanisms, data sets, ...) come from the
registries; whatever else stands beside a name is a parameter of that thing and is checked against its signature.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from scenarios import registries
from scenarios.arrival_checks import check_arrivals
from scenarios.choices import (
    Adaptation,
    AdmissionChoice,
    Aggregation,
    Algorithm,
    AppealChoice,
    ArrivalProcess,
    AuditPolicyChoice,
    BanChoice,
    Competition,
    Confirmation,
    ContributionMethod,
    DataGenerator,
    DepositChoice,
    DetectorChoice,
    Distribution,
    FaultChoice,
    MechanismChoice,
    Merging,
    Named,
    Participation,
    Partition,
    Patience,
    Personalization,
    RegulationChoice,
    ServerStep,
    SharingCost,
    SlashingChoice,
    StalenessFunction,
    Strategy,
    StrategyShare,
    check_dataset,
    problem_at,
)
from scenarios.enforcement_checks import check_effect, check_enforcement
from scenarios.fault_checks import check_faults
from scenarios.generation_checks import check_generation, check_generation_is_used
from scenarios.personal_checks import check_personal, one_lambda
from scenarios.privacy_checks import check_privacy, check_sample

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Money = Annotated[float, Field(ge=0, le=1e6)]
Seconds = Annotated[float, Field(gt=0, le=1e6)]


class Spec(BaseModel):
    """Base of every part: unknown keys and wrong types are refused, infinities and NaN too."""

    # Defaults are validated like anything else, which fills in the parameters of what they name.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True)


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
    sharing_cost: SharingCost = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 0.0}),
        description="money lost each time that another owner imports its model (null: it never sells)",
    )
    valuation: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 1.0}),
        description="money that a unit of privacy loss (epsilon) costs; more with population.valuation_rule",
    )
    privacy_budget: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 1.0}),
        description="most epsilon that it sells in one round (for mechanisms that buy privacy)",
    )
    lifetime_privacy: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 1e6}),
        description="epsilon that it will lose at most in all rounds together, as the ledger adds up (1e6: any)",
    )
    generation_cost: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 0.0}),
        description="money per synthetic sample, to generate it and to train on it",
    )
    profitability: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 0.0}),
        description="money per round that a model of accuracy 1 earns among rivals (for mechanisms that know them)",
    )


class ValuationRule(Spec):
    """What is added to the drawn valuation: accuracy * quality / epsilon + data * samples + non_iid * distance.

    Equation 16 of arXiv 2603.28329. ``quality`` of the data in [0, 1] stands for the accuracy that an owner could
    reach alone, epsilon is its drawn privacy budget, and distance is the total variation between the classes of its
    data and everybody's, in [0, 1].
    """

    accuracy: Money = Field(0.0, description="money: valuation gained is this * quality / privacy budget")
    data: Money = Field(0.0, description="money per epsilon and sample held")
    non_iid: Money = Field(0.0, description="money per epsilon for data that have no class in common with the others'")


class PopulationSpec(Spec):
    """Who is there, who comes, and how they decide."""

    initial: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        40, description="persons that arrive when the run starts"
    )
    arrival_rate: Annotated[float, Field(ge=0, le=1e6)] = Field(0.0, description="further persons per window (Poisson)")
    arrival_times: tuple[Annotated[float, Field(ge=0, le=1e12)], ...] = Field(
        (), description="further arrivals at these seconds (a trace)"
    )
    arrivals: tuple[ArrivalProcess, ...] = Field((), description="further processes by which persons arrive")
    regions: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        1, description="regions that persons live in, by lot (network partitions cut them off)"
    )
    departure_rate: Annotated[float, Field(ge=0, le=1e6)] = Field(
        0.0, description="chance departures per owner and window, whatever they earn"
    )
    valuation_rule: ValuationRule = Field(default_factory=ValuationRule)
    sold_out: Literal["wait", "leave"] = Field(
        "wait", description="what an owner does that has no privacy left to sell: stay without answering, or leave"
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
    patience: Patience = Field(
        default_factory=lambda: Named(name="in_a_row"), description="how disappointing rounds are counted"
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
        return _tuples(data, "strategies", "arrival_times", "arrivals", "assignment")

    @model_validator(mode="after")
    def _assignment_fits(self) -> PopulationSpec:
        for number in self.assignment:
            if number >= len(self.strategies):
                expected = f"below {len(self.strategies)}, the number of strategies"
                raise problem_at("assignment", number, expected)
        return self


def _tuples(data: Any, *names: str) -> Any:
    """YAML knows lists only; the schema is frozen and keeps tuples."""
    if isinstance(data, dict):
        return {key: tuple(item) if key in names and isinstance(item, list) else item for key, item in data.items()}
    return data


class DataSpec(Spec):
    """The data, how it is spread over the owners, and how good it truly is."""

    dataset: Annotated[str | Named, AfterValidator(check_dataset)] = Field(
        "digits", description="registered name, bare or with its parameters, or path to .npz"
    )
    partition: Partition = Field(
        default_factory=lambda: Named.model_validate({"name": "dirichlet", "alpha": 0.5}),
        description="how samples are dealt to shards",
    )
    shards: Annotated[int, Field(ge=1, le=10_000_000)] | None = Field(
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
    """What is done to each trained update before it leaves its owner.

    Where the mechanism buys privacy, the noise of each owner follows from the epsilon that it sold, and what it loses
    is added up (``epsilon_spent`` of the owners table). Otherwise the noise is everybody's, and nothing is added up.
    """

    clip: Positive | None = Field(None, description="largest L2 norm of an update, in units of weights (null: any)")
    noise_multiplier: NotNegative = Field(
        0.0, description="standard deviation of the Gaussian noise on each weight of an update, in units of clip"
    )
    delta: Annotated[float, Field(gt=0, lt=1)] = Field(1e-5, description="chance that the promised epsilon fails")
    mechanism: Literal["gaussian_analytic", "gaussian_classical", "laplace"] = Field(
        "gaussian_analytic", description="noise for a sold epsilon (Laplace noise needs no delta and clips in L1)"
    )
    neighbours: Literal["replace_one", "add_remove"] = Field(
        "replace_one", description="what epsilon hides: any two data sets of an owner, or its part in a sum of uploads"
    )
    weights: Literal["data_size", "uniform", "epsilon", "epsilon_squared", "least_error"] = Field(
        "epsilon", description="how uploads of unequal noise count in the aggregate, by the epsilon sold"
    )
    bias_weight: NotNegative = Field(
        1.0, description="least_error only: what a weight unlike the data shares costs beside noise"
    )

    @model_validator(mode="after")
    def _noise_needs_clip(self) -> PrivacySpec:
        if self.noise_multiplier > 0 and self.clip is None:
            raise problem_at(
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


class GenerationSpec(Spec):
    """Synthetic data: what owners make them with, and how long that takes."""

    generator: DataGenerator = Field(
        default_factory=lambda: Named(name="gaussian_mixture"), description="what is trained to make samples"
    )
    public: Annotated[int, Field(ge=0)] = Field(
        0, description="training samples set apart for one generator that all use (0: each trains one on its own data)"
    )
    fit_seconds: NotNegative = Field(0.0, description="seconds that training the generator takes, in each round")
    seconds_per_sample: NotNegative = Field(0.0, description="seconds to make one sample")


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
    generation: GenerationSpec | None = Field(None, description="how owners make synthetic data (null: they make none)")
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
    trained_sample: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="updates of a round that are really trained, by lot, for very large markets: the model is made of "
        "these, and the others count as sent (default: all)",
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
    divergence: Annotated[float, Field(ge=1, le=1e12)] | None = Field(
        None, description="put uploads aside whose change is larger than so many typical ones (default: none)"
    )


class MarketSpec(Spec):
    """The mechanism and the model owner's purse."""

    mechanism: MechanismChoice = Field(
        default_factory=lambda: Named(name="proportional"), description="how owners are selected and paid"
    )
    budget: Money = Field(20.0, description="money the model owner offers per round, while its purse lasts")
    treasury: Money = Field(1000.0, description="money the model owner starts with")
    revenue: Money = Field(30.0, description="money per round that a perfect model earns the model owner")
    neighbours: Annotated[int, Field(ge=0, le=1000)] = Field(4, description="owners that a newcomer shares models with")
    competition: Competition | None = Field(None, description="who competes with whom (null: nobody)")


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
    server_fee: Probability = Field(0.0, description="share of an owner's earnings in a round that the regulator gets")
    audit_policy: AuditPolicyChoice = Field(
        default_factory=lambda: Named(name="random"), description="how the audits of a round are shared out"
    )
    detectors: tuple[DetectorChoice, ...] = Field(
        (), description="what audits read in uploads (none: they err at detection_rate and false_alarm_rate)"
    )
    votes: Annotated[int, Field(ge=1)] = Field(1, description="detectors that must flag an owner to find it guilty")
    slashing: SlashingChoice = Field(
        default_factory=lambda: Named(name="proportional"), description="how much of its deposit a guilty owner loses"
    )
    admission: AdmissionChoice = Field(
        default_factory=lambda: Named(name="flat"), description="what an owner pays when it joins"
    )
    deposits: DepositChoice = Field(
        default_factory=lambda: Named(name="flat"), description="how much each owner has to lock"
    )
    ban: BanChoice = Field(
        default_factory=lambda: Named.model_validate({"name": "identity", "rounds": 0}),
        description="whom an expulsion keeps out, and for how long",
    )
    appeal: AppealChoice | None = Field(None, description="second look at guilty verdicts (null: none)")
    regulation: RegulationChoice = Field(
        default_factory=lambda: Named(name="fixed"), description="how the regulator tunes the audit rate or the rules"
    )

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, data: Any) -> Any:
        return _tuples(data, "detectors")


class CentersSpec(Spec):
    """Computing centers that train for the owners; without any, owners train on their own devices."""

    count: Annotated[int, Field(ge=0, le=1_000_000)] = Field(0, description="computing centers")
    slots: Annotated[int, Field(ge=1, le=1_000_000)] = Field(4, description="trainings that one center runs at once")
    rate: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 200.0}),
        description="samples per second of one slot, drawn per center",
    )
    cost_factor: Distribution = Field(
        default_factory=lambda: Named.model_validate({"name": "constant", "value": 1.0}),
        description="what a unit of work costs a center beside others (for mechanisms that pay centers)",
    )


class Intervention(Spec):
    """Policy levers that are turned while the run goes on."""

    round: Annotated[int, Field(ge=0)] = Field(description="round at whose opening the levers are turned")
    set: dict[str, Any] = Field(description="new values by dotted path, such as enforcement.audit_rate")


class RecordingSpec(Spec):
    """What is written beside the events."""

    owners_every: Annotated[int, Field(ge=1)] = Field(1, description="rounds between rows of the owners table")
    owners_sample: Annotated[int, Field(ge=1)] | None = Field(None, description="owners recorded (default: all)")
    edges_every: Annotated[int, Field(ge=1)] = Field(1, description="rounds between records of the graph")
    network_every: Annotated[int, Field(ge=1)] = Field(
        5, description="rounds between rows of the network table, the graph's key figures (personal models only)"
    )


WITHIN_A_RUN = "within a run"
"""Context of validation: the scenario says what holds from some round on, so what only earlier or later rounds use
stands there as well."""


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
    faults: tuple[FaultChoice, ...] = Field((), description="what goes wrong, each a kind of fault with its parameters")
    interventions: tuple[Intervention, ...] = Field(
        (), description="levers turned during the run, each {round: k, set: {path: value}}, in the order of rounds"
    )

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, data: Any) -> Any:
        return _tuples(data, "interventions", "faults")

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Scenario:
        from market.mechanism import OWN_PERFORMANCE

        # At the very end of a window the next round opens, and the last one of the run would not be settled.
        if self.round.late != "wait" and self.round.report_deadline + self.round.train_deadline >= self.window:
            raise problem_at(
                "round.train_deadline",
                self.round.train_deadline,
                f"report_deadline + train_deadline must be below the window of {self.window:g} s",
            )
        mechanism = self.market.mechanism
        built = registries.mechanisms()[mechanism.name](**mechanism.params)
        if not self.learning.enabled and set(built.measures) - {OWN_PERFORMANCE}:
            raise problem_at(
                "market.mechanism.name",
                self.market.mechanism.name,
                "this mechanism measures what is trained, so learning must be enabled",
            )
        check_sample(self, built)
        check_personal(self, built)
        check_privacy(self, built)
        check_generation(self, built)
        check_enforcement(self, built)
        if not info.context:  # else a scenario whose levers have been turned, perhaps to zero
            check_effect(self)
        check_arrivals(self)
        check_faults(self)
        whole = one_lambda(self)
        if self.interventions:
            from scenarios.interventions import check_interventions

            if wrong := check_interventions(whole):
                field = ".".join(map(str, wrong.field))
                raise problem_at(field, wrong.value, wrong.problem or f"Input should be {wrong.expected}")
        if info.context != WITHIN_A_RUN:
            check_generation_is_used(self)
        return whole
