"""Faults of messages and of the clocks by which they are sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from agents.parameters import NOT_NEGATIVE, PROBABILITY, Bounds, check_number, check_whole
from learning.columns import FloatColumn, IntColumn
from learning.streams import Streams
from scenarios.engine.clock import FAR, after, to_ticks
from scenarios.faults.base import FAULTS, Fault, Journey, MessageFault, check_mean, check_retries


@FAULTS.register("lost_message")
@dataclass(frozen=True, kw_only=True)
class LostMessage(MessageFault):
    """A message is lost with probability `rate` at each try; up to `retries` more follow, `timeout` seconds apart."""

    rate: float
    retries: int = 0
    timeout: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("rate", self.rate, PROBABILITY)
        check_retries(self.retries, self.timeout)

    def befall(self, journey: Journey, streams: Streams, place: int) -> None:
        """Delay messages by the tries that fail, geometric in number; lose those whose every try fails."""
        rows = np.flatnonzero(self.exposed(journey))
        draw = streams.uniform("lost message", journey.luck[rows], journey.round[rows], journey.item(place))
        failed = failed_tries(draw, self.rate, self.retries + 1)
        journey.arrival[rows] = after(journey.arrival[rows], failed.astype(np.float64) * self.timeout)
        journey.lost[rows] = failed > self.retries


def failed_tries(draw: FloatColumn, rate: float, most: int) -> IntColumn:
    """How many tries in a row fail, at most so many: k or more do with probability rate^k, where draw < rate^k."""
    rising = np.array([rate**k for k in range(most, 0, -1)])
    return np.asarray(most - np.searchsorted(rising, draw, side="right"), dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class _Delaying(MessageFault):
    """Something happens to a message with probability ``rate``, an exponential ``mean_delay`` seconds later."""

    rate: float
    mean_delay: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("rate", self.rate, PROBABILITY)
        check_mean("mean_delay", self.mean_delay)

    def drawn(
        self, journey: Journey, streams: Streams, place: int, happens: str, delay: str
    ) -> tuple[IntColumn, FloatColumn]:
        """The rows of messages that it happens to, and the seconds; ``happens`` and ``delay`` are stream purposes."""
        rows = np.flatnonzero(self.exposed(journey))
        keys = journey.luck[rows], journey.round[rows], journey.item(place)
        hit = streams.uniform(happens, *keys) < self.rate
        return rows[hit], self.mean_delay * streams.exponential(delay, *keys)[hit]


@FAULTS.register("late_message")
@dataclass(frozen=True, kw_only=True)
class LateMessage(_Delaying):
    """A message takes longer with probability `rate`, by an exponential delay of `mean_delay` seconds."""

    mean_delay: float = 10.0

    def befall(self, journey: Journey, streams: Streams, place: int) -> None:
        """Delay the messages that the draw hits."""
        rows, delay = self.drawn(journey, streams, place, "late message", "message delay")
        journey.arrival[rows] = after(journey.arrival[rows], delay)


@FAULTS.register("duplicated_message")
@dataclass(frozen=True, kw_only=True)
class DuplicatedMessage(_Delaying):
    """A message that arrives comes once more with probability `rate`, after an exponential `mean_delay` seconds."""

    mean_delay: float = 5.0

    def befall(self, journey: Journey, streams: Streams, place: int) -> None:
        """Give the messages that the draw hits a copy, beside those that other such faults give them."""
        rows, delay = self.drawn(journey, streams, place, "duplicated message", "duplicate delay")
        copies = np.full(len(journey.sent), np.nan)
        copies[rows] = delay
        journey.copies.append(copies)


@FAULTS.register("network_partition")
@dataclass(frozen=True, kw_only=True)
class NetworkPartition(MessageFault):
    """Nothing from `region` arrives while it lasts: messages are `held` to its end, or `lost` unless a retry arrives.

    Which window counts is that of the arrival, not of the sending.
    """

    needs_duration = True

    region: int = 0
    messages: Literal["held", "lost"] = "held"
    retries: int = 0
    timeout: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("region", self.region, Bounds(at_least=0))
        check_retries(self.retries, self.timeout)

    def befall(self, journey: Journey, streams: Streams, place: int) -> None:
        """Hold back or lose what would arrive while the region is cut off."""
        meant = self.exposed(Journey(**{**journey.__dict__, "sent": journey.arrival}))
        rows = np.flatnonzero(meant & (journey.region == self.region))
        arrival = journey.arrival[rows]
        end = self.windows.end(arrival)
        if self.messages == "held":
            journey.arrival[rows] = end
            return
        timeout = max(1, to_ticks(self.timeout))
        tries = -((arrival - end) // timeout)  # rounded up: the first one that comes when the window is over
        journey.lost[rows] = tries > self.retries
        journey.arrival[rows] = arrival + np.minimum(tries, self.retries + 1) * timeout


@FAULTS.register("clock_skew")
@dataclass(frozen=True, kw_only=True)
class ClockSkew(Fault):
    """Each person's clock is off by a normal draw of `sd` seconds; by it an owner judges if its report is in time."""

    sd: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("sd", self.sd, NOT_NEGATIVE)

    def ahead(self, tick: int, luck: IntColumn, streams: Streams, place: int) -> FloatColumn:
        """Seconds by which each owner's clock is ahead at ``tick``."""
        if not self.windows.contain(np.array([tick]))[0]:
            return np.zeros(len(luck))
        seconds = self.sd * streams.normal("clock skew", luck, 0, place)
        return np.clip(seconds, -float(FAR // 2) / 1e6, float(FAR // 2) / 1e6)
