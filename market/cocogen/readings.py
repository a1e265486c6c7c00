"""The two readings of what competition costs an organisation, and what each makes of the game.

``relative``: an organisation loses what rivals are better at than itself, L_i = sum of gamma_ij p_j (P_j - P_i).
``damage``: it loses what it makes rivals better, L_i = sum of gamma_ij p_j (P(g) - P(0, g_-i)), as in trust trading.

Either way the game has a weighted potential. z_i weighs it, ``own`` is what an organisation's personal gain h_i is
worth to itself; ``common_to_all`` and ``own_to_all`` are what a unit of P and of h_i is worth to all together when i
moves it. All in money per unit of performance, [N].
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from learning.columns import FloatColumn
from market.cocogen.game import CompetitionModel, Game, WeightsNotPositive


class Stakes(NamedTuple):
    """``weight`` z of the potential, and ``own``, the worth of the personal gain to who has it, [N]."""

    weight: FloatColumn
    own: FloatColumn


class Reading(Protocol):
    """What a reading of competition decides."""

    def stakes(self, profitability: FloatColumn, pressure: FloatColumn) -> Stakes:
        """The weights of the potential and the worth of the personal gain, under the pressure Pi."""

    def weight(self, game: Game) -> FloatColumn:
        """z, the weights of the potential."""

    def own(self, game: Game) -> FloatColumn:
        """Worth of the personal gain to who has it."""

    def common_to_all(self, game: Game) -> FloatColumn:
        """Worth to all of a unit of P that comes from better labels at i."""

    def own_to_all(self, game: Game) -> FloatColumn:
        """Worth to all of a unit of h_i."""

    def volume_to_all(self, game: Game, effective_volume: float, worth: FloatColumn) -> FloatColumn:
        """Worth to all of an effective sample more at i; ``worth`` [N] are the e_i at hand."""

    def loss(self, game: Game, personal: FloatColumn, own: FloatColumn, added: FloatColumn) -> FloatColumn:
        """L_i, where i alone deviates: ``personal`` [N] are the gains h of a profile, ``own`` [..., N] is h_i of the
        deviation, ``added`` [..., N] what P(g) - P(0, g_-i) is after it.
        """


class Relative:
    """Rivals' advantage; P itself cancels, so only personal gains make competition felt."""

    def stakes(self, profitability: FloatColumn, pressure: FloatColumn) -> Stakes:
        return Stakes(profitability, profitability + pressure)

    def weight(self, game: Game) -> FloatColumn:
        return self.stakes(game.organisations.profitability, game.competition_pressure).weight

    def own(self, game: Game) -> FloatColumn:
        return self.stakes(game.organisations.profitability, game.competition_pressure).own

    def common_to_all(self, game: Game) -> FloatColumn:
        return np.full(len(game), game.organisations.profitability.sum())

    def own_to_all(self, game: Game) -> FloatColumn:
        return game.organisations.profitability * (1.0 - game.competition_felt) + game.competition_pressure

    def volume_to_all(self, game: Game, effective_volume: float, worth: FloatColumn) -> FloatColumn:
        return self.common_to_all(game) * game.curve.marginal_volume(effective_volume)

    def loss(self, game: Game, personal: FloatColumn, own: FloatColumn, added: FloatColumn) -> FloatColumn:
        rivals = game.competition @ (game.organisations.profitability * personal)
        return np.asarray(rivals - game.competition_pressure * own)


class Damage:
    """The cost of strengthening rivals."""

    def stakes(self, profitability: FloatColumn, pressure: FloatColumn) -> Stakes:
        return Stakes(profitability - pressure, profitability)

    def weight(self, game: Game) -> FloatColumn:
        return self.stakes(game.organisations.profitability, game.competition_pressure).weight

    def own(self, game: Game) -> FloatColumn:
        return self.stakes(game.organisations.profitability, game.competition_pressure).own

    def common_to_all(self, game: Game) -> FloatColumn:
        return np.asarray(game.organisations.profitability.sum() - game.competition_pressure)

    def own_to_all(self, game: Game) -> FloatColumn:
        return game.organisations.profitability

    def volume_to_all(self, game: Game, effective_volume: float, worth: FloatColumn) -> FloatColumn:
        # What i adds to P(0, g_-j) weakens the damage that j feels, for all j but i itself.
        pressure = game.competition_pressure
        excused = pressure * game.curve.marginal_volume(effective_volume - worth)
        kept = (game.organisations.profitability - pressure).sum() * game.curve.marginal_volume(effective_volume)
        return np.asarray(kept + excused.sum() - excused)

    def loss(self, game: Game, personal: FloatColumn, own: FloatColumn, added: FloatColumn) -> FloatColumn:
        return np.asarray(game.competition_pressure * added)


READINGS: dict[CompetitionModel, Reading] = {"relative": Relative(), "damage": Damage()}


def reading_of(game: Game) -> Reading:
    """How this game reads competition."""
    return READINGS[game.competition_model]


def potential_weight(game: Game) -> FloatColumn:
    """z, [N], all above 0. Raises ``WeightsNotPositive``."""
    weight = reading_of(game).weight(game)
    return _positive(weight, weight)


def weight_of_players(game: Game) -> FloatColumn:
    """z, [N], above 0 for all who may generate anything; 0 at least for the others, whose volume is no choice.

    Raises ``WeightsNotPositive``.
    """
    weight = reading_of(game).weight(game)
    return np.maximum(_positive(weight, np.where(game.organisations.synthetic_volume_cap > 0.0, weight, np.inf)), 0.0)


def _positive(weight: FloatColumn, judged: FloatColumn) -> FloatColumn:
    """The weights, if those that are judged are above 0."""
    lowest = int(judged.argmin())
    if not judged[lowest] > 0.0:
        raise WeightsNotPositive(lowest, float(judged[lowest]))
    return weight
