"""One number for each ordered pair of some owners: who likes whose models."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from learning.columns import FloatColumn, IntColumn


class OwnerPairs:
    """A matrix by owners, 0 for pairs that nothing was remembered of.

    Memory: the square of the number of owners that are remembered and not forgotten.
    """

    def __init__(self) -> None:
        self._owners = np.empty(0, dtype=np.int64)
        self._numbers = np.zeros((0, 0))

    def recall(self, owners: IntColumn) -> FloatColumn:
        """The numbers [K, K] of distinct owners [K]."""
        return self._of(owners)

    def remember(self, owners: IntColumn, numbers: FloatColumn) -> None:
        """Keep the numbers [K, K] of all pairs of the distinct owners [K]; other pairs keep theirs."""
        everybody = np.union1d(self._owners, owners)
        if len(everybody) > len(self._owners):
            self._numbers, self._owners = self._of(everybody), everybody
        places = np.searchsorted(self._owners, owners)
        self._numbers[np.ix_(places, places)] = numbers

    def retain(self, owners: IntColumn) -> None:
        """Forget everybody else and free the memory."""
        kept = np.intersect1d(self._owners, owners)
        if len(kept) < len(self._owners):
            self._numbers, self._owners = self._of(kept), kept

    def state(self) -> tuple[Tensor, Tensor]:
        """Copies of the owners [M], in ascending order, and their numbers [M, M]."""
        return torch.from_numpy(self._owners.copy()), torch.from_numpy(self._numbers.copy())

    def load_state(self, owners: Tensor, numbers: Tensor) -> None:
        """Take over what ``state`` gave."""
        self._owners, self._numbers = owners.cpu().numpy().copy(), numbers.cpu().numpy().copy()

    def _of(self, owners: IntColumn) -> FloatColumn:
        found = np.zeros((len(owners), len(owners)))
        known = np.flatnonzero(np.isin(owners, self._owners))
        places = np.searchsorted(self._owners, owners[known])
        found[np.ix_(known, known)] = self._numbers[np.ix_(places, places)]
        return found
