"""What a profile of synthetic volumes is worth to whom: performance, cost, competition, redistribution, potential.

    U_i = p_i P_i(g) - C_i(g_i) - L_i + R_i          R_i = r * sum over j of (gamma_ij x_i - gamma_ji x_j)

The transfers R sum to zero for any gamma. Columns are [N], money.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from learning.columns import FloatColumn
from market.cocogen.competition import CompetitionMatrix
from market.cocogen.game import Game
from market.cocogen.readings import potential_weight, reading_of


class Payoffs(NamedTuple):
    """What each organisation gets, parts in the shape of the volumes: ``utility`` = ``earned`` - ``generation_cost`` -
    ``competition_loss`` + ``redistribution``; ``earned`` is p_i P_i.
    """

    earned: FloatColumn
    generation_cost: FloatColumn
    competition_loss: FloatColumn
    redistribution: FloatColumn

    @property
    def utility(self) -> FloatColumn:
        """U."""
        return self.earned - self.generation_cost - self.competition_loss + self.redistribution


@dataclass(frozen=True)
class Outcome:
    """A round played at volumes [N]. ``performance`` is the common P, ``own_performance`` [N] has each P_i."""

    synthetic_volume: FloatColumn
    effective_volume: float
    performance: float
    own_performance: FloatColumn
    payoffs: Payoffs

    @property
    def utility(self) -> FloatColumn:
        """U, [N]."""
        return self.payoffs.utility

    @property
    def social_welfare(self) -> float:
        """The sum of utilities; redistribution cancels."""
        parts = self.payoffs
        return float((parts.earned - parts.generation_cost - parts.competition_loss).sum())


def play(game: Game, synthetic_volume: FloatColumn) -> Outcome:
    """Everybody generates these volumes [N] (samples, at least 0)."""
    organisations, curve = game.organisations, game.curve
    data_size = organisations.data_size
    effective = game.real_volume + float(curve.worth(data_size, synthetic_volume).sum())
    emd = organisations.residual_emd.at(1.0 + synthetic_volume / data_size)
    performance = float(curve.from_volume(effective)) - curve.emd_penalty * float(game.data_share @ emd)
    return Outcome(
        synthetic_volume=synthetic_volume,
        effective_volume=effective,
        performance=performance,
        own_performance=performance - curve.personal_gain * emd,
        payoffs=payoffs_of_deviations(game, synthetic_volume, synthetic_volume),
    )


def payoffs_of_deviations(game: Game, synthetic_volume: FloatColumn, deviation: FloatColumn) -> Payoffs:
    """What each organisation would get by its ``deviation`` [..., N], all others at their ``synthetic_volume`` [N].

    Column i of the result is about i alone deviating. O(N) per row of deviations and two products with gamma.
    """
    organisations, curve = game.organisations, game.curve
    data_size, emd_of = organisations.data_size, organisations.residual_emd
    before, worth = curve.worth(data_size, synthetic_volume), curve.worth(data_size, deviation)
    effective = game.real_volume + before.sum() + (worth - before)
    emd_before, emd = emd_of.at(1.0 + synthetic_volume / data_size), emd_of.at(1.0 + deviation / data_size)
    apart = game.data_share @ emd_before + game.data_share * (emd - emd_before)
    common = curve.from_volume(effective) - curve.emd_penalty * apart
    personal = -curve.personal_gain * emd
    added = curve.lost_volume(effective, worth) + curve.emd_penalty * game.data_share * (emd_of.before - emd)
    transfers = redistribution(game.competition, game.redistribution_rate, game.counted(synthetic_volume))
    moved = game.counted(deviation) - game.counted(synthetic_volume)
    return Payoffs(
        earned=organisations.profitability * (common + personal),
        generation_cost=organisations.generation_cost(deviation),
        competition_loss=reading_of(game).loss(game, -curve.personal_gain * emd_before, personal, added),
        redistribution=transfers + game.redistribution_rate * game.total_competition * moved,
    )


def redistribution(competition: CompetitionMatrix, rate: float, contribution: FloatColumn) -> FloatColumn:
    """R [N] for any contributions [N] in samples, planned or realised: who gives more than its rivals receives."""
    given = np.maximum(competition @ np.ones(len(contribution)), 0.0) * contribution
    return np.asarray(rate * (given - competition.T @ contribution))


def potential(game: Game, synthetic_volume: FloatColumn) -> float:
    """Phi, to be maximised: U_i changes z_i times as much as Phi when i alone changes its volume.

    Phi = P(g) + sum of [own_i h_i + r Gamma_i x_i - C_i] / z_i. Raises ``WeightsNotPositive``.
    """
    organisations, curve = game.organisations, game.curve
    weight, own = potential_weight(game), reading_of(game).own(game)
    emd = organisations.residual_emd.at(1.0 + synthetic_volume / organisations.data_size)
    effective = game.real_volume + float(curve.worth(organisations.data_size, synthetic_volume).sum())
    common = float(curve.from_volume(effective)) - curve.emd_penalty * float(game.data_share @ emd)
    reward = game.redistribution_rate * game.total_competition * game.counted(synthetic_volume)
    alone = reward - own * curve.personal_gain * emd - organisations.generation_cost(synthetic_volume)
    return common + float((alone / weight).sum())
