"""Contributions over many rounds, in which not everybody takes part: what such a method looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from learning.columns import IntColumn
from learning.contribution.game import Game
from learning.contribution.result import Contribution
from learning.contribution.sampling import ALL, Draws, Effort
from learning.registry import Registry


class AcrossRounds(Protocol):
    """Watches the games of the rounds of N owners and says at any time what each has contributed."""

    def observe(self, game: Game, owners: IntColumn, draws: Draws, effort: Effort = ALL) -> None:
        """Take in one round, in which ``owners`` [K], numbers below N, were the game's players."""

    def result(self) -> Contribution:
        """Values [N] so far."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that hold all that was observed, for a checkpoint."""

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what ``state`` gave. Raises ``ValueError`` if it belongs to other owners."""


ACROSS_ROUNDS: Registry[type[AcrossRounds]] = Registry("contribution over rounds")


def check_owners(game: Game, owners: IntColumn, population: int) -> None:
    """Raise ``ValueError`` unless ``owners`` names the game's players by different numbers below ``population``."""
    if len(owners) != game.players:
        raise ValueError(f"the game has {game.players} players, but {len(owners)} owners are named")
    if len(np.unique(owners)) != len(owners) or ((owners < 0) | (owners >= population)).any():
        raise ValueError(f"owners must be different numbers of 0..{population - 1}, got {owners.tolist()}")
