"""The population as a table: one row per identity that ever appeared, one NumPy column per attribute.

Truth and report are separate columns throughout. Rows are never reused: the row number is the owner's id. Handlers,
mechanisms and the recorder read and write whole columns; a ``DataOwner`` agent is a view of one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Status(IntEnum):
    """Where an identity stands. Only ACTIVE owners act; OUTSIDE and LEFT ones may come (back) later."""

    OUTSIDE = 0
    ACTIVE = 1
    LEFT = 2
    EXPELLED = 3
    BANKRUPT = 4


@dataclass(frozen=True)
class Column:
    """One attribute: its NumPy type, the value of a fresh row, and what it means (unit included)."""

    dtype: str
    default: float | int | bool
    meaning: str


NEVER = -1

COLUMNS: dict[str, Column] = {
    # who
    "person": Column(
        "i8", -1, "the person behind the identity (truth; several identities may share one); keys its private type"
    ),
    "luck": Column("i8", -1, "keys all other draws: the person, or a number of its own for a further name at once"),
    "decider": Column("i8", -1, "who decides that it comes and goes: identities that share this do so together"),
    "identities": Column("i8", 1, "names that its person has divided its data, device and privacy among"),
    "region": Column("i8", 0, "where its person lives, for faults of the network"),
    "offline_until": Column("i8", 0, "tick until which its device is broken; it is not invited before"),
    "status": Column("i1", Status.OUTSIDE, "see Status"),
    "stay": Column("i8", 0, "number of the current or last stay, counted from 1"),
    "joined_tick": Column("i8", NEVER, "tick of the last join"),
    "joined_round": Column("i8", NEVER, "number of rounds closed at the last join"),
    "first_round": Column("i8", NEVER, "number of the first round that it could take part in after that"),
    "returns": Column("i8", 0, "how often it has put off its coming (back) since the last round closed"),
    "missed_rounds": Column("i8", 0, "rounds before that one in which no upload of it arrived"),
    # truth: the private type
    "shard": Column("i8", -1, "row of the data shards, or of their parts, that this identity holds"),
    "data_size": Column("f8", 0.0, "samples held"),
    "quality": Column("f8", 1.0, "true data quality in [0, 1]"),
    "cost": Column("f8", 0.0, "money per sample trained on in a round"),
    "compute_rate": Column("f8", 1.0, "samples trained per second"),
    "link_time": Column("f8", 0.0, "mean seconds to upload one model"),
    "think_time": Column("f8", 0.0, "mean seconds before an answer leaves the owner"),
    "model_value": Column("f8", 0.0, "money per round for a model of accuracy 1 (0 at chance level)"),
    "outside_option": Column("f8", 0.0, "money per round when not taking part"),
    "gain_scale": Column("f8", 0.0, "K in sqrt(K / n) money: how much data of others is worth to it; 0 buys nothing"),
    "sharing_cost": Column("f8", 0.0, "money lost each time that another owner imports its model (inf: never)"),
    "valuation": Column("f8", 0.0, "money that a unit of privacy loss (epsilon) costs it"),
    "privacy_cap": Column("f8", 0.0, "most epsilon that it sells in one round"),
    "lifetime_privacy": Column("f8", 0.0, "epsilon that it will lose at most in all its rounds together"),
    "privacy_budget": Column("f8", 0.0, "most epsilon that it sells now: its cap, and what its lifetime leaves of it"),
    "emd": Column("f8", 0.0, "L1 distance of its label mix from that of all shards, in [0, 2]"),
    "generation_cost": Column("f8", 0.0, "money per synthetic sample, to generate it and to train on it"),
    "profitability": Column("f8", 0.0, "money per round that a model of accuracy 1 earns it among its rivals"),
    "competition_pressure": Column("f8", 0.0, "its rivals' profitability times what it feels of each, in money"),
    # how it behaves
    "strategy": Column("i4", 0, "index into the run's strategies"),
    "leaves_at": Column("i8", NEVER, "tick at which the trace that brought it has it leave, -1: none says so"),
    "strategy_joined": Column("i4", 0, "strategy when the current or last stay began"),
    # report: what it claimed last
    "reported_data_size": Column("f8", np.nan, "samples claimed"),
    "reported_quality": Column("f8", np.nan, "quality claimed"),
    "reported_cost": Column("f8", np.nan, "money per trained sample claimed"),
    "reported_gain_scale": Column("f8", np.nan, "gain scale claimed"),
    "reported_sharing_cost": Column("f8", np.nan, "sharing cost claimed, in money"),
    "reported_valuation": Column("f8", np.nan, "money per unit of epsilon claimed"),
    "reported_privacy_budget": Column("f8", np.nan, "epsilon that it claims to sell at most"),
    "reported_emd": Column("f8", np.nan, "distance of its label mix claimed"),
    "reported_generation_cost": Column("f8", np.nan, "money per synthetic sample claimed"),
    "reported_profitability": Column("f8", np.nan, "profitability claimed, in money"),
    # what the market found out
    "measured_quality": Column("f8", np.nan, "raw quality that a mechanism measured last, in its own unit"),
    "center": Column("i8", -1, "computing center that a mechanism matched it with, -1 for none"),
    # last round's treatment (its own history)
    "payment": Column("f8", 0.0, "money received from the mechanism in the last round, net (0 if it took no part)"),
    "training_cost": Column("f8", 0.0, "money spent on training in that round"),
    "generation_spent": Column("f8", 0.0, "money spent on synthetic data in that round"),
    "competition_loss": Column("f8", 0.0, "lost to rivals with better models in that round, in money"),
    "model_benefit": Column("f8", 0.0, "worth of the model held in that round"),
    "penalty": Column("f8", 0.0, "money slashed or charged in that round"),
    "sharing_gain": Column("f8", 0.0, "worth of the models of others used in that round, in money"),
    "sharing_loss": Column("f8", 0.0, "lost in that round as others imported its model, in money"),
    "privacy_cost": Column("f8", 0.0, "worth of the privacy lost in that round, valuation * epsilon, in money"),
    "epsilon_spent": Column("f8", 0.0, "privacy that this person has lost so far, in epsilon at the run's delta"),
    "utility": Column("f8", 0.0, "realised utility of that round, from true types"),
    "utility_total": Column("f8", 0.0, "sum of realised utility over all rounds"),
    "rounds_taken": Column("i8", 0, "rounds in which an upload arrived"),
    "model_version": Column("i8", NEVER, "version of the global model held"),
    "held_accuracy": Column("f8", np.nan, "test accuracy of that model on the owner's own class mix"),
    "held_loss": Column("f8", np.nan, "test cross-entropy of that model on the owner's own class mix, in nats"),
    "stay_utility": Column("f8", 0.0, "realised utility in the current or last stay"),
    "stay_rounds": Column("i8", 0, "uploads that arrived in the current or last stay"),
    "flagged": Column("?", False, "found guilty in the last round taken part in"),
    # beliefs
    "believed_utility": Column("f8", 0.0, "smoothed utility per round, the owner's own belief"),
    "observations": Column("i8", 0, "rounds in the current or last stay after which the belief was updated"),
    "disappointed": Column("f8", 0.0, "disappointing rounds of the stay, as its patience counts them"),
    "regret": Column("f8", 0.0, "cumulated regret of the current or last stay, in money"),
    "invested": Column("f8", 0.0, "put into the current or last stay, in money: entry and training"),
    # what its strategy keeps in mind (``MEMORY``)
    "size_factor": Column("f8", 1.0, "multiple of its true data size that it claims now, if its strategy learns that"),
    "cost_factor": Column("f8", 1.0, "multiple of its true sharing cost that it claims now, likewise"),
    "kept_size_factor": Column("f8", 1.0, "the size factor that has paid best so far"),
    "kept_cost_factor": Column("f8", 1.0, "the cost factor that has paid best so far"),
    "kept_utility": Column("f8", np.nan, "utility of the last round in which it claimed by these two"),
    "grievances": Column("i8", 0, "rounds in which it thinks that the market treated it badly, if its strategy counts"),
    "defecting": Column("i8", 0, "further rounds in which its strategy means to defect (below 0: to keep peace)"),
    # what its adaptation rule keeps in mind (``ADAPTATION_MEMORY``)
    "lowest_utility": Column("f8", np.nan, "utility of the worst round so far, if the adaptation rule counts with it"),
    "highest_utility": Column("f8", np.nan, "utility of the best round so far, likewise"),
    "choice_chance": Column("f8", np.nan, "probability with which the rule chose the strategy that is played now"),
    "believed_violators": Column("f8", np.nan, "share of the others that break the rules, as the public board tells"),
    # standing
    "reputation": Column("f8", 1.0, "public standing in [0, 1]"),
    "strikes": Column("i8", 0, "audits that found guilty, in all"),
    "probation_until": Column("i8", 0, "first round without probation"),
    "restricted": Column("?", False, "its sharing edges are closed"),
    "banned_until": Column("i8", 0, "first round in which it may join (again)"),
}

BLOCKS: dict[str, Column] = {
    "score": Column("f8", np.nan, "what the adaptation rule holds of each strategy: value, propensity, sum or chance"),
    "tried": Column("f8", 0.0, "rounds in which the owner played each strategy, if the rule counts them"),
}
"""Columns of columns [owners, strategies], where the adaptation rule of a run needs them; else of width 0."""

ADAPTATION_MEMORY = ("lowest_utility", "highest_utility", "choice_chance", "believed_violators", *BLOCKS)
"""Columns and blocks that an adaptation rule may change, of the owners that decide."""

MEMORY = (
    *("size_factor", "cost_factor", "kept_size_factor", "kept_cost_factor", "kept_utility"),
    *("grievances", "defecting"),
)
"""Columns that a strategy may change, of its own owners, when a round is over.

The first five are what a learner of reports compares. The last two are all that the reciprocal and the
reputation-milking strategies need beside the columns that every owner has: how often it was wronged, and for how long
it still retaliates (or, 0 and 1, in which of its two moods it is).
"""


_ROWS = 1024
"""Length of the ranges of rows in which the owners in the market are counted."""


class Population:
    """Growing structure of arrays. ``population.utility`` is the column; rows are owner ids 0 .. len - 1.

    ``strategies`` is the width of the ``BLOCKS``, arrays [owners, strategies] that grow with the columns. Who enters or
    leaves the market does so by ``enter`` and ``leave``, which keep count: see ``nth_active``.
    """

    def __init__(self, capacity: int = 64, strategies: int = 0) -> None:
        self._size = 0
        self._capacity = max(1, capacity)
        self._store: dict[str, NDArray[Any]] = {
            name: np.full(self._capacity, column.default, dtype=column.dtype) for name, column in COLUMNS.items()
        }
        for name, block in BLOCKS.items():
            self._store[name] = np.full((self._capacity, strategies), block.default, dtype=block.dtype)
        self._there = np.zeros(1 + self._capacity // _ROWS, dtype=np.int64)  # owners in the market, by ranges of rows

    def __len__(self) -> int:
        return self._size

    def __getattr__(self, name: str) -> NDArray[Any]:
        store = self.__dict__.get("_store")
        if store is None or name not in store:
            raise AttributeError(name)
        column: NDArray[Any] = store[name][: self._size]
        return column

    def grow(self, count: int) -> NDArray[np.int64]:
        """Append ``count`` fresh rows and return their ids."""
        first, size = self._size, self._size + count
        if size > self._capacity:
            self.reserve(max(size, 2 * self._capacity))
        self._size = size
        return np.arange(first, size)

    def keep_scores(self, strategies: int) -> None:
        """Give the ``BLOCKS`` this width, fresh in every row; those that have it stay as they are."""
        for name, block in BLOCKS.items():
            if self._store[name].shape[1] != strategies:
                self._store[name] = np.full((self._capacity, strategies), block.default, dtype=block.dtype)

    def reserve(self, capacity: int) -> None:
        """Have room for so many rows in all, so that they need not be moved later."""
        if capacity <= self._capacity:
            return
        self._capacity = capacity
        for name, column in (COLUMNS | BLOCKS).items():
            kept = self._store[name][: self._size]
            bigger = np.full((capacity, *kept.shape[1:]), column.default, dtype=column.dtype)
            bigger[: self._size] = kept
            self._store[name] = bigger
        self._there = np.append(self._there, np.zeros(1 + capacity // _ROWS - len(self._there), dtype=np.int64))

    def active(self) -> NDArray[np.int64]:
        """Ids of the owners in the market, ascending."""
        return np.flatnonzero(self.status == Status.ACTIVE)

    def enter(self, ids: NDArray[np.int64]) -> None:
        """These owners are in the market from now on."""
        self.status[ids] = Status.ACTIVE
        np.add.at(self._there, ids // _ROWS, 1)

    def leave(self, ids: NDArray[np.int64], status: Status) -> None:
        """These owners are in the market no longer; ``status``: how they left it."""
        self.status[ids] = status
        np.subtract.at(self._there, ids // _ROWS, 1)

    @property
    def count_active(self) -> int:
        """How many owners are in the market."""
        return int(self._there.sum())

    def nth_active(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """As ``active()[places]``, without a look at everybody. Raises ``IndexError`` for a place that is too high."""
        ends = np.cumsum(self._there)
        ranges = np.searchsorted(ends, places, side="right")
        found = np.empty(len(places), dtype=np.int64)
        for number in np.unique(ranges).tolist():
            here, start = ranges == number, number * _ROWS
            before = ends[number - 1] if number else 0
            inside = np.flatnonzero(self.status[start : start + _ROWS] == Status.ACTIVE)
            found[here] = start + inside[places[here] - before]
        return found
