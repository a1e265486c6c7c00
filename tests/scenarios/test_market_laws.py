"""Laws that hold in every market, whatever its rules: random scenarios, every invariant checked at every event."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_runs import play, small

from agents.population import Status
from market.parties import MODEL_OWNER, REGULATOR
from scenarios.engine.clock import NOBODY, Happening, Kind
from scenarios.recorder import MemoryRecorder
from scenarios.simulation import Simulation

strategy = st.sampled_from(
    [
        {"name": "honest"},
        {"name": "misreport_size", "factor": 3.0},
        {"name": "misreport_size", "factor": 0.5, "spread": 0.5},
        {"name": "misreport_quality", "factor": 0.5},
        {"name": "misreport_cost", "factor": 2.0, "spread": 0.9},
        {"name": "free_rider_global"},
        {"name": "free_rider_noise", "scale": 2.0, "claim_factor": 4.0},
        {"name": "free_rider_copy"},
        {"name": "free_rider_replay"},
    ]
)
probability = st.sampled_from([0.0, 0.3, 1.0])
scenarios = st.fixed_dictionaries(
    {
        "horizon": st.integers(1, 5),
        "seed": st.integers(0, 2**40),
        "population": st.fixed_dictionaries(
            {
                "initial": st.integers(1, 12),
                "arrival_rate": st.sampled_from([0.0, 3.0]),
                "departure_rate": st.sampled_from([0.0, 0.5]),
                "strategies": st.lists(strategy, min_size=1, max_size=4),
                "types": st.fixed_dictionaries(
                    {
                        "wealth": st.sampled_from([0.3, 3.0, 50.0]),
                        "link_time": st.sampled_from([1.0, 40.0]),
                        "think_time": st.sampled_from([0.0, 8.0]),
                    }
                ),
                "participation": st.sampled_from(
                    [
                        {"name": "strict", "patience": 1, "return_delay": 30.0, "whitewash": 1.0},
                        {"name": "logit", "patience": 2, "temperature": 1.0, "return_delay": 5.0},
                        {"name": "strict"},
                    ]
                ),
                "adaptation": st.sampled_from([{"name": "none"}, {"name": "imitation", "rate": 1.0}]),
            }
        ),
        "round": st.fixed_dictionaries(
            {
                "late": st.sampled_from(["drop", "wait", "buffer"]),
                "buffer_size": st.integers(1, 6),
                "invited": st.sampled_from([None, 3]),
            }
        ),
        "market": st.fixed_dictionaries(
            {
                "mechanism": st.sampled_from(["free", "fixed_price", "proportional", "shapley"]),
                "budget": st.sampled_from([0.0, 10.0]),
                "treasury": st.sampled_from([0.0, 15.0, 1000.0]),
                "neighbours": st.integers(0, 3),
            }
        ),
        "enforcement": st.fixed_dictionaries(
            {
                "deposit": st.sampled_from([0.0, 1.5]),
                "audit_rate": probability,
                "detection_rate": probability,
                "false_alarm_rate": probability,
                "slash_share": probability,
                "probation_rounds": st.integers(0, 2),
                "expel_after": st.integers(0, 2),
                "audit_cost": st.sampled_from([0.0, 0.4]),
            }
        ),
        "centers": st.sampled_from([{"count": 0}, {"count": 2, "slots": 1, "rate": 3.0}]),
        "learning": st.fixed_dictionaries(
            {
                "enabled": st.sampled_from([True, True, False]),
                "algorithm": st.sampled_from(["fedavg", "fedprox", "fednova"]),
                "privacy": st.sampled_from([{}, {"clip": 0.5, "noise_multiplier": 0.1}]),
                "contribution": st.sampled_from(
                    [{"name": "shapley", "permutations": 2}, {"name": "leave_one_out"}, {"name": "loss_drop"}]
                ),
            }
        ),
    }
)


class Inspector:
    """A probe that checks the books and the guest list after every handled event."""

    def __init__(self) -> None:
        self.events = 0

    def __call__(self, simulation: Simulation, happening: Happening) -> None:
        self.events += len(happening)
        world, ledger = simulation.world, simulation.world.ledger
        assert ledger.imbalance() == 0
        assert (ledger.wallet >= 0).all()
        assert (ledger.deposit >= 0).all()
        assert ledger.balance(MODEL_OWNER) >= 0
        assert ledger.balance(REGULATOR) >= 0
        active = simulation.population.status == Status.ACTIVE
        # Nobody outside the market holds a deposit, is on the graph, is a Mesa agent or has an update on its way.
        assert not ledger.deposit[~active].any()
        assert simulation.population.count_active == active.sum()
        members = set(np.flatnonzero(active).tolist())
        assert set(simulation.owners) == members
        assert set(world.graph.owners) == members
        assert set(world.flights.owner.tolist()) <= members
        busy = {owner for center in world.centers for owner in (*center.running(), *center.queue())}
        assert busy <= set(world.flights.owner.tolist())
        assert (np.diff(happening.ticks) >= 0).all()


def watch_for_ghosts(simulation: Simulation) -> None:
    """Make every handler check that the owners it is given are in the market at that moment."""
    handlers = simulation.world.clock._handlers
    for kind, handle in list(handlers.items()):

        def guarded(happening: Happening, kind: Kind = kind, handle: Any = handle) -> None:
            owners = happening.owners[happening.owners != NOBODY]
            here = simulation.population.status[owners] == Status.ACTIVE
            assert not here.any() if kind is Kind.ARRIVE else here.all()
            handle(happening)

        handlers[kind] = guarded


@settings(max_examples=40)
@given(change=scenarios)
def test_whatever_the_rules_the_market_keeps_its_laws(change: dict[str, Any]) -> None:
    if change["market"]["mechanism"] == "shapley":  # contributions are measured on what was learnt
        change = {**change, "learning": {**change["learning"], "enabled": True}}
    scenario = small(**change)
    recorder, inspector = MemoryRecorder(), Inspector()
    simulation = Simulation(scenario=scenario, device="cpu", recorder=recorder, probes=[inspector])
    watch_for_ghosts(simulation)
    simulation.run()
    population, world = simulation.population, simulation.world

    # windows equal the horizon exactly
    assert simulation.steps == scenario.horizon
    assert simulation.now == scenario.horizon * world.window_ticks

    # every stay has one row in episodes, and no stay overlaps the next of the same identity
    episodes = recorder.table("episodes")
    assert len(episodes) == population.stay.sum() == world.totals.joins
    assert not episodes.duplicated(["owner", "stay"]).any()
    assert (episodes["left_tick"] >= episodes["joined_tick"]).all()
    for _, stays in episodes.sort_values("stay").groupby("owner"):
        assert (stays["joined_tick"].to_numpy()[1:] >= stays["left_tick"].to_numpy()[:-1]).all()
    assert (episodes["exit_kind"] == "censored").sum() == len(population.active())

    # events are numbered without a gap and never go back in time
    events = recorder.table("events")
    assert (events["seq"].to_numpy() == np.arange(len(events))).all()
    assert (np.diff(events["tick"]) >= 0).all()

    # the tables add up: money by transfers, utility by owner
    transfers, owners = recorder.table("transfers"), recorder.table("owners")
    money = np.zeros(len(population))
    for side, sign in (("payee", 1), ("payer", -1)):
        rows = transfers[(transfers[side] >= 0) & (transfers[f"{side}_book"] == "wallet")]
        np.add.at(money, rows[side].to_numpy(), sign * rows["amount_micro"].to_numpy())
    assert np.array_equal(money, world.ledger.wallet)
    summary = recorder.table("runs").iloc[0]
    assert population.utility_total.sum() == pytest.approx(summary["owner_utility"], abs=1e-6)
    assert episodes["utility"].sum() == pytest.approx(summary["owner_utility"], abs=1e-6)

    # welfare is what was earned and enjoyed less what was used up; payments, fees and fines only change hands
    closed = recorder.table("rounds")
    recorded = owners[owners["moment"] == "round"]
    used_up = transfers[transfers["kind"].isin(["training cost", "audit"])]["amount_micro"].sum() / 1e6
    earned = closed["revenue"].sum() + recorded["model_benefit"].sum()
    assert summary["welfare"] == pytest.approx(earned - used_up, abs=1e-5)

    # of the model's versions only those are kept that somebody still trains from
    if world.federation is not None:
        stale = set(world.flights.base_version.tolist())
        newest = {world.federation.version, world.federation.version - 1}
        assert set(world.federation._versions) <= stale | newest

    # truth and report are two columns, and honest owners' reports equal the truth
    rounds = owners[owners["moment"] == "round"]
    honest = rounds[(rounds["strategy"] == "honest") & rounds["took_part"] & rounds["reported_data_size"].notna()]
    if scenario.population.adaptation.name == "none":
        assert (honest["reported_data_size"] == honest["data_size"]).all()


def test_money_enters_the_market_only_as_endowments_treasury_revenue_and_subsidies() -> None:
    transfers = play(small(enforcement={"audit_cost": 3.0})).table("transfers")
    assert set(transfers[transfers["payer"] == -1]["kind"]) == {"endowment", "treasury", "revenue", "audit subsidy"}


def test_the_inspector_notices_a_leak() -> None:
    """The invariants are not vacuous: money out of nowhere stops the run."""
    leaked = []

    def leak(simulation: Simulation, happening: Happening) -> None:
        if happening.kind is Kind.PLAN and not leaked:
            leaked.append(True)
            simulation.world.ledger._balance[0, -1] += 1

    with pytest.raises(AssertionError):
        play(small(), leak, Inspector())
