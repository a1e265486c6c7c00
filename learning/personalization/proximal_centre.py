"""The proximal centres of iPFL: every personal model moved towards those that its owner refers to.

Zhang, Chai, Ye, Wang, Chen 2025, "Incentivizing inclusive contributions in model sharing markets", equation 8:
centre_i = theta_i - (step / N_i) * sum_j a_ij N_j * gradient of d(theta_i, theta_j) in theta_i. Models are not
averaged; the next local training is pulled to the centre (``anchors.prox``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.columns import BoolColumn, FloatColumn
from learning.pairwise import cosines, squared_distances
from learning.personalization.anchors import Anchor, prox
from learning.personalization.dissimilarity import update_dissimilarity
from learning.personalization.method import PERSONALIZATION, Meeting, Memory, Outcome, PersonalMethod


@PERSONALIZATION.register("proximal_centre")
@dataclass(frozen=True, kw_only=True)
class ProximalCentre(PersonalMethod):
    """iPFL: own models, pulled towards those that their owners bought on the market (Zhang et al. 2025).

    Attributes:
        dissimilarity_penalty: lambda, at least 0: the weight of a distance between models.
        prox_step: eta, above 0: how far the centre is from the model.
        distance: ``cosine_update``, 1 - cosine of what two models moved from the initial one; or ``squared_l2``.
        first_round_prox: whether an owner that has no centre yet is pulled to the initial model (the paper), or not at
            all (the authors' code).
        prox_scaling: weight of ||w - centre||^2 in the local loss: ``over_step`` lambda / (2 eta), the paper's
            equation 9; ``plain`` lambda, as the authors' code for language models has it.

    A market finds the graph. An owner that bought nothing is pulled to its own model.
    """

    dissimilarity_penalty: float = 2.0
    prox_step: float = 5.0
    distance: Literal["cosine_update", "squared_l2"] = "cosine_update"
    first_round_prox: bool = True
    prox_scaling: Literal["over_step", "plain"] = "over_step"

    market: ClassVar[bool] = True
    centred: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (np.isfinite(self.dissimilarity_penalty) and self.dissimilarity_penalty >= 0):
            raise ValueError(f"dissimilarity_penalty must be a number of at least 0, got {self.dissimilarity_penalty}")
        if not (np.isfinite(self.prox_step) and self.prox_step > 0):
            raise ValueError(f"prox_step must be a number above 0, got {self.prox_step}")
        if self.distance not in ("cosine_update", "squared_l2"):
            raise ValueError(f"distance must be cosine_update or squared_l2, got '{self.distance}'")
        if self.prox_scaling not in ("over_step", "plain"):
            raise ValueError(f"prox_scaling must be over_step or plain, got '{self.prox_scaling}'")

    def anchor(self, start: Tensor, centre: Tensor, met: BoolColumn) -> Anchor | None:
        # pull / 2 = lambda is what a step of 1/2 comes to.
        step = self.prox_step if self.prox_scaling == "over_step" else 0.5
        anchor = prox(start, centre, self.dissimilarity_penalty, step)
        pulled = met | self.first_round_prox
        return Anchor(start, centre, np.where(pulled, anchor.pull, 0.0))

    def distances(self, models: Tensor, initial: Tensor) -> Tensor:
        if self.distance == "squared_l2":
            return squared_distances(models)
        return update_dissimilarity(models, initial)

    def exchange(self, meeting: Meeting, taken: NDArray[np.float64], memory: Memory) -> Outcome:
        bought = taken > 0
        if self.distance == "squared_l2":
            centre = squared_centre(meeting.sent, bought, meeting.weights, self.prox_step)
        else:
            centre = cosine_centre(meeting.sent, meeting.initial, bought, meeting.weights, self.prox_step)
        alone = torch.from_numpy(~bought.any(axis=1)).to(centre.device)
        return Outcome(meeting.own, meeting.own, torch.where(alone[:, None], meeting.own, centre))


def cosine_centre(
    models: Tensor, initial: Tensor, adjacency: NDArray[np.bool_], samples: FloatColumn, step: float
) -> Tensor:
    """Proximal centres [K, P] with d = ``update_dissimilarity``.

    With u = theta_i - initial and v = theta_j - initial the gradient is -(v / (|u||v|) - cos(u, v) u / |u|^2); it is
    taken as 0 where u or v is. ``adjacency`` [K, K] holds a_ij (row: who refers, column: to whom), ``samples`` [K] the
    data sizes N, ``step`` is eta. Raises ``ValueError`` for other shapes, sizes of 0 and a reference to oneself.
    """
    pull = _relative_sizes(adjacency, samples, models)
    moved = models - initial
    norm = torch.linalg.vector_norm(moved, dim=1, dtype=torch.float64)
    inverse = torch.where(norm > 0, 1 / norm, 0.0)
    towards = pull * inverse[:, None] * inverse
    back = (pull * cosines(moved)).sum(dim=1, keepdim=True) * inverse[:, None] ** 2
    return models + step * (towards.to(models.dtype) @ moved - back.to(models.dtype) * moved)


def squared_centre(models: Tensor, adjacency: NDArray[np.bool_], samples: FloatColumn, step: float) -> Tensor:
    """Proximal centres [K, P] with d = ||theta_i - theta_j||^2, of gradient 2 (theta_i - theta_j)."""
    pull = 2 * step * _relative_sizes(adjacency, samples, models)
    return models + pull.to(models.dtype) @ models - pull.sum(dim=1, keepdim=True).to(models.dtype) * models


def _relative_sizes(adjacency: NDArray[np.bool_], samples: FloatColumn, models: Tensor) -> Tensor:
    """a_ij N_j / N_i, float64 [K, K]; ``ValueError`` for other shapes, sizes of 0 and a reference to oneself."""
    count = len(models)
    if adjacency.shape != (count, count) or samples.shape != (count,):
        shapes = f"{list(adjacency.shape)} and {list(samples.shape)}"
        raise ValueError(f"adjacency and samples must be [{count}, {count}] and [{count}], got {shapes}")
    if adjacency.diagonal().any():
        raise ValueError("an owner cannot refer to its own model")
    if not (np.isfinite(samples).all() and (samples > 0).all()):
        raise ValueError("data sizes must be numbers above 0")
    return torch.from_numpy(adjacency * samples / samples[:, None]).to(models.device)
