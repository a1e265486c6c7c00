"""The terms that a market of CoCoGen+ publishes: names of their figures and columns, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from learning.columns import FloatColumn, IntColumn
from market.cocogen.claimed import Claimed, places
from market.cocogen.competition import CompetitionMatrix, among, nobody_competes
from market.mechanism import LabelMixes, Members, Terms

RATE, EFFECTIVE, REAL, APART, LOT = "redistribution rate", "effective volume", "real volume", "distance", "lot"
"""Figures: r; S and the real part of it, in samples; sum of D_i EMD_i; the number drawn for the round."""
OWNER, SIZE, WORTH, DISTANCE = "owner", "data size", "worth", "sample distance"
"""Columns: ids, ascending; D, e and D EMD of each, as they are expected."""
VOLUME = "synthetic volume"
"""Column, samples: what is expected of an owner."""
PROFIT = "profitability"
"""Column: what each earns per unit of performance, money; public."""
COMPETITION, PAYS, AHEAD = "total competition", "pays", "rivals ahead"
"""Columns: Gamma; samples that an owner has to pay rivals for, times intensity; what rivals' personal gains cost it."""

NOBODY = Members(np.zeros(0, dtype=np.int64), {}, {}, np.zeros(0, dtype=np.int64))


class Surroundings(NamedTuple):
    """What owners find, [K]: effective samples of all others, the own share of all real data, r Gamma."""

    others: FloatColumn
    share: FloatColumn
    reward: FloatColumn


def columns_of(terms: Terms, owner: IntColumn) -> dict[str, FloatColumn]:
    """The columns of the terms for these owners, 0 for who is not in them."""
    place = places(terms.columns[OWNER], owner)
    return {name: np.append(column, 0.0)[place] for name, column in terms.columns.items() if name != OWNER}


def surroundings(terms: Terms, column: Mapping[str, FloatColumn], data_size: FloatColumn) -> Surroundings:
    """Of owners with these columns of the terms, who hold ``data_size`` [K] samples."""
    others = np.maximum(np.nan_to_num(terms.figures[EFFECTIVE]) - column[SIZE] - column[WORTH], 0.0)
    share = data_size / np.maximum(terms.figures[REAL] - column[SIZE] + data_size, data_size)
    return Surroundings(others, share, terms.figures[RATE] * column[COMPETITION])


def said_in(terms: Terms, owner: IntColumn, claims: Mapping[str, FloatColumn]) -> Claimed:
    """What owners claim; whoever is not known to the terms claims nothing."""
    known = places(terms.columns[OWNER], owner) >= 0
    return Claimed.of(lambda name: np.where(known, claims.get(name, np.zeros(len(owner))), 0.0))


def rivals_of(terms: Terms, owner: IntColumn) -> CompetitionMatrix:
    """Intensities among some owners, by the terms."""
    place = places(terms.columns[OWNER], owner)
    if terms.competition is None or (place < 0).any():
        return nobody_competes(len(owner))
    return among(terms.competition, place)


def labels_of(terms: Terms, owner: IntColumn) -> LabelMixes | None:
    """Classes in the data of some owners, where they are known."""
    return None if terms.labels is None else terms.labels.take(places(terms.columns[OWNER], owner))


def by_owner(members: Members) -> Members:
    """The members in the order of their ids."""
    order = np.argsort(members.owner)
    return replace(
        members,
        owner=members.owner[order],
        claims={name: column[order] for name, column in members.claims.items()},
        records={name: column[order] for name, column in members.records.items()},
        competition=None if members.competition is None else among(members.competition, order),
        labels=None if members.labels is None else members.labels.take(order),
    )
