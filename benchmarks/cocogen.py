"""Seconds to solve CoCoGen+ among very many organisations, beside direct maximisation of the potential.

Run ``python -m benchmarks.cocogen``. Asked is the equilibrium of 100,000 organisations in under 0.5 s, with a sparse
competition matrix (50 rivals each) and with one of low rank (20 markets). Timed is everything from the columns on: the
products with the matrix, the potential's weights and the bisection. The other side maximises the potential of up to
10,000 organisations with SciPy's L-BFGS-B and its exact gradient; the largest difference of any volume is told. Last
come rounds of the living market ``cocogen_churn`` among ``--living`` organisations that meet in markets, with claims,
equilibrium, payments, audits and tables, but without newcomers. Processor time of one thread, medians of ``--repeats``
with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import scipy
from scipy.optimize import minimize
from scipy.sparse import csr_array

from learning.columns import FloatColumn
from market.cocogen import Game, LearningCurve, LowRank, Organisations, equilibrium, play, potential, towards_global
from market.cocogen.competition import CompetitionMatrix
from market.cocogen.equilibrium import damped
from market.cocogen.readings import potential_weight, reading_of
from market.cocogen.welfare import welfare_optimum
from scenarios.loading import load_scenario
from scenarios.recorder import MemoryRecorder
from scenarios.simulation import Simulation

ASKED, ASKED_OF = 0.5, 100_000
RIVALS, MARKETS = 50, 20
TOTAL_COMPETITION, CAP = 0.3, 4000.0
Result = TypeVar("Result")


def sparse(count: int) -> csr_array:
    """Fifty rivals each, drawn at random, of equal intensity."""
    chance = np.random.default_rng(1)
    shift = np.sort(chance.integers(1, count, RIVALS))
    columns = (np.arange(count)[:, None] + shift) % count
    entries = np.full(count * RIVALS, TOTAL_COMPETITION / RIVALS)
    return csr_array((entries, columns.ravel(), np.arange(count + 1) * RIVALS), shape=(count, count))


def low_rank(count: int) -> LowRank:
    """Twenty markets; everybody competes in each of them as far as it is present there."""
    chance = np.random.default_rng(1)
    presence = chance.dirichlet(np.full(MARKETS, 0.3), count)
    return LowRank(presence * TOTAL_COMPETITION * MARKETS / count, presence)


def game(count: int, competition: CompetitionMatrix, **changes: object) -> Game:
    """Organisations as in the reference instance, of which all together hold 2,000 samples each."""
    chance = np.random.default_rng(0)
    organisations = Organisations(
        data_size=chance.gamma(2.0, 1000.0, count) + 200.0,
        residual_emd=towards_global(chance.uniform(0.2, 1.6, count)),
        profitability=chance.uniform(1000.0, 2500.0, count),
        unit_cost=0.01 * chance.uniform(0.5, 1.5, count),
        quadratic_cost=np.zeros(count),
        synthetic_volume_cap=np.full(count, CAP),
    )
    return replace(Game(organisations, competition, LearningCurve(2.56, 0.215, 0.285, personal_gain=0.05)), **changes)


def maximised(played: Game) -> FloatColumn:
    """The largest potential, under relative competition without redistribution."""
    organisations, curve = played.organisations, played.curve
    size, cap = organisations.data_size, organisations.synthetic_volume_cap
    weight, own = potential_weight(played), reading_of(played).own(played)
    emd = organisations.residual_emd.before

    def loss(share: FloatColumn) -> tuple[float, FloatColumn]:
        volume = share * cap
        effective = played.real_volume + float(curve.worth(size, volume).sum())
        slope = curve.marginal_volume(effective) * curve.synthetic_quality
        labels = (curve.emd_penalty * played.data_share + own / weight * curve.personal_gain) * emd
        gradient = slope + labels * size / (size + volume) ** 2 - organisations.unit_cost / weight
        return -potential(played, volume), -gradient * cap

    options = {"ftol": 1e-16, "gtol": 1e-9, "maxiter": 5000, "maxfun": 20000}
    found = minimize(
        loss, np.full(len(cap), 0.5), jac=True, method="L-BFGS-B", bounds=[(0, 1)] * len(cap), options=options
    )
    return np.asarray(found.x * cap)


def timed(repeats: int, work: Callable[[], Result]) -> tuple[list[float], Result]:
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return seconds, result


def shown(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.4f} s ({min(seconds):.4f} to {max(seconds):.4f})"


def solve_many(title: str, many: Game, repeats: int) -> None:
    for variant, asked in (
        ("linear cost", many),
        ("quadratic cost", _with_quadratic_cost(many)),
        ("quality decay", replace(many, curve=replace(many.curve, quality_decay=0.5))),
        ("damage", replace(many, competition_model="damage")),
    ):
        # A copy of a game has nothing computed yet.
        seconds, found = timed(repeats, lambda asked=asked: equilibrium(replace(asked)))
        verdict = "reached" if statistics.median(seconds) < ASKED else "missed"
        interior = (found.synthetic_volume > 0) & (found.synthetic_volume < CAP)
        print(
            f"{title} {variant:<15} {shown(seconds)}, {found.iterations} steps, {interior.mean():.0%} interior "
            f"- asked under {ASKED:g} s: {verdict}"
        )
    before = equilibrium(many)
    warm, again = timed(repeats, lambda: equilibrium(replace(many), before.effective_volume * 1.0003))
    print(f"{title} {'warm start':<15} {shown(warm)}, {again.iterations} steps")
    settled, steps = timed(repeats, lambda: damped(replace(many)))
    print(f"{title} {'damped':<15} {shown(settled)}, {steps.iterations} steps")
    paid, _ = timed(repeats, lambda: play(replace(many), before.synthetic_volume))
    best, _ = timed(1, lambda: welfare_optimum(replace(many)))
    print(f"{title} utilities {shown(paid)}, welfare optimum {shown(best)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--living", type=int, default=ASKED_OF, help="organisations in the living market")
    options = parser.parse_args()
    print(f"NumPy {np.__version__}, SciPy {scipy.__version__}, Python {platform.python_version()}, one thread")

    for name, matrix in (("sparse", sparse(ASKED_OF)), ("low rank", low_rank(ASKED_OF))):
        solve_many(f"{ASKED_OF} organisations, {name:<8}", game(ASKED_OF, matrix), options.repeats)
    for count in (10, 1000, 10_000):
        few = game(count, low_rank(count))
        ours, found = timed(options.repeats, lambda few=few: equilibrium(replace(few)))
        theirs, other = timed(1, lambda few=few: maximised(few))
        apart = float(np.abs(found.synthetic_volume - other).max())
        ratio = statistics.median(theirs) / statistics.median(ours)
        print(
            f"{count:>6} organisations: ours {shown(ours)}, L-BFGS-B {theirs[0]:.3f} s, x{ratio:.0f}, apart {apart:.1e}"
        )

    seconds, active = living(options.living)
    print(f"{options.living:>6} organisations in a living market: {shown(seconds)} a round, {active} there at the end")


def living(count: int, rounds: int = 4) -> tuple[list[float], int]:
    """Processor seconds of each round but the first, in which everybody joins, and how many are there at the end."""
    together = f"{{kind: markets, mean_intensity: {TOTAL_COMPETITION / count}}}"
    everybody = {"initial": count, "assignment": [], "arrival_rate": 0, "departure_rate": 0}
    changes = [f"population.{name}={value}" for name, value in everybody.items()]
    changes += [f"horizon={rounds}", f"market.competition={together}", "recording.owners_sample=1000"]
    market = Simulation(scenario=load_scenario("cocogen_churn", overrides=changes), recorder=MemoryRecorder())
    playing, seconds = market.play(), []
    for _ in range(rounds):
        start = time.process_time()
        next(playing)
        seconds.append(time.process_time() - start)
    return seconds[1:], len(market.population.active())


def _with_quadratic_cost(linear: Game) -> Game:
    organisations = linear.organisations
    return replace(linear, organisations=replace(organisations, quadratic_cost=organisations.unit_cost / 2000.0))


if __name__ == "__main__":
    main()
