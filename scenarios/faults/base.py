"""What all faults share: their registry, their windows, and the messages that they act on, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from agents.parameters import NOT_NEGATIVE, POSITIVE, Bounds, check_number, check_whole
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.registry import Registry
from learning.streams import Streams
from scenarios.engine.clock import FAR, to_ticks
from scenarios.faults.windows import Windows

AT_LEAST_A_SECOND = Bounds(at_least=1)
SECONDS = Bounds(at_least=0, at_most=1e12)


class Message(IntEnum):
    """What owners send to the model owner."""

    REPORT = 0
    UPLOAD = 1


Messages = Literal["reports", "uploads", "both"]
_MEANT: dict[str, tuple[Message, ...]] = {
    "reports": (Message.REPORT,),
    "uploads": (Message.UPLOAD,),
    "both": (Message.REPORT, Message.UPLOAD),
}


@dataclass
class Journey:
    """Messages of one kind, sent in the same round by different owners; all columns have the same length.

    ``luck`` keys the draws, ``arrival`` is the tick at which each would arrive, or at which its sender gives up where
    it is ``lost``; each of ``copies`` is a column of seconds from then to a further copy (NaN: none).
    """

    message: Message
    round: IntColumn
    luck: IntColumn
    region: IntColumn
    sent: IntColumn
    arrival: IntColumn
    lost: BoolColumn
    copies: list[FloatColumn]

    def item(self, place: int) -> int:
        """Item of a draw for these messages by the fault at this place in the scenario's list."""
        return 2 * place + int(self.message)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Base of every kind of fault, which acts from ``start`` for ``duration`` seconds (null: to the end of the run).

    It acts again ``every`` so many seconds (null: once). Raises a one-line ValueError for bad parameters.
    """

    needs_duration: ClassVar[bool] = False

    start: float = 0.0
    duration: float | None = None
    every: float | None = None

    def __post_init__(self) -> None:
        check_number("start", self.start, SECONDS)
        if self.duration is not None:
            check_number("duration", self.duration, Bounds(above=0, at_most=1e12))
        elif self.needs_duration:
            raise ValueError("duration is missing, expected the seconds that it lasts")
        if self.every is not None:
            check_number("every", self.every, AT_LEAST_A_SECOND)
            if self.duration is None or self.every <= self.duration:
                raise ValueError(f"every is {self.every!r}, expected more than the duration, so that it ends between")

    @cached_property
    def windows(self) -> Windows:
        """When it acts."""
        length = FAR if self.duration is None else max(1, to_ticks(self.duration))
        return Windows(to_ticks(self.start), length, 0 if self.every is None else to_ticks(self.every))


@dataclass(frozen=True, kw_only=True)
class MessageFault(Fault):
    """Base of faults that befall messages on their way from an owner: ``of`` reports, uploads or both."""

    of: Messages = "both"

    def befall(self, journey: Journey, streams: Streams, place: int) -> None:
        """Change ``arrival``, ``lost`` and ``copies`` of a journey; ``place`` tells this fault from its like."""
        raise NotImplementedError

    def exposed(self, journey: Journey) -> BoolColumn:
        """Messages that it can befall: of the kind meant, not lost yet, and sent while the fault acts."""
        if journey.message not in _MEANT[self.of]:
            return np.zeros(len(journey.sent), dtype=np.bool_)
        return np.asarray(~journey.lost & self.windows.contain(journey.sent))


def check_retries(retries: int, timeout: float) -> None:
    """Refuse what is no number of further tries or no time between them."""
    check_whole("retries", retries, Bounds(at_least=0, at_most=1000))
    check_number("timeout", timeout, POSITIVE)


def check_mean(name: str, seconds: float) -> None:
    """Refuse what is no time in seconds."""
    check_number(name, seconds, NOT_NEGATIVE)


FAULTS: Registry[type[Fault]] = Registry("fault")
