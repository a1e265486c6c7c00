"""Clustered federated learning: a cluster splits in two when its owners pull apart (CFL, Sattler et al. 2020).

Sattler, Müller, Samek 2020, "Clustered federated learning: model-agnostic distributed multitask optimization under
privacy constraints". Cluster labels [K] are all that has to be kept between rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.aggregation import column_like, normalised
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.pairwise import cosines
from learning.personalization.method import PERSONALIZATION, Meeting, Memory, Outcome, PersonalMethod, mixed


@PERSONALIZATION.register("cfl")
@dataclass(frozen=True, kw_only=True)
class CFL(PersonalMethod):
    """Clustered federated learning: FedAvg within clusters, which split when their owners pull apart (Sattler 2020).

    ``eps1`` and ``eps2``, both above 0, are the norms of updates in ``split_clusters``. All begin in one cluster. An
    owner trains the mean of its cluster and uses what comes of it. The paper averages updates; means of models are
    the same where a cluster trains one model, and owners that come late or were absent catch up by them.
    """

    eps1: float = 2.0
    eps2: float = 2.5

    apart: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, norm in (("eps1", self.eps1), ("eps2", self.eps2)):
            if not (np.isfinite(norm) and norm > 0):
                raise ValueError(f"{name} must be a number above 0, got {norm}")

    def collaboration(self, meeting: Meeting, memory: Memory) -> Tensor:
        return cluster_weights(self._split(meeting, memory), meeting.weights)

    def exchange(self, meeting: Meeting, taken: NDArray[np.float64], memory: Memory) -> Outcome:
        memory.clusters.remember(meeting.owner, torch.from_numpy(self._split(meeting, memory)).unsqueeze(1))
        return Outcome(mixed(meeting, taken), meeting.own)

    def _split(self, meeting: Meeting, memory: Memory) -> IntColumn:
        labels = np.zeros(len(meeting.owner), dtype=np.int64)
        found, known = memory.clusters.recall(meeting.owner)
        labels[known] = found[:, 0].numpy()
        everybody = memory.clusters.state()[1]
        used = int(everybody.max()) if len(everybody) else 0
        updates = meeting.sent - meeting.start
        return split_clusters(labels, updates, meeting.weights, eps1=self.eps1, eps2=self.eps2, used=used)


def split_clusters(
    labels: IntColumn, updates: Tensor, weights: FloatColumn, *, eps1: float, eps2: float, least: int = 3, used: int = 0
) -> IntColumn:
    """Cluster labels [K] after a round, given the labels before, updates [K, P] and data sizes ``weights`` [K].

    A cluster of ``least`` or more owners is split by ``bipartition`` of its cosines when its weighted mean update has
    an L2 norm below ``eps1`` (together they have arrived) while some update has one above ``eps2`` (alone they have
    not). The half without the first owner gets a new label, above ``used`` and all labels.
    """
    labels = labels.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < least:
            continue
        rows = updates[torch.from_numpy(members).to(updates.device)]
        together = torch.linalg.vector_norm(column_like(rows, normalised(weights[members])) @ rows)
        alone = torch.linalg.vector_norm(rows, dim=1).max()
        if bool(together < eps1) and bool(alone > eps2):
            apart = bipartition(cosines(rows).cpu().numpy())
            labels[members[apart]] = max(used, int(labels.max())) + 1
    return labels


def bipartition(similarity: FloatColumn) -> BoolColumn:
    """The two halves [K] that minimise the largest similarity [K, K] between them; row 0 is in the half ``False``.

    Algorithm 1 of the paper merges the most similar pair until two clusters are left; that is the maximum spanning
    tree without its weakest edge (found by Prim's method here). Raises ``ValueError`` for fewer than 2 rows.
    """
    count = len(similarity)
    if count < 2:
        raise ValueError(f"a bipartition needs at least 2 rows, got {count}")
    near = similarity[0].astype(np.float64)
    parent = np.zeros(count, dtype=np.int64)
    inside = np.zeros(count, dtype=np.bool_)
    inside[0] = True
    order: list[int] = []
    for _ in range(count - 1):
        node = int(np.argmax(np.where(inside, -np.inf, near)))
        inside[node] = True
        order.append(node)
        closer = ~inside & (similarity[node] > near)
        near[closer] = similarity[node][closer]
        parent[closer] = node
    weakest = order[int(np.argmin(near[order]))]
    half = np.zeros(count, dtype=np.bool_)
    for node in order:
        half[node] = node == weakest or half[parent[node]]
    return half


def cluster_weights(labels: IntColumn, weights: FloatColumn) -> Tensor:
    """Collaboration weights [K, K], float64: each owner takes the weighted mean over its own cluster.

    CFL applies them to updates, by ``mix_changes``. Raises ``ValueError`` unless all ``weights`` [K] are above 0.
    """
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise ValueError("cluster weights must be numbers above 0")
    shared = (labels[:, None] == labels) * weights
    return torch.from_numpy(shared / shared.sum(axis=1, keepdims=True))
