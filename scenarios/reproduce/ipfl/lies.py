"""Lies in random static markets, over the whole range of factors and in both directions, under all payment rules."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from learning.columns import FloatColumn
from learning.streams import Streams
from market.ipfl import SharingRules, SharingTypes
from market.ipfl.deviations import Report, lie_gains
from market.ipfl.offers import FloatMatrix
from market.ipfl.payments import PaymentRule
from scenarios.palette import BLUE, GREEN, ORANGE
from scenarios.plots.canvas import canvas, styled
from scenarios.reproduce.ipfl.axes import factor_axis
from scenarios.reproduce.ipfl.published import COST_LIES, SIZE_LIES
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.tables import tidy
from scenarios.reproduce.verdicts import Verdict, law, unpublished

COLUMNS = ("rule", "sizes", "report", "factor", "quantity")
MEAN, GAINERS = "mean gain", "share who gain"

RULES: tuple[PaymentRule, ...] = ("ipfl", "critical", "vcg")
FACTORS: Mapping[Report, tuple[float, ...]] = {
    "data_size": (0.1, 0.25, 0.5, 0.8, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1e4),
    "sharing_cost": (0.05, 0.1, 0.25, 0.5, 0.8, 0.9, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0),
    "gain_scale": (0.1, 0.25, 0.5, 0.8, 0.9, 1.1, 1.25, 1.5, 2.0, 5.0, 10.0),
}
TRIED: Mapping[Report, tuple[float, ...]] = {"data_size": SIZE_LIES, "sharing_cost": COST_LIES, "gain_scale": ()}
"""What the paper tried, saying of each that it lowers the liar's utility."""

OWNERS, CLUSTERS = 8, 3
PENALTY = 2.0
MARKETS = 50
EQUAL, UNEQUAL = "equal", "unequal"
NEGLIGIBLE = 1e-6
"""Money: gains up to this are put down to float arithmetic."""

STREAMS = Streams(1)


class RandomMarket(NamedTuple):
    """True types and model distances [m, m]."""

    types: SharingTypes
    distance: FloatMatrix


def static_lies(options: Options) -> Study:
    """What one liar gains over its honest twin, all others honest, in many random markets."""
    count = MARKETS // 5 if options.quick else MARKETS
    gains = {
        (rule, sizes, report): gains_by_lies(rule, report, [random_market(k, sizes) for k in range(count)])
        for rule, sizes, report in itertools.product(RULES, (EQUAL, UNEQUAL), FACTORS)
    }
    rows = [row for key, values in gains.items() for row in _rows(*key, values)]
    table = tidy(COLUMNS, rows)
    return Study(
        name="static_lies",
        title="Lies in static markets",
        method=(
            f"{count} random markets of {OWNERS} owners in {CLUSTERS} clusters for each kind of sizes: N from 500 to "
            "12,000 samples or all 5,000, c from 0.5 to 1.5, K from 250,000 to 500,000, lambda = 2, distances 0.05 to "
            "0.4 within clusters and 0.8 to 1.1 between. One owner at a time reports factor times the truth. Graph and "
            "payments follow the reports, gains and costs the truth. A gain is the liar's utility less that of its "
            "honest twin, in money per round."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        figure=_figure(table),
        caption="Mean gain of a liar over all owners and markets, by the factor between report and truth, with unequal "
        "sizes. Grey: factors that the paper tried. It left the others open, understated costs and moderately "
        "overstated sizes among them.",
    )


def random_market(number: int, sizes: str) -> RandomMarket:
    """Market ``number``; the first ones are the same however many are drawn."""
    owners = np.arange(OWNERS)

    def drawn(part: str, low: float, high: float) -> FloatColumn:
        return low + (high - low) * STREAMS.uniform(f"static market/{part}", owners, number)

    size = np.full(OWNERS, 5000.0) if sizes == EQUAL else drawn("size", 500.0, 12_000.0)
    types = SharingTypes(drawn("gain scale", 2.5e5, 5e5), size, drawn("cost", 0.5, 1.5))
    near = owners[:, None] % CLUSTERS == owners % CLUSTERS
    chance = STREAMS.uniform("static market/distance", owners[:, None], number, owners)
    distance = np.triu(np.where(near, 0.05 + 0.35 * chance, 0.8 + 0.3 * chance), 1)
    return RandomMarket(types, distance + distance.T)


def gains_by_lies(rule: PaymentRule, report: Report, markets: list[RandomMarket]) -> FloatMatrix:
    """Gains [F, owners of all markets] in money by the lies of ``FACTORS``."""
    rules = SharingRules(PENALTY, rule)
    found = [lie_gains(m.types, m.types, m.distance, rules, report, FACTORS[report]).gain for m in markets]
    return np.concatenate(found, axis=1)


def _rows(rule: PaymentRule, sizes: str, report: Report, gains: FloatMatrix) -> list[Row]:
    rows = []
    for factor, gain in zip(FACTORS[report], gains, strict=True):
        mean, sd = float(gain.mean()), float(gain.std())
        share = float((gain > NEGLIGIBLE).mean())
        key = rule, sizes, report, f"{factor:g}"
        rows.append(Row((*key, MEAN), mean, _of_mean(rule, report, factor, mean), sd))
        rows.append(Row((*key, GAINERS), share, _of_share(rule, report, factor, share)))
    return rows


def _of_mean(rule: PaymentRule, report: Report, factor: float, mean: float) -> Verdict:
    if rule == "ipfl" and factor in TRIED[report]:
        return law(mean < NEGLIGIBLE, "this lie does not pay on average")
    return unpublished("no payment rule of the paper" if rule != "ipfl" else "not tried in the paper")


def _of_share(rule: PaymentRule, report: Report, factor: float, share: float) -> Verdict:
    if rule == "ipfl" and report == "sharing_cost" and factor > 1:
        return law(share == 0.0, "nobody gains by overstating its cost (Theorem 2)")
    if rule == "ipfl" and factor in TRIED[report]:
        return law(share == 0.0, "every liar loses or breaks even")
    return unpublished("no payment rule of the paper" if rule != "ipfl" else "not tried in the paper")


def plot_lies(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Mean gain by factor, a line per payment rule, from the rows of this study about one report and kind of sizes."""
    ax = canvas(ax)
    shown = table[table["quantity"] == MEAN]
    report: Report = shown["report"].iloc[0]
    for rule, colour in zip(RULES, (BLUE, ORANGE, GREEN), strict=True):
        line = shown[shown["rule"] == rule]
        ax.plot(line["factor"].astype(float), line["found"], "o-", color=colour, label=rule, markersize=3.5)
    factor_axis(ax, TRIED[report])
    ax.set_title(f"reported {report.replace('_', ' ')}")
    return ax


@styled
def _figure(table: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(11.4, 3.9), layout="constrained")
    axes = figure.subplots(1, len(FACTORS))
    for ax, report in zip(axes, FACTORS, strict=True):
        plot_lies(table[(table["report"] == report) & (table["sizes"] == UNEQUAL)], ax)
    axes[0].set_ylabel("mean gain of the liar (money per round)")
    axes[0].legend()
    return figure
