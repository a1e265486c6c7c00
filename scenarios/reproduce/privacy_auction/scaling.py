"""How long clearing takes, from five owners to a million, beside a search for best responses (RQ2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from matplotlib.figure import Figure

from market.privacy_auction import RULES, Bids, Rule
from scenarios.palette import MUTED
from scenarios.plots.canvas import label_ends, styled
from scenarios.reproduce.privacy_auction.looks import colour
from scenarios.reproduce.privacy_auction.markets import FIELD, market, row
from scenarios.reproduce.privacy_auction.published import TIME_SLOPE
from scenarios.reproduce.study import NOTHING, Options, Row, Study
from scenarios.reproduce.verdicts import Verdict, law, other_setting, unpublished

FACTOR = 0.6
REPEATS = 5
LONG = 0.5
"""Seconds above which two calls have to do."""
REPORTS = (0.8, 1.25)
"""Multiples of its valuation that an owner tries in the sweep; a finer search only costs a multiple of it."""
SWEEP = "sweep of best responses"
LARGE = 1000
"""From here on a slope is that of the work and not of calling it."""


@dataclass(frozen=True)
class Scale:
    """Owners of the markets that are cleared, and of those in which everybody looks for its best response."""

    sizes: tuple[int, ...]
    sweeps: tuple[int, ...]


QUICK = Scale((5, 10, 100, 1_000, 10_000, 100_000), (1_000, 2_000, 4_000))
FULL = Scale((5, 10, 100, 1_000, 10_000, 100_000, 1_000_000), (1_000, 2_000, 4_000, 8_000))


def seconds(work: Callable[[], object]) -> list[float]:
    """Processor seconds of each repeat of some work; quick work many times in one, and not counted the first time."""
    first, second = _once(work), _once(work)
    if second > LONG:
        return [first, second]
    times = max(1, int(0.01 / max(second, 1e-6)))

    def several() -> None:
        for _ in range(times):
            work()

    return [_once(several) / times for _ in range(REPEATS)]


def _once(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def best_responses(rule: Rule, bids: Bids, budget: float) -> int:
    """One sweep of best responses to truthful reports: how many owners find a report that pays better than the truth.

    Every owner in turn clears the market with each of ``REPORTS`` times its valuation against all the others, as a
    direct search for a Nash equilibrium does in every iteration: O(N^2 log N) for rules that sort.
    """
    honest = rule(bids, budget)
    utility = honest.payment - bids.valuation * honest.epsilon
    said = Bids(bids.valuation.copy(), bids.privacy_budget, bids.data_size)
    moved = 0
    for owner, value in enumerate(bids.valuation.tolist()):
        best = float(utility[owner])
        for times in REPORTS:
            said.valuation[owner] = times * value
            sale = rule(said, budget)
            best = max(best, float(sale.payment[owner]) - value * float(sale.epsilon[owner]))
        said.valuation[owner] = value
        moved += best > float(utility[owner]) + 1e-9 * budget
    return moved


def scaling(options: Options, scale: Scale | None = None) -> Study:
    """Clearing times of all rules and of the sweep, and the slopes of their logarithms."""
    scale = scale or (QUICK if options.quick else FULL)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = {
            name: [seconds(partial(FIELD[name], *market(0, owners, FACTOR))) for owners in scale.sizes]
            for name in RULES
        }
        # Under PAC, where nobody can do better, one sweep is the whole search.
        swept = [seconds(partial(best_responses, RULES["pac"], *market(0, n, FACTOR))) for n in scale.sweeps]
    finally:
        torch.set_num_threads(threads)
    rows: list[Row] = []
    for name, columns in times.items():
        rows += _rows(name, scale.sizes, columns)
        rows.append(_slope(name, scale.sizes, columns))
    rows += _rows(SWEEP, scale.sweeps, swept)
    rows.append(_slope(SWEEP, scale.sweeps, swept))
    return Study(
        name="scaling",
        title="Time to clear",
        method=(
            f"Processor seconds of one core, means of {REPEATS} repeats (two of what takes long); uniform types, "
            f"budget {FACTOR:g} times what everything costs. The sweep: every owner in turn tries {len(REPORTS)} other "
            "valuations against all others under PAC, clearing anew each time, as a direct search for an equilibrium "
            f"does in each iteration. Slopes are of log seconds over log owners from {LARGE:,} owners on; below, the "
            "overhead of a call hides them."
        ),
        columns=("rule", "owners", "quantity"),
        rows=tuple(rows),
        figure=_figure(rows, scale),
        caption="Processor seconds of one clearing; grey: of one sweep of best responses. Times differ between "
        "machines and from run to run.",
    )


def _rows(name: str, sizes: Sequence[int], columns: Sequence[Sequence[float]]) -> list[Row]:
    return [
        row((name, f"{size}", "seconds"), list(found), Verdict("not comparable", "another machine"))
        for size, found in zip(sizes, columns, strict=True)
    ]


def fitted(sizes: Sequence[int], columns: Sequence[Sequence[float]]) -> float:
    """Slope of log median seconds over log owners, from ``LARGE`` on; of all sizes where fewer than two are."""
    pairs = [(size, float(np.median(found))) for size, found in zip(sizes, columns, strict=True)]
    large = [pair for pair in pairs if pair[0] >= LARGE]
    size, found = np.log(np.array(large if len(large) > 1 else pairs)).T
    return float(np.polyfit(size, found, 1)[0])


def _slope(name: str, sizes: Sequence[int], columns: Sequence[Sequence[float]]) -> Row:
    slope, published = fitted(sizes, columns), TIME_SLOPE.get(name, NOTHING)
    if name == SWEEP:
        return Row(
            (name, "all", "slope"), slope, law(2.0 <= slope <= 2.5, "a direct search costs O(N^2 log N) (Remark 2)")
        )
    if name == "mfg_regretnet":
        verdict = law(abs(slope - 1.0) <= 0.25, "clearing is linear in N (Corollary 1)")
    elif not np.isnan(published):
        why = "published from 10 to 500 owners, where the overhead of a call is most of it"
        verdict = other_setting(why, slope, published)
    else:
        verdict = unpublished()
    return Row((name, "all", "slope"), slope, verdict, published=published)


@styled
def _figure(rows: Sequence[Row], scale: Scale) -> Figure:
    figure = Figure(figsize=(9.6, 4.6), layout="constrained")
    ax = figure.add_subplot()
    ends = []
    for name in [*RULES, SWEEP]:
        line = [one for one in rows if one.key[0] == name and one.key[2] == "seconds"]
        sizes, hue = [int(one.key[1]) for one in line], colour(name) if name != SWEEP else MUTED
        ax.plot(sizes, [one.found for one in line], color=hue, marker="o", markersize=2.5)
        ends.append((name, float(sizes[-1]), line[-1].found, hue))
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_title("Processor seconds of one clearing")
    ax.set_xlabel("owners")
    ax.set_xlim(scale.sizes[0], scale.sizes[-1])
    label_ends(ax, ends)
    return figure
