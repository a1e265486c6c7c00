"""Updates on their way: one row per owner that has started and whose update is not settled yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.inspection_names import SIGNALS

_COLUMNS: dict[str, str] = {
    "serial": "i8",  # grows by one per flight, never reused: events refer to it
    "owner": "i8",
    "round": "i8",
    "samples": "i8",  # samples that are really trained on (0 for a forged upload)
    "base_version": "i8",
    "upload": "i1",
    "scale": "f8",
    "peer": "i8",  # owner whose shared model is copied, -1 for none
    "center": "i8",  # computing center that trains it; of no meaning where there are none
    "violation": "?",
    "lie": "?",
    "data_share": "f8",
    "promised": "f8",
    "spent": "f8",  # money spent on training and on synthetic data
    "generation_spent": "f8",  # the part of it that went into synthetic data
    "told_volume": "f8",  # synthetic samples that the mechanism asked for
    "synthetic": "i8",  # those that are really made
    "locked": "i8",  # put up as a deposit until the settlement, micro-units
    "compute_ticks": "i8",
    "link_ticks": "i8",
    "received": "?",  # a first copy has come, whatever became of it: further ones change nothing
    "repair": "f8",  # seconds that its device is away if it crashes
    "lost": "?",  # never comes, and the model owner has found out
    "arrived": "?",
    "used": "?",  # aggregated into a model version
    "weight": "f8",  # share in that aggregate
    "measured_quality": "f8",  # raw quality, if the mechanism asks
    "epsilon": "f8",  # privacy loss sold, 0 where none is
    "epsilon_lost": "f8",  # privacy loss of what is really sent
    "sent": "?",  # this loss has been entered in the ledger of privacy
    "contribution": "f8",  # measured contribution to it, NaN where none is measured
    "contribution_error": "f8",  # its standard error
    # what training shows of the upload, where enforcement asks for it (``learning.inspection_names``)
    **{name: "f8" for name in SIGNALS},
}


class Flights:
    """A small table that grows at the plan and shrinks at the settlement; rows are in order of ``serial``.

    ``claims`` are the columns that the mechanism keeps from plan to settlement, by name.
    """

    def __init__(self) -> None:
        self._next = 0
        self.claims: dict[str, FloatColumn] = {}
        self._store: dict[str, NDArray[Any]] = {name: np.zeros(0, dtype=kind) for name, kind in _COLUMNS.items()}

    def __len__(self) -> int:
        return len(self._store["serial"])

    def __getattr__(self, name: str) -> NDArray[Any]:
        store = self.__dict__.get("_store")
        if store is None or name not in store:
            raise AttributeError(name)
        column: NDArray[Any] = store[name]
        return column

    def add(self, columns: Mapping[str, NDArray[Any]], claims: Mapping[str, FloatColumn]) -> IntColumn:
        """Append flights; columns that are not given start at zero. Returns their serial numbers."""
        count = len(columns["owner"])
        serials = np.arange(self._next, self._next + count)
        self._next += count
        columns = {**columns, "serial": serials}
        for name, kind in _COLUMNS.items():
            fresh = np.asarray(columns[name], dtype=kind) if name in columns else np.zeros(count, dtype=kind)
            self._store[name] = np.concatenate([self._store[name], fresh])
        for name, column in claims.items():
            self.claims[name] = np.concatenate([self.claims.get(name, np.zeros(0)), column])
        return serials

    def find(self, serials: IntColumn) -> IntColumn:
        """Row of each serial number, -1 where the flight is over."""
        if len(self) == 0:
            return np.full(len(serials), -1, dtype=np.int64)
        rows = np.searchsorted(self.serial, serials)
        rows[rows == len(self)] = 0
        return np.where(self.serial[rows] == serials, rows, -1)

    def keep(self, rows: BoolColumn) -> None:
        """Drop all other flights."""
        for name, column in self._store.items():
            self._store[name] = column[rows]
        self.claims = {name: column[rows] for name, column in self.claims.items()}
