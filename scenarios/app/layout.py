"""Where owners stand in the picture of the collaboration graph: kept from round to round, eased a little each time.

A newcomer starts beside those it deals with, whoever leaves is forgotten, and nobody else jumps. Forces as Fruchterman
and Reingold, "Graph drawing by force-directed placement" (1991), in NumPy: all pairs repel, edges attract, a weak pull
to the own strategy's side keeps alike owners together. No random number is drawn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learning.columns import FloatColumn, IntColumn

_GOLDEN = 2.399963229728653  # radians: successive owners go round without ever lining up
FIRST_STEPS, STEPS = 40, 4
"""Steps of easing for a fresh picture, and for each later one."""


class Layout:
    """Places by owner id, in a disc of radius about 1; the hub (the model owner) is at the origin."""

    def __init__(self) -> None:
        self._number = -1
        self._places: dict[int, NDArray[np.float64]] = {}
        self._before: dict[int, NDArray[np.float64]] = {}

    def arrange(
        self,
        number: int,
        owners: IntColumn,
        group: FloatColumn,
        users: IntColumn,
        sources: IntColumn,
        weight: FloatColumn,
    ) -> NDArray[np.float64]:
        """Places [n, 2] of the owners in round ``number``; asked again for the same round, the same places.

        ``group``: angle (radians) at which each owner's kind belongs [n]; ``users``, ``sources``: owner-to-owner
        edges by id, of which both ends must be among the owners, with their weights (0 to 1).
        """
        if number == self._number and len(owners) == len(self._places):
            return np.array([self._places[owner] for owner in owners.tolist()]).reshape(-1, 2)
        known = np.array([owner in self._places for owner in owners.tolist()], dtype=np.bool_)
        index = {owner: row for row, owner in enumerate(owners.tolist())}
        ends = np.array([[index[u], index[s]] for u, s in zip(users.tolist(), sources.tolist(), strict=True)],
                        dtype=np.int64).reshape(-1, 2)  # fmt: skip
        side = 0.75 if len(np.unique(group)) > 1 else 0.0  # a single kind stands in the middle
        home = side * np.column_stack([np.cos(group), np.sin(group)])
        turn = owners * _GOLDEN
        scatter = 0.28 * np.sqrt((owners * 0.6180339887) % 1.0)[:, None] * np.column_stack([np.cos(turn), np.sin(turn)])
        place: NDArray[np.float64] = home + scatter
        for row in np.flatnonzero(known).tolist():
            place[row] = self._places[int(owners[row])]
        _beside_neighbours(place, known, ends, scatter)
        steps = STEPS if known.any() else FIRST_STEPS
        for step in range(steps):
            _ease(place, home, ends, weight, 0.06 * (1 - step / (steps + 1)))
        self._number, self._before = number, self._places
        self._places = dict(zip(owners.tolist(), place, strict=True))
        return place

    def last(self, owner: int) -> NDArray[np.float64] | None:
        """Where an owner stood before the picture was last arranged; None if it was not there."""
        return self._before.get(owner)


def _beside_neighbours(
    place: NDArray[np.float64], known: NDArray[np.bool_], ends: NDArray[np.int64], scatter: NDArray[np.float64]
) -> None:
    """Newcomers go to the middle of those of their neighbours that have a place."""
    for row in np.flatnonzero(~known).tolist():
        mates = np.concatenate([ends[ends[:, 0] == row, 1], ends[ends[:, 1] == row, 0]])
        mates = mates[known[mates]]
        if len(mates):
            place[row] = place[mates].mean(axis=0) + 0.3 * scatter[row]


def _ease(
    place: NDArray[np.float64], home: NDArray[np.float64], ends: NDArray[np.int64], weight: FloatColumn, most: float
) -> None:
    """One step of at most ``most`` for everybody, in place."""
    count = len(place)
    if count == 0:
        return
    ideal = 1.3 / np.sqrt(count)
    apart = place[:, None, :] - place[None, :, :]
    square = np.maximum((apart**2).sum(axis=2), 1e-4)
    push = ideal**2 / square
    push[square > (4 * ideal) ** 2] = 0.0
    force = (apart * push[:, :, None]).sum(axis=1) + 0.35 * (home - place)
    if len(ends):
        pull = (place[ends[:, 1]] - place[ends[:, 0]]) * (0.4 * weight)[:, None]
        np.add.at(force, ends[:, 0], pull)
        np.add.at(force, ends[:, 1], -pull)
    radius = np.sqrt((place**2).sum(axis=1, keepdims=True))
    force += np.where(radius < 0.3, 0.6 * place / np.maximum(radius, 1e-9), 0.0)  # room for the hub
    force -= np.where(radius > 1.0, (radius - 1.0) * place / np.maximum(radius, 1e-9), 0.0) * 4
    size = np.sqrt((force**2).sum(axis=1, keepdims=True))
    place += force / np.maximum(size, 1e-9) * np.minimum(size, most)
