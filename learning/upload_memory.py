"""The last upload of every owner, as it was sent: what a peer copy copies."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from learning.columns import BoolColumn, IntColumn


class UploadMemory:
    """One row per owner that ever uploaded, in a tensor that grows by doubling. Memory: owners x P numbers."""

    def __init__(self, size: int, dtype: torch.dtype, device: torch.device) -> None:
        self._rows = torch.empty(0, size, dtype=dtype, device=device)
        self._slots: dict[int, int] = {}

    def remember(self, owners: IntColumn, uploads: Tensor) -> None:
        """Keep uploads [K, P] of the owners [K]; of an owner that appears twice, the later one."""
        latest = {int(owner): row for row, owner in enumerate(owners)}
        slots = [self._slots.setdefault(owner, len(self._slots)) for owner in latest]
        if len(self._slots) > len(self._rows):
            grown = self._rows.new_empty(max(len(self._slots), 2 * len(self._rows)), self._rows.shape[1])
            grown[: len(self._rows)] = self._rows
            self._rows = grown
        device = self._rows.device
        self._rows[torch.tensor(slots, dtype=torch.int64, device=device)] = uploads[
            torch.tensor(list(latest.values()), dtype=torch.int64, device=device)
        ]

    def recall(self, owners: IntColumn) -> tuple[Tensor, BoolColumn]:
        """The last uploads of those of ``owners`` [K] that have one, and which those are [K]."""
        slots = np.array([self._slots.get(int(owner), -1) for owner in owners], dtype=np.int64)
        known = slots >= 0
        return self._rows[torch.from_numpy(slots[known]).to(self._rows.device)], known

    def state(self) -> tuple[Tensor, Tensor]:
        """Copies on the CPU of the owners [M] and their rows [M, P]."""
        owners = torch.tensor(list(self._slots), dtype=torch.int64)
        return owners, self._rows[: len(owners)].cpu().clone()

    def load_state(self, owners: Tensor, rows: Tensor) -> None:
        """Take over what ``state`` gave."""
        self._slots = {owner: slot for slot, owner in enumerate(owners.tolist())}
        self._rows = rows.to(device=self._rows.device, dtype=self._rows.dtype, copy=True)
