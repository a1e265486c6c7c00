"""How long the page takes from a step to the new pictures, at 200 and 2,000 owners, apart from training.

    python benchmarks/app.py

Plays a market without training and measures one window of it, and drawing each tab of the page anew (the SVG text that
is sent to the browser), after enough rounds that every panel has something to show. Medians, in milliseconds.
"""

from __future__ import annotations

import time
from statistics import median

from scenarios.app.draft import Draft
from scenarios.app.drawing import LIGHT
from scenarios.app.main_area import TABS, view_of
from scenarios.app.stage import Stage

OWNERS, WARM_UP, ROUNDS = (200, 2000), 15, 10


def market(owners: int) -> Stage:
    """A market of so many owners that trains nothing."""
    changes = {
        "population.initial": owners,
        "data.shards": 200,
        "learning.enabled": False,
        "horizon": WARM_UP + ROUNDS,
        "market.budget": 0.6 * owners,
    }
    return Stage(Draft("quickstart", changes))


def measure(owners: int) -> tuple[float, dict[str, float], int]:
    """Median milliseconds of a step and of drawing each tab, and the bytes of the largest tab."""
    stage = market(owners)
    steps: list[float] = []
    draws: dict[str, list[float]] = {tab: [] for tab in TABS}
    largest = 0
    for window in range(WARM_UP + ROUNDS):
        start = time.perf_counter()
        stage.step()
        stepped = time.perf_counter() - start
        if window < WARM_UP:
            continue
        steps.append(1e3 * stepped)
        for tab, panels in TABS.items():
            start = time.perf_counter()
            view = view_of(stage.shows[0], stage.length - 1, LIGHT)
            size = sum(len(panel(view).svg()) for panel in panels)
            draws[tab].append(1e3 * (time.perf_counter() - start))
            largest = max(largest, size)
    return median(steps), {tab: median(times) for tab, times in draws.items()}, largest


def main() -> None:
    """Print a line per population."""
    print(
        f"{'owners':>7} {'step ms':>8} "
        + " ".join(f"{tab + ' ms':>10}" for tab in TABS)
        + f" {'worst sum':>10} {'kB':>6}"
    )
    for owners in OWNERS:
        step, draws, size = measure(owners)
        cells = " ".join(f"{draws[tab]:10.0f}" for tab in TABS)
        print(f"{owners:7} {step:8.0f} {cells} {step + max(draws.values()):10.0f} {size / 1e3:6.0f}")


if __name__ == "__main__":
    main()
