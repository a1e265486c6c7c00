"""Other futures from the same past: every lever, from a checkpoint and from the start, with the same random numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kept_runs import built, tables
from market_runs import Played, merged, play, small

from learning.streams import Streams
from scenarios.checkpoints.branching import _prolong, branch
from scenarios.checkpoints.files import Checkpoint, read_checkpoint, write_checkpoint
from scenarios.checkpoints.playing import Keeping, play_kept
from scenarios.checkpoints.saving import put_back, taken
from scenarios.engine.arrivals import visits
from scenarios.errors import BadInput
from scenarios.interventions import check_interventions
from scenarios.loading import resolved_yaml
from scenarios.playing import play as play_into
from scenarios.recorder import MemoryRecorder
from scenarios.schema import Scenario

AT = 3  # the round from which on futures differ, and the window after which the checkpoint is taken
MARKET: dict[str, Any] = {
    "horizon": 6,
    "population": {"regions": 2, "types": {"think_time": 2.0, "link_time": 8.0}},
    "learning": {"enabled": False},
    "enforcement": {"audit_rate": 0.6, "false_alarm_rate": 0.4},
    "recording": {"edges_every": 100},
    "faults": [
        {"name": "lost_message", "rate": 0.2},
        {"name": "network_partition", "start": 200.0, "duration": 70.0, "every": 100.0},
    ],
}
TURNED: dict[str, Any] = {
    "market.budget": 4.0,
    "market.neighbours": 1,
    "market.mechanism": {"name": "fixed_price", "price": 0.03},
    "population.arrival_rate": 6.0,
    "population.departure_rate": 2.0,
    "population.participation": {"name": "strict", "patience": 1},
    "population.participation.return_delay": 5.0,
    "population.adaptation": {"name": "epsilon_greedy", "explore": 1.0},
    "population.strategies.2.share": 50.0,
    "round.report_deadline": 3.0,
    "round.train_deadline": 6.0,
    "round.invited": 5,
    "learning.epochs": 40,
    "enforcement.audit_rate": 0.9,
    "enforcement.deposit": 6.0,
    "enforcement.tolerance": 3.0,
    "enforcement.slash_share": 0.2,
    "enforcement.audit_cost": 1.0,
    "enforcement.expel_after": 1,
    "enforcement.server_fee": 0.3,
    "enforcement.slashing": {"name": "flat", "amount": 0.5},
    "enforcement.deposits": {"name": "proportional", "per_sample": 0.1},
    "enforcement.admission": {"name": "missed_rounds", "per_round": 0.5},
    "enforcement.appeal": {"name": "innocent"},
    "enforcement.regulation": {"name": "budget", "budget": 0.2},
    "faults": [{"name": "client_crash", "rate": 0.5}, {"name": "server_restart", "start": 190.0, "duration": 80.0}],
    "faults.0.rate": 0.7,
    "faults.1.region": 1,
}


def turned(**values: Any) -> Scenario:
    return small(**MARKET, interventions=[{"round": AT, "set": values}])


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> tuple[Played, Path]:
    """The market as it goes when nothing is turned, and a checkpoint of it before round ``AT``."""
    simulation = built(small(**MARKET))
    for _ in range(AT):
        simulation.step()
    kept = tmp_path_factory.mktemp("past") / "kept"
    write_checkpoint(kept, Checkpoint({}, "", taken(simulation, tables(simulation))))
    simulation.run()
    assert isinstance(simulation.recorder, MemoryRecorder)
    return Played(simulation, simulation.recorder), kept


def from_checkpoint(scenario: Scenario, kept: Path) -> Played:
    simulation = built(scenario)
    put_back(read_checkpoint(kept).snapshot, simulation, tables(simulation))
    if scenario.horizon != MARKET["horizon"]:
        _prolong(simulation)
    simulation.run()
    assert isinstance(simulation.recorder, MemoryRecorder)
    return Played(simulation, simulation.recorder)


def assert_same(one: Played, other: Played) -> None:
    for table in ("events", "transfers", "rounds", "owners", "episodes"):
        pd.testing.assert_frame_equal(one.table(table), other.table(table), check_exact=True)


@pytest.mark.parametrize("path", TURNED)
def test_a_branch_is_the_run_with_an_intervention_and_has_the_same_past(path: str, past: tuple[Played, Path]) -> None:
    scenario = turned(**{path: TURNED[path]})
    whole = play(scenario)
    assert_same(from_checkpoint(scenario, past[1]), whole)
    before, events = (run.table("events").astype({"kind": str}).drop(columns="seq") for run in (past[0], whole))
    first = int(np.flatnonzero(events["kind"] == "intervene")[0])
    pd.testing.assert_frame_equal(events[:first], before[:first])
    same = [whole.table(name).equals(past[0].table(name)) for name in ("rounds", "owners")]
    assert not all(same), "a lever that does nothing"


def test_what_owners_train_with_and_what_a_model_earns_can_change(tmp_path: Path) -> None:
    change = {"population": {"arrival_rate": 0.0}, "horizon": 4, "faults": []}
    plain = small(**merged({**MARKET, **change}, {"learning": {"enabled": True}, "population": {"initial": 6}}))
    simulation = built(plain)
    simulation.step()
    write_checkpoint(tmp_path / "kept", Checkpoint({}, "", taken(simulation, tables(simulation))))
    values = {"learning.learning_rate": 0.02, "learning.momentum": 0.5, "learning.epochs": 2, "market.revenue": 3.0}
    later = {"round": 1, "set": values}
    scenario = Scenario.model_validate({**plain.model_dump(mode="json"), "interventions": [later]})
    whole = play(scenario)
    assert_same(from_checkpoint(scenario, tmp_path / "kept"), whole)
    assert whole.simulation.world.federation.plan.learning_rate == 0.02
    simulation.run()
    accuracy = [run.recorder.table("rounds")["accuracy"].to_numpy() for run in (whole.simulation, simulation)]
    assert accuracy[0][0] == accuracy[1][0]
    assert (accuracy[0][1:] != accuracy[1][1:]).any()


@pytest.mark.parametrize("horizon", [9, 5])
def test_a_longer_or_shorter_run_has_the_same_past(horizon: int, past: tuple[Played, Path]) -> None:
    scenario = small(**{**MARKET, "horizon": horizon})
    whole = play(scenario)
    assert_same(from_checkpoint(scenario, past[1]), whole)
    both = min(horizon, MARKET["horizon"])
    rounds = [run.table("rounds")[:both] for run in (whole, past[0])]
    pd.testing.assert_frame_equal(*rounds)
    assert len(whole.table("rounds")) == horizon


def test_a_finished_run_goes_on_for_another_time_as_if_it_had_been_planned_so(tmp_path: Path) -> None:
    file = tmp_path / "short.yaml"
    file.write_text(resolved_yaml(small(**{**MARKET, "horizon": 4})))
    run = play_kept(str(file), Keeping("1"), out=tmp_path / "run", device="cpu", voice="quiet")
    assert run is not None
    longer = branch(run, 4, ["horizon=6", "market.budget=5"], out=tmp_path / "longer", voice="quiet")
    assert longer is not None
    whole = play_into(str(longer / "scenario.yaml"), out=tmp_path / "whole", device="cpu", voice="quiet")
    for name in ("events.parquet", "transfers.parquet", "rounds.parquet", "scenario.yaml"):
        assert (longer / name).read_bytes() == (whole / name).read_bytes(), name
    for at, changes, said in (
        (5, ["horizon=6"], "--at: 5: expected a round from 0 to 4"),
        (4, ["market.budget=5"], "--at: 4: expected a round from 0 to 3"),
        (3, ["horizon=3"], "--set: horizon: 3: expected more than 3, the windows before round 3"),
        (3, ["horizon=0"], "--set: horizon: 0: expected a whole number at least 1"),
        (3, ["population.arrival_rate=-1"], r"--set: population\.arrival_rate: -1"),
        (3, ["learning.learning_rate=1"], "does nothing without learning"),
        (3, ["round.buffer_size=4"], "does nothing with round.late: drop"),
        (3, ["faults.7.rate=0.5"], "the scenario has no such place"),
        (3, ["population.strategies.1.factor=9"], "no lever"),
        (3, ["seed=4"], "no lever, for a run starts from the seed"),
    ):
        with pytest.raises(BadInput, match=said) as refused:
            branch(run, at, changes, out=tmp_path / "bad")
        assert "\n" not in str(refused.value)
        assert not (tmp_path / "bad").exists()


def test_deadlines_that_fit_only_together_are_set_together() -> None:
    both = {"round.report_deadline": 50.0, "round.train_deadline": 5.0}
    assert check_interventions(small(**MARKET)) is None
    assert turned(**both).interventions[0].set == both
    with pytest.raises(ValueError, match=r"report_deadline \+ train_deadline must be below"):
        turned(**{"round.report_deadline": 50.0})


# ---- arrivals whose rate changes -----------------------------------------------------------------------------------

MINUTE = 60_000_000  # ticks of a window


def arrivals(*rates: tuple[float, float]) -> list[int]:
    scenario = small(horizon=30, population={"initial": 1})
    return visits(scenario, Streams(3), rates)[0][1:].tolist()


def test_a_rate_that_is_set_to_what_it_is_moves_nobody() -> None:
    assert np.abs(np.subtract(arrivals((0.0, 2.0)), arrivals((0.0, 2.0), (7.5 * MINUTE + 0.5, 2.0)))).max() <= 1


RATES = st.sampled_from([0.0, 0.3, 2.0])


@settings(max_examples=12)
@given(change=st.integers(1, 25 * MINUTE), first=RATES, then=RATES)
def test_gaps_are_the_same_exponentials_whatever_the_rates(change: int, first: float, then: float) -> None:
    """In operational time, the integral of the rate, arrivals are those of a process of rate 1."""
    found = np.array(arrivals((0.0, first), (change + 0.5, then)), dtype=np.float64)
    mass = (np.minimum(found, change) * first + np.maximum(found - change, 0.0) * then) / MINUTE
    unit = np.cumsum(Streams(3).exponential("arrival gap", 0, np.arange(len(found))))
    assert mass == pytest.approx(unit, abs=1e-6)
    past = [tick for tick in arrivals((0.0, first)) if tick <= change]
    assert found[: len(past)].tolist() == past
