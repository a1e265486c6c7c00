"""How the training samples are dealt out to shards: one function per method, filed in ``PARTITIONS``.

Every method takes the labels [n] (int64, from 0), the number of shards, the random streams and its own keyword
parameters, and returns one ascending index array per shard: disjoint, together all samples, at least ``min_samples``
each. ``natural`` also takes the samples' groups. All raise ``ValueError`` with one line for parameters that cannot be
met. ``deal`` calls a method by name, on a data set.
"""

from __future__ import annotations

from learning.partition import classes, clusters, even, natural, quantity
from learning.partition.dealing import GIVEN_BY_THE_CALLER, PARTITIONS, deal

__all__ = ["GIVEN_BY_THE_CALLER", "PARTITIONS", "deal"]

# Importing a family files its methods in PARTITIONS.
del classes, clusters, even, natural, quantity
