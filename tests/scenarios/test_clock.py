from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.engine.clock import NOBODY, Clock, Happening, Kind, to_ticks


def clock_with_log(together=frozenset(), valid=None, handle=None):
    log: list[tuple[Kind, int, int]] = []

    def handler(happening: Happening) -> None:
        log.extend(
            (happening.kind, tick, owner)
            for tick, owner in zip(happening.ticks.tolist(), happening.owners.tolist(), strict=True)
        )
        if handle is not None:
            handle(clock, happening)

    everybody = valid or (lambda kind, owners, stays: np.ones(len(owners), dtype=bool))
    clock = Clock(dict.fromkeys(Kind, handler), together.__contains__, everybody)
    return clock, log


def wave(clock: Clock, kind: Kind, entries: list[tuple[int, int]]) -> None:
    ticks, owners = np.array(entries, dtype=np.int64).reshape(-1, 2).T
    clock.schedule(kind, ticks, owners, np.zeros_like(ticks))


def test_a_wave_is_played_by_tick_then_owner() -> None:
    clock, log = clock_with_log()
    wave(clock, Kind.REPORT, [(5, 2), (3, 7), (5, 1)])
    clock.run_until(10)
    assert [(tick, owner) for _, tick, owner in log] == [(3, 7), (5, 1), (5, 2)]


def test_at_equal_ticks_the_kind_decides_and_leaving_comes_first() -> None:
    clock, log = clock_with_log()
    for kind in reversed(Kind):
        clock.at(kind, 4, owner=1)
    clock.run_until(5)
    assert [kind for kind, _, _ in log] == sorted(Kind)


def test_at_equal_ticks_and_kinds_the_earlier_scheduled_wave_comes_first() -> None:
    clock, log = clock_with_log()
    clock.at(Kind.UPDATE, 4, owner=9)
    clock.at(Kind.UPDATE, 4, owner=1)
    clock.run_until(5)
    assert [owner for _, _, owner in log] == [9, 1]


def test_windows_are_half_open() -> None:
    clock, log = clock_with_log(together=frozenset({Kind.REPORT}))
    wave(clock, Kind.REPORT, [(9, 0), (10, 1)])
    clock.run_until(10)
    assert [owner for _, _, owner in log] == [0]
    clock.run_until(11)
    assert [owner for _, _, owner in log] == [0, 1]


def test_entries_that_concern_nobody_any_more_are_dropped_unheard() -> None:
    clock, log = clock_with_log(valid=lambda kind, owners, stays: owners != 3)
    wave(clock, Kind.UPDATE, [(1, 3), (2, 4)])
    clock.run_until(5)
    assert [owner for _, _, owner in log] == [4]
    assert clock.handled == 1


def test_the_past_is_closed() -> None:
    clock, _ = clock_with_log()
    clock.run_until(10)
    with pytest.raises(ValueError, match="lies before now"):
        clock.at(Kind.PLAN, 9)


def test_a_handler_may_schedule_for_the_same_tick() -> None:
    def follow(clock: Clock, happening: Happening) -> None:
        if happening.kind is Kind.PLAN:
            clock.at(Kind.CLOSE, int(happening.ticks[0]))

    clock, log = clock_with_log(handle=follow)
    clock.at(Kind.PLAN, 2)
    clock.run_until(3)
    assert log == [(Kind.PLAN, 2, NOBODY), (Kind.CLOSE, 2, NOBODY)]


def test_pending_waves_are_listed_in_playing_order() -> None:
    clock, _ = clock_with_log()
    clock.at(Kind.CLOSE, 7)
    clock.at(Kind.PLAN, 7)
    clock.at(Kind.OPEN, 3)
    clock.run_until(2)
    assert [wave.kind for wave in clock.pending()] == [Kind.OPEN, Kind.PLAN, Kind.CLOSE]


entries = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=12)


@given(reports=entries, updates=entries, leaves=entries, stops=st.lists(st.integers(1, 31), max_size=4))
def test_handling_columns_ahead_of_the_clock_changes_nothing(reports, updates, leaves, stops) -> None:
    """Together or one tick at a time, in one go or in windows: the same entries in the same order."""
    logs = []
    for together, windows in ((frozenset(), []), (frozenset({Kind.REPORT, Kind.UPDATE}), sorted(set(stops)))):
        clock, log = clock_with_log(together)
        for kind, batch in ((Kind.REPORT, reports), (Kind.UPDATE, updates), (Kind.LEAVE, leaves)):
            wave(clock, kind, batch)
        for stop in [*windows, 32]:
            if stop > clock.now:
                clock.run_until(stop)
        logs.append(log)
    assert logs[0] == logs[1]
    assert len(logs[0]) == len(reports) + len(updates) + len(leaves)


def test_seconds_become_whole_ticks() -> None:
    assert to_ticks(0.1) * 10 == to_ticks(1.0)
