"""Detectors: what an audit reads in an upload. Their rates of error follow from the market and are measured there.

A detector gives every owner a ``score``, the larger the more suspicious, NaN where there is nothing to go by, and
flags those beyond its limit. ``datagora detectors`` measures how often each is right on labelled runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from learning.columns import BoolColumn, FloatColumn
from learning.registry import Registry
from market.enforcement.bounds import check_amount, check_finite, check_one_of
from market.enforcement.evidence import (
    ALIGNMENT,
    DUPLICATES,
    HELD_OUT_GAIN,
    LOSS_DROP,
    MEASUREMENTS,
    SIMILARITY,
    UPDATE_NORM,
    Evidence,
    deviation,
    rank_gap,
)


@dataclass(frozen=True)
class Detector:
    """Reads one signal of training."""

    name: ClassVar[str]

    @property
    def needs(self) -> frozenset[str]:
        """What has to be measured for it, by the names of ``Evidence.measured``."""
        raise NotImplementedError

    @property
    def limit(self) -> float:
        """The score beyond which an owner is flagged."""
        raise NotImplementedError

    def at(self, limit: float) -> Detector:
        """The same with another ``limit``; ``ValueError`` where there is none to set."""
        raise ValueError("it has no limit that could be set")

    def score(self, evidence: Evidence) -> FloatColumn:
        """How suspicious each owner is; NaN where there is nothing to go by."""
        raise NotImplementedError

    def flagged(self, score: FloatColumn) -> BoolColumn:
        """Whom it flags, by the scores."""
        return np.asarray(score > self.limit)

    def flags(self, evidence: Evidence) -> BoolColumn:
        """Whom it flags."""
        return self.flagged(self.score(evidence))


DETECTORS: Registry[type[Detector]] = Registry("detector")


@DETECTORS.register("update_norm")
@dataclass(frozen=True)
class NormDetector(Detector):
    """Flags an update whose norm is more than ``deviations`` robust standard deviations from the cohort's, in logs."""

    name: ClassVar[str] = "update_norm"
    deviations: float = 3.5

    def __post_init__(self) -> None:
        check_amount("deviations", self.deviations)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({UPDATE_NORM})

    @property
    def limit(self) -> float:
        return self.deviations

    def at(self, limit: float) -> Detector:
        return replace(self, deviations=max(0.0, limit))

    def score(self, evidence: Evidence) -> FloatColumn:
        with np.errstate(divide="ignore"):  # an update of norm 0 is infinitely far
            return np.abs(deviation(np.log(evidence.measured[UPDATE_NORM])))


@dataclass(frozen=True)
class Least(Detector):
    """Flags a signal of ``least`` or below; the score is its negative."""

    signal: ClassVar[str]
    least: float = 0.0

    def __post_init__(self) -> None:
        check_finite("least", self.least)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({self.signal})

    @property
    def limit(self) -> float:
        return -self.least

    def at(self, limit: float) -> Detector:
        return replace(self, least=-limit)

    def score(self, evidence: Evidence) -> FloatColumn:
        return -evidence.measured[self.signal]

    def flagged(self, score: FloatColumn) -> BoolColumn:
        return np.asarray(score >= self.limit)  # what has not moved at all is among them


@DETECTORS.register("update_direction")
@dataclass(frozen=True)
class DirectionDetector(Least):
    """Flags an update whose cosine with the mean direction of the others is at most ``least``."""

    name: ClassVar[str] = "update_direction"
    signal: ClassVar[str] = ALIGNMENT


@DETECTORS.register("loss_drop")
@dataclass(frozen=True)
class LossDropDetector(Least):
    """Flags an update that lowers the loss on its owner's own data by at most ``least`` nats per sample."""

    name: ClassVar[str] = "loss_drop"
    signal: ClassVar[str] = LOSS_DROP
    least: float = 0.005


@DETECTORS.register("held_out_gain")
@dataclass(frozen=True)
class GainDetector(Least):
    """Flags an update that lowers the loss on held-out data by at most ``least`` nats per sample (after Zeno, 2019).

    Xie, Koyejo, Gupta 2019, Zeno: distributed stochastic gradient descent with suspicion-based fault-tolerance, ICML;
    here without its penalty on the norm.
    """

    name: ClassVar[str] = "held_out_gain"
    signal: ClassVar[str] = HELD_OUT_GAIN


@DETECTORS.register("duplicate")
@dataclass(frozen=True)
class DuplicateDetector(Detector):
    """Flags an upload that equals another one, an earlier one, the model or the model moved as last, bit for bit."""

    name: ClassVar[str] = "duplicate"

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({DUPLICATES})

    @property
    def limit(self) -> float:
        return 0.0

    def score(self, evidence: Evidence) -> FloatColumn:
        return evidence.measured[DUPLICATES]


@DETECTORS.register("near_copy")
@dataclass(frozen=True)
class NearCopyDetector(Detector):
    """Flags an update whose largest cosine with another one, or an earlier one, is above ``similarity`` (-1 to 1)."""

    name: ClassVar[str] = "near_copy"
    similarity: float = 0.98

    def __post_init__(self) -> None:
        if not -1.0 <= self.similarity <= 1.0:
            raise ValueError(f"similarity: expected a cosine between -1 and 1, got {self.similarity}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({SIMILARITY})

    @property
    def limit(self) -> float:
        return self.similarity

    def at(self, limit: float) -> Detector:
        return replace(self, similarity=min(limit, 1.0))

    def score(self, evidence: Evidence) -> FloatColumn:
        return evidence.measured[SIMILARITY]


@DETECTORS.register("report_gap")
@dataclass(frozen=True)
class GapDetector(Detector):
    """Flags an owner that ranks more than ``gap`` (-1 to 1) higher by its claims than by ``measurement``."""

    name: ClassVar[str] = "report_gap"
    gap: float = 0.5
    measurement: str = HELD_OUT_GAIN

    def __post_init__(self) -> None:
        check_finite("gap", self.gap)
        check_one_of("measurement", self.measurement, MEASUREMENTS)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({self.measurement})

    @property
    def limit(self) -> float:
        return self.gap

    def at(self, limit: float) -> Detector:
        return replace(self, gap=limit)

    def score(self, evidence: Evidence) -> FloatColumn:
        return rank_gap(evidence.claimed, evidence.measured[self.measurement])
