import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.graph_metrics import (
    EdgeColumns,
    communities,
    degree_gini,
    density,
    edge_turnover,
    gini,
    modularity,
    reciprocity,
)

SEEDS = st.integers(0, 10**6)
OWNERS = np.array([2, 3, 5, 8, 13, 21, 34])
NO_EDGES = EdgeColumns(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def edges(*pairs: tuple[int, int]) -> EdgeColumns:
    return EdgeColumns(np.array([user for user, _ in pairs]), np.array([source for _, source in pairs]))


def random_graph(seed: int) -> tuple[EdgeColumns, nx.DiGraph]:
    """The same graph as columns and for networkx; owner 34 has no edge."""
    chance = np.random.default_rng(seed)
    pairs = [(int(u), int(s)) for u in OWNERS[:-1] for s in OWNERS[:-1] if u != s and chance.random() < 0.4]
    pairs = pairs or [(2, 3)]
    graph = nx.DiGraph(pairs)
    graph.add_nodes_from(OWNERS.tolist())
    return edges(*pairs), graph


@given(seed=SEEDS)
def test_density_and_reciprocity_are_those_of_networkx(seed):
    columns, graph = random_graph(seed)
    assert density(columns, OWNERS) == pytest.approx(nx.density(graph))
    assert reciprocity(columns) == pytest.approx(nx.overall_reciprocity(graph))


@given(seed=SEEDS)
def test_modularity_is_that_of_networkx_with_and_without_weights(seed):
    columns, graph = random_graph(seed)
    chance = np.random.default_rng(seed)
    group = chance.integers(5, 8, len(OWNERS))
    sets = [set(OWNERS[group == number].tolist()) for number in np.unique(group)]
    assert modularity(columns, OWNERS, group) == pytest.approx(nx.community.modularity(graph, sets))
    weight = chance.uniform(0.1, 3.0, len(columns.user))
    for user, source, amount in zip(*columns, weight, strict=True):
        graph.edges[int(user), int(source)]["weight"] = amount
    expected = nx.community.modularity(graph, sets, weight="weight")
    assert modularity(columns, OWNERS, group, weight=weight) == pytest.approx(expected)


@given(seed=SEEDS)
def test_the_gini_coefficient_is_half_the_relative_mean_difference(seed):
    amounts = np.random.default_rng(seed).exponential(size=9)
    differences = np.abs(amounts[:, None] - amounts).mean()
    assert gini(amounts) == pytest.approx(differences / (2 * amounts.mean()))


def test_equal_degrees_have_no_inequality_and_a_star_has_much():
    ring = edges((2, 3), (3, 5), (5, 2))
    assert degree_gini(ring, np.array([2, 3, 5])) == pytest.approx(0.0)
    assert degree_gini(ring, OWNERS) == pytest.approx(4 / 7)  # four of seven have nothing, the others all the same
    star = edges(*((2, int(other)) for other in OWNERS[1:]))
    assert degree_gini(star, OWNERS) == pytest.approx(1 / 2 - 1 / 7)


def test_trade_within_two_groups_is_found_without_being_told_the_groups():
    columns = edges(*((u, s) for side in ((2, 3, 5), (8, 13, 21)) for u in side for s in side if u != s), (5, 8))
    found = communities(columns, OWNERS)
    assert found.tolist() == [found[0]] * 3 + [found[3]] * 3 + [2]
    assert {int(found[0]), int(found[3])} == {0, 1}
    assert modularity(columns, OWNERS, found) == pytest.approx(12 / 13 - (7 * 6 + 6 * 7) / 13**2)


def test_turnover_is_the_share_of_edges_that_came_or_went():
    before, after = edges((2, 3), (3, 2), (5, 8)), edges((2, 3), (3, 2), (8, 5))
    assert edge_turnover(before, before) == 0.0
    assert edge_turnover(before, after) == pytest.approx(2 / 4)
    assert edge_turnover(before, NO_EDGES) == 1.0
    assert edge_turnover(NO_EDGES, NO_EDGES) == 0.0


def test_the_turnover_of_the_first_graph_is_not_a_number():
    assert math.isnan(edge_turnover(None, edges((2, 3))))


def test_a_graph_without_edges_or_owners_has_figures_of_zero():
    assert density(NO_EDGES, OWNERS) == reciprocity(NO_EDGES) == degree_gini(NO_EDGES, OWNERS) == 0.0
    assert modularity(NO_EDGES, OWNERS, np.zeros(7, dtype=np.int64)) == 0.0
    assert communities(NO_EDGES, OWNERS).tolist() == list(range(7))
    assert density(NO_EDGES, OWNERS[:0]) == density(NO_EDGES, OWNERS[:1]) == gini(np.zeros(0)) == 0.0
