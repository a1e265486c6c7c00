"""The few directions in which samples vary most, found fast enough for images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.columns import FloatColumn

OVERSAMPLING, POWER_ITERATIONS = 10, 3

FloatMatrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Subspace:
    """An affine subspace: ``centre`` [F] and orthonormal directions ``basis`` [F, r]."""

    centre: FloatColumn
    basis: FloatMatrix

    def scores(self, x: FloatMatrix) -> FloatMatrix:
        """Coordinates [n, r] of samples [n, F]."""
        return np.asarray((x - self.centre) @ self.basis)

    def samples(self, scores: FloatMatrix) -> FloatMatrix:
        """The samples [n, F] at coordinates [n, r]."""
        return np.asarray(self.centre + scores @ self.basis.T)


def principal_subspace(x: FloatMatrix, rank: int, chance: np.random.Generator) -> Subspace:
    """The first ``rank`` principal directions of samples [n, F], or as many as the samples span.

    Exact for few samples or features; otherwise by a random sketch with power iterations (Halko, Martinsson, Tropp
    2011, "Finding structure with randomness", algorithm 4.4), which costs n F (rank + 10) operations a pass.
    """
    centre = x.mean(axis=0)
    moved = x - centre
    wanted = min(rank, *x.shape)
    if min(x.shape) <= 2 * (wanted + OVERSAMPLING):
        _, strength, directions = np.linalg.svd(moved, full_matrices=False)
    else:
        sketch = np.linalg.qr(moved @ chance.standard_normal((x.shape[1], wanted + OVERSAMPLING)))[0]
        for _ in range(POWER_ITERATIONS):
            sketch = np.linalg.qr(moved @ np.linalg.qr(moved.T @ sketch)[0])[0]
        _, strength, directions = np.linalg.svd(sketch.T @ moved, full_matrices=False)
    spanned = int((strength > 1e-9 * max(strength[0], 1e-12)).sum())
    kept = max(1, min(wanted, spanned))
    return Subspace(centre, directions[:kept].T)
