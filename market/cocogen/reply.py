"""What an owner of some true type does best under the announced terms, and what the round is then worth to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from learning.columns import FloatColumn, IntColumn
from market.cocogen.claimed import Claimed
from market.cocogen.equilibrium import best_replies
from market.cocogen.game import Organisations
from market.cocogen.market_rules import MarketRules
from market.cocogen.published import AHEAD, APART, COMPETITION, DISTANCE, PAYS, RATE, columns_of, surroundings
from market.cocogen.readings import READINGS, Relative
from market.cocogen.response import Incentives
from market.mechanism import Terms, Types


def reply(rules: MarketRules, terms: Terms, types: Types, said: Claimed) -> tuple[FloatColumn, FloatColumn]:
    """Volumes [K] that are best for owners of these types, and what they are then worth to them, in money."""
    place = _place(rules, terms, types, said)
    size, curve, share, reward = said.data_size, rules.curve, place.share, place.reward
    synthetic = rules.contribution == "synthetic"
    stakes = READINGS[rules.competition_model].stakes(said.profitability, place.pressure)
    incentives = Incentives(
        place.own,
        curve,
        np.maximum(stakes.weight, 0.0),
        np.maximum(stakes.weight, 0.0) * curve.emd_penalty * share + stakes.own * curve.personal_gain,
        reward if synthetic else np.zeros(len(size)),
        np.zeros(len(size)) if synthetic else reward,
    )
    volume = np.where(stakes.weight > 0.0, best_replies(incentives, place.others), 0.0)
    return volume, earnings(rules, terms, types, said, volume) + redistributed(rules, terms, types, said, volume)


def earnings(rules: MarketRules, terms: Terms, types: Types, held: Claimed, volume: FloatColumn) -> FloatColumn:
    """What models earn owners that train on ``held`` and make ``volume`` [K], less generation and what rivals take."""
    place = _place(rules, terms, types, held)
    own, size, share, curve, pressure = place.own, held.data_size, place.share, rules.curve, place.pressure
    reading = READINGS[rules.competition_model]
    worth = curve.worth(size, volume)
    emd = own.residual_emd.at(1.0 + volume / size)
    apart = (terms.figures[APART] - place.column[DISTANCE]) * share / size + share * emd
    common = curve.from_volume(place.others + size + worth) - curve.emd_penalty * apart
    personal = -curve.personal_gain * emd
    if isinstance(reading, Relative):
        lost = place.column[AHEAD] - pressure * personal
    else:
        nearer = curve.emd_penalty * share * (own.residual_emd.before - emd)
        lost = pressure * (curve.lost_volume(place.others + size + worth, worth) + nearer)
    earned = held.profitability * np.clip(rules.accuracy_limit + common + personal, 0.0, 1.0)
    return np.asarray(earned - own.generation_cost(volume) - lost)


def redistributed(rules: MarketRules, terms: Terms, types: Types, said: Claimed, told: FloatColumn) -> FloatColumn:
    """What redistribution brings owners [K] that claim this much and were told these volumes, in money."""
    column = columns_of(terms, _ids(types))
    counted = told if rules.contribution == "synthetic" else said.data_size + rules.curve.worth(said.data_size, told)
    return np.asarray(terms.figures[RATE] * (column[COMPETITION] * counted - column[PAYS]))


class _Place(NamedTuple):
    """Where owners [K] stand among the others, by what they hold; see ``published.surroundings``."""

    column: Mapping[str, FloatColumn]
    own: Organisations
    others: FloatColumn
    share: FloatColumn
    reward: FloatColumn
    pressure: FloatColumn


def _place(rules: MarketRules, terms: Terms, types: Types, held: Claimed) -> _Place:
    column = columns_of(terms, _ids(types))
    around = surroundings(terms, column, held.data_size)
    pressure = np.zeros(len(types)) if types.competition_pressure is None else types.competition_pressure
    return _Place(column, rules.organisations(held, types.labels), *around, pressure)


def _ids(types: Types) -> IntColumn:
    return types.owner if len(types.owner) else np.full(len(types), -1)
