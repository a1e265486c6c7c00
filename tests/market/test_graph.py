from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import permutations

import networkx as nx
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from learning.streams import Streams
from market.graph import CollaborationGraph, choose_peers
from market.mechanism import Edges
from market.parties import MODEL_OWNER, REGULATOR


def columns_of(graph: nx.DiGraph[int]) -> str:
    """Nodes and edges with all their attributes, in an order of their own; NaN equals NaN."""
    return repr((sorted(graph.nodes(data=True)), sorted(graph.edges(data=True), key=lambda edge: edge[:2])))


def uses(*rows: tuple[int, int, float, float]) -> Edges:
    """Rows of user, source, weight, payment."""
    user, source, weight, payment = zip(*rows, strict=True)
    return Edges(np.array(user), np.array(source), np.array(weight), np.array(payment))


def triangle() -> CollaborationGraph:
    graph = CollaborationGraph()
    graph.join(0, [], 0, 0.5)
    graph.join(1, [0], 0, 0.5)
    graph.join(2, [0, 1], 1, 0.5)
    return graph


def open_edges(graph: CollaborationGraph) -> set[tuple[int, int]]:
    return {(user, source) for user, source, data in graph.owners.edges(data=True) if data["open"]}


def test_a_newcomer_and_its_peers_share_both_ways() -> None:
    graph = triangle()
    assert set(graph.owners.edges) == set(permutations(range(3), 2))
    assert graph.owners.edges[2, 0]["since_round"] == 1
    assert graph.owners.edges[2, 0]["last_round"] == -1


def test_an_owner_without_peers_is_a_node_all_the_same() -> None:
    graph = CollaborationGraph()
    graph.join(7, [], 0, 0.5)
    assert 7 in graph
    assert len(graph) == 1
    np.testing.assert_array_equal(graph.neighbour(np.array([7]), np.array([0.5])), [-1])


def test_many_owners_without_peers_join_at_once_as_they_would_one_by_one() -> None:
    together, single = CollaborationGraph(), CollaborationGraph()
    owners, standing = np.array([4, 7, 9]), np.array([0.5, 0.2, 0.9])
    together.join_alone(owners, standing)
    for owner, of_it in zip(owners.tolist(), standing.tolist(), strict=True):
        single.join(owner, [], 0, of_it)
    assert sorted(together.owners) == sorted(single.owners)
    assert together.standing(owners).tolist() == single.standing(owners).tolist()
    together.join(1, [4, 9], 0, 0.5)
    assert together.metrics()["edges"] == 4
    with pytest.raises(ValueError, match="owner 7 is in the graph already"):
        together.join_alone(np.array([3, 7]), np.ones(2))


def test_joining_twice_or_with_a_stranger_is_refused() -> None:
    graph = triangle()
    with pytest.raises(ValueError, match="owner 1 is in the graph already"):
        graph.join(1, [], 2, 0.5)
    with pytest.raises(ValueError, match="peer 9 of owner 3"):
        graph.join(3, [0, 9], 2, 0.5)
    with pytest.raises(ValueError, match="peer 3 of owner 3"):
        graph.join(3, [3], 2, 0.5)
    assert 3 not in graph


def test_leaving_takes_all_edges_along() -> None:
    graph = triangle()
    graph.leave(0)
    assert set(graph.owners.edges) == {(1, 2), (2, 1)}
    np.testing.assert_array_equal(graph.neighbour(np.array([0, 1, 2]), np.full(3, 0.9)), [-1, 2, 1])
    with pytest.raises(ValueError, match="owner 0 is not in the graph"):
        graph.leave(0)


def test_a_restricted_owner_neither_sees_nor_shows_a_model_until_it_is_restored() -> None:
    graph = triangle()
    graph.restrict(1)
    assert open_edges(graph) == {(0, 2), (2, 0)}
    asked, draw = np.array([0, 1, 2]), np.full(3, 0.99)
    np.testing.assert_array_equal(graph.open_neighbour(asked, draw), [2, -1, 0])
    np.testing.assert_array_equal(graph.neighbour(asked, draw), [2, 2, 1])
    graph.restore(1)
    assert open_edges(graph) == set(permutations(range(3), 2))
    np.testing.assert_array_equal(graph.open_neighbour(asked, draw), graph.neighbour(asked, draw))


def test_an_edge_between_two_restricted_owners_opens_only_when_both_are_restored() -> None:
    graph = triangle()
    graph.restrict(0)
    graph.restrict(1)
    graph.restore(0)
    assert open_edges(graph) == {(0, 2), (2, 0)}


def test_a_newcomer_sees_nothing_of_a_restricted_peer() -> None:
    graph = triangle()
    graph.restrict(0)
    graph.join(3, [0, 2], 4, 0.5)
    assert open_edges(graph) == {(1, 2), (2, 1), (2, 3), (3, 2)}


def test_a_use_between_owners_is_noted_on_its_edge() -> None:
    graph = triangle()
    graph.use(uses((0, 1, 0.5, 2.0)), round=3)
    graph.use(uses((0, 1, 0.25, 1.5)), round=6)
    assert np.isnan(graph.owners.edges[0, 1].pop("dissimilarity"))
    assert graph.owners.edges[0, 1] == {
        "weight": 0.25,
        "payment": 3.5,
        "uses": 2,
        "since_round": 0,
        "last_round": 6,
        "open": True,
    }
    assert graph.owners.edges[1, 0]["uses"] == 0


def test_an_edge_keeps_the_dissimilarity_that_was_measured_last() -> None:
    graph = triangle()
    measured, not_measured = uses((0, 1, 0.5, 2.0), (1, 0, 0.5, 2.0)), uses((0, 1, 0.5, 1.0))
    graph.use(replace(measured, dissimilarity=np.array([0.3, np.nan])), round=3)
    assert graph.owners.edges[0, 1]["dissimilarity"] == 0.3
    assert np.isnan(graph.owners.edges[1, 0]["dissimilarity"])
    graph.use(not_measured, round=4)
    assert graph.owners.edges[0, 1]["dissimilarity"] == 0.3
    graph.use(replace(not_measured, dissimilarity=np.array([0.2])), round=5)
    assert graph.owners.edges[0, 1]["dissimilarity"] == 0.2
    assert graph.to_networkx().edges[0, 1]["dissimilarity"] == 0.2


def test_a_use_between_strangers_makes_an_edge_in_that_direction() -> None:
    graph = CollaborationGraph()
    graph.join(0, [], 0, 0.5)
    graph.join(1, [], 0, 0.5)
    graph.use(uses((1, 0, 1.0, 0.0)), round=2)
    assert list(graph.owners.edges) == [(1, 0)]
    assert graph.owners.edges[1, 0]["since_round"] == 2
    assert graph.metrics()["reciprocity"] == 0.0


def test_a_use_by_an_owner_that_left_meanwhile_brings_nobody_back() -> None:
    graph = triangle()
    graph.leave(2)
    graph.use(uses((2, 0, 1.0, 1.0), (0, 2, 1.0, 1.0), (MODEL_OWNER, 2, 1.0, 1.0)), round=5)
    assert 2 not in graph
    assert 2 not in graph.to_networkx()


def test_dealings_with_the_model_owner_appear_in_the_whole_graph() -> None:
    graph = triangle()
    graph.use(uses((MODEL_OWNER, 0, 0.75, 3.0), (MODEL_OWNER, 1, 0.25, 1.0), (0, MODEL_OWNER, 1.0, 0.0)), round=0)
    graph.use(uses((MODEL_OWNER, 0, 1.0, 4.0)), round=1)
    whole = graph.to_networkx()
    assert whole.edges[MODEL_OWNER, 0] == {
        "weight": 1.0,
        "payment": 7.0,
        "uses": 2,
        "since_round": 0,
        "last_round": 1,
        "open": True,
    }
    assert set(whole.succ[MODEL_OWNER]) == {0, 1}
    assert set(whole.pred[MODEL_OWNER]) == {0}
    assert MODEL_OWNER not in graph.owners


def test_dealings_with_the_model_owner_outlive_a_stay() -> None:
    graph = triangle()
    graph.use(uses((MODEL_OWNER, 2, 1.0, 3.0)), round=0)
    graph.leave(2)
    assert 2 not in graph.to_networkx()
    graph.join(2, [0], 5, 0.5)
    graph.use(uses((MODEL_OWNER, 2, 1.0, 1.0)), round=5)
    assert graph.to_networkx().edges[MODEL_OWNER, 2]["payment"] == 4.0
    assert graph.to_networkx().edges[MODEL_OWNER, 2]["since_round"] == 0


def test_neighbours_see_the_standing_of_an_owner() -> None:
    graph = triangle()
    graph.set_standing(np.array([0, 2]), np.array([0.1, 0.9]))
    graph.restrict(0)
    np.testing.assert_array_equal(graph.standing(np.array([0, 1, 2])), [0.1, 0.5, 0.9])
    nodes = graph.to_networkx().nodes
    assert nodes[0] == {"standing": 0.1, "active": False}
    assert nodes[2] == {"standing": 0.9, "active": True}


@pytest.mark.parametrize(("user", "source"), [(0, REGULATOR), (MODEL_OWNER, MODEL_OWNER), (-100, 0)])
def test_only_owners_and_the_model_owner_use_models(user: int, source: int) -> None:
    with pytest.raises(ValueError, match="a use needs an owner"):
        triangle().use(uses((user, source, 1.0, 0.0)), round=0)


def test_every_neighbour_is_drawn_equally_often() -> None:
    graph = CollaborationGraph()
    for owner in range(5):
        graph.join(owner, list(range(owner)), 0, 0.5)
    count = 20_000
    drawn = graph.neighbour(np.full(count, 3), Streams(1).uniform("look", np.arange(count)))
    share = np.bincount(drawn, minlength=5) / count
    np.testing.assert_allclose(share, [0.25, 0.25, 0.25, 0.0, 0.25], atol=0.015)


def test_a_draw_means_the_same_whatever_the_order_of_joining() -> None:
    draw = np.linspace(0.0, 0.999, 7)
    graphs = []
    for peers in ([1, 2, 3], [3, 1, 2]):
        graph = CollaborationGraph()
        for peer in peers:
            graph.join(peer, [], 0, 0.5)
        graph.join(0, peers, 0, 0.5)
        graphs.append(graph.neighbour(np.zeros(7, dtype=np.int64), draw).tolist())
    assert graphs[0] == graphs[1] == [1, 1, 1, 2, 2, 3, 3]


def test_an_empty_graph_has_figures_too() -> None:
    assert set(CollaborationGraph().metrics().values()) == {0.0}


class LifeOfAGraph(RuleBasedStateMachine):
    """Owners come, go, use, are restricted; a plain set of edges and networkx's own measures keep watch."""

    @initialize()
    def start(self) -> None:
        self.graph = CollaborationGraph()
        self.edges: set[tuple[int, int]] = set()
        self.nodes: set[int] = set()
        self.restricted: set[int] = set()
        self.round = 0

    @rule(owner=st.integers(0, 8), data=st.data())
    def join(self, owner: int, data: st.DataObject) -> None:
        if owner in self.nodes:
            return
        peers = data.draw(st.lists(st.sampled_from(sorted(self.nodes)), max_size=4)) if self.nodes else []
        self.graph.join(owner, peers, self.round, 0.5)
        self.nodes.add(owner)
        self.edges |= {(owner, peer) for peer in peers} | {(peer, owner) for peer in peers}

    @precondition(lambda self: self.nodes)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        owner = data.draw(st.sampled_from(sorted(self.nodes)))
        self.graph.leave(owner)
        self.nodes.discard(owner)
        self.restricted.discard(owner)
        self.edges = {edge for edge in self.edges if owner not in edge}

    @precondition(lambda self: self.nodes)
    @rule(data=st.data(), close=st.booleans())
    def sanction(self, data: st.DataObject, close: bool) -> None:
        owner = data.draw(st.sampled_from(sorted(self.nodes)))
        (self.graph.restrict if close else self.graph.restore)(owner)
        (self.restricted.add if close else self.restricted.discard)(owner)

    @rule(user=st.integers(0, 8), source=st.integers(0, 8))
    def use(self, user: int, source: int) -> None:
        if user == source:
            return
        self.round += 1
        apart = np.array([1.0 / self.round, np.nan])
        used = replace(uses((user, source, 1.0, 1.0), (MODEL_OWNER, user, 1.0, 1.0)), dissimilarity=apart)
        self.graph.use(used, self.round)
        if {user, source} <= self.nodes:
            self.edges.add((user, source))

    @rule()
    def save_and_load(self) -> None:
        restored = CollaborationGraph()
        restored.join(99, [], 0, 0.0)
        restored.load_state(pickle.loads(pickle.dumps(self.graph.state())))
        assert columns_of(restored.to_networkx()) == columns_of(self.graph.to_networkx())
        self.graph = restored

    @invariant()
    def edges_are_as_expected(self) -> None:
        assert set(self.graph.owners) == self.nodes
        assert set(self.graph.owners.edges) == self.edges
        assert self.graph.restricted() == self.restricted
        assert open_edges(self.graph) == {edge for edge in self.edges if not self.restricted & set(edge)}

    @invariant()
    def neighbours_follow_the_edges(self) -> None:
        for owner in range(9):
            peers = sorted(source for user, source in self.edges if user == owner)
            seen = [peer for peer in peers if not self.restricted & {owner, peer}]
            for expected, ask in ((peers, self.graph.neighbour), (seen, self.graph.open_neighbour)):
                draws = (np.arange(len(expected)) + 0.5) / max(1, len(expected))
                assert ask(np.full(len(expected), owner), draws).tolist() == expected
                if not expected:
                    assert ask(np.array([owner]), np.array([0.5])).tolist() == [-1]

    @invariant()
    def figures_agree_with_networkx(self) -> None:
        figures, reference = self.graph.metrics(), self.graph.owners
        assert figures["nodes"] == reference.number_of_nodes()
        assert figures["edges"] == reference.number_of_edges()
        assert figures["density"] == pytest.approx(nx.density(reference))
        if self.edges:
            assert figures["reciprocity"] == pytest.approx(nx.overall_reciprocity(reference))
        if self.nodes:
            degrees = [degree for _, degree in reference.degree]
            assert figures["mean_degree"] == pytest.approx(np.mean(degrees))


TestLifeOfAGraph = LifeOfAGraph.TestCase
TestLifeOfAGraph.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def some_draws(owner: int, count: int) -> list[float]:
    return Streams(3).uniform("peers", owner, 0, np.arange(count)).tolist()


def test_peers_are_distinct_candidates() -> None:
    candidates = np.arange(10, 60, 3)
    for owner in range(50):
        chosen = choose_peers(candidates, some_draws(owner, 4))
        assert len(set(chosen)) == 4
        assert set(chosen) <= set(candidates.tolist())


def test_no_candidate_is_chosen_twice_when_nearly_all_are_needed() -> None:
    for owner in range(50):
        assert len(set(choose_peers(np.arange(20), some_draws(owner, 19)))) == 19


def test_with_few_candidates_all_become_peers() -> None:
    assert sorted(choose_peers(np.array([4, 9]), some_draws(6, 5))) == [4, 9]
    assert choose_peers(np.zeros(0, dtype=np.int64), some_draws(6, 5)) == []


def test_every_set_of_peers_is_equally_likely() -> None:
    count = 6000
    sets: dict[tuple[int, ...], int] = {}
    for owner in range(count):
        chosen = tuple(sorted(choose_peers(np.arange(4), some_draws(owner, 2))))
        sets[chosen] = sets.get(chosen, 0) + 1
    assert len(sets) == 6
    assert max(abs(seen / count - 1 / 6) for seen in sets.values()) < 0.02
