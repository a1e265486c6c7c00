"""Owners who leave when a round does not pay: how many of them stay with each method, and what is left to learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scenarios.palette import BLUE, MUTED, VERMILION
from scenarios.plots.canvas import canvas, styled
from scenarios.reproduce.ipfl.living import IPFL, Run, Scale, find, market, mean_and_sd, played, scale_of, training
from scenarios.reproduce.ipfl.published import METHODS
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.tables import tidy
from scenarios.reproduce.verdicts import law, unpublished

COLUMNS = ("rule", "method", "quantity")
STAY, STRICT, PROBABLE = "always pays", "strict", "probabilistic"
LEFT, ACCURACY, UTILITY = "share that left", "accuracy (%)", "utility"

RULES = {
    STAY: {"name": "always"},
    STRICT: {"name": "strict"},
    PROBABLE: {"name": "probabilistic", "probability": 0.5},
}
SETTING = "CIFAR-10 Cluster"


def dropout(options: Options, scale: Scale | None = None) -> Study:
    """All methods under three rules of leaving, outside options of 0."""
    scale = scale or scale_of(options)
    setting = find(options.dataset, SETTING)
    rows: list[Row] = []
    for rule, confirmation in RULES.items():
        for method in METHODS:
            population = {"confirmation": confirmation, "types": {"outside_option": 0.0}}
            scenario = market(setting, scale, method, population=population)
            runs = [played(scenario, seed, options.device) for seed in scale.seed_numbers]
            rows += _rows(rule, method, runs)
    shown = tidy(COLUMNS, rows)
    return Study(
        name="dropout",
        title="Owners who leave",
        method=(
            f"{training(setting, scale).says(setting)}, clustered, {setting.clients} owners, "
            f"{scale.says()}. Every owner sees its bill before it pays. Strict: it leaves "
            "when the round's utility is below 0; probabilistic: then with probability 0.5. Who leaves keeps the best "
            "model that it has had; its utility is 0 from then on. Utilities over 50 rounds, in money."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        figure=_figure(shown),
        caption="Share of the owners that left by the end, mean accuracy of the models that all owners have had, and "
        "their mean utility, by the rule of leaving.",
    )


def left(run: Run) -> float:
    """Share of the persons that are not in the market at the end."""
    return float((run.episodes["exit_kind"] != "censored").groupby(run.episodes["person"]).any().mean())


def _rows(rule: str, method: str, runs: list[Run]) -> list[Row]:
    found = {
        LEFT: [left(run) for run in runs],
        ACCURACY: [float(run.accuracy().mean()) for run in runs],
        UTILITY: [float(run.utility().mean()) for run in runs],
    }
    rows = []
    for quantity, values in found.items():
        mean, sd = mean_and_sd(values)
        verdict = unpublished("published as a picture only")
        if method == IPFL and quantity == LEFT and rule != STAY:
            verdict = law(max(values) == 0.0, "nobody has a reason to leave iPFL (Theorem 1)")
        if method == IPFL and quantity == UTILITY:
            verdict = law(mean > 0.0, "utilities stay above 0")
        rows.append(Row((rule, method, quantity), mean, verdict, sd))
    return rows


def plot_by_rule(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Dots by method, a colour per rule of leaving, from the rows of this study about one quantity."""
    ax = canvas(ax)
    height = {method: len(METHODS) - 1 - place for place, method in enumerate(METHODS)}
    for shift, (rule, colour) in enumerate(zip(RULES, (MUTED, VERMILION, BLUE), strict=True)):
        line = table[table["rule"] == rule]
        at = np.array([height[method] for method in line["method"]]) + 0.18 * (1 - shift)
        ax.scatter(line["found"], at, color=colour, s=30, label=rule, zorder=3)
    ax.set_yticks(list(height.values()), list(height))
    return ax


@styled
def _figure(shown: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(11.4, 4.2), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    for ax, quantity, label in zip(
        axes, (LEFT, ACCURACY, UTILITY), ("share of owners", "accuracy (%)", "money over 50 rounds"), strict=True
    ):
        plot_by_rule(shown[shown["quantity"] == quantity], ax)
        ax.set_title({LEFT: "Left by the end", ACCURACY: "Accuracy", UTILITY: "Utility"}[quantity])
        ax.set_xlabel(label)
    axes[0].set_xlim(-0.05, 1.05)
    axes[-1].axvline(0.0, color=MUTED, linewidth=0.8)
    axes[0].legend(loc="lower right")
    return figure
