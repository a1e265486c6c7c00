"""Filling in a matrix of which few entries are known, as a product of two thin matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.columns import BoolColumn, FloatColumn


@dataclass(frozen=True, eq=False)
class Completion:
    """left [T, r] times right [C, r] transposed; ``objective`` [iterations + 1] falls from start to end."""

    left: FloatColumn
    right: FloatColumn
    objective: FloatColumn

    def matrix(self) -> FloatColumn:
        """The completed matrix [T, C]."""
        return self.left @ self.right.T


def complete(
    values: FloatColumn,
    known: BoolColumn,
    *,
    rank: int,
    ridge: float,
    iterations: int = 200,
    tolerance: float = 1e-8,
) -> Completion:
    """Fit values [T, C] where known [T, C] by a matrix of at most ``rank``, by alternating least squares.

    Minimises sum over known (values - left right^T)^2 + ridge (|left|^2 + |right|^2), the objective of Fan et al. 2022
    (equation 9), which for a rank that is large enough is nuclear-norm completion (Mazumder et al. 2010). Each half
    step solves all rows at once. Starts from the singular vectors of the matrix with zeros for what is unknown and
    ends when an iteration lowers the objective by less than ``tolerance`` of it. Unknown values are not looked at.
    Raises ``ValueError`` for a rank below 1 or a ridge that is not above 0.
    """
    if rank < 1 or not ridge > 0:
        raise ValueError(f"rank must be at least 1 and ridge above 0, got {rank} and {ridge}")
    weight = known.astype(np.float64)
    held = np.where(known, values, 0.0)
    left, right = _start(held, min(rank, *held.shape))
    objective = [_objective(held, weight, left, right, ridge)]
    for _ in range(iterations):
        left = _rows(held, weight, right, ridge)
        right = _rows(held.T, weight.T, left, ridge)
        objective.append(_objective(held, weight, left, right, ridge))
        if objective[-2] - objective[-1] <= tolerance * objective[-2]:
            break
    return Completion(left, right, np.array(objective))


def _start(held: FloatColumn, rank: int) -> tuple[FloatColumn, FloatColumn]:
    if rank == 0:
        return np.zeros((held.shape[0], 0)), np.zeros((held.shape[1], 0))
    u, scale, v = np.linalg.svd(held, full_matrices=False)
    root = np.sqrt(scale[:rank])
    return u[:, :rank] * root, v[:rank].T * root


def _rows(held: FloatColumn, weight: FloatColumn, other: FloatColumn, ridge: float) -> FloatColumn:
    """The best rows [T, r] for given ``other`` [C, r]: one ridge regression each, on that row's known entries."""
    rank = other.shape[1]
    products = (other[:, :, None] * other[:, None, :]).reshape(len(other), -1)
    gram = (weight @ products).reshape(-1, rank, rank) + ridge * np.eye(rank)
    return np.asarray(np.linalg.solve(gram, (held @ other)[:, :, None])[:, :, 0])


def _objective(held: FloatColumn, weight: FloatColumn, left: FloatColumn, right: FloatColumn, ridge: float) -> float:
    residual = weight * (held - left @ right.T)
    return float((residual**2).sum() + ridge * ((left**2).sum() + (right**2).sum()))
