"""One liar in a market that trains: its utility and its accuracy beside those of its honest twin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scenarios.palette import BLUE
from scenarios.plots.canvas import canvas, styled
from scenarios.reproduce.ipfl.axes import factor_axis
from scenarios.reproduce.ipfl.living import Scale, find, market, mean_and_sd, played, scale_of, training
from scenarios.reproduce.ipfl.published import COST_LIES, SIZE_LIES
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.tables import tidy
from scenarios.reproduce.verdicts import Verdict, law, unpublished

COLUMNS = ("report", "factor", "quantity")
UTILITY, ACCURACY = "utility over the twin's", "accuracy over the twin's (points)"
SETTING = "CIFAR-10 NIID"
SEEDS = 3
"""Times as many seeds as elsewhere: what one lie brings hangs on whose data it is."""

FACTORS: Mapping[str, tuple[float, ...]] = {
    "size": (0.1, 0.5, 1.5, 2.0, 5.0, 10.0, 100.0),
    "sharing_cost": (0.1, 0.5, 0.8, 1.5, 2.0, 5.0, 10.0),
    "gain_scale": (0.25, 0.5, 0.8, 1.25, 2.0, 5.0),
}
TRIED: Mapping[str, tuple[float, ...]] = {"size": SIZE_LIES, "sharing_cost": COST_LIES, "gain_scale": ()}


def living_lies(options: Options, scale: Scale | None = None) -> Study:
    """The whole range of factors on size, cost and gain scale, both directions, with real training."""
    scale = scale or scale_of(options)
    scale = replace(scale, seeds=SEEDS * scale.seeds)
    setting = find(options.dataset, SETTING)
    honest = {seed: played(market(setting, scale), seed, options.device) for seed in scale.seed_numbers}
    rows: list[Row] = []
    for report, factors in FACTORS.items():
        for factor in factors:
            utility, accuracy = [], []
            for seed, twin in honest.items():
                liar = seed % setting.clients
                scenario = market(setting, scale, population=with_liar(setting.clients, liar, report, factor))
                run = played(scenario, seed, options.device)
                utility.append(float(run.utility()[liar] - twin.utility()[liar]))
                accuracy.append(float(run.accuracy()[liar] - twin.accuracy()[liar]))
            rows += _rows(report, factor, utility, accuracy)
    shown = tidy(COLUMNS, rows)
    return Study(
        name="living_lies",
        title="Lies in a market that trains",
        method=(
            f"{training(setting, scale).says(setting)}, Dirichlet 0.1, {setting.clients} owners of whom one lies, "
            f"{scale.says()}. The liar reports factor times its true "
            "data size, sharing cost or gain scale all the time. It is compared with itself, honest, on the same seed. "
            "One liar a run is one draw: how lies do on average is in the study of static markets. Utilities over 50 "
            "rounds, in money."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        figure=_figure(shown),
        caption="What the liar has more than its honest twin, mean over seeds. Grey: factors that the paper tried, "
        "of which it says: every lie lowers the utility and does not raise the accuracy.",
    )


def with_liar(clients: int, liar: int, report: str, factor: float) -> dict[str, Any]:
    """The population fields in which this person claims ``factor`` times the truth."""
    return {
        "strategies": [{"name": "honest"}, {"name": f"misreport_{report}", "factor": factor}],
        "assignment": [int(person == liar) for person in range(clients)],
    }


def _rows(report: str, factor: float, utility: list[float], accuracy: list[float]) -> list[Row]:
    key = report.replace("_", " "), f"{factor:g}"
    (gain, sd), (points, points_sd) = mean_and_sd(utility), mean_and_sd(accuracy)
    if factor in TRIED[report]:
        of_gain = law(gain < 1e-6, "this lie does not pay")
        of_points = _of_accuracy(points, points_sd / math.sqrt(len(accuracy)))
    else:
        of_gain = of_points = unpublished("not tried in the paper")
    return [Row((*key, UTILITY), gain, of_gain, sd), Row((*key, ACCURACY), points, of_points, points_sd)]


def _of_accuracy(points: float, error: float) -> Verdict:
    """``error``: standard error of the points, NaN for a single seed."""
    if not math.isfinite(error):
        return unpublished("a single seed cannot tell a change of accuracy from chance")
    return law(points <= 2.0 * error, "the liar's accuracy is the same or lower, up to two standard errors")


def plot_gains(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Gain over the honest twin by factor, from the rows of this study about one report and one quantity."""
    ax = canvas(ax)
    report = str(table["report"].iloc[0])
    at = table["factor"].astype(float)
    ax.errorbar(at, table["found"], table["sd"], fmt="o-", color=BLUE, markersize=4, elinewidth=0.8)
    factor_axis(ax, TRIED[report.replace(" ", "_")])
    ax.set_title(f"reported {'data ' * (report == 'size')}{report}")
    return ax


@styled
def _figure(shown: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(11.4, 5.6), layout="constrained")
    axes = figure.subplots(2, len(FACTORS), sharex="col", sharey="row")
    for row, quantity in zip(axes, (UTILITY, ACCURACY), strict=True):
        for ax, report in zip(row, FACTORS, strict=True):
            plot_gains(shown[(shown["report"] == report.replace("_", " ")) & (shown["quantity"] == quantity)], ax)
    axes[0, 0].set_ylabel("utility (money over 50 rounds)")
    axes[1, 0].set_ylabel("accuracy (points)")
    for ax in axes[0]:
        ax.set_xlabel("")
    for ax in axes[1]:
        ax.set_title("")
    return figure
