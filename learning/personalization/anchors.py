"""Local training with a leash: where it starts, which point it is pulled to, and how strongly.

All of these minimise the local loss + pull / 2 * ||w - centre||^2. They differ in start and centre only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from learning.columns import FloatColumn
from learning.local_terms import LocalTerms


@dataclass(frozen=True, eq=False)
class Anchor:
    """What the trainer needs for K owners: ``start`` [K, P], ``centre`` [K, P] and ``pull`` [K] of at least 0.

    A start or centre may be a view that is expanded from one row; the trainer must not write into it.
    """

    start: Tensor
    centre: Tensor
    pull: FloatColumn

    def __post_init__(self) -> None:
        count = len(self.pull)
        if len(self.start) != count or self.centre.shape != self.start.shape:
            shapes = f"{list(self.start.shape)}, {list(self.centre.shape)} and {list(self.pull.shape)}"
            raise ValueError(f"start, centre and pull must be [K, P], [K, P] and [K], got {shapes}")
        if not (np.isfinite(self.pull).all() and (self.pull >= 0).all()):
            raise ValueError("the pull must be a number of at least 0 for every owner")

    @property
    def terms(self) -> LocalTerms:
        """Centre and pull as the trainer takes them; ``start`` is its ``base``."""
        return LocalTerms(centre=self.centre, pull=self.pull)


def fedprox(received: Tensor, proximal: float) -> Anchor:
    """From the received models [K, P], pulled back to them with mu = ``proximal`` (FedProx, Li et al. 2020)."""
    return Anchor(received, received, np.full(len(received), proximal))


def ditto(personal: Tensor, received: Tensor, proximal: float = 1.0) -> Anchor:
    """From the personal models [K, P], pulled to the global model ([P], or [K, P] as received).

    lambda = ``proximal`` (Ditto, Li, Hu, Beirami, Smith 2021). The global model is trained beside it as in FedAvg.
    """
    return Anchor(personal, received.expand_as(personal), np.full(len(personal), proximal))


def prox(personal: Tensor, centre: Tensor, dissimilarity_penalty: float, prox_step: float) -> Anchor:
    """From the personal models [K, P], pulled to what the others make of them (FedAMP's mix, iPFL's proximal centre).

    The added loss is penalty / (2 step) * ||w - centre||^2: FedAMP (Huang et al. 2021) with its lambda and alpha, iPFL
    (Zhang et al. 2025, equation 9) with its lambda and eta. Raises ``ValueError`` unless the step is above 0.
    """
    if not (np.isfinite(prox_step) and prox_step > 0):
        raise ValueError(f"prox_step must be a number above 0, got {prox_step}")
    return Anchor(personal, centre, np.full(len(personal), dissimilarity_penalty / prox_step))
