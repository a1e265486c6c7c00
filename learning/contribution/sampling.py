"""Sampling with a budget, a stopping rule, progress and resumption: one loop for all methods that sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.contribution.game import BudgetSpent, Game
from learning.contribution.result import Contribution, half_width
from learning.streams import Streams


@dataclass(frozen=True)
class Draws:
    """The random numbers of one measurement: by custom ``counter`` is the round."""

    streams: Streams
    counter: int = 0

    def uniform(self, purpose: str, samples: IntColumn, items: int) -> FloatColumn:
        """Uniform numbers [R, items], a function of the sample's number only: so a sample can be drawn at any time."""
        return self.streams.uniform(purpose, samples[:, None], self.counter, np.arange(items))


@dataclass(frozen=True)
class Progress:
    """Where a measurement stands: evaluations and samples so far, the widest half interval, and the part done."""

    evaluations: int
    samples: int
    half_width: float
    part: float


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long a method may work. No clock is involved, so the same effort gives the same result anywhere.

    Attributes:
        max_evaluations: coalitions evaluated at most, strictly; samples not finished by then are dropped.
        half_width: stop as soon as every confidence interval is at most this wide to either side (the fixed-width
            sequential interval of Chow and Robbins 1965); it replaces a method's own rule of convergence.
        level: of that interval.
        progress: called after every block of samples.
    """

    max_evaluations: int | None = None
    half_width: float | None = None
    level: float = 0.95
    progress: Callable[[Progress], None] | None = None

    def __post_init__(self) -> None:
        if self.max_evaluations is not None and self.max_evaluations < 2:
            raise ValueError(f"max_evaluations must be at least 2 (nobody and everybody), got {self.max_evaluations}")
        if self.half_width is not None and not self.half_width > 0:
            raise ValueError(f"half_width must be above 0, got {self.half_width}")
        if not 0 < self.level < 1:
            raise ValueError(f"a confidence level is between 0 and 1, got {self.level}")

    def left(self, used: int) -> int | None:
        """Evaluations that are left (None: any number)."""
        return None if self.max_evaluations is None else max(0, self.max_evaluations - used)

    def require(self, evaluations: int, method: str) -> None:
        """Raise ``ValueError`` if a method that needs so many evaluations cannot have them."""
        if self.max_evaluations is not None and evaluations > self.max_evaluations:
            raise ValueError(f"{method} needs {evaluations} evaluations, only {self.max_evaluations} are allowed")


ALL = Effort()
"""No limits: a method ends by its own parameters."""


class Sampler(ABC):
    """What differs between methods that sample. Sample i is a function of i, so work can be cut anywhere.

    Attributes:
        name: of the one array that is the state: what was measured, sample by sample [samples * rows, ...].
        rows: rows of that array per sample.
        least, most: samples before the stopping rules are asked, and samples in all.
        at_once: samples measured in one block; the rules are asked after every block.
        cost: evaluations that one sample can need at most.
    """

    name: str
    rows: int
    least: int
    most: int
    at_once: int
    cost: int

    def nothing_to_measure(self) -> bool:
        """Whether a first look tells that all values are 0; asked once, at the start."""
        return False

    @abstractmethod
    def measure(self, samples: IntColumn) -> FloatColumn:
        """Measure the samples of these numbers [R]: [R * rows, ...]."""

    @abstractmethod
    def summary(self, measured: FloatColumn) -> tuple[FloatColumn, FloatColumn]:
        """Values [K] and standard errors [K]."""

    def converged(self, measured: FloatColumn) -> bool:
        """Whether the method's own rule says that it is enough."""
        return False


def run(sampler: Sampler, game: Game, effort: Effort, begun: Contribution | None, empty: FloatColumn) -> Contribution:
    """Measure samples until a rule says stop, going on from ``begun``; ``empty`` [0, ...] is the state of none.

    The result is that of a run without interruption, as far as worths do not depend on the batch they are asked for in
    (accuracies do not; the last bits of losses may). Raises ``ValueError`` if ``begun`` belongs to something else.
    """
    measured, spent_before = empty, 0
    if begun is not None:
        measured, spent_before = begun.state.get(sampler.name, empty), begun.evaluations
        if measured.shape[1:] != empty.shape[1:] or len(measured) % sampler.rows:
            raise ValueError(f"the result to go on from does not belong here: '{sampler.name}' is {measured.shape}")
    already, least = game.evaluations, max(2, sampler.least)

    def used() -> int:
        return spent_before + game.evaluations - already

    ended = "complete"
    with game.at_most(effort.left(spent_before)):
        if sampler.nothing_to_measure():
            return Contribution(np.zeros(game.players), np.zeros(game.players), used(), ended="skipped")
        while (done := len(measured) // sampler.rows) < sampler.most:
            # Rules are asked at the same numbers of samples however the work was cut: so resuming changes nothing.
            over = (done - least) % sampler.at_once if done > least else 0
            if done >= least and over == 0 and (reason := _reason_to_stop(sampler, measured, effort)) is not None:
                ended = reason
                break
            count = sampler.at_once - over if done >= least else min(sampler.at_once, least - done)
            left = effort.left(used())
            if left is not None:
                count = min(count, max(1, left // sampler.cost))
            count = min(count, sampler.most - done)
            try:
                fresh = sampler.measure(np.arange(done, done + count))
            except BudgetSpent:
                ended = "budget spent"
                break
            measured = np.concatenate([measured, fresh])
            if effort.progress is not None:
                effort.progress(_progress(sampler, measured, used(), effort))
    done = len(measured) // sampler.rows
    return Contribution(*sampler.summary(measured), used(), done, ended, {sampler.name: measured})


def _reason_to_stop(sampler: Sampler, measured: FloatColumn, effort: Effort) -> str | None:
    if effort.half_width is None:
        return "converged" if sampler.converged(measured) else None
    return "precise" if _widest(sampler, measured, effort.level) <= effort.half_width else None


def _widest(sampler: Sampler, measured: FloatColumn, level: float) -> float:
    error = sampler.summary(measured)[1]
    return float(half_width(error, len(measured) // sampler.rows - 1, level).max(initial=0.0))


def _progress(sampler: Sampler, measured: FloatColumn, used: int, effort: Effort) -> Progress:
    """The part done is the largest of the parts that each rule reports; intervals narrow with the root of samples."""
    done, widest = len(measured) // sampler.rows, _widest(sampler, measured, effort.level)
    part = done / sampler.most
    if effort.max_evaluations is not None:
        part = max(part, used / effort.max_evaluations)
    if effort.half_width is not None:
        part = max(part, 1.0 if widest == 0 else (effort.half_width / widest) ** 2)
    return Progress(used, done, widest, min(1.0, part))
