"""Key figures of a directed graph given as columns of edges: how dense, mutual, clustered, unequal, and how steady.

Edges are two columns of owner numbers, user and source, each pair at most once and nobody with itself. ``owners``
holds the numbers of all who are there, in rising order, with or without edges. Undefined figures are 0,
but for the turnover of the first graph.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import networkx as nx
import numpy as np

from learning.columns import FloatColumn, IntColumn


class EdgeColumns(NamedTuple):
    """Who uses whose model: entry k of both columns is one edge, from ``user`` to ``source``."""

    user: IntColumn
    source: IntColumn

    def pairs(self) -> set[tuple[int, int]]:
        """The edges as a set."""
        return set(zip(self.user.tolist(), self.source.tolist(), strict=True))


def density(edges: EdgeColumns, owners: IntColumn) -> float:
    """Edges per ordered pair of owners."""
    possible = len(owners) * (len(owners) - 1)
    return len(edges.user) / possible if possible else 0.0


def reciprocity(edges: EdgeColumns) -> float:
    """Share of edges whose reverse is there too."""
    pairs = edges.pairs()
    return sum((source, user) in pairs for user, source in pairs) / len(pairs) if pairs else 0.0


def degree_gini(edges: EdgeColumns, owners: IntColumn) -> float:
    """Gini coefficient of the number of edges, in and out, per owner: 0 if all have as many, up to 1 - 1/owners."""
    return gini(_sum_by_owner(edges.user, owners) + _sum_by_owner(edges.source, owners))


def gini(amounts: FloatColumn) -> float:
    """Gini coefficient of amounts of at least 0: mean absolute difference of two of them over twice their mean."""
    total, count = float(amounts.sum()), len(amounts)
    if total == 0.0:
        return 0.0
    ranks = 2.0 * np.arange(1, count + 1) - count - 1
    return float(ranks @ np.sort(amounts)) / (count * total)


def modularity(edges: EdgeColumns, owners: IntColumn, group: IntColumn, *, weight: FloatColumn | None = None) -> float:
    """Share of edges within groups, less what it would be if users and sources met at random: at most 1.

    Leicht and Newman 2008 for directed graphs. ``group`` [owners] holds any numbers, ``weight`` [edges] is at least 0
    (default: all edges count the same).
    """
    weights = np.ones(len(edges.user)) if weight is None else weight
    total = float(weights.sum())
    if total == 0.0:
        return 0.0
    _, label = np.unique(group, return_inverse=True)
    user, source = (label[np.searchsorted(owners, column)] for column in edges)
    within = float(weights[user == source].sum())
    used, sourced = (np.bincount(column, weights, minlength=int(label.max()) + 1) for column in (user, source))
    return within / total - float(used @ sourced) / total**2


def communities(edges: EdgeColumns, owners: IntColumn) -> IntColumn:
    """The number of the community of each owner, by greedy modularity (Clauset, Newman, Moore 2004); the largest is 0.

    Always the same for the same graph. Owners without edges are communities of their own.
    """
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(owners.tolist())
    graph.add_edges_from(sorted(edges.pairs()))
    found = np.arange(len(owners))
    if graph.number_of_edges():
        for number, members in enumerate(nx.community.greedy_modularity_communities(graph)):
            found[np.searchsorted(owners, list(members))] = number
    return found


def edge_turnover(before: EdgeColumns | None, after: EdgeColumns) -> float:
    """Share of the edges of either graph that are not in both: 0 if they are the same, 1 if nothing stayed.

    NaN where there was no graph ``before`` (None): nothing can be compared.
    """
    if before is None:
        return math.nan
    old, new = before.pairs(), after.pairs()
    return len(old ^ new) / len(old | new) if old or new else 0.0


def _sum_by_owner(column: IntColumn, owners: IntColumn) -> FloatColumn:
    return np.bincount(np.searchsorted(owners, column), minlength=len(owners)).astype(np.float64)
