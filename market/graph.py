"""The collaboration graph: who shares with whom, and who used whose model, over time.

Sharing between owners is a ``networkx.DiGraph`` keyed by owner id; an edge u -> v says that u may see the model that
v shares. What the model owner and the owners use of each other is dense and happens every round, so it is kept in
columns and becomes edges only when somebody asks for the whole graph.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from learning.columns import FloatColumn, IntColumn
from market.hub import Direction, HubUsage
from market.mechanism import Edges
from market.parties import MODEL_OWNER

NEVER = -1
NOBODY = -1

_EDGE_COLUMNS = {
    "weight": np.float64,
    "payment": np.float64,
    "dissimilarity": np.float64,
    "uses": np.int64,
    "since_round": np.int64,
    "last_round": np.int64,
    "open": np.bool_,
}


class CollaborationGraph:
    """The graph of one run. ``owners`` is the owner-to-owner part; change it through the methods only.

    Edge attributes: ``weight`` (of the last use), ``payment`` (money, cumulative), ``dissimilarity`` of the two models
    (when last measured, NaN before), ``uses`` (count), ``since_round``, ``last_round`` (-1 before the first use),
    ``open`` (False while an end is restricted).
    """

    def __init__(self) -> None:
        self.owners: nx.DiGraph[int] = nx.DiGraph()
        self._hub = HubUsage()
        self._standing: FloatColumn = np.zeros(0)
        self._restricted: set[int] = set()
        self._peers: dict[int, list[int]] = {}  # sorted successors, so that a draw means the same after a reload
        self._open_peers: dict[int, list[int]] = {}  # filled when asked for, emptied by whatever opens or closes
        self._edges = 0
        self._mutual = 0  # edges whose reverse is there too

    def __contains__(self, owner: int) -> bool:
        return owner in self.owners

    def __len__(self) -> int:
        return len(self.owners)

    def join(self, owner: int, peers: Sequence[int], round: int, standing: float) -> None:
        """Add an owner that shares with ``peers``, and they with it.

        Raises ``ValueError`` if the owner is there already, or a peer is not (or is the owner itself).
        """
        if owner in self.owners:
            raise ValueError(f"owner {owner} is in the graph already")
        for peer in peers:
            if peer not in self.owners:
                raise ValueError(f"peer {peer} of owner {owner} is not in the graph")
        self.owners.add_node(owner)
        self._peers[owner] = []
        self.set_standing(np.array([owner]), np.array([standing]))
        for peer in dict.fromkeys(peers):
            self._add_edge(owner, peer, round)
            self._add_edge(peer, owner, round)

    def join_alone(self, owners: IntColumn, standing: FloatColumn) -> None:
        """Add owners that share with nobody yet. Raises ``ValueError`` if one is there already."""
        names = owners.tolist()
        known = self._peers.keys() & names
        if known:
            raise ValueError(f"owner {min(known)} is in the graph already")
        self.owners.add_nodes_from(names)
        self._peers |= {owner: [] for owner in names}
        self.set_standing(owners, standing)

    def leave(self, owner: int) -> None:
        """Drop an owner with all its edges; its dealings with the model owner are kept, but no longer shown.

        Raises ``ValueError`` if it is not there.
        """
        self._require(owner)
        followers, followed = self.owners.pred[owner], self.owners.succ[owner]
        for follower in followers:
            self._peers[follower].remove(owner)
            self._open_peers.pop(follower, None)
        self._mutual -= 2 * sum(1 for peer in followed if peer in followers)
        self._edges -= len(followers) + len(followed)
        self.owners.remove_node(owner)
        del self._peers[owner]
        self._open_peers.pop(owner, None)
        self._restricted.discard(owner)

    def restrict(self, owner: int) -> None:
        """Close all edges of an owner: nobody shares with it, and it shares with nobody."""
        self._require(owner)
        self._restricted.add(owner)
        self._reopen(owner)

    def restore(self, owner: int) -> None:
        """Open the edges of an owner again, but for those to owners that are restricted themselves."""
        self._require(owner)
        self._restricted.discard(owner)
        self._reopen(owner)

    def restricted(self) -> frozenset[int]:
        """Owners whose edges are closed."""
        return frozenset(self._restricted)

    def use(self, edges: Edges, round: int) -> None:
        """Note who used whose model in ``round``: weight, dissimilarity (last), payment (summed), uses, last round.

        A use between two owners that did not share yet adds the edge. One that involves an owner that is no longer
        there is dropped, as its edge would have been. Raises ``ValueError`` for parties that are neither owners nor
        the model owner.
        """
        up, down = edges.user == MODEL_OWNER, edges.source == MODEL_OWNER
        between = (edges.user >= 0) & (edges.source >= 0)
        if not (between | (up & (edges.source >= 0)) | (down & (edges.user >= 0))).all():
            raise ValueError("a use needs an owner on one side, and an owner or the model owner on the other")
        weight, payment = edges.weight, edges.payment
        self._hub.use(Direction.MODEL_OWNER_USES, edges.source[up], weight[up], payment[up], round)
        self._hub.use(Direction.OWNER_USES, edges.user[down], weight[down], payment[down], round)
        apart = np.full(len(edges.user), np.nan) if edges.dissimilarity is None else edges.dissimilarity
        for row in np.flatnonzero(between).tolist():
            user, source = int(edges.user[row]), int(edges.source[row])
            self._use_between(user, source, float(weight[row]), float(payment[row]), float(apart[row]), round)

    def neighbour(self, owners: IntColumn, draw: FloatColumn) -> IntColumn:
        """One peer of each owner, chosen by its uniform draw in [0, 1); -1 where it has none or is not there."""
        return self._choose(owners, draw, self._peers.get)

    def open_neighbour(self, owners: IntColumn, draw: FloatColumn) -> IntColumn:
        """Like ``neighbour``, among the peers whose shared model each owner may see now."""
        return self._choose(owners, draw, self._open_peers_of)

    def open_peers(self, owners: IntColumn) -> tuple[IntColumn, IntColumn]:
        """How many peers' shared models each owner may see now, and these peers, list after list."""
        lists = [self._open_peers_of(owner) or [] for owner in owners.tolist()]
        peers = [peer for each in lists for peer in each]
        return np.array([len(each) for each in lists], dtype=np.int64), np.array(peers, dtype=np.int64)

    def used(self, owners: IntColumn, peers: IntColumn) -> IntColumn:
        """The peers whose models the owners have used at some time; -1 elsewhere."""
        edges = self.owners.edges
        pairs = zip(owners.tolist(), peers.tolist(), strict=True)
        return np.array(
            [p if (o, p) in edges and edges[o, p]["uses"] > 0 else NOBODY for o, p in pairs], dtype=np.int64
        )

    def told(self, owners: IntColumn, values: FloatColumn) -> FloatColumn:
        """The mean of ``values`` (one per owner id) over each owner's peers along open edges; NaN without any."""
        heard = [self._open_peers_of(owner) or [] for owner in owners.tolist()]
        return np.array([values[peers].mean() if peers else np.nan for peers in heard], dtype=np.float64)

    def set_standing(self, owners: IntColumn, reputation: FloatColumn) -> None:
        """Publish the standing of some owners."""
        needed = int(owners.max(initial=-1)) + 1
        if needed > len(self._standing):
            bigger = np.full(max(needed, 2 * len(self._standing)), np.nan)
            bigger[: len(self._standing)] = self._standing
            self._standing = bigger
        self._standing[owners] = reputation

    def standing(self, owners: IntColumn) -> FloatColumn:
        """Published standing of owners that have joined at some time."""
        return self._standing[owners]

    def metrics(self) -> dict[str, float]:
        """Key figures of the owner-to-owner graph.

        ``nodes``, ``edges``, ``density`` (edges per ordered pair), ``reciprocity`` (share of edges whose reverse is
        there), ``mean_degree`` (in plus out); 0 where undefined. All are kept up to date, so this is cheap.
        """
        nodes = len(self.owners)
        return {
            "nodes": float(nodes),
            "edges": float(self._edges),
            "density": self._edges / (nodes * (nodes - 1)) if nodes > 1 else 0.0,
            "reciprocity": self._mutual / self._edges if self._edges else 0.0,
            "mean_degree": 2.0 * self._edges / nodes if nodes else 0.0,
        }

    def to_networkx(self) -> nx.DiGraph[int]:
        """A copy of the whole graph, with the model owner (node -2) and its edges to and from those who are there.

        Node attributes of owners: ``standing``, ``active`` (not restricted). Edges of the model owner have the same
        attributes as the others, but for the dissimilarity.
        """
        whole = self.owners.copy()
        for owner, attributes in whole.nodes.items():
            attributes.update(standing=float(self._standing[owner]), active=owner not in self._restricted)
        whole.add_node(MODEL_OWNER, standing=1.0, active=True)
        for direction in Direction:
            for owner, used in self._hub.uses(direction):
                ends = (MODEL_OWNER, owner) if direction is Direction.MODEL_OWNER_USES else (owner, MODEL_OWNER)
                if owner in self.owners:
                    whole.add_edge(*ends, **used, open=True)
        return whole

    def state(self) -> dict[str, Any]:
        """Everything needed to continue, as columns."""
        edges = list(self.owners.edges(data=True))
        columns: dict[str, NDArray[Any]] = {
            name: np.array([data[name] for _, _, data in edges], dtype=dtype) for name, dtype in _EDGE_COLUMNS.items()
        }
        return {
            "nodes": np.array(list(self.owners), dtype=np.int64),
            "edges": {
                "user": np.array([user for user, _, _ in edges], dtype=np.int64),
                "source": np.array([source for _, source, _ in edges], dtype=np.int64),
                **columns,
            },
            "restricted": np.array(sorted(self._restricted), dtype=np.int64),
            "standing": self._standing.copy(),
            "hub": self._hub.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state()``."""
        self.owners = nx.DiGraph()
        self.owners.add_nodes_from(state["nodes"].tolist())
        self._peers = {owner: [] for owner in self.owners}
        self._open_peers = {}
        self._edges = self._mutual = 0
        self._restricted = set(state["restricted"].tolist())
        self._standing = np.array(state["standing"])
        self._hub.load_state(state["hub"])
        columns = {name: column.tolist() for name, column in state["edges"].items()}
        for user, source, *values in zip(*columns.values(), strict=True):
            self._add_edge(user, source, NEVER)
            self.owners.edges[user, source].update(zip(list(columns)[2:], values, strict=True))

    def _require(self, owner: int) -> None:
        if owner not in self.owners:
            raise ValueError(f"owner {owner} is not in the graph")

    def _add_edge(self, user: int, source: int, round: int) -> None:
        if user == source:
            raise ValueError(f"owner {user} cannot be its own peer")
        self.owners.add_edge(
            user,
            source,
            weight=0.0,
            payment=0.0,
            dissimilarity=np.nan,
            uses=0,
            since_round=round,
            last_round=NEVER,
            open=user not in self._restricted and source not in self._restricted,
        )
        insort(self._peers[user], source)
        self._open_peers.pop(user, None)
        self._edges += 1
        if self.owners.has_edge(source, user):
            self._mutual += 2

    def _use_between(self, user: int, source: int, weight: float, payment: float, apart: float, round: int) -> None:
        if user not in self.owners or source not in self.owners:
            return
        if not self.owners.has_edge(user, source):
            self._add_edge(user, source, round)
        edge = self.owners.succ[user][source]
        edge["weight"] = weight
        edge["payment"] += payment
        if not np.isnan(apart):
            edge["dissimilarity"] = apart
        edge["uses"] += 1
        edge["last_round"] = round

    def _reopen(self, owner: int) -> None:
        """Recompute ``open`` on all edges of an owner."""
        here = owner not in self._restricted
        for neighbours in (self.owners.succ[owner], self.owners.pred[owner]):
            for peer, edge in neighbours.items():
                edge["open"] = here and peer not in self._restricted
                self._open_peers.pop(peer, None)
        self._open_peers.pop(owner, None)

    def _open_peers_of(self, owner: int) -> list[int] | None:
        if owner not in self._open_peers:
            if owner not in self.owners:
                return None
            edges = self.owners.succ[owner]
            self._open_peers[owner] = [peer for peer in self._peers[owner] if edges[peer]["open"]]
        return self._open_peers[owner]

    @staticmethod
    def _choose(owners: IntColumn, draw: FloatColumn, peers_of: Callable[[int], list[int] | None]) -> IntColumn:
        chosen = []
        for owner, number in zip(owners.tolist(), draw.tolist(), strict=True):
            peers = peers_of(owner)
            chosen.append(peers[int(number * len(peers))] if peers else NOBODY)
        return np.array(chosen, dtype=np.int64)


def choose_peers(candidates: IntColumn | range, draws: Sequence[float]) -> list[int]:
    """Choose one candidate per draw (uniform in (0, 1)), or all if they are fewer: uniformly, without replacement.

    The choice depends on the order of the candidates. The shuffle of Fisher and Yates, stopped early, so the cost does
    not grow with the number of candidates.
    """
    moved: dict[int, int] = {}  # positions of the pool whose content the shuffle has changed
    chosen = []
    for position, draw in enumerate(draws[: len(candidates)]):
        picked = position + int(draw * (len(candidates) - position))
        chosen.append(int(candidates[moved.get(picked, picked)]))
        moved[picked] = moved.get(position, position)
    return chosen
