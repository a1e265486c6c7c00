"""The proximal centres of iPFL: every personal model moved towards those that its owner refers to.

Zhang, Chai, Ye, Wang, Chen 2025, "Incentivizing inclusive contributions in model sharing markets", equation 8:
centre_i = theta_i - (step / N_i) * sum_j a_ij N_j * gradient of d(theta_i, theta_j) in theta_i. Models are not
averaged; the next local training is pulled to the centre (``anchors.prox``).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.columns import FloatColumn
from learning.pairwise import cosines


def update_dissimilarity(models: Tensor, initial: Tensor) -> Tensor:
    """d [K, K], float64, of models [K, P]: 1 - cosine of what they moved from the ``initial`` model [P]; 0 to 2.

    1 where one of the two has not moved, 0 on the diagonal.
    """
    return 1 - cosines(models - initial)


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
