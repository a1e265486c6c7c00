"""Faults of the parties themselves: owners' devices, computing centers, the model owner's server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from agents.parameters import PROBABILITY, Bounds, check_number, check_whole
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.streams import Streams
from scenarios.faults.base import FAULTS, Fault, check_mean


@FAULTS.register("client_crash")
@dataclass(frozen=True, kw_only=True)
class ClientCrash(Fault):
    """A device fails in training, or before a center has its data, with probability `rate`; repair takes `repair` s."""

    rate: float
    repair: float = 120.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("rate", self.rate, PROBABILITY)
        check_mean("repair", self.repair)

    def strike(
        self, tick: int, luck: IntColumn, rounds: IntColumn, streams: Streams, place: int
    ) -> tuple[BoolColumn, FloatColumn]:
        """Of trainings that begin at ``tick``: which fail, and at what share of the work."""
        if not self.windows.contain(np.array([tick]))[0]:
            return np.zeros(len(luck), dtype=np.bool_), np.zeros(len(luck))
        fails = streams.uniform("client crash", luck, rounds, place) < self.rate
        return fails, streams.uniform("crash moment", luck, rounds, place)

    def repairs(self, luck: IntColumn, rounds: IntColumn, streams: Streams, place: int) -> FloatColumn:
        """Seconds until devices that failed in these rounds work again."""
        return self.repair * streams.exponential("repair", luck, rounds, place)


@FAULTS.register("center_outage")
@dataclass(frozen=True, kw_only=True)
class CenterOutage(Fault):
    """A computing center (null: all) stands still: nothing starts, what runs there is `paused` or `lost`."""

    needs_duration = True

    center: int | None = None
    work: Literal["paused", "lost"] = "paused"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.center is not None:
            check_whole("center", self.center, Bounds(at_least=0))


@FAULTS.register("server_restart")
@dataclass(frozen=True, kw_only=True)
class ServerRestart(Fault):
    """The model owner is away: messages wait, no round opens, the open one is `resumed` afterwards or `abandoned`."""

    needs_duration = True

    open_round: Literal["resumed", "abandoned"] = "resumed"
