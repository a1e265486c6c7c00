"""Cooperative games: what every coalition of players is worth, asked for in batches and remembered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from learning.columns import BoolColumn, FloatColumn

MOST_LISTED = 20
"""Players up to which all coalitions can be listed: about a million."""


class BudgetSpent(RuntimeError):
    """More coalitions would have to be evaluated than are allowed."""


class Game(ABC):
    """A game of ``players`` players. A subclass says what coalitions are worth; each is evaluated once.

    Attributes:
        players: K, at least 0.
        evaluations: distinct coalitions evaluated so far.
    """

    def __init__(self, players: int) -> None:
        self.players = players
        self._known: dict[bytes, float] = {}
        self._allowed: int | None = None

    @abstractmethod
    def evaluate(self, members: BoolColumn) -> FloatColumn:
        """Worth [M] of the coalitions members [M, K]; a row says who is in. Must not depend on the other rows."""

    @property
    def evaluations(self) -> int:
        return len(self._known)

    def worth(self, members: BoolColumn) -> FloatColumn:
        """Worth [M] of the coalitions members [M, K]; only those not met before are evaluated.

        Raises ``BudgetSpent``, before any work, if that is more than is allowed, and ``ValueError`` for a wrong shape.
        """
        if members.ndim != 2 or members.shape[1] != self.players:
            raise ValueError(f"coalitions must be [M, {self.players}], got {list(members.shape)}")
        keys = [key.tobytes() for key in np.packbits(members, axis=1)] if self.players else [b""] * len(members)
        fresh = {key: row for row, key in enumerate(keys) if key not in self._known}
        if fresh:
            if self._allowed is not None and len(self._known) + len(fresh) > self._allowed:
                raise BudgetSpent(f"{self._allowed} evaluations are allowed, {len(fresh)} more would exceed them")
            worth = self.evaluate(members[list(fresh.values())])
            self._known.update(zip(fresh, worth.tolist(), strict=True))
        return np.array([self._known[key] for key in keys])

    @contextmanager
    def at_most(self, fresh: int | None) -> Iterator[None]:
        """Within this block at most ``fresh`` coalitions more are evaluated (None: any number)."""
        before = self._allowed
        self._allowed = None if fresh is None else len(self._known) + fresh
        try:
            yield
        finally:
            self._allowed = before

    def ends(self) -> tuple[float, float]:
        """Worth of nobody and of everybody."""
        nobody, everybody = self.worth(np.array([[False], [True]]).repeat(self.players, axis=1))
        return float(nobody), float(everybody)


def all_coalitions(count: int) -> BoolColumn:
    """All coalitions [2^K, K] of K players; row i has player k if bit k of i is set.

    Raises ``ValueError`` for more than 20 players.
    """
    if count > MOST_LISTED:
        raise ValueError(f"the coalitions of {count} players are too many to list, at most {MOST_LISTED} will do")
    return np.asarray((np.arange(2**count)[:, None] >> np.arange(count)) & 1 == 1)
