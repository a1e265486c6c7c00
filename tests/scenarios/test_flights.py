"""The table of updates on their way, against a plain list of records."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scenarios.engine.flights import Flights


def sent_by(flights: Flights, *owners: int) -> list[int]:
    """Put updates of these owners on their way, each with its owner's number as a claim; their serials."""
    column = np.array(owners, dtype=np.int64)
    return flights.add({"owner": column, "spent": column * 0.5}, {"size": column * 1.0}).tolist()


step = st.one_of(
    st.tuples(st.just("send"), st.lists(st.integers(0, 5), min_size=1, max_size=4)),
    st.tuples(st.just("take out"), st.integers(0, 5)),
    st.tuples(st.just("arrive"), st.integers(0, 30)),
    st.tuples(st.just("settle"), st.booleans()),
    st.tuples(st.just("look"), st.none()),
)


@given(st.lists(step, max_size=25))
def test_the_table_holds_what_a_list_of_records_would(steps: list[tuple[str, object]]) -> None:
    flights, records = Flights(), {}
    for what, how in steps:
        if what == "send":
            records |= {serial: [owner, False] for serial, owner in zip(sent_by(flights, *how), how, strict=True)}
        elif what == "take out":
            mine = [serial for serial, (owner, _) in records.items() if owner == how]
            assert flights.take_out(how).serial.tolist() == mine
            for serial in mine:
                del records[serial]
        elif what == "arrive":
            known = flights.knows(np.array([how]))
            assert known.tolist() == [how in records]
            owners, _ = flights.arrive(np.array([how])[known])
            assert owners.tolist() == [records[serial][0] for serial in records if serial == how]
            if how in records:
                records[how][1] = True
        elif what == "settle":
            flights.keep(flights.arrived == how)
            records = {serial: record for serial, record in records.items() if record[1] == how}
        assert flights.complete == all(arrived for _, arrived in records.values())
        if what == "look":
            assert flights.serial.tolist() == list(records)
    assert len(flights) == len(records)
    assert flights.serial.tolist() == list(records)
    assert flights.owner.tolist() == [owner for owner, _ in records.values()]
    assert flights.claims.get("size", np.zeros(0)).tolist() == [owner for owner, _ in records.values()]
    assert flights.find(np.arange(40)).tolist() == [
        list(records).index(serial) if serial in records else -1 for serial in range(40)
    ]


def test_what_is_taken_out_is_a_table_of_its_own() -> None:
    flights = Flights()
    sent_by(flights, 3, 7)
    taken = flights.take_out(7)
    assert (taken.owner.tolist(), taken.spent.tolist(), taken.claims["size"].tolist()) == ([7], [3.5], [7.0])
    assert len(flights.take_out(7)) == 0


def test_owners_leave_one_by_one_without_a_copy_of_everybody_elses_updates() -> None:
    flights = Flights()
    sent_by(flights, *range(50_000))
    flights.take_out(0)  # finds its way about once
    tracemalloc.start()
    try:
        for owner in range(1, 40):
            flights.take_out(owner)
            assert flights.knows(np.array([owner, 49_999])).tolist() == [False, True]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 200_000, "one of the table's columns takes 400 kB"
    assert len(flights) == 49_960
