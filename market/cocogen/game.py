"""The players and the rules of CoCoGen+: who holds what, who competes with whom, what is redistributed.

Columns have one entry per organisation, [N]; money per unit of performance, per sample and per squared sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Literal

import numpy as np

from learning.columns import FloatColumn, IntColumn
from market.cocogen.competition import CompetitionMatrix, among, checked
from market.cocogen.heterogeneity import ResidualEmd
from market.cocogen.performance import LearningCurve

CompetitionModel = Literal["relative", "damage"]
Contribution = Literal["synthetic", "effective"]


@dataclass(frozen=True)
class Organisations:
    """What organisations are, or say that they are.

    ``data_size`` D > 0 in real samples, ``residual_emd``: how their labels differ from the global mix,
    ``profitability`` p, ``unit_cost`` c and ``quadratic_cost`` cq of generation (cost: c g + cq g^2 / 2),
    ``synthetic_volume_cap`` G, all at least 0. Raises ``ValueError`` for anything else.
    """

    data_size: FloatColumn
    residual_emd: ResidualEmd
    profitability: FloatColumn
    unit_cost: FloatColumn
    quadratic_cost: FloatColumn
    synthetic_volume_cap: FloatColumn

    def __post_init__(self) -> None:
        for field in fields(self):
            column = getattr(self, field.name)
            if len(column) != len(self.data_size):
                raise ValueError(f"{field.name}: expected {len(self.data_size)} values, got {len(column)}")
            if isinstance(column, ResidualEmd):
                continue
            above = field.name == "data_size"
            if not (np.isfinite(column).all() and ((column > 0.0) if above else (column >= 0.0)).all()):
                raise ValueError(f"{field.name}: expected numbers {'above' if above else 'of at least'} 0")

    def __len__(self) -> int:
        return len(self.data_size)

    def among(self, present: IntColumn) -> Organisations:
        """Those at the places ``present``, in that order."""
        rows = {f.name: getattr(self, f.name)[present] for f in fields(self) if f.name != "residual_emd"}
        return Organisations(residual_emd=self.residual_emd.among(present), **rows)

    def generation_cost(self, synthetic_volume: FloatColumn) -> FloatColumn:
        """Money for volumes [..., N], in that shape."""
        return synthetic_volume * (self.unit_cost + 0.5 * self.quadratic_cost * synthetic_volume)


class WeightsNotPositive(ValueError):
    """Under ``damage`` an ``organisation`` would lose more to rivals than it earns: ``weight`` p - Pi is not above 0.

    Then there is no potential, and the closed form of its volume is not its best.
    """

    def __init__(self, organisation: int, weight: float) -> None:
        super().__init__(organisation, weight)
        self.organisation = organisation
        self.weight = weight

    def __str__(self) -> str:
        return f"potential weight of organisation {self.organisation} is {self.weight:g}, expected above 0"


@dataclass(frozen=True)
class Game:
    """A round between organisations. ``contribution``: what redistribution counts, ``redistribution_rate`` r: money
    per sample of it and unit of intensity. Everything derived is computed once. Raises ``ValueError``, also where
    nobody is there.
    """

    organisations: Organisations
    competition: CompetitionMatrix
    curve: LearningCurve
    competition_model: CompetitionModel = "relative"
    redistribution_rate: float = 0.0
    contribution: Contribution = "synthetic"

    def __post_init__(self) -> None:
        if not len(self.organisations):
            raise ValueError("a game needs at least one organisation")
        checked(self.competition, len(self.organisations))
        if not 0.0 <= self.redistribution_rate < math.inf:
            raise ValueError(f"redistribution_rate: expected a number of at least 0, got {self.redistribution_rate}")

    def __len__(self) -> int:
        return len(self.organisations)

    def among(self, present: IntColumn) -> Game:
        """The game of those at the places ``present`` alone, after others have left."""
        rivals = among(self.competition, present)
        return replace(self, organisations=self.organisations.among(present), competition=rivals)

    @cached_property
    def data_share(self) -> FloatColumn:
        """w: an organisation's share of all real data."""
        return self.organisations.data_size / self.real_volume

    @cached_property
    def real_volume(self) -> float:
        """Real samples of all together."""
        return float(self.organisations.data_size.sum())

    @cached_property
    def total_competition(self) -> FloatColumn:
        """Gamma: the sum of an organisation's intensities against all others."""
        return np.asarray(np.maximum(self.competition @ np.ones(len(self)), 0.0))

    @cached_property
    def competition_felt(self) -> FloatColumn:
        """The sum of all others' intensities against an organisation."""
        return np.asarray(np.maximum(self.competition.T @ np.ones(len(self)), 0.0))

    @cached_property
    def competition_pressure(self) -> FloatColumn:
        """Pi: the same sum as Gamma, weighted with the rivals' profitability; money per unit of performance."""
        return np.asarray(np.maximum(self.competition @ self.organisations.profitability, 0.0))

    def counted(self, synthetic_volume: FloatColumn) -> FloatColumn:
        """Samples of each organisation that redistribution counts, x; volumes of shape [..., N]."""
        if self.contribution == "synthetic":
            return synthetic_volume
        data_size = self.organisations.data_size
        return data_size + self.curve.worth(data_size, synthetic_volume)
