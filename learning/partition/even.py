"""Shards that are all alike."""

from __future__ import annotations

import numpy as np

from learning.columns import IntColumn
from learning.partition.dealing import PARTITIONS
from learning.partition.pieces import check_counts
from learning.streams import Streams


@PARTITIONS.register("iid")
def iid(labels: IntColumn, shards: int, streams: Streams, *, min_samples: int = 2) -> list[IntColumn]:
    """Equal shares of the shuffled samples."""
    check_counts(len(labels), shards, min_samples)
    order = streams.generator("partition/iid").permutation(len(labels))
    return [np.sort(part) for part in np.array_split(order, shards)]
