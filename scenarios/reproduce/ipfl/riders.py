"""Free riders, plain and stealthy: which of them the market isolates, and what the others have of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scenarios.palette import BLUE, GREEN, MUTED, ORANGE
from scenarios.plots.canvas import canvas, styled
from scenarios.reproduce.ipfl.living import (
    Run,
    Scale,
    Setting,
    find,
    market,
    mean_and_sd,
    played,
    scale_of,
    table,
    training,
)
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.tables import tidy
from scenarios.reproduce.verdicts import law, unpublished

COLUMNS = ("setting", "rider", "quantity")
UTILITY, INCOME, SALES, BENIGN, OWN = (
    "utility over the twin's", "received less paid, over the twin's", "sales per round", "benign accuracy (points)",
    "own accuracy (points)",
)  # fmt: skip
SETTINGS = ("CIFAR-10 Cluster", "CIFAR-10 Skew", "Fashion-MNIST Skew")
"""The last one with a lambda of 0.001, at which distance hardly counts."""

RIDERS: Mapping[str, str] = {
    "random weights": "attack_random",
    "ones": "attack_same_value",
    "own last model, little noise": "free_rider_stealthy",
    "the same, trained at first": "free_rider_stealthy",
    "copy of a bought model": "free_rider_copy",
}
FIRST_TRAINED = "the same, trained at first"
STEALTHY = ("own last model, little noise", FIRST_TRAINED, "copy of a bought model")

TRAINED_SHARE = 4
"""One round in so many is the time in which the rider that trains at first does so."""


def riders(options: Options, scale: Scale | None = None) -> Study:
    """One free rider of each kind, beside the honest owner that it could have been."""
    scale = scale or scale_of(options)
    rows: list[Row] = []
    for name in SETTINGS:
        setting = find(options.dataset, name)
        honest = {seed: played(market(setting, scale), seed, options.device) for seed in scale.seed_numbers}
        for rider in RIDERS:
            ridden = {}
            for seed in honest:
                population = with_rider(setting.clients, rider_of(setting, seed), rider, scale)
                ridden[seed] = played(market(setting, scale, population=population), seed, options.device)
            rows += _rows(setting, rider, honest, ridden)
    shown, first = tidy(COLUMNS, rows), find(options.dataset, SETTINGS[0])
    return Study(
        name="riders",
        title="Free riders",
        method=(
            f"{training(first, scale).says(first)}, clustered and skewed, and the stand-in for Fashion-MNIST, skewed, "
            f"with its lambda of 0.001. One owner does not train. {scale.says()}. "
            "It keeps its K and buys like everybody; sharing costs it nothing, for "
            "there is nothing of its own in what it sends. One kind has trained for the first quarter of the rounds, "
            "and sends what it then has again and again; sharing costs it nothing either, so that only that differs. "
            "Changes are against the run with the same seed in which it "
            "is honest, sharing costs of that twin included. Utilities over 50 rounds, in money."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        figure=_figure(shown),
        caption="Sales per round and utility over the honest twin's, mean over seeds. The paper tried plain riders "
        "only (random weights, ones). Who has never trained has not moved from the initial model and is at distance 1 "
        "from everybody, so that a large lambda keeps stealthy riders out as well, unless they have trained at first.",
    )


def rider_of(setting: Setting, seed: int) -> int:
    """The person that rides in the run with this seed."""
    return seed % setting.clients


def with_rider(clients: int, person: int, rider: str, scale: Scale) -> dict[str, object]:
    """The population fields in which this person rides."""
    chosen = np.arange(clients) == person
    trains = {"train_rounds": max(1, scale.rounds // TRAINED_SHARE)} if rider == FIRST_TRAINED else {}
    return {
        "strategies": [{"name": "honest"}, {"name": RIDERS[rider], **trains}],
        "assignment": chosen.astype(int).tolist(),
        "types": {"sharing_cost": table(np.where(chosen, 0.0, 1.0))},
    }


def _rows(setting: Setting, rider: str, honest: dict[int, Run], ridden: dict[int, Run]) -> list[Row]:
    found: dict[str, list[float]] = {name: [] for name in (UTILITY, INCOME, SALES, BENIGN, OWN)}
    for seed, run in ridden.items():
        who, twin = rider_of(setting, seed), honest[seed]
        accuracy = run.accuracy() - twin.accuracy()
        found[UTILITY].append(float(run.utility()[who] - twin.utility()[who]))
        found[INCOME].append(float(twin.total("net_payment")[who] - run.total("net_payment")[who]))
        found[SALES].append(float(run.owners.loc[run.owners["person"] == who, "sales"].mean()))
        found[BENIGN].append(float(accuracy.drop(who).mean()))
        found[OWN].append(float(accuracy[who]))
    rows = []
    for quantity, values in found.items():
        mean, sd = mean_and_sd(values)
        verdict = unpublished("not tried in the paper" if rider in STEALTHY else "no number was published")
        if quantity == SALES and rider not in STEALTHY and setting.penalty >= 1.0:
            verdict = law(max(values) == 0.0, "nobody buys from it")
        rows.append(Row((setting.name, rider, quantity), mean, verdict, sd))
    return rows


def plot_riders(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Bars by rider, a colour per setting, from the rows of this study about one quantity."""
    ax = canvas(ax)
    names = list(RIDERS)
    for place, (setting, colour) in enumerate(zip(SETTINGS, (BLUE, GREEN, ORANGE), strict=True)):
        line = table[table["setting"] == setting].set_index("rider").loc[names]
        at = np.arange(len(names))[::-1] + 0.27 * (1 - place)
        ax.barh(at, line["found"], 0.25, color=colour, label=setting, xerr=line["sd"],
                error_kw={"ecolor": MUTED, "elinewidth": 0.8})  # fmt: skip
    ax.axvline(0.0, color=MUTED, linewidth=0.8)
    ax.set_yticks(np.arange(len(names))[::-1], [name.replace(", ", ",\n") for name in names])
    ax.grid(axis="y", visible=False)
    return ax


@styled
def _figure(shown: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(10.8, 3.9), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    for ax, quantity, title, label in zip(
        axes, (SALES, UTILITY, BENIGN), ("Buyers of the rider's model", "Rider over its honest twin", "Others' models"),
        ("sales per round", "utility over 50 rounds (money)", "accuracy (points)"), strict=True,
    ):  # fmt: skip
        plot_riders(shown[shown["quantity"] == quantity], ax)
        ax.set_title(title)
        ax.set_xlabel(label)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(SETTINGS))
    return figure
