"""How far an outcome is from what theory promises, measured by trying, not by the formulas that solved it.

Gains and utilities are in money.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from learning.columns import FloatColumn, IntColumn
from market.cocogen.competition import nobody_competes
from market.cocogen.equilibrium import best_replies
from market.cocogen.game import Game
from market.cocogen.payoffs import Outcome, payoffs_of_deviations, play, potential
from market.cocogen.performance import LearningCurve
from market.cocogen.readings import potential_weight
from market.cocogen.response import incentives_of
from market.qd_rdfl.search import largest_value

_VOLUMES = 257  # grid points per organisation
NEGLIGIBLE = 1e-9
"""Differences up to this, relative to what an organisation earns and pays, are put down to float arithmetic."""


class Participation(NamedTuple):
    """How many organisations are worse off than alone, and the lowest utility less that of being alone (money)."""

    violations: int
    lowest_margin: float


def best_response_gain(game: Game, outcome: Outcome) -> float:
    """The largest gain of an organisation from another volume between 0 and its cap, the others' as they are."""

    def utility(deviation: FloatColumn) -> FloatColumn:
        return payoffs_of_deviations(game, outcome.synthetic_volume, deviation).utility

    grid = np.linspace(0.0, 1.0, _VOLUMES)[:, None] * game.organisations.synthetic_volume_cap
    return max(0.0, float((largest_value(utility, grid) - outcome.utility).max()))


def potential_identity_error(game: Game, profiles: FloatColumn, movers: IntColumn, targets: FloatColumn) -> float:
    """The largest |dU_i - z_i dPhi| / max(1, |dU_i|) over unilateral moves; utilities and potential are computed anew.

    ``profiles`` [B, N] are volumes to start from, in turn; move m takes organisation ``movers[m]`` to the volume
    ``targets[m]``. Raises ``WeightsNotPositive``.
    """
    weight = potential_weight(game)
    starts = [(play(game, volume).utility, potential(game, volume)) for volume in profiles]
    worst = 0.0
    for move, (mover, target) in enumerate(zip(movers.tolist(), targets.tolist(), strict=True)):
        volume = profiles[move % len(profiles)].copy()
        utility, height = starts[move % len(profiles)]
        volume[mover] = target
        gained = float(play(game, volume).utility[mover] - utility[mover])
        apart = abs(gained - float(weight[mover]) * (potential(game, volume) - height))
        worst = max(worst, apart / max(1.0, abs(gained)))
    return worst


def stand_alone_utility(game: Game) -> FloatColumn:
    """What each organisation would have by training alone on its real data and the volume best for that, [N].

    It then strengthens nobody, is paid and pays nothing, and what rivals do is left out.
    """
    incentives = incentives_of(replace(game, competition=nobody_competes(len(game)), redistribution_rate=0.0))
    organisations, curve = game.organisations, game.curve
    alone_value = organisations.profitability * (curve.emd_penalty + curve.personal_gain)
    volume = best_replies(replace(incentives, emd_value=alone_value), np.zeros(len(game)))
    performance = _alone(curve, game, volume)
    return organisations.profitability * performance - organisations.generation_cost(volume)


def _alone(curve: LearningCurve, game: Game, volume: FloatColumn) -> FloatColumn:
    size = game.organisations.data_size
    emd = game.organisations.residual_emd.at(1.0 + volume / size)
    own = curve.from_volume(size + curve.worth(size, volume))
    return np.asarray(own - (curve.emd_penalty + curve.personal_gain) * emd)


def participation(game: Game, outcome: Outcome) -> Participation:
    """Who had better train alone: U_i below its stand-alone utility."""
    margin = outcome.utility - stand_alone_utility(game)
    parts = outcome.payoffs
    size = np.abs(parts.earned) + parts.generation_cost + np.abs(parts.competition_loss) + np.abs(parts.redistribution)
    return Participation(int((margin < -NEGLIGIBLE * size).sum()), float(margin.min()))


def price_of_anarchy(optimal_welfare: float, social_welfare: float, without_generation: float) -> float | None:
    """The optimum's gain over nobody generating, relative to that of the outcome; None where the outcome gains nothing.

    Gains are compared because welfare itself is counted from perfect accuracy down, and mostly below 0. Gains within
    rounding of the welfare count as none; where the optimum gains none either, there is nothing to lose: 1.
    """
    rounding = NEGLIGIBLE * max(abs(optimal_welfare), abs(without_generation))
    best, had = optimal_welfare - without_generation, social_welfare - without_generation
    if best <= rounding and abs(had) <= rounding:
        return 1.0
    return best / had if had > rounding else None
