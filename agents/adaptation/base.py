"""What an adaptation rule is: after a round it gives each owner its next strategy, for any number of owners at once.

A rule sees an ``Experience``. It declares in ``knows`` what of it it looks at (a contract test holds it to that):

* always: the owners' own rows, so their own strategy, payoffs and memory;
* ``SHOWN``: what one other owner shows of itself, its strategy and believed utility, through a ``Company``; a rule
  never gets the other owner, its row or its number;
* ``BOARD``: the public board, read directly or through ``prospects``, what it lets an owner expect of each strategy.

A rule holds parameters only: memory lives in population columns and blocks (``ADAPTATION_MEMORY``), chance in streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from numpy.typing import NDArray

from agents.adaptation.company import Among, Company
from agents.parameters import make
from agents.strategies.base import Draw, OwnRows
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.registry import Registry
from market.mechanism import Board


class Knows(StrEnum):
    """What a rule may look at beside the own rows of the owners that decide."""

    SHOWN = "what another owner shows"
    BOARD = "the public board"


@dataclass(frozen=True)
class Prospects:
    """What the deciding owners expect of the next round, in money, if they played each strategy [n, strategies].

    It follows from the public board, the terms and their own type, as when they decide to join: all others do as they
    did in the last round. ``violates`` says whether they would break a rule of the market by it.
    """

    utility: FloatColumn
    violates: BoolColumn


@dataclass(frozen=True)
class Experience:
    """What n owners know when a round is over. ``strategies`` is how many a scenario has.

    ``draw(purpose)`` gives one uniform number in (0, 1) per owner and round; ``trait(purpose)`` one per owner that
    stays the same for ever. ``company(among)`` is whom they may meet; ``prospects(rows)`` is for some of the n.
    """

    board: Board
    own: OwnRows
    strategies: int
    draw: Draw
    trait: Draw
    company: Callable[[Among], Company]
    prospects: Callable[[IntColumn], Prospects]

    def __len__(self) -> int:
        return len(self.own)


@dataclass(frozen=True)
class Change:
    """The next strategy of each owner [n], and new values of memory columns and blocks by name."""

    strategy: IntColumn
    memory: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Adaptation:
    """A rule; subclasses are frozen dataclasses of parameters.

    ``knows``: see the module. ``keeps_scores``: it needs the blocks ``score`` and ``tried``, one number per owner and
    strategy; a run without such a rule has none. ``reference``: where it comes from.
    """

    name: ClassVar[str]
    knows: ClassVar[frozenset[Knows]] = frozenset()
    keeps_scores: ClassVar[bool] = False
    reference: ClassVar[str] = ""

    def adapt(self, seen: Experience) -> Change:
        """What each owner does next, and what it keeps in mind."""
        raise NotImplementedError


ADAPTATION: Registry[type[Adaptation]] = Registry("adaptation rule")


@ADAPTATION.register("none")
@dataclass(frozen=True, kw_only=True)
class NoAdaptation(Adaptation):
    """Everybody keeps its strategy for ever."""

    name: ClassVar[str] = "none"

    def adapt(self, seen: Experience) -> Change:
        return Change(seen.own.strategy)


def make_adaptation(name: str, params: Mapping[str, Any]) -> Adaptation:
    """The registered rule ``name`` with these parameters; errors as in ``agents.parameters.make``."""
    return make(ADAPTATION, name, params)
