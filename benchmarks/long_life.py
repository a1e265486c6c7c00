"""A long run, and very many short ones: seconds, and whether memory stays as it is.

Run ``python -m benchmarks.long_life``. The long run: 500 owners for 1,000 rounds, each a bandit of its own that learns
whether honest work, a doubled claim or free riding pays; audits and deposits, owners that come and go, an MLP trained
on digits by everybody in every round, all tables written as a user gets them. Asked: under 15 minutes on two cores.

The short ones: 1,000 little markets of ten owners and three rounds, trained and recorded, one after the other in this
process, with other seeds. After every hundredth the memory of the process is read (resident set, after a collection);
asked is that it stays flat, so the slope of the line through these figures is told, in KiB per run.
"""

from __future__ import annotations

import argparse
import gc
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.costs import Stopwatch, held_now, per_unit
from scenarios.recorder import Recorder
from scenarios.schema import Scenario
from scenarios.simulation import Simulation

ASKED_MINUTES = 15.0
WARM = 100  # runs after which caches are full and memory is expected to stay


def long_market(owners: int = 500, rounds: int = 1000) -> Scenario:
    """Bandits under audits, with some coming and going; the budget is 0.6 money per owner and round."""
    return Scenario.model_validate(
        {
            "name": "long_life",
            "horizon": rounds,
            "population": {
                "initial": owners,
                "arrival_rate": owners / 300,
                "departure_rate": 0.0015,
                "strategies": [
                    {"name": "honest"},
                    {"name": "misreport_size", "factor": 2.0},
                    {"name": "free_rider_noise", "scale": 1.25, "claim_factor": 1.25},
                ],
                "types": {
                    "cost": {"name": "lognormal", "median": 0.012, "sigma": 0.2},
                    "model_value": 0.3,
                    "wealth": 1000.0,
                    "outside_option": 0.0,
                },
                "participation": {"name": "strict", "patience": 20, "memory": 0.1},
                "adaptation": {"name": "epsilon_greedy", "explore": 0.1},
            },
            "data": {"shards": 60},
            "learning": {"model": "mlp", "learning_rate": 0.3},
            "market": {"budget": 0.6 * owners, "treasury": 1e6, "revenue": 0.75 * owners},
            "enforcement": {
                "deposit": 4.0,
                "audit_rate": 0.3,
                "detection_rate": 0.9,
                "false_alarm_rate": 0.01,
                "audit_cost": 0.02,
            },
        }
    )


def short_market(seed: int) -> Scenario:
    """Ten owners, three rounds; one in five forges, some leave, all are audited, uploads are valued."""
    return Scenario.model_validate(
        {
            "name": "short",
            "seed": seed,
            "horizon": 3,
            "population": {
                "initial": 10,
                "arrival_rate": 1.0,
                "departure_rate": 0.1,
                "strategies": [{"name": "honest", "share": 4.0}, {"name": "free_rider_noise"}],
                "adaptation": {"name": "imitation", "rate": 0.5},
            },
            "data": {"train_limit": 200, "test_limit": 100},
            "enforcement": {"deposit": 1.0, "audit_rate": 1.0, "expel_after": 2},
        }
    )


def play(scenario: Scenario) -> Simulation:
    """The finished simulation; its tables are written to a folder and thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        simulation = Simulation(scenario=scenario, recorder=Recorder(Path(folder) / "run"), device="cpu")
        simulation.run()
    return simulation


def memory_after(runs: int, every: int) -> Iterator[tuple[int, int]]:
    """Plays short markets; number of runs so far and bytes held, after each ``every`` runs."""
    for seed in range(1, runs + 1):
        play(short_market(seed))
        if seed % every == 0:
            gc.collect()
            yield seed, held_now()


def show_long_run(owners: int, rounds: int) -> None:
    """Play the long market and print what it took."""
    watch = Stopwatch()
    simulation = play(long_market(owners, rounds))
    row: dict[str, Any] = simulation.world.last_row
    totals = simulation.world.totals
    print(
        f"{owners} owners, {simulation.world.rounds_closed} rounds: {watch}; "
        f"{totals.joins} joins, {totals.exits} exits, "
        f"{totals.participants / rounds:.0f} reports a round, {row['active']} there at the end, "
        f"accuracy {row['accuracy']:.2f}, {simulation.world.log.count:,} events",
        flush=True,
    )


def show_short_runs(runs: int, every: int) -> None:
    """Play the short markets and print the memory on the way."""
    watch, later = Stopwatch(), []
    for number, held in memory_after(runs, every):
        print(f"after {number:>5,} runs: {held / 2**20:7.1f} MiB", flush=True)
        if number >= WARM:
            later.append((number, held / 1024))
    if len(later) > 1:
        grown = per_unit(*map(list, zip(*later, strict=True)))
        print(f"{runs:,} runs: {watch}; memory grows by {grown:.2f} KiB per run from run {later[0][0]:,} on")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--owners", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=1000, help="short runs (0: none)")
    parser.add_argument("--every", type=int, default=100, help="short runs between two looks at the memory")
    options = parser.parse_args()
    print(f"asked: under {ASKED_MINUTES:.0f} minutes, memory flat; Python {platform.python_version()}")
    if options.runs:  # first: what a long run has freed would hide what these keep
        show_short_runs(options.runs, options.every)
    if options.rounds:
        show_long_run(options.owners, options.rounds)


if __name__ == "__main__":
    main()
