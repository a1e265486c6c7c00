"""What all agents are: Mesa's agents, which count their numbers without keeping their model alive."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from weakref import WeakKeyDictionary

import mesa


class Counters:
    """A counter for each model, from 1 on, that goes when the model does.

    Mesa's own is a dictionary of its class: every model that ever made an agent would stay, with all its data, for as
    long as the process lives.
    """

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[mesa.Model, Iterator[int]] = WeakKeyDictionary()

    def __getitem__(self, model: mesa.Model) -> Iterator[int]:
        return self._of.setdefault(model, itertools.count(1))


class NumberedAgent(mesa.Agent):
    """An agent of Mesa whose ``unique_id`` is unique within its model."""

    _ids = Counters()
