"""Laws that hold in every market, whatever its rules: random scenarios, every invariant checked at every event."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_runs import play, small

from scenarios.engine.clock import Happening, Kind
from scenarios.recorder import MemoryRecorder
from scenarios.simulation import Simulation
from scenarios.soak.invariants import Broken, Finished, Watch, check_tables, guard_handlers

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


Inspector = Watch  # asks all laws of every moment
watch_for_ghosts = guard_handlers


@settings(max_examples=40)
@given(change=scenarios)
def test_whatever_the_rules_the_market_keeps_its_laws(change: dict[str, Any]) -> None:
    if change["market"]["mechanism"] == "shapley":  # contributions are measured on what was learnt
        change = {**change, "learning": {**change["learning"], "enabled": True}}
    scenario = small(**change)
    recorder, inspector = MemoryRecorder(), Watch()
    simulation = Simulation(scenario=scenario, device="cpu", recorder=recorder, probes=[inspector])
    watch_for_ghosts(simulation)
    simulation.run()

    check_tables(Finished(simulation, recorder))

    transfers, owners = recorder.table("transfers"), recorder.table("owners")
    summary = recorder.table("runs").iloc[0]

    # welfare is what was earned and enjoyed less what was used up; payments, fees and fines only change hands
    closed = recorder.table("rounds")
    recorded = owners[owners["moment"] == "round"]
    used_up = transfers[transfers["kind"].isin(["training cost", "audit"])]["amount_micro"].sum() / 1e6
    earned = closed["revenue"].sum() + recorded["model_benefit"].sum()
    assert summary["welfare"] == pytest.approx(earned - used_up, abs=1e-5)

    # truth and report are two columns, and honest owners' reports equal the truth
    rounds = owners[owners["moment"] == "round"]
    honest = rounds[(rounds["strategy"] == "honest") & rounds["took_part"] & rounds["reported_data_size"].notna()]
    if scenario.population.adaptation.name == "none":
        assert (honest["reported_data_size"] == honest["data_size"]).all()


def test_money_enters_the_market_only_as_endowments_treasury_revenue_and_subsidies() -> None:
    transfers = play(small(enforcement={"audit_cost": 3.0})).table("transfers")
    assert set(transfers[transfers["payer"] == -1]["kind"]) == {"endowment", "treasury", "revenue", "audit subsidy"}


def test_the_inspector_notices_a_leak() -> None:
    """The invariants are not vacuous: money out of nowhere stops the run (see also test_soak_laws)."""
    leaked = []

    def leak(simulation: Simulation, happening: Happening) -> None:
        if happening.kind is Kind.PLAN and not leaked:
            leaked.append(True)
            simulation.world.ledger._balance[0, -1] += 1

    with pytest.raises(Broken, match="books_close"):
        play(small(), leak, Inspector())
