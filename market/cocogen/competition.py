"""Who competes with whom: intensities gamma_ij of organisation i against j, dense, sparse or of low rank.

Everything that the game asks of the matrix is a product with a column, so 100,000 organisations need no N x N numbers:
a SciPy sparse array or ``LowRank`` will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from learning.columns import FloatColumn, IntColumn

FloatMatrix = NDArray[np.float64]


class CompetitionMatrix(Protocol):
    """N x N intensities, at least 0, with a zero diagonal: ``matrix @ column`` and ``matrix.T @ column``.

    NumPy arrays, SciPy sparse arrays and ``LowRank`` are such matrices; ``checked`` tells whether one may be used.
    """

    @property
    def shape(self) -> Any: ...

    @property
    def T(self) -> Any: ...

    def __matmul__(self, column: FloatColumn, /) -> Any: ...


@dataclass(frozen=True)
class LowRank:
    """gamma_ij = sum over k of ``left[i, k] * right[j, k]`` for i other than j, and 0 on the diagonal.

    Both factors are [N, K] and at least 0: K markets, how much organisation i feels a rival in market k, and how
    present j is there. A product costs O(N K). Raises ``ValueError`` for factors that do not fit.
    """

    left: FloatMatrix
    right: FloatMatrix

    def __post_init__(self) -> None:
        if self.left.ndim != 2 or self.left.shape != self.right.shape:
            raise ValueError("both factors of a competition matrix must be [N, K]")
        for factor in (self.left, self.right):
            if not (np.isfinite(factor).all() and (factor >= 0.0).all()):
                raise ValueError("factors of a competition matrix must be numbers of at least 0")

    @cached_property
    def _own(self) -> FloatColumn:
        """The diagonal of the plain product, which is not competition."""
        return np.asarray((self.left * self.right).sum(axis=1))

    @property
    def shape(self) -> tuple[int, int]:
        """N, N."""
        return len(self.left), len(self.left)

    @property
    def T(self) -> LowRank:
        """The transposed matrix."""
        return LowRank(self.right, self.left)

    def __matmul__(self, column: FloatColumn) -> FloatColumn:
        """The product with a column [N]."""
        return np.asarray(self.left @ (self.right.T @ column) - self._own * column)


def nobody_competes(count: int) -> LowRank:
    """The matrix of zeros."""
    return LowRank(np.zeros((count, 0)), np.zeros((count, 0)))


def checked(matrix: CompetitionMatrix, count: int) -> CompetitionMatrix:
    """The matrix, if it is one of ``count`` organisations. Raises ``ValueError`` that says what is wrong."""
    if tuple(matrix.shape) != (count, count):
        raise ValueError(f"competition intensities must be [{count}, {count}], got {list(matrix.shape)}")
    if not isinstance(matrix, LowRank):
        sparse: Any = matrix
        entries = matrix if isinstance(matrix, np.ndarray) else sparse.tocoo().data
        if not (np.isfinite(entries).all() and (entries >= 0.0).all()):
            raise ValueError("competition intensities must be numbers of at least 0")
        if sparse.diagonal().any():
            raise ValueError("nobody competes with itself: the diagonal of the intensities must be 0")
    return matrix


def among(matrix: CompetitionMatrix, present: IntColumn) -> CompetitionMatrix:
    """The intensities among the organisations at the places ``present``, in that order."""
    if isinstance(matrix, LowRank):
        return LowRank(matrix.left[present], matrix.right[present])
    if isinstance(matrix, np.ndarray):
        rows: FloatMatrix = matrix[np.ix_(present, present)]
        return rows
    sparse: Any = matrix
    remaining: CompetitionMatrix = sparse.tocsr()[present][:, present]
    return remaining
