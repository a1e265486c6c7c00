"""FedAMP: owners with alike models exchange more (Huang et al. 2021, "Personalized cross-silo federated learning").

Both functions give collaboration weights [K, K], float64: rows on the simplex, to be applied to the models by ``mix``.
The mixed models are then the centres of ``prox``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.columns import BoolColumn
from learning.pairwise import cosines, squared_distances
from learning.personalization.anchors import Anchor, prox
from learning.personalization.method import PERSONALIZATION, Meeting, Memory, Outcome, PersonalMethod, mixed


@PERSONALIZATION.register("fedamp")
@dataclass(frozen=True, kw_only=True)
class FedAMP(PersonalMethod):
    """Own models, pulled to a mix of those that are like them (HeurFedAMP, Huang et al. 2021).

    Attributes:
        penalty: lambda, at least 0, and
        step: alpha, above 0: the local loss gains penalty / (2 step) * ||w - mix||^2.
        self_weight: share of the own model in the mix, 0 to 1.
        sharpness: the rest goes by exp(sharpness * cosine) of the models.
    """

    penalty: float = 0.01
    step: float = 1.0
    self_weight: float = 0.3
    sharpness: float = 10.0

    centred: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (np.isfinite(self.penalty) and self.penalty >= 0):
            raise ValueError(f"penalty must be a number of at least 0, got {self.penalty}")
        if not (np.isfinite(self.step) and self.step > 0):
            raise ValueError(f"step must be a number above 0, got {self.step}")
        if not 0 <= self.self_weight <= 1:
            raise ValueError(f"self_weight must be in [0, 1], got {self.self_weight}")
        if not np.isfinite(self.sharpness):
            raise ValueError(f"sharpness must be a number, got {self.sharpness}")

    def anchor(self, start: Tensor, centre: Tensor, met: BoolColumn) -> Anchor | None:
        return prox(start, centre, self.penalty, self.step)

    def collaboration(self, meeting: Meeting, memory: Memory) -> Tensor:
        return attention_weights(meeting.sent, sharpness=self.sharpness, self_weight=self.self_weight)

    def exchange(self, meeting: Meeting, taken: NDArray[np.float64], memory: Memory) -> Outcome:
        return Outcome(meeting.own, meeting.own, mixed(meeting, taken))


def message_weights(models: Tensor, *, step: float, width: float) -> Tensor:
    """FedAMP for models [K, P]: off the diagonal step * A'(||w_i - w_j||^2), the rest is one's own.

    A'(x) = exp(-x / width) / width is the slope of the attention A(x) = 1 - exp(-x / width); ``step`` is the paper's
    alpha, ``width`` its sigma, in squared distance. Raises ``ValueError`` unless step * (K - 1) <= width, which keeps
    every mix convex whatever the models are.
    """
    count = len(models)
    if not (np.isfinite(width) and width > 0 and np.isfinite(step) and step >= 0):
        raise ValueError(f"width must be above 0 and step at least 0, got {width} and {step}")
    if step * (count - 1) > width:
        most = width / (count - 1)
        raise ValueError(f"step {step:g} is too large for {count} models at width {width:g}, expected at most {most:g}")
    weights = (squared_distances(models) / -width).exp_().mul_(step / width).fill_diagonal_(0)
    return weights + torch.diag(1 - weights.sum(dim=1))


def attention_weights(models: Tensor, *, sharpness: float = 10.0, self_weight: float = 0.3) -> Tensor:
    """HeurFedAMP: a fixed ``self_weight``, the rest in proportion to exp(sharpness * cosine) (for deep models).

    ``models`` [K, P] may be weights, as in the paper, or updates. A lone owner keeps its model.
    """
    if not 0 <= self_weight <= 1:
        raise ValueError(f"self_weight must be in [0, 1], got {self_weight}")
    if not np.isfinite(sharpness):
        raise ValueError(f"sharpness must be a number, got {sharpness}")
    if len(models) == 1:
        return torch.ones(1, 1, dtype=torch.float64, device=models.device)
    attention = (sharpness * cosines(models)).fill_diagonal_(-torch.inf).softmax(dim=1)
    return ((1 - self_weight) * attention).fill_diagonal_(self_weight)
