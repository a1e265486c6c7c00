"""Small markets for tests: quick to play, with everything switched on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from scenarios.recorder import MemoryRecorder
from scenarios.schema import Scenario
from scenarios.simulation import Probe, Simulation

SMALL: dict[str, Any] = {
    "name": "small",
    "horizon": 8,
    "population": {
        "initial": 14,
        "arrival_rate": 1.0,
        "departure_rate": 0.05,
        "strategies": [
            {"name": "honest", "share": 4.0},
            {"name": "misreport_size", "factor": 2.0},
            {"name": "free_rider_noise"},
            {"name": "free_rider_copy"},
            {"name": "free_rider_replay"},
        ],
        "participation": {"name": "logit", "return_delay": 100.0, "whitewash": 0.5},
        "adaptation": {"name": "imitation", "rate": 0.2},
    },
    "data": {"train_limit": 300, "test_limit": 100},
    "enforcement": {
        "deposit": 2.0,
        "admission_fee": 0.1,
        "audit_rate": 0.3,
        "false_alarm_rate": 0.1,
        "audit_cost": 0.05,
        "probation_rounds": 2,
        "expel_after": 2,
    },
}


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """``base`` with the entries of ``change``, mapping by mapping."""
    result = dict(base)
    for key, value in change.items():
        inner = isinstance(value, dict) and isinstance(result.get(key), dict) and "name" not in value
        result[key] = merged(result[key], value) if inner else value
    return result


def small(**change: Any) -> Scenario:
    """The small market with some parts changed, as nested keyword arguments."""
    return Scenario.model_validate(merged(SMALL, change))


@dataclass
class Played:
    """A finished run and its tables."""

    simulation: Simulation
    recorder: MemoryRecorder

    def table(self, name: str) -> pd.DataFrame:
        return self.recorder.table(name)


def play(scenario: Scenario, *probes: Probe, seed: int | None = None) -> Played:
    """Play a scenario to its end, in memory, on the CPU."""
    recorder = MemoryRecorder()
    simulation = Simulation(scenario=scenario, seed=seed, device="cpu", recorder=recorder, probes=probes)
    simulation.run()
    return Played(simulation, recorder)
