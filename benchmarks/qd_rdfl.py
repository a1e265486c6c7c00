"""QD-RDFL solved in closed form, beside an independent numerical solver on the same markets.

Run ``python -m benchmarks.qd_rdfl``. Qualities are uniform from 0.5 to 1. "Ours" is the reward and everybody's
contribution, without and with caps on half of the owners. The other side finds the total effort with scipy's brentq on
the sum of best responses, and the reward with its bounded minimizer around that. Processor time on one thread; medians
of ``--repeats``; the difference is the largest of any contribution at the same reward.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import scipy
from scipy.optimize import brentq, minimize_scalar

from learning.columns import FloatColumn
from market.qd_rdfl.equilibrium import Market, solve

LIMIT, LIMIT_OWNERS = 0.2, 100_000
Result = TypeVar("Result")


def numerically(market: Market, reward: float) -> FloatColumn:
    """Everybody's effort for a reward, by root finding on the sum of best responses."""
    cost = 1.0 / market.quality
    largest = np.inf if market.cap is None else market.quality * market.cap

    def response(total: float) -> FloatColumn:
        return np.clip(total - cost * total**2 / reward, 0.0, largest)

    total = brentq(lambda total: response(total).sum() / total - 1.0, 1e-9 * reward, reward / cost.min(), xtol=1e-14)
    return response(total)


def best_numerically(market: Market) -> float:
    scale = market.revenue_scale
    found = minimize_scalar(
        lambda reward: reward - scale * np.log1p(numerically(market, reward).sum()),
        bounds=(1e-6, scale),
        method="bounded",
    )
    return float(found.x)


def timed(repeats: int, work: Callable[[], Result]) -> tuple[float, Result]:
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"NumPy {np.__version__}, SciPy {scipy.__version__}, Python {platform.python_version()}, one thread")
    for owners in (100, 10_000, LIMIT_OWNERS):
        draw = np.random.default_rng(1)
        quality = draw.uniform(0.5, 1.0, owners)
        caps = np.where(draw.random(owners) < 0.5, draw.uniform(0.0, 5.0 / owners, owners), 1.0)
        for title, market in (("no caps", Market(quality)), ("caps", Market(quality, cap=caps))):
            ours, found = timed(options.repeats, lambda market=market: solve(market))
            theirs, _ = timed(max(1, options.repeats // 5), lambda market=market: best_numerically(market))
            apart = np.abs(numerically(market, found.reward) - found.effective_contribution).max()
            verdict = f", limit {LIMIT} s {'kept' if ours < LIMIT else 'MISSED'}" if owners == LIMIT_OWNERS else ""
            print(
                f"{owners:>7} owners, {title:<8} ours {ours:8.5f} s, scipy {theirs:8.4f} s, x{theirs / ours:6.1f}, "
                f"apart {apart:.1e}{verdict}"
            )


if __name__ == "__main__":
    main()
