"""What a planner would have everybody generate: the volumes of the largest social welfare.

Under ``relative`` the planner's problem has the shape of the game itself, with all profitability in place of one's own,
so the same fixed point solves it. Under ``damage`` the harm of one's own part makes it differ a little, and under
strong competition personal gains may hurt rivals so much that the problem is not concave. Both are improved on by
projected quasi-Newton steps (L-BFGS-B) along the exact gradient. Where labels are filled up, welfare has a kink in each
volume at which a class is full; an optimum often lies on some, which are then held while the others climb on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from learning.columns import BoolColumn, FloatColumn
from market.cocogen.equilibrium import joint_fixed_point
from market.cocogen.game import Game
from market.cocogen.payoffs import play
from market.cocogen.readings import reading_of
from market.cocogen.response import Incentives

MOST_CLIMBS = 20
"""Climbs from one start, each with other volumes held on kinks."""
KINK_REACH = 1e-6
"""How near to a kink counts as on it, as a share of all data of an organisation."""


class Optimum(NamedTuple):
    """The best volumes found, [N], and their welfare (money); ``concave``: no others can be better."""

    synthetic_volume: FloatColumn
    social_welfare: float
    concave: bool


def welfare_optimum(game: Game, *starts: FloatColumn) -> Optimum:
    """The largest welfare there is if the problem is concave, else the best of several local ones.

    It is never below the welfare of ``starts``, volumes [N] to begin from as well.
    """
    planner = _planner(game)
    cap = game.organisations.synthetic_volume_cap
    concave = bool((planner.emd_value >= 0.0).all() and reading_of(game).weight(game).sum() >= 0.0)
    begin = [joint_fixed_point(planner).synthetic_volume, *starts]
    if not concave:
        begin += [np.zeros(len(game)), cap]
    tried = [volume for start in begin for volume in (start, _climbed(game, start))]
    worth = [play(game, volume).social_welfare for volume in tried]
    best = int(np.argmax(worth))
    return Optimum(tried[best], worth[best], concave)


def welfare_gradient(game: Game, synthetic_volume: FloatColumn) -> FloatColumn:
    """d(social welfare) / dg_i, [N], money per sample; from the right at a kink."""
    organisations, curve, reading = game.organisations, game.curve, reading_of(game)
    size = organisations.data_size
    stretch = 1.0 + synthetic_volume / size
    worth = curve.worth(size, synthetic_volume)
    volume = reading.volume_to_all(game, game.real_volume + float(worth.sum()), worth)
    labels = _emd_value(game) * organisations.residual_emd.steepness(stretch) / (size * stretch * stretch)
    cost = organisations.unit_cost + organisations.quadratic_cost * synthetic_volume
    return np.asarray(volume * curve.marginal_worth(size, synthetic_volume) + labels - cost)


def _emd_value(game: Game) -> FloatColumn:
    """What a unit of EMD less at each organisation is worth to all, [N]."""
    reading, curve = reading_of(game), game.curve
    common = reading.common_to_all(game) * curve.emd_penalty * game.data_share
    return common + reading.own_to_all(game) * curve.personal_gain


def _planner(game: Game) -> Incentives:
    """The welfare's marginals as incentives: exact under ``relative``, close under ``damage``."""
    nothing = np.zeros(len(game))
    return Incentives(
        organisations=game.organisations,
        curve=game.curve,
        volume_value=np.maximum(reading_of(game).common_to_all(game), 0.0),
        emd_value=_emd_value(game),
        sample_reward=nothing,
        effective_reward=nothing,
    )


def _climbed(game: Game, start: FloatColumn) -> FloatColumn:
    """A local maximum of welfare from ``start``, within the caps."""
    cap = game.organisations.synthetic_volume_cap

    def size(volume: FloatColumn) -> float:
        slope = np.abs(welfare_gradient(game, volume) * cap).max()
        return max(float(np.abs(play(game, volume).utility).sum()), float(slope))

    scale = max(size(start), size(np.zeros(len(cap))), size(cap))
    if scale == 0.0:
        return start

    def loss(share: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        volume = share * cap
        return -play(game, volume).social_welfare / scale, -welfare_gradient(game, volume) * cap / scale

    here = np.divide(start, cap, out=np.zeros(len(cap)), where=cap > 0.0)
    held, worth = np.zeros(len(cap), dtype=np.bool_), np.inf
    for _ in range(MOST_CLIMBS):
        found = minimize(
            loss,
            here,
            jac=True,
            method="L-BFGS-B",
            bounds=[(at, at) if fixed else (0.0, 1.0) for at, fixed in zip(here, held, strict=True)],
            options={"ftol": 1e-15, "gtol": 1e-12, "maxiter": 500},
        )
        here, still = _on_kinks(game, np.clip(found.x, 0.0, 1.0) * cap)
        here = np.divide(here, cap, out=np.zeros(len(cap)), where=cap > 0.0)
        now, _ = loss(here)
        if (still == held).all() and now >= worth - 1e-15:
            break
        held, worth = still, now
    return np.asarray(here * cap)


def _on_kinks(game: Game, volume: FloatColumn) -> tuple[FloatColumn, BoolColumn]:
    """The volumes, those that all but lie on a kink moved onto it, and which of these are best left there.

    A volume is left on its kink where welfare falls to both sides of it.
    """
    organisations = game.organisations
    kinks = (organisations.residual_emd.stretches.until - 1.0) * organisations.data_size[:, None]
    nearest = np.take_along_axis(kinks, np.abs(kinks - volume[:, None]).argmin(axis=1)[:, None], axis=1)[:, 0]
    near = np.abs(nearest - volume) <= KINK_REACH * (organisations.data_size + volume)
    near &= (nearest > 0.0) & (nearest < organisations.synthetic_volume_cap)
    moved = np.where(near, nearest, volume)
    aside = KINK_REACH * (organisations.data_size + moved) * near
    below, above = welfare_gradient(game, moved - aside), welfare_gradient(game, moved + aside)
    return moved, near & (below >= 0.0) & (above <= 0.0)
