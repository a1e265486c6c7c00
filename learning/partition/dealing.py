"""The table of partition methods, and dealing out a data set by one of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from learning.columns import IntColumn
from learning.data import Dataset
from learning.registry import Registry
from learning.streams import Streams

PARTITIONS: Registry[Callable[..., list[IntColumn]]] = Registry("partition")

GIVEN_BY_THE_CALLER = frozenset({"labels", "shards", "streams", "groups"})
"""Parameters of the methods that come with the data and the run; all others a user may set."""


def deal(name: str, dataset: Dataset, shards: int, streams: Streams, **parameters: Any) -> list[IntColumn]:
    """The training samples of a data set, dealt out by the method ``name``.

    Raises ``UnknownName``, and ``ValueError`` for parameters that cannot be met or groups that the data lacks.
    """
    method = PARTITIONS[name]
    if "groups" in inspect.signature(method).parameters:
        parameters["groups"] = dataset.groups
    return method(dataset.y_train, shards, streams, **parameters)
