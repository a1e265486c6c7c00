"""Norms: owners that do as they believe most others do. What the others do is believed from the public board only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.adaptation.base import ADAPTATION, Adaptation, Change, Experience, Knows
from agents.adaptation.values import best_of
from agents.parameters import PROBABILITY, Bounds, check_number
from learning.columns import FloatColumn
from market.mechanism import Board


def believed_violators(board: Board, before: FloatColumn, memory: float) -> FloatColumn:
    """What share of the others break the rules, as each owner [n] believes after the last round (NaN: no idea yet).

    The board says how many owners were audited, how many were found guilty, and how surely guilt is detected; guilty /
    (audited * detection rate), at most 1, is the share that was seen. It has the weight ``memory`` in the new belief.
    It is too high where audits err against the innocent, and where they look for suspects. A round without audits, or
    with audits that find nothing, teaches nothing.
    """
    if board.audited == 0 or board.detection_rate <= 0:
        return before
    found = min(1.0, board.guilty / (board.audited * board.detection_rate))
    return np.where(np.isnan(before), found, (1.0 - memory) * before + memory * found)


@ADAPTATION.register("threshold")
@dataclass(frozen=True, kw_only=True)
class Threshold(Adaptation):
    """Breaks the rules when it believes that more of the others do than its own threshold, and keeps them otherwise.

    Thresholds are spread evenly from ``low`` to ``high``, one for each owner for ever (Granovetter 1978, Threshold
    models of collective behavior, Am. J. Sociol. 83, 1420-1443). What share of the others break the rules it believes
    from the public board (``believed_violators``), where the newest round weighs ``memory``. Of the strategies that
    break the rules (that keep them) it plays the one that the board lets it expect most of, or the one that it plays
    already.
    """

    name: ClassVar[str] = "threshold"
    knows: ClassVar[frozenset[Knows]] = frozenset({Knows.BOARD})
    reference: ClassVar[str] = "Granovetter 1978, Am. J. Sociol. 83, 1420-1443"

    low: float = 0.0
    high: float = 1.0
    memory: float = 0.3

    def __post_init__(self) -> None:
        check_number("low", self.low, PROBABILITY)
        check_number("high", self.high, PROBABILITY)
        if self.low > self.high:
            raise ValueError(f"low is {self.low!r}, expected a number of at most high ({self.high:g})")
        check_number("memory", self.memory, Bounds(above=0, at_most=1))

    def adapt(self, seen: Experience) -> Change:
        belief = believed_violators(seen.board, seen.own.believed_violators, self.memory)
        strategy = seen.own.strategy.astype(np.int64)
        rows = np.flatnonzero(~np.isnan(belief))
        if len(rows):
            ahead = seen.prospects(rows)
            breaks = belief[rows] > self.low + (self.high - self.low) * seen.trait("threshold")[rows]
            fits = ahead.violates == breaks[:, None]
            keeps = fits[np.arange(len(rows)), strategy[rows]] | ~fits.any(axis=1)
            best = best_of(np.where(fits, ahead.utility, -np.inf), strategy[rows])
            strategy[rows] = np.where(keeps, strategy[rows], best)
        return Change(strategy, {"believed_violators": belief})
