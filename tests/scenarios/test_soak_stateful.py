"""A market as a machine: whoever turns its levers, takes owners out of it or breaks it off, every law holds.

Two worlds live through the same story. One of them is broken off and gone on with from a checkpoint now and then; at
the end both have the same bytes in every table.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agents.participation import ExitCause
from agents.population import Status
from market.money import to_micro
from market.parties import MODEL_OWNER, WORLD
from scenarios.checkpoints.files import Checkpoint, read_checkpoint, write_checkpoint
from scenarios.checkpoints.saving import put_back, taken
from scenarios.engine.clock import Kind
from scenarios.errors import BadInput
from scenarios.schema import Scenario
from scenarios.simulation import Simulation
from scenarios.soak.invariants import Finished, Watch, check_tables, guard_handlers
from scenarios.soak.trial import KeptTables, digests

MECHANISMS: list[Any] = [
    "free",
    {"name": "fixed_price", "price": 0.05},
    {"name": "proportional", "reputation_exponent": 1.0},
    {"name": "qd_rdfl", "adjustment_round": 1},
    {"name": "privacy_auction", "rule": "pac"},
    {"name": "cocogen", "pays_for": "curve", "redistribution_rate": 0.02},
]
ONLY_LEARNING, ONLY_WITHOUT = MECHANISMS[3:4], MECHANISMS[5:6]
LEVERS: list[tuple[str, list[Any]]] = [
    ("market.budget", [0.0, 5.0, 200.0]),
    ("market.revenue", [0.0, 100.0]),
    ("enforcement.audit_rate", [0.0, 1.0]),
    ("enforcement.deposit", [0.0, 3.0, 40.0]),
    ("enforcement.expel_after", [0, 1]),
    ("enforcement.server_fee", [0.0, 0.5]),
    ("enforcement.probation_rounds", [0, 2]),
    ("enforcement.admission_fee", [0.0, 1.0]),
]
FAULTS: list[list[dict[str, Any]]] = [
    [],
    [{"name": "lost_message", "rate": 0.3, "retries": 1}, {"name": "duplicated_message", "rate": 0.5}],
    [{"name": "server_restart", "start": 55.0, "duration": 20.0, "every": 95.0, "open_round": "abandoned"}],
    [{"name": "client_crash", "rate": 0.3, "repair": 30.0}, {"name": "late_message", "rate": 0.5}],
]


def start_of(mechanism: Any, late: str, faults: list[dict[str, Any]], seed: int, learns: bool) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "story",
            "seed": seed,
            "horizon": 8,
            "population": {
                "initial": 8,
                "arrival_rate": 1.0,
                "strategies": [{"name": "honest", "share": 2.0}, {"name": "misreport_size"}, {"name": "whitewasher"}],
                "types": {"link_time": 20.0, "outside_option": 0.0, "privacy_budget": 2.0, "lifetime_privacy": 9.0},
                "participation": {"name": "logit", "return_delay": 30.0, "whitewash": 0.5},
                "adaptation": {"name": "imitation", "rate": 0.3},
            },
            "data": {"train_limit": 150, "test_limit": 20},
            "learning": {"enabled": learns, "privacy": {"clip": 1.0}},
            "round": {"late": late, "buffer_size": 3},
            "market": {"mechanism": mechanism, "budget": 20.0},
            "enforcement": {"deposit": 1.0, "audit_rate": 0.3, "audit_cost": 0.1, "false_alarm_rate": 0.1},
            "faults": faults,
        }
    )


def world_of(scenario: Scenario) -> Finished:
    recorder = KeptTables()
    simulation = Simulation(scenario=scenario, device="cpu", recorder=recorder, probes=[Watch()])
    guard_handlers(simulation)
    return Finished(simulation, recorder)


class Story(RuleBasedStateMachine):
    """One market with a twin; every rule happens to both."""

    @initialize(
        mechanism=st.sampled_from(MECHANISMS),
        late=st.sampled_from(["drop", "wait", "buffer"]),
        faults=st.sampled_from(FAULTS),
        seed=st.integers(0, 2**30),
        learns=st.booleans(),
    )
    def begin(self, mechanism: Any, late: str, faults: list[dict[str, Any]], seed: int, learns: bool) -> None:
        if mechanism in (ONLY_LEARNING if not learns else ONLY_WITHOUT):
            mechanism = "free"
        scenario = start_of(mechanism, late, faults, seed, learns)
        self.worlds = [world_of(scenario), world_of(scenario)]

    @property
    def here(self) -> Simulation:
        return self.worlds[0].simulation

    @rule()
    def step(self) -> None:
        for world in self.worlds:
            world.simulation.step()

    @rule(lever=st.sampled_from(LEVERS), data=st.data())
    def turn_a_lever(self, lever: tuple[str, list[Any]], data: st.DataObject) -> None:
        path, values = lever
        self._intervene({path: data.draw(st.sampled_from(values))})

    @rule(mechanism=st.sampled_from(MECHANISMS))
    def switch_the_mechanism(self, mechanism: Any) -> None:
        self._intervene({"market.mechanism": mechanism})

    def _intervene(self, settings: dict[str, Any]) -> None:
        before = self.here.scenario
        for world in self.worlds:
            with suppress(BadInput):
                world.simulation.intervene(settings)
                continue
            assert self.here.scenario is before, "refused, yet changed"

    @precondition(lambda self: len(self.here.population.active()) > 0)
    @rule(which=st.floats(0, 0.999), after=st.integers(0, 70_000_000))
    def somebody_leaves(self, which: float, after: int) -> None:
        active = self.here.population.active()
        owner = int(active[int(which * len(active))])
        for world in self.worlds:
            stay, clock = int(world.simulation.population.stay[owner]), world.simulation.world.clock
            clock.at(Kind.LEAVE, clock.now + after, owner, stay, ExitCause.MOVED_AWAY)

    @rule(after=st.integers(0, 70_000_000))
    def those_outside_think_again(self, after: int) -> None:
        status = self.here.population.status
        outside = np.flatnonzero((status == Status.OUTSIDE) | (status == Status.LEFT))[:2]
        for world in self.worlds:
            clock, stay = world.simulation.world.clock, world.simulation.population.stay
            clock.schedule(Kind.ARRIVE, np.full(len(outside), clock.now + after), outside, stay[outside])

    @rule(money=st.sampled_from([0.5, 300.0]))
    def the_model_owner_gets_money(self, money: float) -> None:
        for world in self.worlds:
            clock = world.simulation.world.clock
            world.simulation.world.post(clock.now, "treasury", WORLD, MODEL_OWNER, to_micro(money))

    @rule()
    def break_off_and_go_on(self) -> None:
        old = self.worlds[1]
        with tempfile.TemporaryDirectory() as folder:
            write_checkpoint(Path(folder) / "c", Checkpoint({}, "", taken(old.simulation, old.recorder.buffers)))
            snapshot = read_checkpoint(Path(folder) / "c").snapshot
        fresh = world_of(old.simulation.scenario)
        put_back(snapshot, fresh.simulation, fresh.recorder.buffers)
        self.worlds[1] = fresh

    @invariant()
    def the_worlds_are_one(self) -> None:
        if hasattr(self, "worlds"):
            one, other = (world.simulation for world in self.worlds)
            assert one.now == other.now
            assert one.world.ledger.imbalance() == other.world.ledger.imbalance() == 0
            assert np.array_equal(one.world.ledger.wallet, other.world.ledger.wallet)
            assert one.world.log.count == other.world.log.count

    def teardown(self) -> None:
        if hasattr(self, "worlds"):
            for world in self.worlds:
                world.simulation.run()
                check_tables(world)
            assert digests(self.worlds[0].recorder) == digests(self.worlds[1].recorder)


few = settings(max_examples=3, stateful_step_count=10, suppress_health_check=list(HealthCheck), deadline=None)
Story.TestCase.settings = few
TestStory = Story.TestCase


@pytest.mark.slow
def test_long_stories() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Story, settings=settings(few, max_examples=150, stateful_step_count=40))
