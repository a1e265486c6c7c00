"""What the server of a CoCoGen+ market comes to believe while it runs: the best rate, and who feels how many rivals.

All of it is on record with the owners, for the mechanism itself remembers nothing.
"""

from __future__ import annotations

import math

import numpy as np

from learning.columns import FloatColumn, IntColumn
from market.cocogen.claimed import Claimed
from market.cocogen.competition import CompetitionMatrix, LowRank, nobody_competes
from market.cocogen.market_rules import MarketRules
from market.cocogen.pressure import margins, revealed_pressure
from market.cocogen.published import PROFIT, columns_of, labels_of, surroundings
from market.cocogen.rate_search import Search, looked
from market.mechanism import LabelMixes, Members, Terms

SEARCH, STAMP, INTENSITY = "rate search", "rate search round", "revealed intensity"
"""Records: the state of the search and the round it is of, and the mean intensity that an owner's offer gives away."""


def search_of(rules: MarketRules, members: Members, number: int) -> Search | None:
    """Where the search for the rate stands in this round, by the newest record; a new one where there is none."""
    if rules.rate_search == "none" or number < rules.rate_from:
        return None
    stamp = members.records.get(STAMP, np.zeros(0))
    if not len(stamp) or np.isnan(stamp).all():
        return Search(0.0, rules.highest_rate)
    newest = int(np.nanargmax(stamp))
    return Search(*(float(members.records[f"{SEARCH} {name}"][newest]) for name in Search._fields))


def believed(rules: MarketRules, members: Members) -> CompetitionMatrix:
    """Intensities among the members, as they are known or as the server has come to believe."""
    if rules.competition == "known":
        return nobody_competes(len(members)) if members.competition is None else members.competition
    revealed = members.records.get(INTENSITY, np.full(len(members), np.nan))
    known = revealed[~np.isnan(revealed)]
    usual = float(known.mean()) if len(known) else rules.believed_intensity
    felt = np.where(np.isnan(revealed), usual, revealed)
    return LowRank(felt[:, None], np.ones((len(members), 1)))


def searched(rules: MarketRules, terms: Terms, welfare: float, count: int) -> dict[str, FloatColumn]:
    """The search after this round, on record with everybody who came."""
    search = Search(*(terms.figures[f"{SEARCH} {name}"] for name in Search._fields))
    search = looked(search, welfare, rules.rate_looks, rules.rate_precision)
    values = {STAMP: float(terms.round)} | {f"{SEARCH} {name}": value for name, value in search._asdict().items()}
    return {name: np.full(count, value) for name, value in values.items()}


def revealed(rules: MarketRules, terms: Terms, owner: IntColumn, said: Claimed, offered: FloatColumn) -> FloatColumn:
    """Mean intensity [K] that an owner must feel to offer what it does; NaN where that gives nothing away."""
    found = np.full(len(owner), np.nan)
    rows = np.flatnonzero((said.data_size > 0.0) & (said.profitability > 0.0))
    if not len(rows):
        return found
    said, offered, column = said.take(rows), offered[rows], columns_of(terms, owner[rows])
    others, share, reward = surroundings(terms, column, said.data_size)
    labels = labels_of(terms, owner[rows])
    own = rules.organisations(said, labels)
    reached = others + said.data_size + rules.curve.worth(said.data_size, offered)
    margin = margins(own, rules.curve, offered, reached, share, reward, rules.contribution == "effective")
    pressure = revealed_pressure(own, offered, margin, rules.competition_model)
    rivals = terms.columns[PROFIT].sum() - column[PROFIT]  # of all members, whether or not their uploads came
    found[rows] = np.where(rivals > 0.0, np.maximum(pressure, 0.0) / np.maximum(rivals, 1e-300), np.nan)
    return found


def welfare_seen(
    rules: MarketRules,
    said: Claimed,
    told: FloatColumn,
    performance: FloatColumn,
    rivals: CompetitionMatrix,
    labels: LabelMixes | None,
) -> float:
    """Welfare of a round by what is known of it, per unit of profitability, so that rounds can be compared."""
    cost = told * (said.unit_cost + 0.5 * rules.quadratic_cost * told)
    lost = rules.lost(said, labels, told, performance, rivals)
    total = float(said.profitability.sum())
    return float((said.profitability * performance - cost - lost).sum()) / total if total > 0.0 else math.nan
