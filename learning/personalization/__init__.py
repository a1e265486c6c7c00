"""Models of one's own: how K personal models learn from each other, one method a file.

Everything works on stacked models [K, P]. Most methods come down to a matrix of collaboration weights [K, K] (row k:
what owner k takes from whom), which ``mix`` applies in one product; the others give the trainer a point to be pulled
to (``Anchor``).
"""

from __future__ import annotations

from learning.personalization.anchors import Anchor, ditto, fedprox, prox
from learning.personalization.clustering import bipartition, cluster_weights, split_clusters
from learning.personalization.fedamp import attention_weights, message_weights
from learning.personalization.fedfomo import first_order_mix, first_order_weights, offered_to
from learning.personalization.mixing import mix, mix_changes
from learning.personalization.pfedgraph import graph_weights, project_to_simplex
from learning.personalization.proximal_centre import cosine_centre, squared_centre, update_dissimilarity

__all__ = [
    "Anchor",
    "attention_weights",
    "bipartition",
    "cluster_weights",
    "cosine_centre",
    "ditto",
    "fedprox",
    "first_order_mix",
    "first_order_weights",
    "graph_weights",
    "message_weights",
    "mix",
    "mix_changes",
    "offered_to",
    "project_to_simplex",
    "prox",
    "split_clusters",
    "squared_centre",
    "update_dissimilarity",
]
