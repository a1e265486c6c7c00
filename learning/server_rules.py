"""How the uploads of a training become its next model: every choice that the literature gives names to."""

from __future__ import annotations

from dataclasses import dataclass, field

from learning import algorithms, server
from learning.algorithms import Algorithm
from learning.asynchronous import FedBuff, Merging
from learning.batches import LocalTraining
from learning.local_terms import LocalTerms
from learning.privacy_hook import ClipAndNoise
from learning.robust import Mean, RobustRule
from learning.server import ServerOptimizer
from learning.staleness import Polynomial, Staleness


@dataclass(frozen=True)
class ServerRules:
    """Federated averaging, unless told otherwise.

    Attributes:
        algorithm: what is added to local training, and how uploads are prepared.
        aggregation: makes one model of the uploads.
        optimizer: takes the step to that model.
        merging, staleness: how the asynchronous mode merges uploads of different ages, and what age leaves of them.
    """

    algorithm: Algorithm = field(default_factory=algorithms.FedAvg)
    aggregation: RobustRule = field(default_factory=Mean)
    optimizer: ServerOptimizer = field(default_factory=server.FedAvg)
    merging: Merging = field(default_factory=FedBuff)
    staleness: Staleness = field(default_factory=Polynomial)

    def check(self, plan: LocalTraining, terms: LocalTerms, privacy: ClipAndNoise) -> None:
        """Raise ``ValueError`` if the algorithm has no meaning for owners that train like this."""
        self.algorithm.check(plan, terms, privacy)

    def check_asynchronous(self) -> None:
        """Raise ``ValueError`` if these rules cannot merge uploads of different ages."""
        self.algorithm.check_asynchronous()
        if not self.merging.robust and not isinstance(self.aggregation, Mean):
            raise ValueError("uploads are merged one at a time, which leaves nothing to choose for an aggregation rule")
