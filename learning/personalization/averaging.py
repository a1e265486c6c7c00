"""One model for all, as in plain federated averaging: the yardstick that personal models are measured by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from learning.columns import BoolColumn
from learning.personalization.anchors import Anchor, fedprox
from learning.personalization.method import PERSONALIZATION, Meeting, Memory, Outcome, PersonalMethod, mixed, shares


@PERSONALIZATION.register("fedavg")
@dataclass(frozen=True, kw_only=True)
class FedAvg(PersonalMethod):
    """Everybody uses and goes on with the mean of all models, weighted by data (McMahan et al. 2017).

    It is judged by the mean, not by what training makes of it. An owner that joins begins with the initial model and
    has the mean after its first exchange.
    """

    def collaboration(self, meeting: Meeting, memory: Memory) -> Tensor:
        return shares(meeting.weights)

    def exchange(self, meeting: Meeting, taken: NDArray[np.float64], memory: Memory) -> Outcome:
        mean = mixed(meeting, taken)
        return Outcome(mean, mean)


@PERSONALIZATION.register("fedprox")
@dataclass(frozen=True, kw_only=True)
class FedProx(FedAvg):
    """FedAvg with a penalty ``mu`` / 2 · ‖w − w₀‖² on local weights, w₀ the model received (Li et al. 2020)."""

    mu: float = 0.1

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mu) and self.mu >= 0):
            raise ValueError(f"mu must be a number of at least 0, got {self.mu}")

    def anchor(self, start: Tensor, centre: Tensor, met: BoolColumn) -> Anchor | None:
        return fedprox(start, self.mu)
