"""The state of one run, in one place: columns, ledger, graph, training, clock. Phases are functions of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from agents.adaptation import Adaptation
from agents.confirmation import Confirmation
from agents.participation import Participation, Patience
from agents.population import Population, Status
from agents.private_types import Distribution
from agents.strategies.base import Strategy
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.streams import Streams
from market.enforcement import EnforcementPolicy
from market.graph import CollaborationGraph
from market.graph_metrics import EdgeColumns
from market.ledger import WALLET, Book, Entries, Ledger
from market.mechanism import PRIVACY_BUDGET, Board, Generating, LabelMixes, Mechanism, Terms
from scenarios.engine.clock import Clock, to_ticks
from scenarios.engine.decisions import Decisions
from scenarios.engine.event_log import EventLog
from scenarios.engine.flights import Flights
from scenarios.schema import Scenario

if TYPE_CHECKING:
    from agents.computing_center import ComputingCenter
    from agents.model_owner import ModelOwner
    from agents.regulator import Regulator
    from learning.evaluation import Evaluation
    from learning.federation import Federation
    from learning.generation.speed import GenerationSpeed
    from learning.personal_federation import PersonalFederation
    from market.cocogen.rivalry import Rivalry
    from scenarios.engine.fault_list import Faults
    from scenarios.engine.personal import Uploaded
    from scenarios.engine.privacy import PrivacyAccounts
    from scenarios.engine.sub_shards import SubShards


@dataclass
class Round:
    """The round in progress. ``invited``, ``stays`` (in which each was invited), ``decisions``, ``reported`` align."""

    number: int
    opened_tick: int
    window: int
    board: Board
    terms: Terms
    invited: IntColumn
    stays: IntColumn
    decisions: Decisions
    reported: BoolColumn
    planned: bool = False
    selected: int = 0


@dataclass
class Tally:
    """What has happened since the last settlement, for the next row of the rounds table."""

    left_midway: int = 0
    forfeited: float = 0.0  # what owners that left before the settlement spent on training and lost in privacy, money
    epsilon_forfeited: float = 0.0  # privacy loss of theirs that was merged already
    fees: float = 0.0  # admission fees, money
    staleness: list[FloatColumn] = field(default_factory=list)
    late: int = 0
    quarantined: int = 0  # uploads that were put aside


@dataclass
class Totals:
    """Sums over the run, for the runs table and the live view."""

    joins: int = 0
    exits: int = 0
    expulsions: int = 0
    bankruptcies: int = 0
    participants: int = 0
    owner_utility: float = 0.0
    model_owner_utility: float = 0.0
    welfare: float = 0.0
    paid: float = 0.0
    slashed: float = 0.0
    best_accuracy: float = float("nan")


Write = Callable[[str, Mapping[str, object]], None]


@dataclass
class World:
    """Everything a phase reads and writes. ``rounds_closed`` counts settled rounds and numbers the next one.

    ``scenario`` is what is in force: its values change with the interventions that have been made.
    """

    scenario: Scenario
    streams: Streams
    population: Population
    ledger: Ledger
    graph: CollaborationGraph
    log: EventLog
    flights: Flights
    mechanism: Mechanism
    strategies: list[Strategy]
    strategy_names: list[str]
    participation: Participation
    adaptation: Adaptation
    confirmation: Confirmation
    policy: EnforcementPolicy
    model_owner: ModelOwner
    regulator: Regulator
    centers: list[ComputingCenter]
    center_types: dict[str, FloatColumn]
    federation: Federation | None  # the training of one global model
    personal: PersonalFederation | None  # or of everybody's own
    board: Board
    types: dict[str, Distribution]
    shard_sizes: IntColumn
    shard_quality: FloatColumn
    shard_emd: FloatColumn
    sub_shards: SubShards  # parts of shards, for persons with several identities at once
    accounts: PrivacyAccounts | None  # what persons have sold, since a mechanism has bought privacy
    shard_labels: LabelMixes  # classes in each shard
    write: Write
    on_leave: Callable[[int], None]
    patience: Patience
    rivalry: Rivalry | None = None  # who competes with whom
    speed: GenerationSpeed | None = None  # how long synthetic data take
    faults: Faults | None = None  # what goes wrong, if anything does
    clock: Clock = field(init=False)
    private_types: dict[str, FloatColumn] = field(default_factory=dict)
    arrival_rates: list[tuple[float, float]] = field(default_factory=list)  # persons per window, since which tick
    trace_ends: IntColumn = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # by person, tick or NEVER
    round: Round | None = None
    terms: Terms | None = None  # announced last; they hold until the next round opens
    rounds_closed: int = 0
    intervened: int = 0  # interventions of the scenario that have been made
    persons: int = 0
    tally: Tally = field(default_factory=Tally)
    totals: Totals = field(default_factory=Totals)
    evaluation: Evaluation | None = None
    uploads_norm: float = float("nan")
    backdoor_success: float = float("nan")  # of the triggered test samples, where anybody may plant a backdoor
    uploaded: Uploaded | None = None  # personal models between training and exchange
    records: dict[str, FloatColumn] = field(default_factory=dict)  # what the mechanism has put on record, by owner
    remembered: dict[str, float] = field(default_factory=dict)  # what it has noted of the market as a whole
    pictured: bool = False  # generated images have been kept
    network: EdgeColumns | None = None  # who used whose model when the network was last looked at
    last_row: dict[str, object] = field(default_factory=dict)

    @property
    def privacy(self) -> PrivacyAccounts | None:
        """The accounts, while the mechanism buys privacy."""
        return self.accounts if PRIVACY_BUDGET in self.mechanism.needs else None

    @property
    def labels(self) -> LabelMixes | None:
        """Classes in each shard, for mechanisms with synthetic data."""
        return self.shard_labels if isinstance(self.mechanism, Generating) else None

    @property
    def several(self) -> bool:
        """Whether anybody has several identities at once."""
        return bool(self.sub_shards.first)

    @property
    def training(self) -> Federation | PersonalFederation | None:
        """What trains, if anything does."""
        return self.federation if self.personal is None else self.personal

    @property
    def accuracy(self) -> float:
        """Test accuracy of the current global model, or mean accuracy of the personal ones; NaN without training."""
        return self.evaluation.accuracy if self.evaluation is not None else float("nan")

    @property
    def window_ticks(self) -> int:
        """Length of a reporting window in ticks."""
        return to_ticks(self.scenario.window)

    def post(
        self,
        tick: int | IntColumn,
        kind: str,
        payer: ArrayLike,
        payee: ArrayLike,
        amount: ArrayLike,
        *,
        payer_book: Book = WALLET,
        payee_book: Book = WALLET,
    ) -> None:
        """Book a batch of transfers of one kind; amounts in micro-units, single numbers stand for equal entries."""
        entries = Entries.of(kind, payer, payee, amount, payer_book=payer_book, payee_book=payee_book)
        self.ledger.post(tick, self.rounds_closed, entries)

    def still_invited(self) -> BoolColumn:
        """Which of the round's invited owners are still in the stay in which they were invited."""
        assert self.round is not None
        who, population = self.round.invited, self.population
        return np.asarray((population.status[who] == Status.ACTIVE) & (population.stay[who] == self.round.stays))

    def uniform(self, purpose: str, owners: IntColumn, counter: int | IntColumn) -> FloatColumn:
        """One uniform number per owner, keyed by its luck."""
        return self.streams.uniform(purpose, self.population.luck[owners], counter)

    def exponential(self, purpose: str, owners: IntColumn, counter: int | IntColumn) -> FloatColumn:
        """One exponential number of mean 1 per owner, keyed by its luck."""
        return np.asarray(-np.log(self.uniform(purpose, owners, counter)))

    def resolve(
        self, purpose: str, owners: IntColumn, counter: int | IntColumn, item: int | IntColumn = 0
    ) -> FloatColumn:
        """One uniform number per owner for coming or going, the same for those who do so together."""
        return self.streams.uniform(purpose, self.population.decider[owners], counter, item)

    def delay(
        self, purpose: str, owners: IntColumn, counter: int | IntColumn, item: int | IntColumn = 0
    ) -> FloatColumn:
        """One exponential number of mean 1 per owner until it comes or goes, likewise."""
        return np.asarray(-np.log(self.resolve(purpose, owners, counter, item)))
