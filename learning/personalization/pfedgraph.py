"""pFedGraph: who learns from whom as a graph that is learnt each round, solved in closed form for all owners at once.

Ye, Ni, Wu, Chen, Wang 2023, "Personalized federated learning with inferred collaboration graphs" (ICML).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.aggregation import normalised
from learning.columns import FloatColumn
from learning.pairwise import cosines
from learning.personalization.method import PERSONALIZATION, Meeting, Memory, Outcome, PersonalMethod, mixed


@PERSONALIZATION.register("pfedgraph")
@dataclass(frozen=True, kw_only=True)
class PFedGraph(PersonalMethod):
    """Every model is replaced by a mix along a graph that is learnt each round (pFedGraph, Ye et al. 2023).

    ``alpha``, above 0, weighs closeness to the shares of data against likeness (``graph_weights``). An owner trains
    the mix and uses what comes of it. Local training has no further term.
    """

    alpha: float = 0.8

    apart: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (np.isfinite(self.alpha) and self.alpha > 0):
            raise ValueError(f"alpha must be a number above 0, got {self.alpha}")

    def collaboration(self, meeting: Meeting, memory: Memory) -> Tensor:
        return graph_weights(meeting.sent, meeting.weights, alpha=self.alpha, origin=meeting.initial)

    def exchange(self, meeting: Meeting, taken: NDArray[np.float64], memory: Memory) -> Outcome:
        return Outcome(mixed(meeting, taken), meeting.own)


SAME = 0.9
"""Cosine above which two updates count as equal: the authors' code sets a negated cosine below -0.9 to -1."""


def graph_weights(
    updates: Tensor, samples: FloatColumn, *, alpha: float = 0.8, origin: Tensor | None = None
) -> Tensor:
    """Collaboration weights [K, K], float64, rows on the simplex, for updates [K, P] and data sizes ``samples`` [K].

    With an ``origin`` [P], models [K, P] that have started from there take the place of their updates.

    Row i minimises sum_j w_j d_ij + alpha ||w - p||^2 over the simplex, with d the negated cosine of the updates
    (models minus the initial one) and p the shares of data. Completing the square makes that the Euclidean projection
    of p - d_i / (2 alpha): no solver. Raises ``ValueError`` unless alpha is above 0.
    """
    if not (np.isfinite(alpha) and alpha > 0):
        raise ValueError(f"alpha must be a number above 0, got {alpha}")
    if len(samples) != len(updates):
        raise ValueError(f"{len(updates)} updates have {len(samples)} data sizes")
    alike = cosines(updates, origin)
    alike = torch.where(alike > SAME, 1.0, alike)
    share = torch.from_numpy(normalised(samples)).to(updates.device)
    return project_to_simplex(share + alike / (2 * alpha))


def project_to_simplex(rows: Tensor) -> Tensor:
    """The nearest points [K, n] of the unit simplex to rows [K, n], all by one sort.

    Each is max(row - theta, 0) with the one theta that makes it sum to 1 (Held, Wolfe, Crowder 1974; Duchi et al.
    2008, figure 1). A coordinate of -inf stays 0: so a pair can be ruled out.
    """
    # The projection does not change when a row is shifted; around 0 the sums are exact enough.
    rows = rows - rows.amax(dim=1, keepdim=True)
    ordered = rows.sort(dim=1, descending=True).values
    rank = torch.arange(1, rows.shape[1] + 1, dtype=rows.dtype, device=rows.device)
    theta = (ordered.cumsum(dim=1) - 1) / rank
    support = (ordered > theta).sum(dim=1, keepdim=True)
    return (rows - theta.gather(1, support - 1)).clamp_(min=0)
