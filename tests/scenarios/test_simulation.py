"""What a run promises: the same seed gives the same events, windows equal the horizon, the last state is there."""

from __future__ import annotations

import gc
import hashlib
import subprocess
import sys
import weakref
from pathlib import Path

import mesa
import numpy as np
import pandas as pd
import pytest
from market_runs import play, small
from pandas.testing import assert_frame_equal

from agents.population import Status
from scenarios.recorder import MemoryRecorder, Recorder
from scenarios.simulation import Simulation
from scenarios.tables import TABLES


def test_the_same_seed_gives_the_same_tables() -> None:
    first, second = play(small()), play(small())
    for table in TABLES:
        assert_frame_equal(first.table(table), second.table(table))


def test_another_seed_gives_another_run() -> None:
    first, second = play(small(), seed=1), play(small(), seed=2)
    assert not first.table("events").equals(second.table("events"))


def test_a_seed_given_as_text_is_a_number() -> None:
    assert_frame_equal(play(small(), seed="5").table("events"), play(small(), seed=5).table("events"))


def folder_hash(tmp_path: Path, name: str, **options: object) -> str:
    """Bytes of the event log of a run that is written to disk."""
    folder = tmp_path / name
    Simulation(scenario=small(), device="cpu", recorder=Recorder(folder), **options).run()
    return hashlib.sha256((folder / "events.parquet").read_bytes()).hexdigest()


def test_the_event_log_is_the_same_byte_for_byte_with_and_without_a_probe(tmp_path) -> None:
    seen = []

    def nosy(simulation: Simulation, happening: object) -> None:
        seen.append(len(simulation.graph.to_networkx()))
        simulation.population.utility.copy()

    assert folder_hash(tmp_path, "plain") == folder_hash(tmp_path, "watched", probes=[nosy])
    assert seen


def test_the_event_log_is_the_same_byte_for_byte_in_other_processes_side_by_side(tmp_path) -> None:
    program = (
        "import sys; sys.path.insert(0, 'tests/scenarios');"
        "from pathlib import Path; from test_simulation import folder_hash;"
        "print(folder_hash(Path(sys.argv[1]), sys.argv[2]))"
    )
    here = Path(__file__).parents[2]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path, f"worker{number}"], cwd=here, stdout=subprocess.PIPE, text=True
        )
        for number in range(2)
    ]
    hashes = {worker.communicate()[0].strip() for worker in workers}
    assert hashes == {folder_hash(tmp_path, "here")}


def test_an_extra_recorder_changes_nothing() -> None:
    unrecorded = Simulation(scenario=small(), device="cpu")
    unrecorded.run()
    recorded = play(small()).simulation
    assert np.array_equal(unrecorded.population.utility_total, recorded.population.utility_total)
    assert unrecorded.world.log.count == recorded.world.log.count


def test_windows_equal_the_horizon_and_the_clock_stands_at_its_end() -> None:
    simulation = play(small(horizon=5)).simulation
    assert simulation.steps == 5
    assert not simulation.running
    assert simulation.now == 5 * simulation.world.window_ticks


def test_stepping_by_hand_equals_one_run() -> None:
    recorder = MemoryRecorder()
    simulation = Simulation(scenario=small(), device="cpu", recorder=recorder)
    for _ in range(small().horizon):
        simulation.step()
    simulation.finish()
    assert_frame_equal(recorder.table("events"), play(small()).table("events"))


def test_a_step_beyond_the_horizon_does_nothing() -> None:
    simulation = play(small(horizon=2)).simulation
    simulation.step()
    assert simulation.now == 2 * simulation.world.window_ticks


def test_the_last_state_is_in_the_tables() -> None:
    run = play(small())
    owners = run.table("owners")
    final = owners[owners["moment"] == "final"].sort_values("owner")
    population = run.simulation.population
    assert len(final) == len(population)
    assert np.allclose(final["wallet"], run.simulation.world.ledger.wallet / 1e6)
    assert (final["status"] == "active").sum() == (population.status == Status.ACTIVE).sum()


def test_rows_of_the_runs_table_agree_with_the_other_tables() -> None:
    run = play(small())
    summary, rounds = run.table("runs").iloc[0], run.table("rounds")
    assert summary["rounds"] == len(rounds)
    assert 0 <= rounds["welfare"].sum() - summary["welfare"] < 1, "what is under way at the end is in no round"
    assert summary["slashed"] == pytest.approx(
        run.table("transfers").query("kind == 'slash'")["amount_micro"].sum() / 1e6
    )
    assert summary["events"] == len(run.table("events"))
    assert summary["joins"] == len(run.table("episodes"))
    assert summary["final_accuracy"] == rounds["accuracy"].iloc[-1]


def test_training_is_real() -> None:
    """Honest owners teach the model far more than guessing; without learning nothing is said about accuracy."""
    honest = small(
        horizon=12,
        population={"strategies": [{"name": "honest"}], "departure_rate": 0.0},
        data={"train_limit": 900, "quality": 1.0},
        learning={"epochs": 3},
    )
    accuracy = play(honest).table("rounds")["accuracy"]
    assert accuracy.iloc[-1] > max(0.75, accuracy.iloc[0] + 0.1)
    silent = play(small(learning={"enabled": False})).table("rounds")
    assert silent["accuracy"].isna().all()


def test_mesa_sees_the_owners_in_the_market_and_nobody_else() -> None:
    run = play(small())
    simulation = run.simulation
    active = set(simulation.population.active().tolist())
    assert {agent.owner_id for agent in simulation.agents if hasattr(agent, "owner_id")} == active
    assert simulation.owners[min(active)].data_size == simulation.population.data_size[min(active)]


def test_mesa_batch_run_plays_it() -> None:
    results = mesa.batch_run(
        Simulation,
        {"scenario": [small(horizon=2)], "seed": [1, 2], "device": "cpu"},
        max_steps=1,
        display_progress=False,
    )
    table = pd.DataFrame(results)
    assert set(table["seed"]) == {1, 2}
    assert table["accuracy"].between(0, 1).all()


def test_the_datacollector_has_a_row_per_window() -> None:
    frame = play(small(horizon=4)).simulation.datacollector.get_model_vars_dataframe()
    assert len(frame) == 4
    assert set(frame.columns) == {"accuracy", "active", "free_rider_share", "welfare", "paid"}


@pytest.mark.parametrize("windows", [0, 1, 2], ids=["built only", "left off", "finished"])
def test_models_are_not_kept_alive_by_mesa(windows: int) -> None:
    """Neither is one that somebody only built, or left off: studies and soaks do that by the thousand."""
    simulation = Simulation(scenario=small(horizon=2, learning={"enabled": False}, centers={"count": 1}), device="cpu")
    for _ in range(windows):
        simulation.step()
    numbers = [agent.unique_id for agent in simulation.agents]
    assert len(set(numbers)) == len(numbers) >= 3
    gone = weakref.ref(simulation)
    del simulation
    gc.collect()
    assert gone() is None
