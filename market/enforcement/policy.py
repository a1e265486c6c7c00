"""The rules of enforcement in one place: numbers, and the policies and schedules that are chosen by name."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from market.enforcement.admission import Admission, FlatAdmission
from market.enforcement.appeals import Appeal
from market.enforcement.auditing import AuditPolicy, RandomAudits
from market.enforcement.bans import Ban, IdentityBan
from market.enforcement.bounds import check_amount, check_share
from market.enforcement.deposits import DepositSchedule, FlatDeposit
from market.enforcement.detectors import Detector
from market.enforcement.slashing import Proportional, Slashing

_PROBABILITIES = frozenset(
    {
        "audit_rate",
        "detection_rate",
        "false_alarm_rate",
        "slash_share",
        "server_fee",
        "initial_reputation",
        "reputation_gain",
        "reputation_loss",
        "reputation_decay",
        "expel_below",
    }
)


@dataclass(frozen=True)
class EnforcementPolicy:
    """The rules of enforcement. The defaults audit nobody and take nothing.

    Money: ``deposit`` (locked per owner while it is in the market), ``admission_fee`` (per join), ``audit_cost``
    (per audit, borne by the regulator). Probabilities: ``audit_rate`` (per owner and round), ``detection_rate``
    (an audit finds a violation), ``false_alarm_rate`` (an audit blames an honest round). ``tolerance``: relative
    deviation of a claim from the truth that is not yet a lie. Shares in [0, 1]: ``slash_share`` of the deposit taken
    from who is found guilty; reputation (in [0, 1], from ``initial_reputation``) gains ``reputation_gain`` of the way
    to 1 in a clean round, loses ``reputation_loss`` of itself with a guilty verdict, and drifts back by
    ``reputation_decay`` of the way to its initial value each round. ``probation_rounds`` follow a guilty verdict.
    Expulsion follows one that is the owner's ``expel_after``-th (0: never) or leaves its reputation below
    ``expel_below``. ``server_fee``: share of what an owner earns in a round that goes to the regulator.

    Chosen by name: ``audit_policy`` shares out the audits, ``detectors`` (none: audits err at the two rates above) find
    guilty whom at least ``votes`` of them flag, ``admission``, ``deposits`` and ``slashing`` say who pays, locks and
    loses how much, ``ban`` what an expulsion means, ``appeal`` whether there is a second look.

    Raises ``ValueError`` with one line that names the field.
    """

    deposit: float = 0.0
    admission_fee: float = 0.0
    audit_rate: float = 0.0
    detection_rate: float = 1.0
    false_alarm_rate: float = 0.0
    tolerance: float = 0.05
    slash_share: float = 1.0
    audit_cost: float = 0.0
    initial_reputation: float = 0.5
    reputation_gain: float = 0.05
    reputation_loss: float = 0.5
    reputation_decay: float = 0.0
    probation_rounds: int = 0
    expel_after: int = 0
    expel_below: float = 0.0
    server_fee: float = 0.0
    audit_policy: AuditPolicy = field(default_factory=RandomAudits)
    detectors: tuple[Detector, ...] = ()
    votes: int = 1
    slashing: Slashing = field(default_factory=Proportional)
    admission: Admission = field(default_factory=FlatAdmission)
    deposits: DepositSchedule = field(default_factory=FlatDeposit)
    ban: Ban = field(default_factory=IdentityBan)
    appeal: Appeal | None = None

    def __post_init__(self) -> None:
        for given in fields(self):
            value = getattr(self, given.name)
            if given.name in _PROBABILITIES:
                check_share(given.name, value)
            elif isinstance(value, (int, float)):
                check_amount(given.name, value)

    @property
    def needs(self) -> frozenset[str]:
        """What has to be measured of every upload for these rules, by the names of ``Evidence.measured``."""
        return self.audit_policy.needs | self.read

    @property
    def read(self) -> frozenset[str]:
        """What its detectors read, by the same names."""
        return frozenset().union(*(detector.needs for detector in self.detectors))

    @property
    def fine(self) -> float:
        """What a first guilty verdict takes from one that has locked the plain deposit, in money."""
        return self.slashing.first(self.slash_share, self.deposit)
