"""The best volume of an organisation once the effective volume S of all together is known: in closed form.

With y = D + g the first-order condition, in money, is

    A / y^2 + B - cq (y - D) = 0        A = emd value * D * steepness + V kappa delta D^2
                                        B = reward - c + V kappa (1 - delta)

where V is what an effective sample is worth at S. The left side falls in y, so its root, cut to [D, D + G], is the best
volume. Where cq is 0 that is y = sqrt(A / -B), or the cap if B >= 0. Where EMD falls in pieces (``filling``), A falls
from piece to piece, and the root is the largest of min(root of the piece, end of the piece).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.columns import FloatColumn
from market.cocogen.game import Game, Organisations
from market.cocogen.heterogeneity import FloatMatrix
from market.cocogen.performance import LearningCurve
from market.cocogen.readings import reading_of, weight_of_players

_STEPS = 100  # of Newton; five or so are needed


@dataclass(frozen=True)
class Incentives:
    """What moves each of N organisations (or a planner in their place), in money.

    ``volume_value``: per unit of performance from volume; ``emd_value``: per unit of EMD less; ``sample_reward`` and
    ``effective_reward``: per synthetic sample and per effective one, from redistribution.
    """

    organisations: Organisations
    curve: LearningCurve
    volume_value: FloatColumn
    emd_value: FloatColumn
    sample_reward: FloatColumn
    effective_reward: FloatColumn


def incentives_of(game: Game) -> Incentives:
    """What moves organisations that look to their own utility. Raises ``WeightsNotPositive``."""
    weight, curve = weight_of_players(game), game.curve
    reward = game.redistribution_rate * game.total_competition
    synthetic = game.contribution == "synthetic"
    return Incentives(
        organisations=game.organisations,
        curve=curve,
        volume_value=weight,
        emd_value=weight * curve.emd_penalty * game.data_share + reading_of(game).own(game) * curve.personal_gain,
        sample_reward=reward if synthetic else np.zeros(len(game)),
        effective_reward=np.zeros(len(game)) if synthetic else reward,
    )


def best_volumes(incentives: Incentives, effective_volume: FloatColumn) -> FloatColumn:
    """g(S), [N], in [0, G], for one S (shape [1]) or one for each organisation ([N]); it never rises in S."""
    organisations, curve = incentives.organisations, incentives.curve
    size, cap = organisations.data_size, organisations.synthetic_volume_cap
    value = incentives.volume_value * curve.marginal_volume(effective_volume) + incentives.effective_reward
    pull = value * curve.synthetic_quality
    falling = pull * curve.quality_decay * size * size
    level = incentives.sample_reward - organisations.unit_cost + pull * (1.0 - curve.quality_decay)
    steepness, until = organisations.residual_emd.stretches
    # A planner may want less of a personal gain that hurts others more; no root is lost where that leaves A below 0.
    pulls = np.maximum((incentives.emd_value * size)[:, None] * steepness + falling[:, None], 0.0)
    root = _root(pulls, level, organisations.quadratic_cost, size, size + cap)
    total = np.minimum(root, until * size[:, None]).max(axis=1)
    return np.asarray(np.clip(total - size, 0.0, cap))


def _root(
    pulls: FloatMatrix, level: FloatColumn, quadratic: FloatColumn, size: FloatColumn, most: FloatColumn
) -> FloatMatrix:
    """y of A / y^2 + B - cq (y - D) = 0 for pulls A [N, K], or anything from ``most`` on where it lies beyond."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        root = np.where(level[:, None] < 0.0, np.sqrt(pulls / -level[:, None]), np.inf)
    curved = np.flatnonzero(quadratic > 0.0)
    if len(curved):
        rows = (column[curved][:, None] for column in (level, quadratic, size, most))
        root[curved] = _curved_root(pulls[curved], *rows)
    return root


def _curved_root(
    pulls: FloatMatrix, level: FloatMatrix, quadratic: FloatMatrix, size: FloatMatrix, most: FloatMatrix
) -> FloatMatrix:
    """The root of A / y^2 + b - cq y, with b = B + cq D, by Newton from the left.

    The function falls and is convex, so steps from below the root stay below it; what passes ``most`` stops there.
    """
    shifted = level + quadratic * size
    # Steps that leave the floats are cut to the bounds like any other.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        rising = np.maximum(shifted / quadratic, np.cbrt(pulls / quadratic))
        held = np.fmin(np.sqrt(pulls / (-2.0 * shifted)), np.cbrt(pulls / (2.0 * quadratic)))
        total = np.minimum(np.where(shifted > 0.0, rising, held), most)
        # Where not even the first sample pays, the root is below D and may be 0: 0 samples are the answer anyway.
        least = 1e-6 * size
        total = np.maximum(total, least)
        for _ in range(_STEPS):
            bend = pulls / (total * total)
            step = (bend + shifted - quadratic * total) / (2.0 * bend / total + quadratic)
            moved = np.clip(total + step, least, most)
            done = np.abs(moved - total) <= 4e-16 * total
            total = moved
            if done.all():
                break
    return total
