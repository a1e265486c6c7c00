"""What a mechanism is: three moments and one advice, all on columns.

``announce(board) -> Terms``, ``plan(terms, reports) -> Allocation``, ``settle(terms, allocation, outcome) ->
Settlement`` and ``recommend(terms, types) -> Advice``. A mechanism is pure: it holds parameters, no state, no clock
and no random numbers, so it can be read beside its paper and checked without a simulation.

Every column of one call is aligned: entry k of each belongs to owner ``owner[k]``. Money is in units (floats) here;
the ledger counts it in integer micro-units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.registry import Registry

if TYPE_CHECKING:
    from market.cocogen.competition import CompetitionMatrix

DATA_SIZE, QUALITY, COST = "data_size", "quality", "cost"
GAIN_SCALE, SHARING_COST = "gain_scale", "sharing_cost"
VALUATION, PRIVACY_BUDGET = "valuation", "privacy_budget"
EMD, GENERATION_COST, PROFITABILITY = "emd", "generation_cost", "profitability"
FURTHER_CLAIMS = (GAIN_SCALE, SHARING_COST, VALUATION, PRIVACY_BUDGET, EMD, GENERATION_COST, PROFITABILITY)
CLAIMS = (DATA_SIZE, QUALITY, COST, *FURTHER_CLAIMS)
"""What an owner can claim: samples it holds, their quality in [0, 1], its cost per trained sample in money; how much
it values others' data (K in K^1/2 money per sample^1/2), and what it loses each time that another owner imports its
model, in money; what a unit of privacy loss (epsilon) costs it, in money, and the most epsilon that it sells now; how
far its label mix is from everybody's (L1, in [0, 2]), what a synthetic sample costs it, in money, and what a model of
accuracy 1 earns it in a round, in money."""
MEASURED_QUALITY = "measured_quality"
"""What can be measured: raw quality of an owner's data, the fall of its loss per sample in real training."""
CONTRIBUTION = "contribution"
"""What can be measured: how much each upload adds to the model, by the method that the scenario names."""
MODEL_DISTANCE = "model_distance"
"""What can be measured of personal models: the dissimilarity of every two uploads, a matrix."""
COLLABORATION = "collaboration"
"""What can be measured of personal models: what each would take of every other one by itself, a matrix."""
OWN_PERFORMANCE = "own_performance"
"""What can be measured: accuracy of the new model on the label mix of each owner, 0 to 1; without training, or where
the mechanism trusts a fitted curve, what that curve says of the truth."""
PAIRWISE = frozenset({MODEL_DISTANCE, COLLABORATION})
"""Measures that are matrices: row and column belong to an entry of the allocation each."""


@dataclass(frozen=True)
class LabelMixes:
    """Shares of the classes in the data of each owner, ``own`` [N, C], and of everybody, ``overall`` [C]."""

    own: NDArray[np.float64]
    overall: FloatColumn

    def take(self, rows: NDArray[Any]) -> LabelMixes:
        """Those of some of the owners."""
        return LabelMixes(self.own[rows], self.overall)


@dataclass(frozen=True)
class Members:
    """Public columns of the owners in the market, one entry each.

    ``owner``: id; ``claims``: its last claims by name, NaN before the first; ``measured``: what was last measured of
    it by name, NaN before; ``center``: number of the computing center that it is matched with, -1 for none;
    ``first_round``: the first round that it could take part in since it joined, and ``missed``: rounds before that one
    that it has missed; ``records``: what the mechanism has put on record about it (see
    ``Settlement.records``), NaN before. Where owners are rivals, ``competition`` holds the intensities among them, and
    ``labels`` the classes in their data.
    """

    owner: IntColumn
    claims: Mapping[str, FloatColumn]
    measured: Mapping[str, FloatColumn]
    center: IntColumn
    first_round: IntColumn = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    missed: IntColumn = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    records: Mapping[str, FloatColumn] = field(default_factory=dict)
    competition: CompetitionMatrix | None = None
    labels: LabelMixes | None = None

    def __len__(self) -> int:
        return len(self.owner)


@dataclass(frozen=True)
class Board:
    """The public board when a round opens: what every party may know.

    ``claimed`` and ``paid`` are the last settled round's totals (claim units as the mechanism weighs them; money);
    ``accuracy`` is the last published test accuracy, NaN before the first; ``update_norm`` is the median L2 norm of
    the last round's uploads, NaN before the first; ``budget`` is what the model owner can spend this round.
    ``deposit`` is locked per owner, ``fine`` is what a guilty verdict takes of it (money). ``members`` are there for
    mechanisms that ask for them; ``audited`` and ``guilty`` are how many owners were audited and found guilty in the
    last settled round, whoever they were; ``center_cost`` [M] is what the computing centers pay per unit of
    work, relative to each other; ``lot`` is a number drawn for the round, uniform in [0, 1), for mechanisms that leave
    things to chance; ``remembered`` is what the mechanism noted when it settled rounds (see ``Settlement.remembered``).
    """

    round: int
    budget: float
    participants: int = 0
    claimed: float = 0.0
    paid: float = 0.0
    accuracy: float = float("nan")
    chance: float = 0.0
    update_norm: float = float("nan")
    deposit: float = 0.0
    fine: float = 0.0
    audit_rate: float = 0.0
    detection_rate: float = 0.0
    admission_fee: float = 0.0
    members: Members | None = None
    center_cost: FloatColumn = field(default_factory=lambda: np.zeros(0))
    lot: float = 0.0
    remembered: Mapping[str, float] = field(default_factory=dict)
    audited: int = 0
    guilty: int = 0


@dataclass(frozen=True)
class Terms:
    """What the mechanism publishes when the round opens.

    ``figures`` and ``columns`` hold a mechanism's own numbers by name; ``measure`` says which of the mechanism's
    ``measures`` are taken this round (None: all). ``competition`` and ``labels``: of rivals, the owners of a column of
    the terms, the intensities that the round is settled by and the classes in their data.
    """

    round: int
    budget: float
    figures: Mapping[str, float] = field(default_factory=dict)
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    measure: tuple[str, ...] | None = None
    competition: CompetitionMatrix | None = None
    labels: LabelMixes | None = None


@dataclass(frozen=True)
class Types:
    """Types of some owners, as the advice needs them: samples, quality in [0, 1], money per trained sample.

    ``owner`` are their ids, to tell who is in the market already; empty where nobody is. ``further`` holds the types
    that only some mechanisms know, by the name of the claim (``FURTHER_CLAIMS``). ``competition_pressure`` is what each
    feels of its rivals in the market, intensities times their profitability (money), ``labels`` are the classes in its
    data, and ``competition`` the intensities among the owners given (``take`` drops them); None where of no matter.
    """

    data_size: FloatColumn
    quality: FloatColumn
    cost: FloatColumn
    owner: IntColumn = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    further: Mapping[str, FloatColumn] = field(default_factory=dict)
    competition_pressure: FloatColumn | None = None
    labels: LabelMixes | None = None
    competition: CompetitionMatrix | None = None

    @staticmethod
    def of(columns: Mapping[str, FloatColumn], owner: IntColumn) -> Types:
        """The types that these columns by the name of the claim tell: true ones or claimed ones."""
        further = {name: columns[name] for name in FURTHER_CLAIMS if name in columns}
        return Types(columns[DATA_SIZE], columns[QUALITY], columns[COST], owner, further)

    def take(self, rows: IntColumn) -> Types:
        """The types of some of the owners."""
        further = {name: column[rows] for name, column in self.further.items()}
        owner = self.owner[rows] if len(self.owner) else self.owner
        felt = None if self.competition_pressure is None else self.competition_pressure[rows]
        labels = None if self.labels is None else self.labels.take(rows)
        return Types(self.data_size[rows], self.quality[rows], self.cost[rows], owner, further, felt, labels)

    def column(self, name: str) -> FloatColumn:
        """A type by the name of its claim; zeros for a further one that is not given."""
        return self.further.get(name, np.zeros(len(self))) if name in FURTHER_CLAIMS else getattr(self, name)

    def __len__(self) -> int:
        return len(self.data_size)


@dataclass(frozen=True)
class Advice:
    """What a rational honest owner does under the announced terms: take part or not, with which share of its data.

    ``expected_payment`` (money) and ``expected_epsilon`` (privacy lost for it; None: none) assume that all the others
    do as they did in the last round. ``synthetic_volume``: samples to generate, where the mechanism knows synthetic
    data.
    """

    participate: BoolColumn
    data_share: FloatColumn
    expected_payment: FloatColumn
    expected_epsilon: FloatColumn | None = None
    synthetic_volume: FloatColumn | None = None


@dataclass(frozen=True)
class Reports:
    """What reached the mechanism by the deadline: claims by name, public standing, and the data share offered.

    ``synthetic_volume``: samples that owners offer to generate, None where nobody was asked.
    """

    owner: IntColumn
    claims: Mapping[str, FloatColumn]
    data_share: FloatColumn
    reputation: FloatColumn
    synthetic_volume: FloatColumn | None = None

    def __len__(self) -> int:
        return len(self.owner)


@dataclass(frozen=True)
class Allocation:
    """Who takes part, with which share of its data, and what it was promised (money, provisional).

    ``center`` is the computing center that an owner is matched with, -1 for none; without the column the owners
    spread over the centers by themselves. ``epsilon`` is the privacy loss that each sells in this round; None where
    privacy is not sold, so that what is trained is sent as it is. ``synthetic_volume``: samples that an owner is to
    generate; ``deposit``: money that it puts up from now to the settlement.
    """

    owner: IntColumn
    selected: BoolColumn
    data_share: FloatColumn
    promised: FloatColumn
    claims: Mapping[str, FloatColumn]
    center: IntColumn | None = None
    epsilon: FloatColumn | None = None
    synthetic_volume: FloatColumn | None = None
    deposit: FloatColumn | None = None

    def __len__(self) -> int:
        return len(self.owner)


@dataclass(frozen=True)
class Outcome:
    """What the round brought, aligned with the allocation.

    ``arrived``: the upload came in time; ``weight``: its share in the aggregate (sums to 1 over arrivals);
    ``measured``: the columns (or matrices, see ``PAIRWISE``) that the mechanism declared in ``measures``, 0 where
    nothing arrived; ``accuracy`` and ``previous_accuracy`` of the global model after and before the round (NaN when
    the round trained nothing); ``profitability``: what a perfect model really earns each (money; None: as claimed), for
    mechanisms under which the world pays for performance.
    """

    arrived: BoolColumn
    weight: FloatColumn
    accuracy: float
    previous_accuracy: float
    measured: Mapping[str, FloatColumn] = field(default_factory=dict)
    profitability: FloatColumn | None = None


@dataclass(frozen=True)
class Transfers:
    """Columns of payments in money; ``payer`` and ``payee`` are party numbers (``market.parties``)."""

    payer: IntColumn
    payee: IntColumn
    amount: FloatColumn

    def take(self, rows: BoolColumn) -> Transfers:
        """Some of the transfers."""
        return Transfers(self.payer[rows], self.payee[rows], self.amount[rows])

    @staticmethod
    def none() -> Transfers:
        empty = np.zeros(0, dtype=np.int64)
        return Transfers(empty, empty, np.zeros(0))


@dataclass(frozen=True)
class Edges:
    """Who used whose model this round: ``user`` and ``source`` are party numbers, ``payment`` in money.

    ``dissimilarity`` of the two models, where the mechanism measures it; None where it does not.
    """

    user: IntColumn
    source: IntColumn
    weight: FloatColumn
    payment: FloatColumn
    dissimilarity: FloatColumn | None = None

    def take(self, rows: BoolColumn) -> Edges:
        """Some of the edges."""
        apart = None if self.dissimilarity is None else self.dissimilarity[rows]
        return Edges(self.user[rows], self.source[rows], self.weight[rows], self.payment[rows], apart)


@dataclass(frozen=True)
class Settlement:
    """Transfers and edges of the round, and who is entitled to the new global model (aligned with the allocation).

    ``transfers`` are what the model owner pays; ``claimed`` is the total of claim units that shared it, for the next
    board. ``further`` are transfers between others by kind, made after it, in this order; who cannot pay one in full
    pays what it has. ``records`` (aligned with the allocation) is what the mechanism wants to be told about these
    owners when it next announces: it has no memory of its own. ``remembered`` are numbers by name that belong to no
    owner, and so stay whoever leaves; what an earlier round noted holds until it is noted anew.
    """

    transfers: Transfers
    edges: Edges
    delivered: BoolColumn
    claimed: float
    further: Mapping[str, Transfers] = field(default_factory=dict)
    records: Mapping[str, FloatColumn] = field(default_factory=dict)
    remembered: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Sharing:
    """What owners have of using each other's models in a round, in money; aligned with the allocation.

    ``gain``: worth of the models that an owner used; ``cost``: what it lost as others used its own.
    """

    gain: FloatColumn
    cost: FloatColumn


@dataclass(frozen=True)
class PaperUtility:
    """Utilities as a mechanism's source defines them, on true types, in money: they stand beside the realised ones.

    ``owners`` is aligned with the allocation; ``centers`` is the sum over computing centers.
    """

    model_owner: float
    owners: FloatColumn
    centers: float = 0.0


AMPLE_BUDGET = "ample_budget"
"""The budget covers everything that the mechanism would pay without a limit."""
SOMEBODY_EARNS = "somebody_earns"
"""At least one upload that arrived counts for something."""
TRAINS_ANYWAY = "trains_anyway"
"""Training is for an owner's own model in the first place, so that what it costs does not count."""
AMPLE_PRIVACY = "ample_privacy"
"""Every privacy budget reaches what the rule buys of an owner, so that nothing has to be cut to a budget."""
OVERSTATED = "overstated"
"""The claim is above the truth; claims below it may well pay."""


@dataclass(frozen=True)
class Guarantee:
    """A property that a mechanism's source proves and that the contract tests check on random markets.

    ``property``: ``individual_rationality``, ``incentive_compatibility``, ``budget_feasibility`` or
    ``budget_exhaustion``; ``lie``: for incentive compatibility, the claim that no owner gains by misreporting;
    ``when``: the condition that the property rests on, one of ``AMPLE_BUDGET``, ``SOMEBODY_EARNS``, ``TRAINS_ANYWAY``,
    ``AMPLE_PRIVACY`` and ``OVERSTATED``, if any.
    """

    property: str
    lie: str | None = None
    when: str | None = None


@runtime_checkable
class Mechanism(Protocol):
    """Protocol of every mechanism; see the module docstring for the moments."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    """Claims that must be reported."""
    measures: ClassVar[tuple[str, ...]]
    """What must be measured after training: any of ``CONTRIBUTION`` and ``MEASURED_QUALITY``."""
    watches_members: ClassVar[bool]
    """Whether the board must show the members."""
    guarantees: ClassVar[tuple[Guarantee, ...]]
    reference: ClassVar[str]

    def announce(self, board: Board) -> Terms: ...

    def recommend(self, terms: Terms, types: Types) -> Advice: ...

    def plan(self, terms: Terms, reports: Reports) -> Allocation: ...

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement: ...


@runtime_checkable
class Scored(Protocol):
    """A mechanism whose source defines utilities of its own."""

    def paper_utility(
        self,
        terms: Terms,
        allocation: Allocation,
        outcome: Outcome,
        settlement: Settlement,
        types: Types,
        trained: BoolColumn,
    ) -> PaperUtility:
        """``settlement`` as confirmed; ``trained`` says (truth) behind which uploads there is honest training.

        ``allocation`` has, in ``epsilon`` and ``synthetic_volume``, what was really lost and made (truth).
        """


@runtime_checkable
class Recorded(Protocol):
    """A mechanism some of whose own numbers have columns in the tables."""

    recorded: ClassVar[Mapping[str, str]]
    """By the name of the column: the figure of the terms (rounds table), or the record (owners table)."""


@runtime_checkable
class ModelMarket(Protocol):
    """A mechanism under which owners use each other's personal models, and confirm the bill before they get any."""

    def sharing(self, allocation: Allocation, edges: Edges, types: Types, behind: FloatColumn) -> Sharing:
        """What these edges are worth to owners of these types (aligned with the allocation, true ones).

        ``behind`` [K] are the samples that really stand behind each model.
        """


@runtime_checkable
class Generating(Protocol):
    """A mechanism under which rivals generate data and train on it beside their own."""

    @property
    def synthetic_target(self) -> Literal["global", "fill"]:
        """Which labels synthetic samples get (``learning.generation.TARGETS``)."""

    @property
    def pays_for(self) -> Literal["measured", "curve"]:
        """Whether the performance that counts is measured in real training."""

    def performance(self, types: Types, synthetic_volume: FloatColumn) -> FloatColumn:
        """What owners of these types that generated these volumes achieve by the curve, own accuracies in [0, 1]."""

    def generation_cost(self, types: Types, synthetic_volume: FloatColumn) -> FloatColumn:
        """What these volumes cost owners of these types, in money."""

    def competition_loss(
        self, types: Types, synthetic_volume: FloatColumn, performance: FloatColumn, competition: CompetitionMatrix
    ) -> FloatColumn:
        """What competition costs each owner, in money; negative for whom it is better than its rivals.

        ``types`` and ``competition`` (among these owners) are true, ``synthetic_volume`` is what they really made.
        """


MECHANISMS: Registry[type[Mechanism]] = Registry("mechanism")
