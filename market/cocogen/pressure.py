"""What competition weighs on an organisation, read off the volume that it chooses: the identifiable part of gamma.

At a volume between 0 and its cap an organisation's first-order condition holds, which is one equation. So of the
intensities gamma_ij only their sum Pi_i, weighted with the rivals' profitability, can be told; not the single ones.

    damage     Pi = p - (c + cq g - r Gamma - p dh/dg) / dP/dg
    relative   Pi = (c + cq g - r Gamma - p dP/dg) / dh/dg - p
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from learning.columns import FloatColumn
from market.cocogen.game import CompetitionModel, Organisations
from market.cocogen.performance import LearningCurve


class Margin(NamedTuple):
    """What a synthetic sample more does, per sample, [N]: to the common P, to the own h, and to what is redistributed.

    The last one is r Gamma, times the worth of the sample if that is what counts.
    """

    common: FloatColumn
    personal: FloatColumn
    reward: FloatColumn


def margins(
    organisations: Organisations,
    curve: LearningCurve,
    volume: FloatColumn,
    effective_volume: FloatColumn,
    data_share: FloatColumn,
    reward: FloatColumn,
    by_worth: bool,
) -> Margin:
    """At volumes [N] and the effective volumes that they lead to; ``reward`` is r Gamma. From the right at a kink."""
    size = organisations.data_size
    stretch = 1.0 + volume / size
    nearer = organisations.residual_emd.steepness(stretch) / (size * stretch * stretch)
    worth = curve.marginal_worth(size, volume)
    common = curve.marginal_volume(effective_volume) * worth + curve.emd_penalty * data_share * nearer
    return Margin(common, curve.personal_gain * nearer, reward * worth if by_worth else reward)


def revealed_pressure(
    organisations: Organisations, volume: FloatColumn, margin: Margin, model: CompetitionModel
) -> FloatColumn:
    """Pi [N] in money; NaN where the volume is at a bound, or (under ``relative``) where nothing is personal."""
    inside = (volume > 0.0) & (volume < organisations.synthetic_volume_cap)
    cost = organisations.unit_cost + organisations.quadratic_cost * volume - margin.reward
    profit = organisations.profitability
    with np.errstate(divide="ignore", invalid="ignore"):
        if model == "damage":
            found = profit - (cost - profit * margin.personal) / margin.common
        else:
            found = (cost - profit * margin.common) / margin.personal - profit
    return np.where(inside & np.isfinite(found), found, np.nan)
