"""What each strategy has been worth to an owner, by its own rounds: shared by the rules that compare."""

from __future__ import annotations

import numpy as np

from agents.adaptation.base import Experience
from agents.parameters import Bounds, check_number
from learning.columns import FloatColumn, IntColumn


def check_memory(memory: float | None) -> None:
    """Raise a one-line ValueError unless ``memory`` is a weight in (0, 1], or None for plain means."""
    if memory is not None:
        check_number("memory", memory, Bounds(above=0, at_most=1))


def remembered(seen: Experience, memory: float | None) -> tuple[FloatColumn, FloatColumn]:
    """Values (money per round, NaN if never tried) and rounds tried [n, strategies], with the last round counted in.

    A value is the mean over all rounds with that strategy, or their smoothing with weight ``memory`` of the newest.
    """
    rows, played, utility = np.arange(len(seen)), seen.own.strategy, seen.own.utility
    score, tried = seen.own.score, seen.own.tried
    tried[rows, played] += 1
    before = score[rows, played]
    weight = 1.0 / tried[rows, played] if memory is None else memory
    score[rows, played] = np.where(np.isnan(before), utility, before + weight * (utility - before))
    return score, tried


def best_of(value: FloatColumn, now: IntColumn) -> IntColumn:
    """The column of the largest value of each row [n, k]; the present one (``now``) if no other is better."""
    best = np.argmax(value, axis=1)
    rows = np.arange(len(value))
    return np.where(value[rows, now] >= value[rows, best], now, best).astype(np.int64)
