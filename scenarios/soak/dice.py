"""Draws one after another from one stream: what a random market is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from learning.streams import Streams

Option = TypeVar("Option")


class Dice:
    """A sequence of draws; the same ``seed`` and ``number`` give the same sequence."""

    def __init__(self, seed: int, number: int = 0) -> None:
        self._generator = Streams(seed).generator("soak", number)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self._generator.random() < probability)

    def one_of(self, options: Sequence[Option]) -> Option:
        """One of the options, each as likely as the others."""
        return options[int(self._generator.integers(len(options)))]

    def some_of(self, options: Sequence[Option], most: int) -> list[Option]:
        """At most so many of the options, in an order of their own, each once."""
        count = int(self._generator.integers(min(most, len(options)) + 1))
        return [options[place] for place in self._generator.permutation(len(options))[:count].tolist()]

    def whole(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return int(self._generator.integers(low, high + 1))

    def number(self, low: float, high: float) -> float:
        """A number between two others, with four digits, so that a file that has it can be read."""
        return rounded(float(self._generator.uniform(low, high)))

    def wide(self, low: float, high: float) -> float:
        """A positive number between two others, each order of magnitude as likely as the next."""
        return rounded(math.exp(float(self._generator.uniform(math.log(low), math.log(high)))))


def rounded(value: float) -> float:
    """The value with four digits."""
    return float(f"{value:.4g}")
