"""What the view shows: a run as a reel of frames, one per closed round, whether it is being played or is finished.

Frames hold columns that nobody changes any more, so a page may draw one while the simulation goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from market.mechanism import CLAIMS
from market.money import from_micro
from market.parties import MODEL_OWNER, REGULATOR, WORLD
from scenarios.buffers import Codes
from scenarios.results import Run
from scenarios.tables import TABLES

Columns = Mapping[str, NDArray[Any]]
"""Columns of one length by name; labels are objects."""

KEPT = ("owners", "edges", "transfers", "events")
"""Tables of which a frame holds the rows of its round."""

TOLD = tuple(claim for claim in CLAIMS if f"reported_{claim}" in {column.name for column in TABLES["owners"].columns})
"""Claims that the owners table has beside the truth."""

_OWNER_COLUMNS = (
    *("owner", "person", "status", "strategy", "weight", "utility", "reputation", "round"),
    *TOLD,
    *(f"reported_{claim}" for claim in TOLD),
    *("took_part", "arrived", "trained", "audited", "flagged", "violation"),
)
"""Columns of the owners table that panels draw; the others would only fill the memory."""

PARTY_GROUPS = ("owners", "deposits", "model owner", "regulator", "centers", "world")
"""Whose money the ledger panel adds up; the sum over all of them is zero."""


@dataclass(frozen=True)
class Frame:
    """One closed round.

    ``row``: its row of the rounds table; ``tables``: the rows of ``KEPT``; ``balances``: money of each of
    ``PARTY_GROUPS`` after the round; ``counts``: active owners by strategy; ``posted``: money moved by kind since the
    start; ``gains``: utility of each owner (index: owner id) since the start; ``earned``: by strategy, the utility of
    all its owners and their number, added up over the rounds.
    """

    row: Mapping[str, Any]
    tables: Mapping[str, Columns]
    balances: Mapping[str, float]
    counts: Mapping[str, int]
    posted: Mapping[str, float]
    gains: NDArray[np.float64]
    earned: Mapping[str, tuple[float, int]]

    @property
    def number(self) -> int:
        """Number of the round."""
        return int(self.row["round"])

    @property
    def owners(self) -> Columns:
        """One row per recorded owner."""
        return self.tables["owners"]


@dataclass
class Reel:
    """The frames of a run so far, oldest first."""

    frames: list[Frame] = field(default_factory=list)

    def add(self, row: Mapping[str, Any], tables: Mapping[str, Columns]) -> None:
        """Append a round; what is added up since the start goes on from the last frame."""
        last = self.frames[-1] if self.frames else None
        transfers, owners = tables["transfers"], tables["owners"]
        balances = _moved(transfers, last.balances if last else dict.fromkeys(PARTY_GROUPS, 0.0))
        posted = _posted(transfers, last.posted if last else {})
        gains = _gained(owners, last.gains if last else np.zeros(0))
        there = owners["strategy"][owners["status"] == "active"].astype(str)
        counts = dict(zip(*(part.tolist() for part in np.unique(there, return_counts=True)), strict=True))
        earned = _earned(owners, last.earned if last else {})
        self.frames.append(Frame(row, {**tables, "owners": _small(owners)}, balances, counts, posted, gains, earned))

    def until(self, place: int) -> tuple[Frame, ...]:
        """The frames up to the one at ``place`` (counted from 0), inclusive."""
        return tuple(self.frames[: place + 1])


class Tape:
    """A sink for a running simulation's tables that makes frames of them; see ``scenarios.simulation.Sink``.

    ``tail`` keeps what was logged after the last closed round: the events at the end of the run.
    """

    def __init__(self) -> None:
        self.reel = Reel()
        self._row: Mapping[str, Any] | None = None
        self._waiting: dict[str, list[Columns]] = {name: [] for name in KEPT}

    def write(self, table: str, columns: Mapping[str, object]) -> None:
        """Keep rows until their round is complete. The events of a round are written last."""
        if table == "rounds":
            self._row = {name: _plain(value) for name, value in columns.items()}
        elif table in KEPT and columns.get("moment") != "final":
            kept = _OWNER_COLUMNS if table == "owners" else tuple(columns)
            self._waiting[table].append(_own({name: columns[name] for name in kept}))
        if table == "events" and self._row is not None:
            tables = {name: _joined(name, rows) for name, rows in self._waiting.items()}
            self._waiting = {name: [] for name in KEPT}
            self.reel.add(self._row, tables)
            self._row = None

    @property
    def tail(self) -> Columns:
        """Events after the last closed round."""
        return _joined("events", self._waiting["events"])

    def close(self, resolved_scenario: str, info: Mapping[str, Any]) -> Path | None:
        """Nothing to do: the frames stay readable."""
        return None

    def abort(self) -> None:
        """Nothing to do: the frames stay readable."""


def reel_of(run: Run) -> Reel:
    """The reel of a finished run; raises ``BadRun`` for tables that cannot be read."""
    reel = Reel()
    owners = run.owners.loc[run.owners["moment"] == "round", list(_OWNER_COLUMNS)]
    cut = {
        name: _by_round(table)
        for name, table in (
            ("owners", owners),
            ("edges", run.edges),
            ("transfers", run.transfers),
            ("events", run.events),
        )
    }
    for row in run.rounds.to_dict("records"):
        number = int(row["round"])
        reel.add(
            {str(key): value for key, value in row.items()},
            {name: rounds.get(number, _joined(name, [])) for name, rounds in cut.items()},
        )
    return reel


def _by_round(table: pd.DataFrame) -> dict[int, Columns]:
    """The rows of each round."""
    columns = {str(name): np.asarray(table[name].astype(object) if table[name].dtype == "category" else table[name])
               for name in table.columns}  # fmt: skip
    rounds = columns["round"]
    order = np.argsort(rounds, kind="stable")
    numbers, starts = np.unique(rounds[order], return_index=True)
    ends = [*starts[1:], len(order)]
    return {
        int(number): {name: column[order[start:end]] for name, column in columns.items()}
        for number, start, end in zip(numbers, starts, ends, strict=True)
    }


def _plain(value: object) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _own(columns: Mapping[str, object]) -> Columns:
    """Copies of the columns, all of one length, with labels spelt out."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, cells in columns.items():
        if isinstance(cells, Codes):
            arrays[name] = np.atleast_1d(np.array(cells.names, dtype=object)[cells.codes])
        else:
            arrays[name] = np.atleast_1d(np.array(cells, dtype=object if isinstance(cells, str) else None))
    length = max(len(column) for column in arrays.values())
    if any(len(column) == 0 for column in arrays.values()):
        length = 0
    return {name: column if len(column) == length else np.resize(column, length) for name, column in arrays.items()}


def _joined(table: str, parts: list[Columns]) -> Columns:
    """All parts as one; without any, empty columns of the right types."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        kinds = {"text": object, "label": object}
        columns = [c for c in TABLES[table].columns if table != "owners" or c.name in _OWNER_COLUMNS]
        return {c.name: np.zeros(0, dtype=kinds.get(c.kind, c.numpy)) for c in columns}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _moved(transfers: Columns, before: Mapping[str, float]) -> dict[str, float]:
    """Balances after the transfers."""
    after = dict(before)
    money = from_micro(np.asarray(transfers["amount_micro"], dtype=np.int64))
    for side, sign in (("payer", -1.0), ("payee", 1.0)):
        party, locked = transfers[side], transfers[f"{side}_book"] == "deposit"
        here = {
            "deposits": (party >= 0) & locked,
            "owners": (party >= 0) & ~locked,
            "model owner": party == MODEL_OWNER,
            "regulator": party == REGULATOR,
            "world": party == WORLD,
        }
        here["centers"] = ~np.any(list(here.values()), axis=0)
        for group, rows in here.items():
            after[group] += sign * float(money[rows].sum())
    return after


def _posted(transfers: Columns, before: Mapping[str, float]) -> dict[str, float]:
    """Money moved by kind since the start."""
    return {**before, **{kind: before.get(kind, 0.0) + amount for kind, (amount, _) in by_kind(transfers).items()}}


def by_kind(transfers: Columns) -> dict[str, tuple[float, int]]:
    """Money moved and number of postings by kind, largest first."""
    kinds, place = np.unique(transfers["kind"].astype(str), return_inverse=True)
    money = np.bincount(place, from_micro(np.asarray(transfers["amount_micro"], dtype=np.int64)), len(kinds))
    counts = np.bincount(place, minlength=len(kinds))
    order = np.argsort(-money, kind="stable")
    return {str(kinds[k]): (float(money[k]), int(counts[k])) for k in order}


def _gained(owners: Columns, before: NDArray[np.float64]) -> NDArray[np.float64]:
    """Utility of each owner since the start."""
    ids = np.asarray(owners["owner"], dtype=np.int64)
    after = np.zeros(max(len(before), int(ids.max(initial=-1)) + 1))
    after[: len(before)] = before
    after[ids] += np.nan_to_num(np.asarray(owners["utility"], dtype=np.float64))
    return after


def _earned(owners: Columns, before: Mapping[str, tuple[float, int]]) -> dict[str, tuple[float, int]]:
    """Utility and owner-rounds of each strategy since the start."""
    names, place = np.unique(owners["strategy"].astype(str), return_inverse=True)
    money = np.bincount(place, np.nan_to_num(np.asarray(owners["utility"], dtype=np.float64)), len(names))
    counts = np.bincount(place, minlength=len(names))
    after = dict(before)
    for name, gained, count in zip(names.tolist(), money.tolist(), counts.tolist(), strict=True):
        had, number = after.get(name, (0.0, 0))
        after[name] = (had + gained, number + count)
    return after


def _small(owners: Columns) -> Columns:
    """The claims in half the memory: they are only printed."""
    claims = {*TOLD, *(f"reported_{claim}" for claim in TOLD)}
    return {name: column.astype(np.float32) if name in claims else column for name, column in owners.items()}
