"""Patience: how disappointing rounds are counted, and how many are too many.

A kind combines with any participation rule: the rule says which rounds disappoint and has the number ``patience``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from agents.parameters import NOT_NEGATIVE, Bounds, check_number, make
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.registry import Registry


class Patience:
    """Counts in a row, up to the rule's number: the base of all kinds."""

    name: ClassVar[str]

    def count(self, old: FloatColumn, unhappy: BoolColumn) -> FloatColumn:
        """The count after another round."""
        return np.where(unhappy, old + 1.0, 0.0)

    def limit(self, patience: int, rounds: IntColumn, luck: Callable[[], FloatColumn]) -> FloatColumn:
        """The count at which patience is over; ``rounds`` of the stay so far, ``luck`` gives each person's own draw."""
        return np.full(len(rounds), float(patience))


PATIENCE: Registry[type[Patience]] = Registry("patience")


@PATIENCE.register("in_a_row")
@dataclass(frozen=True, kw_only=True)
class InARow(Patience):
    """Disappointing rounds in a row; a good one makes up for all before."""

    name: ClassVar[str] = "in_a_row"


@PATIENCE.register("total")
@dataclass(frozen=True, kw_only=True)
class Total(Patience):
    """All disappointing rounds of the stay: nothing is forgotten."""

    name: ClassVar[str] = "total"

    def count(self, old: FloatColumn, unhappy: BoolColumn) -> FloatColumn:
        return np.asarray(old + unhappy)


@PATIENCE.register("fading")
@dataclass(frozen=True, kw_only=True)
class Fading(Patience):
    """Disappointing rounds, each counting ``keep`` in [0, 1) times as much with every further round.

    The count never exceeds 1 / (1 - keep), so greater patience is never over.
    """

    name: ClassVar[str] = "fading"
    keep: float = 0.8

    def __post_init__(self) -> None:
        check_number("keep", self.keep, Bounds(at_least=0, below=1))

    def count(self, old: FloatColumn, unhappy: BoolColumn) -> FloatColumn:
        return np.asarray(self.keep * old + unhappy)


@PATIENCE.register("loyal")
@dataclass(frozen=True, kw_only=True)
class Loyal(Patience):
    """In a row, with patience that grows by ``per_round`` (>= 0) with each round of the stay."""

    name: ClassVar[str] = "loyal"
    per_round: float = 0.1

    def __post_init__(self) -> None:
        check_number("per_round", self.per_round, NOT_NEGATIVE)

    def limit(self, patience: int, rounds: IntColumn, luck: Callable[[], FloatColumn]) -> FloatColumn:
        return np.asarray(patience + float(self.per_round) * rounds)


@PATIENCE.register("drawn")
@dataclass(frozen=True, kw_only=True)
class Drawn(Patience):
    """In a row, with a patience of each person's own: geometric on 1, 2, ..., with the rule's number for its mean."""

    name: ClassVar[str] = "drawn"

    def limit(self, patience: int, rounds: IntColumn, luck: Callable[[], FloatColumn]) -> FloatColumn:
        if patience == 1:
            return np.ones(len(rounds))
        # Inversion of P(limit > k) = (1 - 1 / mean)^k.
        return np.asarray(1.0 + np.floor(np.log(luck()) / np.log1p(-1.0 / patience)))


def make_patience(name: str, params: Mapping[str, Any]) -> Patience:
    """The registered kind ``name`` with these parameters; errors as in ``agents.parameters.make``."""
    return make(PATIENCE, name, params)
