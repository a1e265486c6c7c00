"""How long the page takes from a step to the new pictures, at 200 and 2,000 owners, apart from training.

    python benchmarks/app.py

Plays a market without training. First by itself: one window of it, and drawing each tab of the page anew (the SVG text
that is sent to the browser), after enough rounds that every panel has something to show. Then as a user sees it: from
the click on Step in headless Chromium until the new round stands in the picture, the window included. Medians in
milliseconds; without Chromium the second part is left out.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from scenarios.app.draft import Draft
from scenarios.app.drawing import LIGHT
from scenarios.app.main_area import TABS, view_of
from scenarios.app.stage import Stage
from scenarios.loading import resolved_yaml

OWNERS, WARM_UP, ROUNDS = (200, 2000), 15, 10
SHOWN = "document.querySelector('svg[aria-label=\"Collaboration graph\"]')?.textContent.includes('round {}:')"
"""Whether the picture of a round stands on the page."""


def market(owners: int) -> Draft:
    """A market of so many owners that trains nothing."""
    changes = {
        "population.initial": owners,
        "data.shards": 200,
        "learning.enabled": False,
        "horizon": WARM_UP + ROUNDS,
        "market.budget": 0.6 * owners,
    }
    return Draft("quickstart", changes)


def drawing(owners: int) -> tuple[float, dict[str, float], int]:
    """Median milliseconds of a step and of drawing each tab, and the bytes of the largest tab."""
    stage = Stage(market(owners))
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


def in_the_browser(owners: int, chromium: str) -> float:
    """Median milliseconds from the click on Step to the new round in the picture."""
    from playwright.sync_api import sync_playwright

    times = []
    with served(market(owners)) as address, sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        page.get_by_text("Ready-made scenarios").wait_for(timeout=120_000)
        for window in range(WARM_UP + ROUNDS):
            start = time.perf_counter()
            page.get_by_role("button", name="Step", exact=True).click()
            page.wait_for_function(SHOWN.format(window), polling=5, timeout=60_000)
            times.append(1e3 * (time.perf_counter() - start))
        browser.close()
    return median(times[WARM_UP:])


@contextmanager
def served(draft: Draft) -> Iterator[str]:
    """The page with this market on a free port; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "market.yaml"
        file.write_text(resolved_yaml(draft.scenarios()[0]))
        command = [sys.executable, "-m", "scenarios.cli", "app", str(file), "--port", str(port)]
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
        try:
            while process.poll() is None:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def main() -> None:
    """Print a line per population."""
    chromium = shutil.which("chromium")
    head = " ".join(f"{tab + ' ms':>10}" for tab in TABS)
    print(f"{'owners':>7} {'step ms':>8} {head} {'kB':>6} {'click to picture ms':>20}")
    for owners in OWNERS:
        step, draws, size = drawing(owners)
        cells = " ".join(f"{draws[tab]:10.0f}" for tab in TABS)
        seen = f"{in_the_browser(owners, chromium):.0f}" if chromium else "-"
        print(f"{owners:7} {step:8.0f} {cells} {size / 1e3:6.0f} {seen:>20}", flush=True)


if __name__ == "__main__":
    main()
