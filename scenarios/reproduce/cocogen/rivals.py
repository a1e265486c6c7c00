"""Rival organisations as the studies draw them: who holds which labels, who earns and pays what, who competes.

The paper's ranges are not public; these are the project's own (see docs/cocogen.md). Instance k has the same luck
whatever is varied, so differences between settings are paired.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from learning.heterogeneity import emd
from learning.streams import Streams
from market.cocogen import Game, LearningCurve, Organisations, towards_global
from market.cocogen.game import CompetitionModel
from scenarios.instances.cocogen import PERSONAL_GAIN

STREAMS = Streams(1)
"""The luck of all draws."""
READINGS: tuple[CompetitionModel, ...] = ("relative", "damage")
PRESETS = {"easy": (0.847, 0.209, 0.063), "hard": (2.56, 0.215, 0.285)}
"""Volume scale, volume exponent and EMD penalty of curves like those of Fashion-MNIST (easy) and CIFAR-10 (hard)."""

ORGANISATIONS, CLASSES = 10, 10
TYPICAL = 2000
"""Real samples of an organisation that costs, caps and rates are stated for. Where data are scarcer, all are scaled, so
that doubling one's data costs the same."""
FLOOR = 200
PROFITABILITY, UNIT_COST = (1000.0, 2500.0), (0.005, 0.015)
"""Ranges: money per unit of accuracy, money per synthetic sample."""
CAP = 4000.0
COMPETITION, SKEWS = (0.0, 0.01, 0.02, 0.03), (5.0, 1.0, 0.5, 0.1)
"""Mean intensities, and Dirichlet parameters from like to unlike."""
STRONG, MODERATE = 0.03, 0.5

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What a study varies: mean competition intensity, its reading, redistribution rate, factor on all unit costs."""

    reading: CompetitionModel = "relative"
    competition: float = STRONG
    rate: float = 0.0
    cost_factor: float = 1.0


def holdings(instance: int, alpha: float) -> Counts:
    """Real samples [N, C]: each class is shared out by a Dirichlet draw; whoever has too few gets some of each."""
    chance = STREAMS.generator("rivals/labels", instance)
    counts = chance.dirichlet(np.full(ORGANISATIONS, alpha), size=CLASSES).T * (TYPICAL * ORGANISATIONS / CLASSES)
    return np.asarray(counts + np.maximum(FLOOR - counts.sum(axis=1, keepdims=True), 0.0) / CLASSES)


def preset(task: str, reading: CompetitionModel) -> LearningCurve:
    """The curve of one of ``PRESETS``; personal gains as ``solve cocogen`` takes them where none are given."""
    return LearningCurve(*PRESETS[task], personal_gain=PERSONAL_GAIN[reading])


def rivals(counts: Counts, curve: LearningCurve, instance: int, setting: Setting) -> Game:
    """The game of organisations with these real samples [N, C]; everything else about them is drawn."""
    size = np.asarray(counts.sum(axis=1), dtype=np.float64)
    who, scale = np.arange(len(size)), float(size.mean()) / TYPICAL
    intensity = 2.0 * setting.competition * STREAMS.uniform("rivals/competition", who[:, None], instance, who)
    np.fill_diagonal(intensity, 0.0)
    unit_cost = _between(UNIT_COST, STREAMS.uniform("rivals/cost", who, instance))
    return Game(
        Organisations(
            data_size=size,
            residual_emd=towards_global(emd(counts / size[:, None], counts.sum(axis=0) / size.sum())),
            profitability=_between(PROFITABILITY, STREAMS.uniform("rivals/profitability", who, instance)),
            unit_cost=unit_cost * setting.cost_factor / scale,
            quadratic_cost=np.zeros(len(size)),
            synthetic_volume_cap=np.full(len(size), CAP * scale),
        ),
        0.5 * (intensity + intensity.T),
        curve,
        setting.reading,
        setting.rate / scale,
    )


def preset_game(task: str, alpha: float, instance: int, setting: Setting) -> Game:
    """Ten organisations with a preset curve."""
    return rivals(holdings(instance, alpha), preset(task, setting.reading), instance, setting)


def number_of_instances(quick: bool) -> int:
    """How many populations a static study draws."""
    return 6 if quick else 20


def mean_and_sd(values: Sequence[float] | NDArray[Any]) -> tuple[float, float]:
    """Over instances."""
    return float(np.mean(values)), float(np.std(values))


def reach(values: Sequence[float]) -> float:
    """Half the width of the 95 % confidence interval of their mean, by Student's t; infinite for a single one."""
    if len(values) < 2:
        return math.inf
    return float(stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(len(values)))


def _between(ends: tuple[float, float], share: NDArray[np.float64]) -> NDArray[np.float64]:
    return ends[0] + (ends[1] - ends[0]) * share
