"""Misreports of single owners and of all, and rings of owners that lie together (RQ6)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from market.privacy_auction import Bids, Rule, play_round
from scenarios.palette import BLACK
from scenarios.plots.canvas import label_ends, styled
from scenarios.reproduce.privacy_auction.looks import colour
from scenarios.reproduce.privacy_auction.markets import FIELD, GIVEN_AWAY, Market, market, row
from scenarios.reproduce.study import Key, Options, Row, Study
from scenarios.reproduce.verdicts import Verdict, law, unpublished

OWNERS = 20
"""So that the largest ring is half of them."""
FACTOR = 0.6
DELTAS = (0.1, 0.3, 0.5)
"""The paper's misreports: valuations off by this share."""
RINGS = (2, 5, 10)
FACTORS = (0.5, 0.7, 0.8, 0.9, 1.1, 1.25, 1.5, 2.0, 3.0)
"""Multiples of their valuations that a ring tries; all of its members report by the same one, whole budgets or half."""
CAP_SHARES = (1.0, 0.5)
ALONE, EVERYBODY, RING = (
    "one liar's gain (% of its cost)",
    "epsilon bought if all lie (%)",
    "ring's gain (% of its cost)",
)
NEGLIGIBLE = 1e-6


def gain_of(rule: Rule, truth: Market, reports: Bids, members: Sequence[int]) -> float:
    """What these owners together gain by their reports, in percent of what all they have costs them."""
    honest = play_round(rule, truth.bids, truth.bids, truth.budget).utility
    lie = play_round(rule, truth.bids, reports, truth.budget).utility
    cost = float((truth.bids.valuation * truth.bids.privacy_budget).mean()) * len(members)
    return 100.0 * float((lie - honest)[list(members)].sum()) / cost


def saying(bids: Bids, rows: Sequence[int], factor: float, share: float = 1.0) -> Bids:
    """The same bids with valuations times ``factor`` and privacy budgets times ``share`` in some rows."""
    valuation, cap = bids.valuation.copy(), bids.privacy_budget.copy()
    valuation[list(rows)] *= factor
    cap[list(rows)] *= share
    return Bids(valuation, cap, bids.data_size)


def ring_gain(rule: Rule, truth: Market, ring: Sequence[int]) -> float:
    """The most that a ring gains by one common lie, at least 0, in percent of what all they have costs them."""
    lies = itertools.product(FACTORS, CAP_SHARES)
    gains = [gain_of(rule, truth, saying(truth.bids, ring, *lie), ring) for lie in lies]
    return max(0.0, *gains)


def robustness(options: Options) -> Study:
    """All rules, misreports of the paper's sizes, and rings of the paper's sizes."""
    count = 5 if options.quick else 20
    markets = [market(number, OWNERS, FACTOR) for number in range(count)]
    rows: list[Row] = []
    for name in [name for name in FIELD if name != GIVEN_AWAY]:
        rows += _misreports(name, markets)
        rows += _rings(name, markets)
    return Study(
        name="robustness",
        title="Misreports and rings",
        method=(
            f"{count} markets of {OWNERS} owners, uniform types, budget {FACTOR:g} times what everything costs. Over- "
            "or understating valuations by 10, 30 and 50 %: one owner alone (the mean over all owners of what it "
            "gains, per cost of what an owner has), or everybody at once. A ring of 2, 5 or 10 owners, drawn by lot, "
            f"reports valuations times one of {len(FACTORS)} factors and whole or half privacy budgets, whichever is "
            "best for the sum of its utilities; members may pay each other. No rule was made to withstand rings."
        ),
        columns=("rule", "who", "lie", "quantity"),
        rows=tuple(rows),
        figure=_figure(rows),
        caption="Left: mean gain of one liar by what it says of its valuation. Right: gain of the best common lie of a "
        "ring, a symmetric logarithmic scale.",
    )


def _misreports(name: str, markets: Sequence[Market]) -> list[Row]:
    rows = []
    rule, everybody = FIELD[name], range(OWNERS)
    for delta in sorted({-one for one in DELTAS} | set(DELTAS)):
        key: tuple[Key, ...] = (name, "one", f"{delta:+.0%}")
        gains = [
            float(np.mean([gain_of(rule, one, saying(one.bids, [i], 1 + delta), [i]) for i in everybody]))
            for one in markets
        ]
        rows.append(row((*key, ALONE), gains, _of_one(name, gains)))
        shares = [
            100 * play_round(rule, one.bids, saying(one.bids, everybody, 1 + delta), one.budget).epsilon_share
            for one in markets
        ]
        rows.append(row((name, "all", f"{delta:+.0%}", EVERYBODY), shares))
    return rows


def _of_one(name: str, gains: Sequence[float]) -> Verdict | None:
    if name in ("pac", "vcg", "csra", "csra_declared", "all_in"):
        return law(max(gains) <= NEGLIGIBLE, "truthful: in no market does this lie pay the average owner")
    if name == "mfg_regretnet":
        return law(float(np.mean(gains)) < 1.0, "nearly truthful: this lie gains less than 1 % of cost on average")
    return None


def _rings(name: str, markets: Sequence[Market]) -> list[Row]:
    rows = []
    for size in RINGS:
        # Types are drawn independently, so the first owners are as good as any by lot.
        gains = [ring_gain(FIELD[name], one, range(size)) for one in markets]
        rows.append(row((name, f"{size} of {OWNERS}", "best common", RING), gains, unpublished("placeholders only")))
    return rows


@styled
def _figure(rows: Sequence[Row]) -> Figure:
    figure = Figure(figsize=(11.4, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = ("pac_capped", "all_in", "csra_declared", "regretnet", "dm_regretnet", "mfg_regretnet", "first_best")
    ends, ring_ends = [], []
    for name in names:
        alone = [one for one in rows if one.key[0] == name and one.key[3] == ALONE]
        places = [float(str(one.key[2]).rstrip("%")) for one in alone]
        left.plot(places, [one.found for one in alone], color=colour(name), marker="o", markersize=3)
        ends.append((name, places[-1], alone[-1].found, colour(name)))
        ring = [one.found for one in rows if one.key[0] == name and one.key[3] == RING]
        right.plot(RINGS, ring, color=colour(name), marker="o", markersize=3)
        ring_ends.append((name, RINGS[-1], ring[-1], colour(name)))
    left.axhline(0.0, color=BLACK, linewidth=0.8)
    left.set_title("One liar")
    left.set_xlabel("valuation off by (%)")
    left.set_ylabel(ALONE)
    right.set_yscale("symlog", linthresh=1.0)
    right.set_ylim(0.0, None)
    right.set_title("A ring")
    right.set_xlabel(f"members, of {OWNERS}")
    right.set_xticks(RINGS)
    right.set_ylabel(RING)
    label_ends(left, ends)
    label_ends(right, ring_ends)
    return figure
