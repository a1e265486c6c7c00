"""Models of one's own: how K personal models learn from each other, one method a file.

Everything works on stacked models [K, P]. Most methods come down to a matrix of collaboration weights [K, K] (row k:
what owner k takes from whom), which ``mix`` applies in one product; the others give the trainer a point to be pulled
to (``Anchor``).
"""

from __future__ import annotations

from learning.personalization.anchors import Anchor, ditto, fedprox, prox
from learning.personalization.averaging import FedAvg, FedProx
from learning.personalization.clustering import CFL, bipartition, cluster_weights, split_clusters
from learning.personalization.dissimilarity import update_dissimilarity
from learning.personalization.fedamp import FedAMP, attention_weights, message_weights
from learning.personalization.fedfomo import FedFomo, first_order_mix, first_order_weights, offered_to
from learning.personalization.local import Local
from learning.personalization.method import PERSONALIZATION, Meeting, Memory, Outcome, PersonalMethod
from learning.personalization.mixing import mix, mix_changes
from learning.personalization.pfedgraph import PFedGraph, graph_weights, project_to_simplex
from learning.personalization.proximal_centre import ProximalCentre, cosine_centre, squared_centre
from learning.personalization.two_models import Ditto

__all__ = [
    "CFL",
    "PERSONALIZATION",
    "Anchor",
    "Ditto",
    "FedAMP",
    "FedAvg",
    "FedFomo",
    "FedProx",
    "Local",
    "Meeting",
    "Memory",
    "Outcome",
    "PFedGraph",
    "PersonalMethod",
    "ProximalCentre",
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
