"""Columns and lazy agents against one event at a time and agents made at once: the same run, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_runs import merged, small

from scenarios.engine.clock import Happening, Kind
from scenarios.recorder import MemoryRecorder, Recorder
from scenarios.schema import Scenario
from scenarios.simulation import Simulation
from scenarios.tables import TABLES

RESTLESS: dict[str, Any] = {
    # Nobody comes back, so departures are handled as columns; all think quickly, so some meet no other event.
    "horizon": 5,
    "population": {
        "arrival_rate": 3.0,
        "departure_rate": 0.3,
        "participation": {"name": "strict", "patience": 1, "return_delay": 0.0},
        "types": {"outside_option": {"name": "uniform", "low": 0.0, "high": 0.6}, "wealth": 3.0},
    },
}
AUCTION: dict[str, Any] = {
    "population": {
        "strategies": ["honest"],
        "sold_out": "leave",
        "types": {"cost": 0.0, "valuation": 0.2, "privacy_budget": 2.0, "lifetime_privacy": 3.0, "outside_option": 0.0},
    },
    "learning": {"privacy": {"clip": 0.5}, "trained_sample": 4},
    "market": {"mechanism": {"name": "privacy_auction", "rule": "mfg_pricing"}},
}
MARKETS: dict[str, dict[str, Any]] = {
    "proportional": {},
    "fixed_price": {"market": {"mechanism": {"name": "fixed_price", "price": 0.03}}},
    "asynchronous": {"round": {"late": "buffer", "buffer_size": 3}, "population": {"types": {"link_time": 30.0}}},
    "waiting at centers": {"round": {"late": "wait"}, "centers": {"count": 2, "slots": 1, "rate": 20.0}},
    "idle owners": {"round": {"invited": 3}, "market": {"neighbours": 2}},
    "qd_rdfl": {"market": {"mechanism": "qd_rdfl"}, "population": {"types": {"cost": 0.0, "outside_option": 0.0}}},
    "privacy_auction": AUCTION,
}


class OneByOne(Simulation):
    """Every tick of every owner is an event of its own, and everybody in the market is an agent from the start."""

    def together(self, kind: Kind) -> bool:
        return False


def everybody_is_an_agent(simulation: Simulation, happening: Happening) -> None:
    assert len(simulation.agents) >= len(simulation.population.active())


def tables(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.parquet"))}


def play_both(scenario: Scenario, place: Path) -> tuple[dict[str, bytes], dict[str, bytes], list[Happening]]:
    """Tables of both representations, and what was handled in one call in the first."""
    handled: list[Happening] = []
    as_columns = Simulation(
        scenario=scenario,
        device="cpu",
        recorder=Recorder(place / "columns"),
        probes=[lambda _, happening: handled.append(happening)],
    )
    as_columns.run()
    one_by_one = OneByOne(
        scenario=scenario, device="cpu", recorder=Recorder(place / "single"), probes=[everybody_is_an_agent]
    )
    one_by_one.run()
    for name in ("utility_total", "stay", "status", "reputation"):
        np.testing.assert_array_equal(getattr(as_columns.population, name), getattr(one_by_one.population, name))
    return tables(place / "columns"), tables(place / "single"), handled


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    departures=st.sampled_from([0.0, 0.2, 2.0]),
    back=st.sampled_from([0.0, 20.0]),
    late=st.sampled_from(["drop", "wait", "buffer"]),
    thinking=st.sampled_from([0.0, 1.0, 8.0]),
    neighbours=st.integers(0, 3),
    invited=st.sampled_from([None, 4]),
)
def test_so_they_do_in_markets_at_random(seed, departures, back, late, thinking, neighbours, invited) -> None:
    scenario = small(
        seed=seed,
        horizon=4,
        learning={"enabled": False},
        population={
            "arrival_rate": 4.0,
            "departure_rate": departures,
            "participation": {"name": "strict", "patience": 1, "return_delay": back, "whitewash": 0.5},
            "types": {"think_time": thinking, "link_time": 20.0, "wealth": 2.5},
        },
        round={"late": late, "buffer_size": 3, "invited": invited},
        market={"neighbours": neighbours},
    )
    kept = []
    for kind in (Simulation, OneByOne):
        kept.append(MemoryRecorder())
        kind(scenario=scenario, device="cpu", recorder=kept[-1]).run()
    for name in TABLES:
        pd.testing.assert_frame_equal(kept[0].table(name), kept[1].table(name))


@pytest.mark.parametrize("name", MARKETS)
def test_columns_and_single_events_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    columns, single, handled = play_both(small(**merged(RESTLESS, MARKETS[name])), tmp_path)
    assert columns.keys() == single.keys()
    for table, content in columns.items():
        assert content == single[table], table
    assert any(len(np.unique(one.ticks)) > 1 for one in handled), "nothing was handled as a column"


def test_departures_are_handled_as_columns_where_nothing_follows_from_them(tmp_path: Path) -> None:
    blamed = small(  # everybody is found guilty in the second round and has enough of it
        horizon=3,
        learning={"enabled": False},
        population={
            "arrival_rate": 0.0,
            "departure_rate": 0.0,
            "participation": {"name": "strict", "patience": 1, "return_delay": 0.0},
            "types": {"outside_option": 0.0, "cost": 0.0},
        },
        interventions=[{"round": 1, "set": {"market.budget": 0.0, "enforcement.audit_rate": 1.0}}],
        enforcement={"audit_rate": 0.0, "false_alarm_rate": 1.0, "expel_after": 0, "deposit": 0.5},
    )
    columns, single, handled = play_both(blamed, tmp_path)
    left = [one for one in handled if one.kind is Kind.LEAVE]
    assert max(len(one) for one in left) > 3
    assert columns == single
