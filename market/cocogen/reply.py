"""What an owner of some true type does best under the announced terms, and what the round is then worth to it."""

from __future__ import annotations

import numpy as np

from learning.columns import FloatColumn
from market.cocogen.claimed import Claimed
from market.cocogen.equilibrium import best_replies
from market.cocogen.market_rules import MarketRules
from market.cocogen.published import AHEAD, APART, COMPETITION, DISTANCE, PAYS, RATE, columns_of, surroundings
from market.cocogen.readings import READINGS, Relative
from market.cocogen.response import Incentives
from market.mechanism import Terms, Types


def reply(rules: MarketRules, terms: Terms, types: Types, said: Claimed) -> tuple[FloatColumn, FloatColumn]:
    """Volumes [K] that are best for owners of these types, and what they are then worth to them, in money."""
    owner = types.owner if len(types.owner) else np.full(len(types), -1)
    column = columns_of(terms, owner)
    figures, curve = terms.figures, rules.curve
    own, size = rules.organisations(said, types.labels), said.data_size
    others, share, reward = surroundings(terms, column, size)
    pressure = np.zeros(len(size)) if types.competition_pressure is None else types.competition_pressure
    reading = READINGS[rules.competition_model]
    stakes = reading.stakes(said.profitability, pressure)
    synthetic = rules.contribution == "synthetic"
    incentives = Incentives(
        own,
        curve,
        np.maximum(stakes.weight, 0.0),
        np.maximum(stakes.weight, 0.0) * curve.emd_penalty * share + stakes.own * curve.personal_gain,
        reward if synthetic else np.zeros(len(size)),
        np.zeros(len(size)) if synthetic else reward,
    )
    volume = np.where(stakes.weight > 0.0, best_replies(incentives, others), 0.0)
    worth = curve.worth(size, volume)
    emd = own.residual_emd.at(1.0 + volume / size)
    apart = (figures[APART] - column[DISTANCE]) * share / size + share * emd
    common = curve.from_volume(others + size + worth) - curve.emd_penalty * apart
    personal = -curve.personal_gain * emd
    if isinstance(reading, Relative):
        lost = column[AHEAD] - pressure * personal
    else:
        nearer = curve.emd_penalty * share * (own.residual_emd.before - emd)
        lost = pressure * (curve.lost_volume(others + size + worth, worth) + nearer)
    counted = volume if synthetic else size + worth
    paid = figures[RATE] * (column[COMPETITION] * counted - column[PAYS])
    earned = said.profitability * np.clip(rules.accuracy_limit + common + personal, 0.0, 1.0)
    return volume, np.asarray(earned - own.generation_cost(volume) - lost + paid)
