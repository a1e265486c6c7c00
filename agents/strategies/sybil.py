"""The Sybil family: one person under several names at once (Douceur 2002, "The Sybil attack").

What having several names means for data, money, privacy and time is ``scenarios.engine.identities``; here is what each
name does in a round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from agents.parameters import Bounds, check_whole, make
from agents.strategies.base import STRATEGIES, Observation, Strategy, Work
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.registry import UnknownName
from learning.uploads import Upload

MOST_IDENTITIES = 256
"""Names that one person can have at once."""


@STRATEGIES.register("sybil")
@dataclass(frozen=True, kw_only=True)
class Sybil(Strategy):
    """Has several ``identities`` at once, each with a part of its data; each ``plays`` another strategy.

    What a person has is divided, not multiplied: its data, device and privacy. It has as many identities as it has
    samples at most. ``leaving``: whether they come and go ``together``, by what they have in sum, or ``separately``.
    Names are taken on first arrival: who turns to this strategy later keeps the names that it has.
    """

    name: ClassVar[str] = "sybil"
    family: ClassVar[str] = "sybil"
    reference: ClassVar[str] = "Douceur 2002, The Sybil attack, IPTPS; false names: Yokoo et al. 2004, GEB 46(1)"

    identities: int = 3
    leaving: Literal["together", "separately"] = "together"
    plays: str = "honest"

    def __post_init__(self) -> None:
        check_whole("identities", self.identities, Bounds(at_least=1, at_most=MOST_IDENTITIES))
        if self.leaving not in ("together", "separately"):
            raise ValueError(f"leaving is {self.leaving!r}, expected together or separately")
        if not isinstance(self.plays, str) or self.plays == self.name:
            raise ValueError(f"plays is {self.plays!r}, expected another strategy")
        try:
            played = make(STRATEGIES, self.plays, {})
        except UnknownName as unknown:
            raise ValueError(f"plays: {unknown.line}") from None
        names = ("lies_about", "trains", "conditional", "stochastic", "calendar", "renaming")
        self._declare(**{name: getattr(played, name) for name in names}, _played=played)

    @property
    def each(self) -> Strategy:
        """What each of the identities does."""
        played: Strategy = self.__dict__["_played"]
        return played

    def sends(self) -> frozenset[Upload]:
        return self.each.sends()

    def report(self, seen: Observation) -> Mapping[str, FloatColumn]:
        return self.each.report(seen)

    def takes_part(self, seen: Observation) -> BoolColumn:
        return self.each.takes_part(seen)

    def offer(self, seen: Observation) -> FloatColumn:
        return self.each.offer(seen)

    def volume(self, seen: Observation) -> FloatColumn:
        return self.each.volume(seen)

    def train(self, seen: Observation) -> Work:
        return self.each.train(seen)

    def react(self, seen: Observation) -> BoolColumn:
        return self.each.react(seen)

    def renames(self, seen: Observation) -> BoolColumn:
        return self.each.renames(seen)

    def stays(self, seen: Observation) -> BoolColumn:
        return self.each.stays(seen)

    def learn(self, seen: Observation) -> Mapping[str, FloatColumn | IntColumn]:
        return self.each.learn(seen)
