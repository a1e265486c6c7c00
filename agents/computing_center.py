"""A computing center: slots with a queue, on the SimPy clock."""

from __future__ import annotations

from typing import Any

import mesa
import simpy
from simpy.resources.resource import Request

from agents.numbered import NumberedAgent
from agents.parameters import NOT_NEGATIVE, POSITIVE, Bounds, check_number, check_whole


class SlotRequest(Request):
    """An owner's place in a center; an event that happens when a slot is its own."""

    def __init__(self, slots: simpy.Resource, owner: int) -> None:
        self.owner = owner  # first: the base class may grant the slot at once
        super().__init__(slots)

    def cancel(self) -> None:
        """Leave the queue; no effect on a request that has its slot or was cancelled before."""
        if self in self.resource.put_queue:
            super().cancel()


class ComputingCenter(NumberedAgent):
    """Trains for owners: ``slots`` jobs at once, first come first served, ``rate`` samples per second and slot.

    ``center`` is its number (0, 1, 2, ...). An owner has at most one request at a time.
    """

    def __init__(self, model: mesa.Model, center: int, environment: simpy.Environment, slots: int, rate: float) -> None:
        check_whole("slots", slots, Bounds(at_least=1))
        check_number("rate", rate, POSITIVE)
        super().__init__(model)
        self.center = int(center)
        self.rate = float(rate)
        self._slots = simpy.Resource(environment, capacity=int(slots))

    def request(self, owner: int) -> SlotRequest:
        """Queue up; the returned event happens when a slot is free.

        Give the place back with ``cancel`` (or use the request in a ``with`` block). Raises ValueError if this owner
        is in the center already.
        """
        if self._find(owner) is not None:
            raise ValueError(f"owner {owner} is in computing center {self.center} already")
        return SlotRequest(self._slots, owner)

    def cancel(self, owner: int) -> None:
        """Give back the owner's slot or its place in the queue: done, gone or interrupted. No place, no effect.

        A slot that was granted in this very instant is given back too, but its event will still happen: a handler
        must see for itself that the owner has gone.
        """
        request = self._find(owner)
        if request is None:
            return
        if request.triggered:
            self._slots.release(request)
        else:
            request.cancel()

    def service_time(self, samples: float) -> float:
        """Seconds that one slot needs for so many samples."""
        check_number("samples", samples, NOT_NEGATIVE)
        return float(samples) / self.rate

    def queue(self) -> list[int]:
        """Owners that wait, first to be served first."""
        return [request.owner for request in self._slots.queue]

    def running(self) -> list[int]:
        """Owners that hold a slot, in the order in which they got it."""
        holders: list[Any] = self._slots.users
        return [request.owner for request in holders]

    def _find(self, owner: int) -> SlotRequest | None:
        places: list[Any] = [*self._slots.users, *self._slots.queue]
        return next((request for request in places if request.owner == owner), None)
