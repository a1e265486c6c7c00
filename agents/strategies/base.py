"""What a strategy is: three decisions, each for any number of owners at once.

A strategy sees an ``Observation``: the public board, the announced terms and the rows of the owners that decide
(their own type, history and beliefs, nothing of others). It never sees another owner. The three decisions are

* ``report`` (with ``takes_part`` and ``offer``): the claims that leave the owner, honest by default, whether it answers
  at all, and the data share that it offers,
* ``train``: how much of its data it really trains on, and what it uploads instead if it does not train,
* ``react``: what it does after the settlement: leave at once (``renames``: to come back under a new identity) or stay
  whatever happens (``stays``), with ``learn``: what it keeps in mind.

A strategy object is frozen: memory lives in population columns, chance in counter-based streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from agents.population import Population
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.registry import Registry
from learning.streams import Streams
from learning.uploads import Upload, poisons
from market.mechanism import CLAIMS, Advice, Board, Terms


class OwnRows:
    """The own rows of the deciding owners: ``rows.quality`` is a copy of that column, one entry per owner.

    Nothing else can be read through it: the table stays behind a closure.
    """

    __slots__ = ("_read", "ids")

    def __init__(self, population: Population, ids: IntColumn) -> None:
        def read(name: str) -> NDArray[Any]:
            column: NDArray[Any] = getattr(population, name)[ids]
            return column

        self._read = read
        self.ids = ids.copy()

    def __len__(self) -> int:
        return len(self.ids)

    def __getattr__(self, name: str) -> NDArray[Any]:
        if name.startswith("_"):  # no column; without this, copying an instance would recurse for ever
            raise AttributeError(name)
        return self._read(name)


Draw = Callable[[str], FloatColumn]


def own_luck(streams: Streams, persons: IntColumn, round: int) -> Draw:
    """Draws for the decisions of these persons in this round, and for nothing else.

    A strategy gets this in place of the streams: who could draw for any purpose and person could foresee audits.
    """

    def draw(purpose: str) -> FloatColumn:
        return streams.uniform(f"strategy/{purpose}", persons, round)

    return draw


@dataclass(frozen=True)
class Observation:
    """What the deciding owners know. ``advice`` is the mechanism's, for their true types.

    ``draw(purpose)`` gives one uniform number per owner, the same again in the same round.
    """

    board: Board
    terms: Terms
    advice: Advice
    own: OwnRows
    draw: Draw

    def __len__(self) -> int:
        return len(self.own)


@dataclass(frozen=True)
class Work:
    """What the owners really do: ``data_share`` of their data is trained on (0 = none), ``upload`` says what is sent.

    ``scale`` is the parameter of the upload kind (noise: multiple of the published norm). ``volume_share`` of the
    synthetic data that the mechanism asks for is really generated (None: all of it).
    """

    data_share: FloatColumn
    upload: NDArray[np.int8]
    scale: FloatColumn
    volume_share: FloatColumn | None = None


class Strategy:
    """Honest in everything; subclasses (frozen dataclasses of parameters) override a decision.

    Metadata, checked by the contract test: ``family``; ``lies_about`` (claims that may differ from the truth);
    ``trains`` (uploads are always really trained); ``conditional`` (it deviates for some owners or in some rounds only,
    by what it remembers and sees); ``stochastic`` (its decisions draw random numbers); ``calendar`` (they follow the
    number of the round); ``renaming`` (it may come back under a new identity); ``reference``. The class tells them for
    its default parameters, an instance for its own (see ``_declare``).
    """

    name: ClassVar[str]
    family: ClassVar[str] = "honest"
    lies_about: ClassVar[frozenset[str]] = frozenset()
    trains: ClassVar[bool] = True
    conditional: ClassVar[bool] = False
    stochastic: ClassVar[bool] = False
    calendar: ClassVar[bool] = False
    renaming: ClassVar[bool] = False
    reference: ClassVar[str] = ""

    def _declare(self, **metadata: object) -> None:
        """For ``__post_init__``: metadata that follows from the parameters (plain assignment is barred: frozen)."""
        for name, value in metadata.items():
            object.__setattr__(self, name, value)

    def sends(self) -> frozenset[Upload]:
        """The kinds of upload that it may send, so that a run keeps and measures only what these need."""
        return frozenset({Upload.TRAINED}) if self.trains else frozenset(kind for kind in Upload if not poisons(kind))

    def report(self, seen: Observation) -> Mapping[str, FloatColumn]:
        """Claims by name, one column each."""
        return {claim: getattr(seen.own, claim) for claim in CLAIMS}

    def takes_part(self, seen: Observation) -> BoolColumn:
        """Whether the owner answers this round at all; honest owners follow the advice."""
        return seen.advice.participate

    def offer(self, seen: Observation) -> FloatColumn:
        """Share of the claimed data, in [0, 1], offered to the mechanism; ``train`` decides what is really used."""
        return seen.advice.data_share

    def volume(self, seen: Observation) -> FloatColumn:
        """Synthetic samples that the owner offers to generate, where the mechanism leaves that to owners."""
        advised = seen.advice.synthetic_volume
        return np.zeros(len(seen)) if advised is None else advised

    def train(self, seen: Observation) -> Work:
        """Train on the advised share and send the result."""
        count = len(seen)
        return Work(seen.advice.data_share, np.full(count, Upload.TRAINED, dtype=np.int8), np.ones(count))

    def react(self, seen: Observation) -> BoolColumn:
        """After the settlement: True where the owner leaves at once, whatever its participation rule says."""
        return np.zeros(len(seen), dtype=np.bool_)

    def renames(self, seen: Observation) -> BoolColumn:
        """Where ``react`` says that it leaves: True if that is to come back under a new identity."""
        return np.zeros(len(seen), dtype=np.bool_)

    def stays(self, seen: Observation) -> BoolColumn:
        """After the settlement: True where the round tries no patience, and the owner stays whatever the rule says.

        ``seen.terms.round`` is the round that is over; the board is already that of the next one.
        """
        return np.zeros(len(seen), dtype=np.bool_)

    def learn(self, seen: Observation) -> Mapping[str, FloatColumn | IntColumn]:
        """After the settlement: new values of some of the ``agents.population.MEMORY`` columns, by name."""
        return {}


STRATEGIES: Registry[type[Strategy]] = Registry("strategy")
