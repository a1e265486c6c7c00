"""What the model owner and the owners use of each other's models, in columns that grow with the owner ids.

Every round touches every participant here, so these edges of the collaboration graph are never kept one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.columns import FloatColumn, IntColumn


class Direction(IntEnum):
    """Who used whose model."""

    MODEL_OWNER_USES = 0
    OWNER_USES = 1


_COLUMNS: dict[str, tuple[type, float]] = {
    "weight": (np.float64, 0.0),
    "payment": (np.float64, 0.0),
    "uses": (np.int64, 0),
    "since_round": (np.int64, -1),
    "last_round": (np.int64, -1),
}


class HubUsage:
    """One row per direction, one entry per owner id, for each edge attribute of ``CollaborationGraph``."""

    def __init__(self) -> None:
        self._columns = _blank(0)

    def use(
        self, direction: Direction, owner: IntColumn, weight: FloatColumn, payment: FloatColumn, round: int
    ) -> None:
        """Note uses: the last weight, the sum of payments (money), the count, the first and the last round."""
        if not owner.size:
            return
        self._reach(int(owner.max()) + 1)
        columns = {name: column[direction] for name, column in self._columns.items()}
        fresh = owner[columns["uses"][owner] == 0]
        columns["since_round"][fresh] = round
        columns["last_round"][owner] = round
        columns["weight"][owner] = weight
        np.add.at(columns["payment"], owner, payment)
        np.add.at(columns["uses"], owner, 1)

    def uses(self, direction: Direction) -> Iterator[tuple[int, dict[str, Any]]]:
        """Owner id and attributes of every edge in one direction that was used at some time, ids ascending."""
        owners = np.flatnonzero(self._columns["uses"][direction])
        rows = zip(*(column[direction, owners].tolist() for column in self._columns.values()), strict=True)
        for owner, row in zip(owners.tolist(), rows, strict=True):
            yield owner, dict(zip(self._columns, row, strict=True))

    def state(self) -> dict[str, NDArray[Any]]:
        """All columns, shape [2, owners]."""
        return {name: column.copy() for name, column in self._columns.items()}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from ``state()``."""
        self._columns = {name: np.array(state[name], dtype=dtype) for name, (dtype, _) in _COLUMNS.items()}

    def _reach(self, owners: int) -> None:
        held = self._columns["uses"].shape[1]
        if owners > held:
            bigger = _blank(max(owners, 2 * held))
            for name, column in self._columns.items():
                bigger[name][:, :held] = column
            self._columns = bigger


def _blank(owners: int) -> dict[str, NDArray[Any]]:
    return {name: np.full((len(Direction), owners), empty, dtype=dtype) for name, (dtype, empty) in _COLUMNS.items()}
