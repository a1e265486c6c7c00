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

    Owners leave and updates arrive one at a time, between phases that work on whole columns. ``take_out``, ``knows``,
    ``arrive`` and ``complete`` are for these: they cost next to nothing however long the table is. Rows that were taken
    out are passed over at first, and the columns close up when somebody asks for a column. Row numbers hold until then.
    """

    def __init__(self) -> None:
        self._next = 0
        self._claims: dict[str, FloatColumn] = {}
        self._store: dict[str, NDArray[Any]] = {name: np.zeros(0, dtype=kind) for name, kind in _COLUMNS.items()}
        self._gone: BoolColumn | None = None  # rows that were taken out since the columns last closed up
        self._by_owner: tuple[IntColumn, IntColumn] | None = None  # owners in order, and their rows

    def __len__(self) -> int:
        self._close_up()
        return len(self._store["serial"])

    def __getattr__(self, name: str) -> NDArray[Any]:
        store = self.__dict__.get("_store")
        if store is None or name not in store:
            raise AttributeError(name)
        self._close_up()
        column: NDArray[Any] = store[name]
        return column

    @property
    def claims(self) -> dict[str, FloatColumn]:
        """What the mechanism keeps of each flight, by name."""
        self._close_up()
        return self._claims

    def add(self, columns: Mapping[str, NDArray[Any]], claims: Mapping[str, FloatColumn]) -> IntColumn:
        """Append flights; columns that are not given start at zero. Returns their serial numbers."""
        self._close_up()
        count = len(columns["owner"])
        serials = np.arange(self._next, self._next + count)
        self._next += count
        columns = {**columns, "serial": serials}
        for name, kind in _COLUMNS.items():
            fresh = np.asarray(columns[name], dtype=kind) if name in columns else np.zeros(count, dtype=kind)
            self._store[name] = np.concatenate([self._store[name], fresh])
        for name, column in claims.items():
            self._claims[name] = np.concatenate([self._claims.get(name, np.zeros(0)), column])
        self._by_owner = None
        return serials

    def find(self, serials: IntColumn) -> IntColumn:
        """Row of each serial number, -1 where the flight is over."""
        self._close_up()
        return self._find(serials)

    def keep(self, rows: BoolColumn) -> None:
        """Drop all other flights."""
        self._close_up()
        self._cut(rows)

    def take_out(self, owner: int) -> Flights:
        """Drop the flights of an owner; they are returned as a table of their own."""
        rows = self._of(owner)
        taken = Flights()
        if len(rows):
            taken._store = {name: column[rows] for name, column in self._store.items()}
            taken._claims = {name: column[rows] for name, column in self._claims.items()}
            if self._gone is None:
                self._gone = np.zeros(len(self._store["serial"]), dtype=np.bool_)
            self._gone[rows] = True
        return taken

    def knows(self, serials: IntColumn) -> BoolColumn:
        """Which of these flights are not over."""
        return self._find(serials) >= 0

    def arrive(self, serials: IntColumn) -> tuple[IntColumn, IntColumn]:
        """Note that the updates of flights that are not over have arrived; their owners and kinds of upload."""
        rows = self._find(serials)
        self._store["arrived"][rows] = True
        return self._store["owner"][rows], self._store["upload"][rows]

    @property
    def complete(self) -> bool:
        """Whether every update has arrived or will never come."""
        here = self._store["arrived"] | self._store["lost"]
        return bool((here if self._gone is None else here | self._gone).all())

    def _find(self, serials: IntColumn) -> IntColumn:
        known = self._store["serial"]
        if len(known) == 0:
            return np.full(len(serials), -1, dtype=np.int64)
        rows = np.searchsorted(known, serials)
        rows[rows == len(known)] = 0
        there = known[rows] == serials
        return np.where(there if self._gone is None else there & ~self._gone[rows], rows, -1)

    def _of(self, owner: int) -> IntColumn:
        """Rows of an owner, ascending."""
        if self._by_owner is None:
            order = np.argsort(self._store["owner"], kind="stable")
            self._by_owner = self._store["owner"][order], order
        owners, places = self._by_owner
        rows = places[np.searchsorted(owners, owner) : np.searchsorted(owners, owner, side="right")]
        return rows if self._gone is None else rows[~self._gone[rows]]

    def _close_up(self) -> None:
        if self._gone is not None:
            self._cut(~self._gone)

    def _cut(self, rows: BoolColumn) -> None:
        for name, column in self._store.items():
            self._store[name] = column[rows]
        self._claims = {name: column[rows] for name, column in self._claims.items()}
        self._gone = self._by_owner = None
