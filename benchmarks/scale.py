"""Seconds and memory of ten rounds with 10^3 to 10^6 data owners, and the slopes of both.

Run ``python -m benchmarks.scale``. The markets:

- ``sampled``: a hundred owners are invited by lot in each round and trained on digits; the others are idle members,
  who hold accounts, beliefs and a place in every table. Asked of a million: under 5 minutes and 8 GiB on two cores.
- ``everybody``: all report, are selected at a fixed price, send an update and are paid, in every round; of the uploads
  a hundred by lot are trained. Who is disappointed leaves.
- ``privacy_auction``: all report and are cleared by MFG-RegretNet; who sold sends with the noise of what it sold, a
  hundred by lot are trained; everybody's privacy wears down. Asked of one round of a million: under 60 s and 8 GiB.
- ``qd_rdfl``: the contest among all members, each of whom answers; a hundred by lot are trained.
- ``churn``: ``sampled``, with the usual four neighbours per newcomer; in each round 1 % leave and as many come, each
  at its own moment.

Everything is written down as a user gets it: all owners in every round, all events and transfers. Each size is played
in a process of its own, so that its memory is its own; the clock starts after the imports and a tiny market.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.costs import Stopwatch, growth, held_at_most

GIB = 2**30
COHORT = 100
ASKED = {("sampled", 1_000_000, 10): (300.0, 8.0), ("privacy_auction", 1_000_000, 1): (60.0, 8.0)}
"""Seconds and GiB allowed, by market, owners and rounds."""

_CHEAP = {"cost": 0.0005, "outside_option": 0.0}


def _market(owners: int, rounds: int, **parts: Any) -> dict[str, Any]:
    fixed: dict[str, Any] = {
        "name": "scale",
        "horizon": rounds,
        "population": {"initial": owners, "types": _CHEAP},
        "data": {"shards": min(owners, 100)},
        "market": {"treasury": 1e6, "neighbours": 0},
    }
    return fixed | {name: fixed.get(name, {}) | part for name, part in parts.items()}


def sampled(owners: int, rounds: int) -> dict[str, Any]:
    """A hundred invited, the others idle."""
    return _market(owners, rounds, round={"invited": COHORT})


def everybody(owners: int, rounds: int) -> dict[str, Any]:
    """All sell at one price; the budget pays for all, as long as a scenario allows so much."""
    return _market(
        owners,
        rounds,
        learning={"trained_sample": COHORT},
        population={"types": {"outside_option": 0.0}},
        market={"mechanism": {"name": "fixed_price", "price": 0.02}, "budget": min(0.35 * owners, 1e6)},
    )


def privacy_auction(owners: int, rounds: int) -> dict[str, Any]:
    """All sell privacy; the budget is a fourth of what everything costs."""
    types = {
        "cost": 0.0,
        "valuation": {"name": "lognormal", "median": 0.5, "sigma": 0.5},
        "privacy_budget": {"name": "uniform", "low": 0.1, "high": 5.0},
        "lifetime_privacy": {"name": "uniform", "low": 5.0, "high": 20.0},
        "outside_option": 0.0,
    }
    return _market(
        owners,
        rounds,
        population={"types": types},
        data={"quality": 1.0},
        learning={"trained_sample": COHORT, "privacy": {"clip": 0.5}},
        market={"mechanism": {"name": "privacy_auction", "rule": "mfg_regretnet"}, "budget": min(0.35 * owners, 1e6)},
    )


def qd_rdfl(owners: int, rounds: int) -> dict[str, Any]:
    """The contest with claimed qualities only; training is free, so that taking part pays."""
    return _market(
        owners,
        rounds,
        learning={"trained_sample": COHORT},
        population={"types": {"cost": 0.0, "outside_option": 0.0}},
        market={"mechanism": {"name": "qd_rdfl", "adjustment_round": -1}},
    )


def churn(owners: int, rounds: int) -> dict[str, Any]:
    """Coming and going around a sampled cohort."""
    moving = {"arrival_rate": 0.01 * owners, "departure_rate": 0.01}
    return _market(owners, rounds, population=moving, round={"invited": COHORT}, market={"neighbours": 4})


MARKETS: dict[str, Callable[[int, int], dict[str, Any]]] = {
    market.__name__: market for market in (sampled, everybody, privacy_auction, qd_rdfl, churn)
}


def play(market: str, owners: int, rounds: int) -> dict[str, float]:
    """What one run took and came to, in this process."""
    from scenarios.recorder import Recorder
    from scenarios.schema import Scenario
    from scenarios.simulation import Simulation

    scenario = Scenario.model_validate(MARKETS[market](owners, rounds))
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        simulation = Simulation(scenario=scenario, recorder=Recorder(Path(folder) / "run"), device="cpu")
        simulation.run()
        took = {"wall": watch.wall, "cpu": watch.cpu, "peak": float(held_at_most())}
        written = sum(file.stat().st_size for file in Path(folder).rglob("*.parquet"))
    row = simulation.world.last_row
    return took | {
        "owners": owners,
        "written": written,
        "events": simulation.world.log.count,
        **{name: float(row[name]) for name in ("active", "participants", "arrived", "accuracy")},  # type: ignore[arg-type]
    }


def play_apart(market: str, owners: int, rounds: int) -> dict[str, float]:
    """The same in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.scale", "--one", market, "--sizes", str(owners), "--rounds", str(rounds)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    found: dict[str, float] = json.loads(done.stdout)
    return found


def line(market: str, rounds: int, found: dict[str, float]) -> str:
    """One row of the table."""
    owners = int(found["owners"])
    asked = ""
    if bound := ASKED.get((market, owners, rounds)):
        seconds, gib = bound
        reached = found["wall"] < seconds and found["peak"] / GIB < gib
        asked = f"under {seconds:.0f} s and {gib:.0f} GiB: {'reached' if reached else 'missed'}"
    return (
        f"| {market} | {owners:,} | {found['wall']:.1f} | {found['cpu']:.1f} | {found['peak'] / GIB:.2f} | "
        f"{found['written'] / 2**20:.0f} | {found['events']:,.0f} | {found['active']:,.0f} | {found['arrived']:,.0f} | "
        f"{found['accuracy']:.2f} | {asked} |"
    )


def slopes(market: str, runs: Sequence[dict[str, float]]) -> str:
    """How time and memory grow, over all sizes and from the last but one to the last."""
    sizes = [run["owners"] for run in runs]
    told = []
    for name, unit in (("cpu", "processor time"), ("peak", "memory")):
        costs = [run[name] for run in runs]
        told.append(f"{unit} {growth(sizes, costs):.2f}, {growth(sizes[-2:], costs[-2:]):.2f} in the last step")
    return f"{market}: slope of {'; of '.join(told)}"


def _count(text: str) -> int:
    """A whole number of at least 1; ``ArgumentTypeError`` for anything else."""
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number of at least 1")
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markets", nargs="+", choices=MARKETS, default=list(MARKETS))
    parser.add_argument("--sizes", nargs="+", type=_count, default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=_count, default=10)
    parser.add_argument("--one", choices=MARKETS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        play(options.one, 200, 1)  # imports and caches
        print(json.dumps(play(options.one, options.sizes[0], options.rounds)))
        return
    print(f"{options.rounds} rounds; Python {platform.python_version()}, load average {os.getloadavg()[0]:.1f}\n")
    print(
        "| market | owners | wall s | cpu s | peak GiB | tables MiB | events | members | arrived | accuracy | asked |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    told = []
    for market in options.markets:
        runs = []
        for owners in sorted(options.sizes):
            runs.append(play_apart(market, owners, options.rounds))
            print(line(market, options.rounds, runs[-1]), flush=True)
        if len(runs) > 1:
            told.append(slopes(market, runs))
    print("\n" + "\n".join(told))


if __name__ == "__main__":
    main()
