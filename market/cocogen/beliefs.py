"""What the server of a CoCoGen+ market comes to believe while it runs: the best rate, and who feels how many rivals.

The mechanism itself remembers nothing. What an owner gives away of itself is on record with it, and gone when it
leaves; the search for the rate is among the numbers that the market keeps whoever is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from learning.columns import FloatColumn, IntColumn
from market.cocogen.claimed import Claimed
from market.cocogen.competition import CompetitionMatrix, LowRank, nobody_competes
from market.cocogen.market_rules import MarketRules
from market.cocogen.pressure import margins, revealed_pressure
from market.cocogen.published import PROFIT, columns_of, labels_of, surroundings
from market.cocogen.rate_search import Search, looked
from market.mechanism import Board, LabelMixes, Members, Terms

INTENSITY = "revealed intensity"
"""Record: the mean intensity that an owner's offer gives away."""
_SEARCH = {name: f"rate search {name}" for name in Search._fields}
"""Figures of the terms, and what is remembered: the state of the search."""


def search_of(rules: MarketRules, board: Board) -> Search | None:
    """Where the search for the rate stands in this round; a new one where nothing is remembered of one."""
    if rules.rate_search == "none" or board.round < rules.rate_from:
        return None
    return _search_in(board.remembered) or Search(0.0, rules.highest_rate)


def figures_of(search: Search | None) -> dict[str, float]:
    """The search as figures of the terms; none where nothing is sought."""
    return {} if search is None else {_SEARCH[name]: value for name, value in search._asdict().items()}


def _search_in(figures: Mapping[str, float]) -> Search | None:
    known = all(name in figures for name in _SEARCH.values())
    return Search(*(figures[name] for name in _SEARCH.values())) if known else None


def believed(rules: MarketRules, members: Members) -> CompetitionMatrix:
    """Intensities among the members, as they are known or as the server has come to believe."""
    if rules.competition == "known":
        return nobody_competes(len(members)) if members.competition is None else members.competition
    revealed = members.records.get(INTENSITY, np.full(len(members), np.nan))
    known = revealed[~np.isnan(revealed)]
    usual = float(known.mean()) if len(known) else rules.believed_intensity
    felt = np.where(np.isnan(revealed), usual, revealed)
    return LowRank(felt[:, None], np.ones((len(members), 1)))


def searched(rules: MarketRules, terms: Terms, welfare: Callable[[], float]) -> dict[str, float]:
    """The search after this round, to be remembered; ``welfare()`` is what the round brought."""
    search = _search_in(terms.figures)
    return {} if search is None else figures_of(looked(search, welfare(), rules.rate_looks, rules.rate_precision))


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
