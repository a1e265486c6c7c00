"""Simulation events per second, without training, beside a bare SimPy loop with as many timeouts; recorder overhead.

Run ``python -m benchmarks.events``. Both sides run in this process, in turn; medians of ``--repeats`` and their ratios
are printed. An event is one entry that a handler got (a report, an update, an arrival, ...), which is what a SimPy
program would spend one timeout on.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import simpy

from scenarios.recorder import Recorder
from scenarios.schema import Scenario
from scenarios.simulation import Simulation


def market(owners: int, rounds: int, churn: float = 0.005) -> Scenario:
    """A market with audits and imitation and nothing trained; ``churn`` is the share that comes and goes per round."""
    return Scenario.model_validate(
        {
            "name": "events",
            "horizon": rounds,
            "population": {
                "initial": owners,
                "arrival_rate": owners * churn,
                "departure_rate": churn,
                "strategies": [
                    {"name": "honest", "share": 3.0},
                    {"name": "misreport_size"},
                    {"name": "free_rider_noise"},
                ],
                "types": {"wealth": 1000.0},
                "participation": {"name": "strict", "patience": 10},
                "adaptation": {"name": "imitation", "rate": 0.05},
            },
            "data": {"partition": "iid", "shards": 500},
            "learning": {"enabled": False},
            "market": {"budget": owners * 0.5, "treasury": owners * rounds * 1.0},
            "enforcement": {"deposit": 1.0, "audit_rate": 0.02, "probation_rounds": 2},
        }
    )


def play(scenario: Scenario, recorder: Recorder | None = None) -> tuple[float, int]:
    """Seconds to play a scenario (building it is not counted), and events handled."""
    simulation = Simulation(scenario=scenario, device="cpu", recorder=recorder)
    gc.collect()
    start = time.perf_counter()
    for _ in simulation.play():
        pass
    simulation.finish()
    return time.perf_counter() - start, simulation.world.clock.handled


def bare_simpy(owners: int, timeouts: int) -> float:
    """Seconds for a plain SimPy program of ``owners`` processes to pass ``timeouts`` timeouts."""
    environment = simpy.Environment()

    def owner(number: int, count: int) -> Iterator[simpy.Event]:
        delay = 1000 + number % 997
        for _ in range(count):
            yield environment.timeout(delay)

    share, rest = divmod(timeouts, owners)
    for number in range(owners):
        environment.process(owner(number, share + (number < rest)))
    gc.collect()
    start = time.perf_counter()
    environment.run()
    return time.perf_counter() - start


def median(repeats: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(repeats))


def compare(owners: int, rounds: int, churn: float, repeats: int) -> None:
    """Print one line: events per second of both, and their ratio, pair by pair."""
    scenario = market(owners, rounds, churn)
    ours, bare, ratios = [], [], []
    for _ in range(repeats):
        seconds, events = play(scenario)
        timeouts = bare_simpy(owners, events)
        ours.append(events / seconds)
        bare.append(events / timeouts)
        ratios.append(timeouts / seconds)
    print(
        f"{owners:>7} owners, {churn:.1%} come and go per round, {events:>7} events: "
        f"simulation {statistics.median(ours) / 1e3:5.0f} k/s, bare SimPy {statistics.median(bare) / 1e3:5.0f} k/s, "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def unrecorded(scenario: Scenario) -> Scenario:
    """The same run, but rows of owners and edges are not even collected (postings and events are, in any run)."""
    never = 10**9
    return scenario.model_copy(
        update={"recording": scenario.recording.model_copy(update={"owners_every": never, "edges_every": never})}
    )


def overhead(name: str, scenario: Scenario, repeats: int) -> None:
    """Print what recording costs, told in two ways that do not depend on each other.

    The recorder's own clock, closing included, as a share of the run; and the whole run with a recorder beside the
    same run that neither collects nor writes rows, played in turn: ratio of the median times.
    """
    bare, shares, recorded, plain = unrecorded(scenario), [], [], []
    for turn in range(3 * repeats):
        for with_recorder in (turn % 2 == 0, turn % 2 == 1):
            if with_recorder:
                with tempfile.TemporaryDirectory() as folder:
                    recorder = Recorder(Path(folder) / "run")
                    recorded.append(play(scenario, recorder)[0])
                    shares.append(recorder.wall_seconds / recorded[-1])
            else:
                plain.append(play(bare)[0])
    print(
        f"recorder, {name}: {statistics.median(shares):.1%} of the run ({min(shares):.1%} to {max(shares):.1%}), "
        f"runs with and without it {statistics.median(recorded) / statistics.median(plain):.3f} : 1"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    from scenarios.loading import load_scenario

    play(market(100, 3))  # imports and caches
    for owners, rounds in ((1_000, 100), (10_000, 30)):
        for churn in (0.005, 0.0):
            compare(owners, rounds, churn, options.repeats)
    overhead("quickstart (trained)", load_scenario("quickstart"), options.repeats)
    overhead("1,000 owners, nothing trained", market(1_000, 50), options.repeats)


if __name__ == "__main__":
    main()
