"""Real SimPy jobs in a real Mesa model."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import mesa
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.computing_center import ComputingCenter


class Workshop(mesa.Model):
    """A center and the jobs in it; ``log`` holds (time, what, owner)."""

    def __init__(self, slots: int) -> None:
        super().__init__(seed=1)
        self.clock = simpy.Environment()
        self.center = ComputingCenter(self, 0, self.clock, slots, rate=10.0)
        self.log: list[tuple[float, str, int]] = []
        self.jobs: dict[int, simpy.Process] = {}

    def enter(self, owner: int, samples: float, after: float = 0.0) -> None:
        self.jobs[owner] = self.clock.process(self._job(owner, samples, after))

    def _job(self, owner: int, samples: float, after: float) -> Generator[simpy.Event, Any, None]:
        try:
            yield self.clock.timeout(after)
            with self.center.request(owner) as slot:
                yield slot
                self.log.append((self.clock.now, "starts", owner))
                yield self.clock.timeout(self.center.service_time(samples))
                self.log.append((self.clock.now, "ends", owner))
        except simpy.Interrupt:
            self.log.append((self.clock.now, "leaves", owner))

    def leave(self, owner: int, at: float) -> None:
        """The owner goes at this time: its place is given back, its job ends."""

        def go(_: simpy.Event) -> None:
            self.center.cancel(owner)
            if self.jobs[owner].is_alive:
                self.jobs[owner].interrupt()

        self.clock.timeout(at).callbacks.append(go)

    def times(self, what: str) -> dict[int, float]:
        return {owner: time for time, kind, owner in self.log if kind == what}


def test_jobs_run_side_by_side_up_to_the_slots_and_then_in_order_of_arrival() -> None:
    shop = Workshop(slots=2)
    for owner in range(5):
        shop.enter(owner, samples=100)
    shop.clock.run(until=1)
    assert shop.center.running() == [0, 1]
    assert shop.center.queue() == [2, 3, 4]
    shop.clock.run()
    assert shop.times("starts") == {0: 0, 1: 0, 2: 10, 3: 10, 4: 20}
    assert shop.center.running() == shop.center.queue() == []


def test_a_slot_takes_samples_over_rate_seconds() -> None:
    assert Workshop(slots=1).center.service_time(25) == 2.5


def test_leaving_the_queue_lets_the_next_one_through() -> None:
    shop = Workshop(slots=1)
    for owner in range(3):
        shop.enter(owner, samples=100)
    shop.leave(1, at=5)
    shop.clock.run(until=6)
    assert shop.center.queue() == [2]
    shop.clock.run()
    assert shop.times("starts") == {0: 0, 2: 10}
    assert shop.times("leaves") == {1: 5}


def test_leaving_in_the_middle_of_a_job_frees_the_slot_at_once() -> None:
    shop = Workshop(slots=1)
    shop.enter(0, samples=100)
    shop.enter(1, samples=100)
    shop.leave(0, at=4)
    shop.clock.run()
    assert shop.times("starts") == {0: 0, 1: 4}
    assert shop.times("ends") == {1: 14}


def test_leaving_in_the_instant_of_being_served_leaks_nothing() -> None:
    shop = Workshop(slots=1)
    shop.leave(1, at=10)  # scheduled first, so it comes before owner 0 ends at 10
    shop.enter(0, samples=100)
    shop.enter(1, samples=100)
    shop.enter(2, samples=100)
    shop.clock.run()
    assert shop.times("ends") == {0: 10, 2: 20}


def test_without_a_process_a_slot_is_given_back_by_cancel() -> None:
    clock = simpy.Environment()
    center = ComputingCenter(mesa.Model(seed=1), 0, clock, slots=1, rate=1.0)
    served: list[int] = []
    for owner in (7, 8):
        center.request(owner).callbacks.append(lambda event: served.append(event.owner))
    clock.run(until=1)
    center.cancel(7)
    center.cancel(7)
    clock.run(until=2)
    assert served == [7, 8]
    assert center.running() == [8]


def test_without_a_process_a_place_in_the_queue_is_given_back_by_cancel() -> None:
    center = Workshop(slots=1).center
    for owner in (7, 8, 9):
        center.request(owner)
    center.cancel(8)
    assert center.running() == [7]
    assert center.queue() == [9]


def test_cancelling_a_stranger_changes_nothing() -> None:
    shop = Workshop(slots=1)
    shop.enter(0, samples=100)
    shop.clock.run(until=1)
    shop.center.cancel(99)
    assert shop.center.running() == [0]


def test_an_owner_has_one_place_at_a_time() -> None:
    center = Workshop(slots=1).center
    center.request(3)
    with pytest.raises(ValueError, match="owner 3 is in computing center 0 already"):
        center.request(3)


@pytest.mark.parametrize(("slots", "rate", "field"), [(0, 1.0, "slots"), (1.5, 1.0, "slots"), (1, 0.0, "rate")])
def test_an_impossible_parameter_is_named(slots: int, rate: float, field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field} is "):
        ComputingCenter(mesa.Model(seed=1), 0, simpy.Environment(), slots, rate)


JOBS = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10), st.none() | st.integers(0, 40)), max_size=12)


@given(slots=st.integers(1, 3), jobs=JOBS)
@settings(max_examples=100, deadline=None)
def test_whoever_leaves_whenever_no_slot_is_lost_and_every_other_job_ends(
    slots: int, jobs: list[tuple[int, int, int | None]]
) -> None:
    shop = Workshop(slots)
    for owner, (after, seconds, gone) in enumerate(jobs):
        shop.enter(owner, samples=10.0 * seconds, after=after)
        if gone is not None:
            shop.leave(owner, at=gone)
    while shop.clock.peek() < float("inf"):
        shop.clock.step()
        assert len(shop.center.running()) <= slots
    assert shop.center.running() == shop.center.queue() == []
    done = shop.times("ends").keys() | shop.times("leaves").keys()
    assert done == set(range(len(jobs)))
    assert {owner for owner, job in enumerate(jobs) if job[2] is None} <= shop.times("ends").keys()
