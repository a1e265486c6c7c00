"""Seconds to build the collaboration graph of iPFL and to price it, beside the published algorithm written plainly.

Run ``python -m benchmarks.ipfl``. The market has three clusters and unequal data, as the published checks draw it.
Asked is a graph of 2,000 owners in under 2 seconds. The plain side goes through Box 2 seller by seller, with SciPy's
bracketing root finder; it plays a sample of buyers, and its time is scaled up to all of them. Both must choose the
same sellers. Wall and processor time of one thread; medians of ``--repeats`` with the smallest and the largest. What is
asked is held against processor time, as others may be at work on the machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import get_args

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.optimize import brentq

from market.ipfl import SharingRules, SharingTypes, clear
from market.ipfl.greedy import greedy_purchases
from market.ipfl.offers import offers_to
from market.ipfl.payments import PaymentRule

WEIGHT = 2.0
ASKED = 2.0


def market(owners: int) -> tuple[SharingTypes, NDArray[np.float64]]:
    chance = np.random.default_rng(0)
    cluster = np.arange(owners) % 3
    near, far = (chance.uniform(*bounds, (owners, owners)) for bounds in ((0.05, 0.4), (0.8, 1.1)))
    distance = np.triu(np.where(cluster[:, None] == cluster, near, far), 1)
    columns = (chance.uniform(*bounds, owners) for bounds in ((2.5e5, 5e5), (500, 12000), (0.5, 1.5)))
    return SharingTypes(*columns), distance + distance.T


def plain_bundle(types: SharingTypes, distance: NDArray[np.float64], buyer: int) -> set[int]:
    """Box 2 of one buyer, as it is printed."""
    scale, held = float(types.gain_scale[buyer]), float(types.data_size[buyer])
    size, cost, apart = types.data_size.tolist(), types.sharing_cost.tolist(), distance[buyer].tolist()
    thresholds = {}
    for seller in range(len(types)):
        if seller != buyer:
            price = cost[seller] + WEIGHT * size[seller] / held * apart[seller]

            def excess(total: float, size: float = size[seller], price: float = price) -> float:
                return sqrt(scale / (total - size)) - sqrt(scale / total) - price

            thresholds[seller] = float(brentq(excess, size[seller] * (1 + 1e-12), 1e12))
    chosen, total = set(), held
    for seller in sorted(thresholds, key=lambda j: (-thresholds[j], j)):
        if total + size[seller] >= thresholds[seller]:
            break
        chosen.add(seller)
        total += size[seller]
    return chosen


def measure(work: Callable[[], object], repeats: int) -> tuple[list[float], list[float]]:
    """Wall and processor seconds of each repeat."""
    walls, busy = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        busy.append(time.process_time() - processor)
    return walls, busy


def line(title: str, times: tuple[list[float], list[float]]) -> str:
    shown = (f"{statistics.median(part):.3f} ({min(part):.3f} to {max(part):.3f})" for part in times)
    wall, processor = shown
    return f"{title:<34} wall {wall} s, processor {processor} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--owners", type=int, default=2000)
    parser.add_argument("--sample", type=int, default=10, help="buyers that the plain side plays")
    options = parser.parse_args()
    types, distance = market(options.owners)
    print(
        f"{options.owners} owners, NumPy {np.__version__}, SciPy {scipy.__version__}, "
        f"Python {platform.python_version()}, {os.cpu_count()} processors"
    )

    def graph() -> NDArray[np.bool_]:
        return greedy_purchases(offers_to(types, distance, WEIGHT), "break")

    times = measure(graph, options.repeats)
    reached = statistics.median(times[1]) < ASKED
    print(line("graph (break)", times), f"- asked under {ASKED:g} s: {'reached' if reached else 'missed'}")
    print(line("graph (skip)", measure(lambda: greedy_purchases(offers_to(types, distance, WEIGHT), "skip"), 3)))
    for payment_rule in get_args(PaymentRule):
        priced = partial(clear, types, distance, SharingRules(WEIGHT, payment_rule))
        print(line(f"graph and payments ({payment_rule})", measure(priced, 3)))

    found = graph()
    sample = np.linspace(0, options.owners - 1, options.sample).astype(int).tolist()
    begin = time.process_time()
    plain = [plain_bundle(types, distance, buyer) for buyer in sample]
    whole = (time.process_time() - begin) / len(sample) * options.owners
    same = all(set(np.flatnonzero(found[i]).tolist()) == chosen for i, chosen in zip(sample, plain, strict=True))
    ratio = whole / statistics.median(times[1])
    print(
        f"plain Box 2: {whole:.0f} s of processor time for all, by {len(sample)} buyers: "
        f"{ratio:.0f} times ours; sellers chosen {'equal' if same else 'DIFFER'}"
    )


if __name__ == "__main__":
    main()
