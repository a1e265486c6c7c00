"""What lies would gain: the same search for everybody, much harder than that of training (RQ1)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from learning.columns import FloatColumn
from market.privacy_auction.deviations import Regret, grid_regret
from market.privacy_auction.networks.attack import TEST_ATTACK, TRAINING_ATTACK
from market.privacy_auction.rules import RULES, regret
from scenarios.palette import BLACK
from scenarios.plots.canvas import styled
from scenarios.reproduce.privacy_auction.looks import colour
from scenarios.reproduce.privacy_auction.markets import DECLARED, FIELD, GIVEN_AWAY, OWNERS, market, row
from scenarios.reproduce.privacy_auction.published import REGRET, TRUTHFUL
from scenarios.reproduce.study import NOTHING, Options, Row, Study
from scenarios.reproduce.verdicts import Verdict, law, other_setting, unpublished

ASKED = 1.0
"""Percent of cost that lies may gain under the trained auction, from ten owners on."""
MEAN, LARGEST, HIGH = "regret / cost (%)", "largest regret / cost (%)", "99th percentile / cost (%)"
OURS = "mfg_regretnet"


@dataclass(frozen=True)
class Scale:
    """Markets of each kind; sizes and budget factors for the trained auction, and factors for all the other rules."""

    markets: int
    sizes: tuple[int, ...]
    factors: tuple[float, ...]
    field: tuple[float, ...]


QUICK = Scale(5, (5, 10, 50), (0.3, 1.0), (0.6,))
FULL = Scale(5, (5, 10, 20, 50, 200), (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0), (0.3, 0.6, 1.0, 1.5))


def found_regret(name: str, owners: int, factor: float, number: int) -> Regret:
    """The best lies of one market: grid for every rule, gradient ascent too for those that have gradients."""
    bids, budget = market(number, owners, factor)
    known = next((rule for rule in RULES if rule == name), None)
    return grid_regret(FIELD[name], bids, budget) if known is None else regret(known, bids, budget)


def regrets(options: Options, scale: Scale | None = None) -> Study:
    """Regret of all rules at the paper's ten owners, and of the trained auction by owners and budget."""
    scale = scale or (QUICK if options.quick else FULL)
    rows: list[Row] = []
    for factor, name in itertools.product(scale.field, [name for name in FIELD if name != OURS]):
        rows += _rows(name, OWNERS, factor, scale.markets)
    for owners, factor in itertools.product(scale.sizes, scale.factors):
        rows += _rows(OURS, owners, factor, scale.markets)
    rows += [_rank(rows), _slope(rows, scale)]
    steps = TEST_ATTACK.steps * (1 + TEST_ATTACK.starts)
    return Study(
        name="regret",
        title="What lies would gain",
        method=(
            f"{scale.markets} markets of each size and budget, uniform types. One owner lies at a time, all others "
            "tell the truth; the privacy budget reported is never above the true one, and a lie is valued at the true "
            "v. All rules: a grid of 40 valuations by 5 privacy budgets. Rules with gradients: ascent from the truth "
            f"and four random starts too, {steps} steps in all, {steps // TRAINING_ATTACK.steps} times those of "
            "training. Regret is the mean gain of the best lie over the mean cost v epsilon of what is sold, in every "
            "rule; of what is offered, where nothing is sold."
        ),
        columns=("owners", "budget factor", "rule", "quantity"),
        rows=tuple(rows),
        figure=_figure(rows, scale),
        caption="Left: all rules, ten owners, mean over the markets and budgets; dots at the left edge gain nothing "
        "that floats can show. Right: mfg_regretnet by owners, a line per budget factor; dashed: one percent.",
    )


def _rows(name: str, owners: int, factor: float, count: int) -> list[Row]:
    found = [found_regret(name, owners, factor, number) for number in range(count)]
    cost = float(np.mean([one.mean_cost for one in found]))
    means = [100 * float(one.gain.mean()) / cost for one in found]
    gains = 100 * np.concatenate([one.gain for one in found]) / cost
    key, published = (str(owners), f"{factor:g}", name), REGRET.get(name, NOTHING) if owners == OWNERS else NOTHING
    rows = [row((*key, MEAN), means, _verdict(name, owners, means, published), published)]
    for quantity, value in ((HIGH, np.percentile(gains, 99)), (LARGEST, gains.max())):
        rows.append(Row((*key, quantity), float(value), unpublished("over the owners of all these markets")))
    return rows


def _verdict(name: str, owners: int, means: Sequence[float], published: float) -> Verdict | None:
    mean = float(np.mean(means))
    if name in TRUTHFUL or name == DECLARED:
        # The claims are about valuations; where the budget reported plays no part, so is this search.
        return law(mean < 1e-6, "no lie pays")
    if name == GIVEN_AWAY:
        return unpublished("buys nothing: no lie can pay, and nothing follows from it")
    if name == OURS:
        held = "its theory says that lies gain nearly nothing: less than 1 % of cost"
        return law(mean < ASKED, held) if owners >= OWNERS else unpublished("fewer owners than in the paper")
    if not np.isnan(published):
        why = "other costs, other attacks for each method, a budget that never binds, and a network of their own"
        return other_setting(why, mean, published)
    return None


def _means(rows: Sequence[Row], name: str, owners: int) -> FloatColumn:
    return np.array([one.found for one in rows if one.key[0] == str(owners) and one.key[2:] == (name, MEAN)])


def _rank(rows: Sequence[Row]) -> Row:
    """Whether the trained auction has the least regret of the networks, as the paper says."""
    rivals = "regretnet", "dm_regretnet", "mfg_regretnet_free_markup", "mfg_regretnet_paper"
    ours = float(_means(rows, OURS, OWNERS).max())
    least = min(float(_means(rows, name, OWNERS).min()) for name in rivals)
    verdict = law(ours < least, "MFG-RegretNet has less regret than every other network (one training of each)")
    return Row((str(OWNERS), "all", "least of the other networks", MEAN), least, verdict)


def _slope(rows: Sequence[Row], scale: Scale) -> Row:
    """How regret falls with the number of owners, against the bound of Theorem 3."""
    means = [float(_means(rows, OURS, owners).mean()) for owners in scale.sizes]
    slope = float(np.polyfit(np.log(scale.sizes), np.log(np.maximum(means, 1e-9)), 1)[0])
    verdict = law(slope <= -0.5, "gains by lies fall at least as fast as 1 / sqrt(N - 1) (Theorem 3)")
    return Row(("all", "all", OURS, "slope of log regret over log owners"), slope, verdict, published=-0.5)


@styled
def _figure(rows: Sequence[Row], scale: Scale) -> Figure:
    figure = Figure(figsize=(11.4, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = [name for name in FIELD if name != GIVEN_AWAY]
    floor = 1e-4
    for place, name in enumerate(reversed(names)):
        values = np.maximum(_means(rows, name, OWNERS), floor)
        left.scatter(values, np.full(len(values), place), color=colour(name), s=22, clip_on=False, zorder=3)
    left.set_yticks(range(len(names)), list(reversed(names)))
    left.set_xscale("log")
    left.axvline(ASKED, color=BLACK, linewidth=0.8, linestyle="--")
    left.set_title(f"All rules, {OWNERS} owners")
    left.set_xlabel(MEAN)
    for factor in scale.factors:
        line = [one for one in rows if one.key[1:] == (f"{factor:g}", OURS, MEAN)]
        shade = 0.25 + 0.75 * (factor - scale.factors[0]) / (scale.factors[-1] - scale.factors[0])
        found = [max(one.found, floor) for one in line]
        right.plot(scale.sizes, found, color=colour(OURS), alpha=shade, marker="o", markersize=3, label=f"{factor:g}")
    right.axhline(ASKED, color=BLACK, linewidth=0.8, linestyle="--")
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xticks(scale.sizes, [str(size) for size in scale.sizes])
    right.minorticks_off()
    right.legend(title="budget factor", ncols=2)
    right.set_title("mfg_regretnet by owners")
    right.set_xlabel("owners")
    right.set_ylabel(MEAN)
    return figure
