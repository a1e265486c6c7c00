"""Clustered federated learning: a cluster splits in two when its owners pull apart (CFL, Sattler et al. 2020).

Sattler, Müller, Samek 2020, "Clustered federated learning: model-agnostic distributed multitask optimization under
privacy constraints". Cluster labels [K] are all that has to be kept between rounds.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from learning.aggregation import column_like, normalised
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.pairwise import cosines


def split_clusters(
    labels: IntColumn, updates: Tensor, weights: FloatColumn, *, eps1: float, eps2: float, least: int = 3
) -> IntColumn:
    """Cluster labels [K] after a round, given the labels before, updates [K, P] and data sizes ``weights`` [K].

    A cluster of ``least`` or more owners is split by ``bipartition`` of its cosines when its weighted mean update has
    an L2 norm below ``eps1`` (together they have arrived) while some update has one above ``eps2`` (alone they have
    not). The half without the first owner gets a new label.
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
            labels[members[apart]] = labels.max() + 1
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
