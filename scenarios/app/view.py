"""What a panel is given to draw: one world up to one round, and the look of the page."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from market.mechanism import DATA_SIZE
from scenarios import registries
from scenarios.app.drawing import Theme
from scenarios.app.layout import Layout
from scenarios.app.reel import TOLD, Frame
from scenarios.palette import strategy_colours


@dataclass(frozen=True)
class View:
    """One world as it stood after ``frames[-1]``.

    ``strategies``: those of the scenario, so that colours and order stay while kinds come and go; ``marks``: rounds
    before which a lever was turned, and ``levers``: which one, in words; ``mechanism``: the name of the one in force;
    ``claims``: what owners say to it, first what somebody lies about; ``layout`` remembers where owners were drawn.
    """

    frames: tuple[Frame, ...]
    theme: Theme
    strategies: tuple[str, ...]
    families: Mapping[str, str]
    marks: tuple[int, ...] = ()
    levers: tuple[str, ...] = ()
    mechanism: str = ""
    claims: tuple[str, ...] = (DATA_SIZE,)
    layout: Layout = field(default_factory=Layout, compare=False)

    @property
    def last(self) -> Frame:
        """The round shown."""
        return self.frames[-1]

    @cached_property
    def rounds(self) -> NDArray[np.float64]:
        """Numbers of the rounds."""
        return self.series("round")

    def series(self, name: str) -> NDArray[np.float64]:
        """A column of the rounds table so far."""
        return np.array([frame.row[name] for frame in self.frames], dtype=np.float64)

    @cached_property
    def colours(self) -> dict[str, str]:
        """Colours of the strategies, in the order of all pictures."""
        seen = {str(name) for frame in self.frames[-1:] for name in np.unique(frame.owners["strategy"].astype(str))}
        return strategy_colours({*self.strategies, *seen}, self.families)

    def fill(self, strategy: str) -> str:
        """A strategy's colour for areas and dots."""
        return self.theme.fill(self.colours[strategy])

    def text(self, strategy: str) -> str:
        """A strategy's colour for words."""
        return self.theme.text(self.colours[strategy])


NOT_YET = "No round has been closed yet: press Step or Play."
"""What a panel says before there is anything to draw."""


@functools.lru_cache(maxsize=64)
def told_claims(mechanism: str, strategies: tuple[str, ...]) -> tuple[str, ...]:
    """What owners say to a mechanism: first what one of these strategies lies about."""
    told = [claim for claim in registries.mechanisms()[mechanism].needs if claim in TOLD] or [DATA_SIZE]
    kinds = registries.strategies()
    lied = {claim for name in strategies if name in kinds for claim in getattr(kinds[name], "lies_about", ())}
    return tuple(sorted(told, key=lambda claim: claim not in lied))
