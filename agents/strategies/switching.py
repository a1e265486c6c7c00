"""Strategies that deviate at times: another strategy for some owners in some rounds, honesty otherwise.

When to deviate is all that a subclass says (``deviates``); what is done then is ``other``, a strategy like any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from agents.strategies.base import Observation, Strategy, Work
from agents.strategies.free_riding import FreeRiderGlobal
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.uploads import Upload


@dataclass(frozen=True, kw_only=True)
class Switching(Strategy):
    """Plays ``other`` where ``deviates`` says so, and the honest strategy elsewhere.

    How it reacts to a settlement (leaves, stays) goes by whether it is about to deviate in the round that comes.
    """

    @property
    def other(self) -> Strategy:
        """What is played where it deviates."""
        raise NotImplementedError

    def deviates(self, seen: Observation) -> BoolColumn:
        """Which owners deviate now."""
        raise NotImplementedError

    def remember(self, seen: Observation) -> Mapping[str, FloatColumn | IntColumn]:
        """What it keeps in mind beside what ``other`` does; as ``learn``."""
        return {}

    def sends(self) -> frozenset[Upload]:
        return self.other.sends() | {Upload.TRAINED}

    def report(self, seen: Observation) -> Mapping[str, FloatColumn]:
        now, other = self.deviates(seen), self.other.report(seen)
        return {claim: np.where(now, other[claim], truth) for claim, truth in super().report(seen).items()}

    def takes_part(self, seen: Observation) -> BoolColumn:
        return np.where(self.deviates(seen), self.other.takes_part(seen), super().takes_part(seen))

    def offer(self, seen: Observation) -> FloatColumn:
        return np.where(self.deviates(seen), self.other.offer(seen), super().offer(seen))

    def volume(self, seen: Observation) -> FloatColumn:
        return np.where(self.deviates(seen), self.other.volume(seen), super().volume(seen))

    def train(self, seen: Observation) -> Work:
        now, other, honest = self.deviates(seen), self.other.train(seen), super().train(seen)
        shirked = other.volume_share
        return Work(
            np.where(now, other.data_share, honest.data_share),
            _kinds(now, other.upload, honest.upload),
            np.where(now, other.scale, honest.scale),
            None if shirked is None else np.where(now, shirked, 1.0),
        )

    def react(self, seen: Observation) -> BoolColumn:
        return self.deviates(seen) & self.other.react(seen)

    def renames(self, seen: Observation) -> BoolColumn:
        return self.deviates(seen) & self.other.renames(seen)

    def stays(self, seen: Observation) -> BoolColumn:
        return self.deviates(seen) & self.other.stays(seen)

    def learn(self, seen: Observation) -> Mapping[str, FloatColumn | IntColumn]:
        return {**self.other.learn(seen), **self.remember(seen)}


@dataclass(frozen=True, kw_only=True)
class Defecting(Switching):
    """Sends the global model back in some rounds: by default while ``defecting``, which it remembers, is above 0."""

    trains: ClassVar[bool] = False
    conditional: ClassVar[bool] = True

    @property
    def other(self) -> Strategy:
        return _DEFECTION

    def deviates(self, seen: Observation) -> BoolColumn:
        return np.asarray(seen.own.defecting > 0)


_DEFECTION = FreeRiderGlobal()


def _kinds(now: BoolColumn, other: NDArray[np.int8], honest: NDArray[np.int8]) -> NDArray[np.int8]:
    return np.where(now, other, honest).astype(np.int8)
