"""Seconds and memory of a round of the privacy auction with a million owners, everything written down.

Run ``python -m benchmarks.million_owners``. Everybody arrives, reports, is cleared by MFG-RegretNet and settled; a
sample of 100 of those who sold trains on digits with the noise of what it sold; every event, transfer and owner is
written. Asked are under 60 seconds and 8 GiB on two cores. The clock starts when everything is imported; memory is
the most that the process has held.
"""

from __future__ import annotations

import argparse
import platform
import resource
import tempfile
import time
from pathlib import Path

import scenarios.simulation
from scenarios.recorder import Recorder
from scenarios.schema import Scenario

ASKED_SECONDS, ASKED_GIB = 60.0, 8.0


def market(owners: int, rule: str) -> Scenario:
    """One round; the budget is a fourth of what everything costs, at most what a scenario allows."""
    return Scenario.model_validate(
        {
            "name": "million_owners",
            "horizon": 1,
            "population": {
                "initial": owners,
                "types": {
                    "cost": 0.0,
                    "valuation": {"name": "lognormal", "median": 0.5, "sigma": 0.5},
                    "privacy_budget": {"name": "uniform", "low": 0.1, "high": 5.0},
                    "lifetime_privacy": {"name": "uniform", "low": 5.0, "high": 20.0},
                    "outside_option": 0.0,
                },
            },
            "data": {"shards": 100, "quality": 1.0},
            "learning": {"trained_sample": 100, "privacy": {"clip": 0.5}},
            "market": {
                "mechanism": {"name": "privacy_auction", "rule": rule},
                "budget": min(0.35 * owners, 1e6),
                "treasury": 1e6,
                "neighbours": 0,
            },
        }
    )


def play(owners: int, rule: str) -> None:
    """Play one round and print what it took."""
    begin, worked = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder) / "run")
        simulation = scenarios.simulation.Simulation(scenario=market(owners, rule), recorder=recorder, device="cpu")
        simulation.run()
        written = sum(file.stat().st_size for file in Path(folder).rglob("*.parquet")) / 2**20
        seconds, worked = time.perf_counter() - begin, time.process_time() - worked
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    row = simulation.world.last_row
    print(
        f"{rule}, {owners:,} owners: {seconds:.1f} s ({worked:.1f} s of processor time), {held:.1f} GiB, "
        f"{written:.0f} MiB of tables; "
        f"{row['participants']:,} reports, {row['selected']:,} sold, {row['arrived']:,} came, {row['paid']:,.0f} paid"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--owners", type=int, default=1_000_000)
    parser.add_argument("--rule", default="mfg_regretnet")
    options = parser.parse_args()
    print(f"asked: under {ASKED_SECONDS:.0f} s and {ASKED_GIB:.0f} GiB; Python {platform.python_version()}")
    play(1_000, options.rule)  # imports and caches
    play(options.owners, options.rule)


if __name__ == "__main__":
    main()
