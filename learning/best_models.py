"""The best model that each owner has had: what it keeps when it quits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.owner_rows import OwnerRows


class BestModels:
    """One model [P] for each owner that was ever measured, and its accuracy.

    Attributes:
        models, accuracies: the rows, for a checkpoint.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self.models = OwnerRows(size, torch.float32, device)
        self.accuracies = OwnerRows(1, torch.float64, torch.device("cpu"))

    def keep(self, owners: IntColumn, models: Tensor, accuracy: FloatColumn) -> None:
        """Remember models [K, P] of a higher ``accuracy`` [K] than any before; NaN is none."""
        before = self.accuracy(owners)
        better = np.flatnonzero((accuracy > before) | (np.isnan(before) & ~np.isnan(accuracy)))
        self.models.remember(owners[better], models[torch.from_numpy(better).to(models.device)])
        self.accuracies.remember(owners[better], torch.from_numpy(accuracy[better]).unsqueeze(1))

    def accuracy(self, owners: IntColumn) -> FloatColumn:
        """The highest so far [K], NaN of owners that were never measured."""
        found, known = self.accuracies.recall(owners)
        highest = np.full(len(owners), np.nan)
        highest[known] = found[:, 0].numpy()
        return highest

    def recall(self, owners: IntColumn) -> tuple[Tensor, BoolColumn]:
        """The best models of those of ``owners`` [K] that have one, and which those are [K]."""
        return self.models.recall(owners)
