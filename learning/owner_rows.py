"""One row of P numbers for each of some owners: last uploads, control variates."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from learning.columns import BoolColumn, IntColumn


class OwnerRows:
    """Rows [P] by owner, in a tensor that grows by doubling. Memory: owners remembered and not forgotten x P numbers.

    ``size`` is P. Rows stand in the order in which their owners were first remembered.
    """

    def __init__(self, size: int, dtype: torch.dtype, device: torch.device) -> None:
        self._rows = torch.empty(0, size, dtype=dtype, device=device)
        self._slots: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def remember(self, owners: IntColumn, rows: Tensor) -> None:
        """Keep rows [K, P] of the owners [K]; of an owner that appears twice, the later one."""
        latest = {int(owner): row for row, owner in enumerate(owners)}
        slots = [self._slots.setdefault(owner, len(self._slots)) for owner in latest]
        if len(self._slots) > len(self._rows):
            grown = self._rows.new_zeros(max(len(self._slots), 2 * len(self._rows)), self._rows.shape[1])
            grown[: len(self._rows)] = self._rows
            self._rows = grown
        self._rows[self._places(slots)] = rows[self._places(list(latest.values()))]

    def recall(self, owners: IntColumn) -> tuple[Tensor, BoolColumn]:
        """The rows of those of ``owners`` [K] that have one, and which those are [K]."""
        slots = np.array([self._slots.get(int(owner), -1) for owner in owners], dtype=np.int64)
        known = slots >= 0
        return self._rows[torch.from_numpy(slots[known]).to(self._rows.device)], known

    @property
    def rows(self) -> Tensor:
        """All rows [M, P], in the order in which their owners were first remembered. Read only."""
        return self._rows[: len(self)]

    def mean(self) -> Tensor:
        """The mean [P] of all rows, zeros while there are none."""
        return self._rows[: len(self)].mean(dim=0) if len(self) else self._rows.new_zeros(self._rows.shape[1])

    def retain(self, owners: IntColumn) -> None:
        """Forget everybody else and free the memory."""
        wanted = set(owners.tolist())
        kept = [owner for owner in self._slots if owner in wanted]
        if len(kept) < len(self._slots):
            self._rows = self._rows[self._places([self._slots[owner] for owner in kept])]
            self._slots = {owner: slot for slot, owner in enumerate(kept)}

    def state(self) -> tuple[Tensor, Tensor]:
        """Copies on the CPU of the owners [M] and their rows [M, P]."""
        owners = torch.tensor(list(self._slots), dtype=torch.int64)
        return owners, self._rows[: len(owners)].cpu().clone()

    def load_state(self, owners: Tensor, rows: Tensor) -> None:
        """Take over what ``state`` gave."""
        self._slots = {owner: slot for slot, owner in enumerate(owners.tolist())}
        self._rows = rows.to(device=self._rows.device, dtype=self._rows.dtype, copy=True)

    def _places(self, rows: list[int]) -> Tensor:
        return torch.tensor(rows, dtype=torch.int64, device=self._rows.device)
