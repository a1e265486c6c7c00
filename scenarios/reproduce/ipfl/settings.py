"""Nine settings, nine methods: accuracy of the personal models and utility of their owners."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scenarios.palette import BLACK, BLUE, GREEN, MUTED, ORANGE, PURPLE, SKY, VERMILION, YELLOW
from scenarios.plots.canvas import canvas, styled
from scenarios.reproduce.ipfl.living import (
    IPFL,
    LOCAL,
    Scale,
    Setting,
    market,
    mean_and_sd,
    played,
    scale_of,
    settings,
    training,
)
from scenarios.reproduce.ipfl.published import FIGURE_2, METHODS, READ_OFF, ROUNDS
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.tables import tidy
from scenarios.reproduce.verdicts import Verdict, law, other_setting, printed, unpublished

COLUMNS = ("setting", "played with", "method", "quantity")
ACCURACY, UTILITY, TOP = "accuracy (%)", "utility", "iPFL less the best other"
SKIP_TOP, OWN_RULE = "iPFL, skip, less the best other", "the paper has the stop rule break only"

TOP_IN_ACCURACY = frozenset({"Fashion-MNIST NIID"})
"""Where iPFL had the highest accuracy in the paper; in utility it had it everywhere."""

WHOLE = frozenset({"FedAvg", "FedProx", "Ditto", "FedAMP", "pFedGraph"})
"""Methods with which, in Skew, everybody uses the model of everybody or of everybody in its own cluster."""

SPREAD = 0.07
"""Rows between two methods in the picture, so that equal values do not hide each other."""

SKIP = "iPFL, skip"
"""iPFL with the stop rule that goes on to the next seller where the printed algorithm stops."""

PLAYED = (*METHODS, SKIP)

MARKS = dict(zip(PLAYED, "osDv^<>PX*", strict=True))
COLOURS = dict(zip(PLAYED, (MUTED, BLACK, BLUE, SKY, GREEN, YELLOW, ORANGE, PURPLE, VERMILION, VERMILION), strict=True))


def nine_settings(options: Options, scale: Scale | None = None) -> Study:
    """All settings with all methods; ``scale`` overrides what the options stand for."""
    scale = scale or scale_of(options)
    rows: list[Row] = []
    for setting in settings(options.dataset):
        rows += setting_rows(setting, scale, options)
    leads = [row.found for row in rows if row.key[2:] == (TOP, UTILITY)]
    skipping = [row.found for row in rows if row.key[2:] == (SKIP_TOP, UTILITY)]
    ahead, skip_ahead = (float(sum(lead > 0.0 for lead in some)) for some in (leads, skipping))
    top = law(ahead == len(leads), "iPFL is top in utility in all nine settings")
    rows.append(Row(("all", "-", "settings with iPFL on top", UTILITY), ahead, top, published=float(len(leads))))
    rows.append(Row(("all", "-", "settings with iPFL, skip, on top", UTILITY), skip_ahead, unpublished(OWN_RULE)))
    shown = tidy(COLUMNS, [row for row in rows if row.key[0] != "all"])
    played_with = "; ".join(dict.fromkeys(training(s, scale).says(s) for s in settings(options.dataset)))
    return Study(
        name="settings",
        title="Nine settings, nine methods",
        method=(
            f"{scale.says()}, three local epochs a round (the paper's "
            f"200 steps are 2.6), SGD with momentum. {played_with}. There are no domains as in PACS and no writers "
            "as in FEMNIST here: real images in four fixed transformations and real digits by generated hands "
            "stand in; Shakespeare's place is taken by generated text of 24 authors. Accuracy: of the personal "
            "model on the whole test set (all domains, other writers), weighted by its owner's classes, best over "
            "the rounds, mean over owners. Utility: "
            f"equation 3, mean over owners, sum over rounds, scaled to {ROUNDS} rounds; K per sample is the paper's."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        figure=_figure(shown),
        caption="Mean over owners and seeds. In the paper iPFL has the highest utility in all nine settings. Its stop "
        "rule is the printed one: a seller that does not fit ends the purchases of a buyer. Stars: it goes on (skip).",
        warnings=("Settings stand in for the paper's; lambda and eta are unknown for several of them.",),
    )


def setting_rows(setting: Setting, scale: Scale, options: Options) -> list[Row]:
    """Accuracy and utility of every method, and by how much iPFL leads or trails."""
    found: dict[tuple[str, str], list[float]] = {}
    for method in PLAYED:
        rule = {"mechanism": {"graph_stop_rule": "skip"}} if method == SKIP else {}
        scenario = market(setting, scale, IPFL if method == SKIP else method, **rule)
        for seed in scale.seed_numbers:
            run = played(scenario, seed, options.device)
            found.setdefault((method, ACCURACY), []).append(float(run.accuracy().mean()))
            found.setdefault((method, UTILITY), []).append(float(run.utility().mean()))
    rows = [_row(setting, method, quantity, values) for (method, quantity), values in found.items()]
    for quantity in (UTILITY, ACCURACY):
        best = np.max([found[method, quantity] for method in METHODS if method != IPFL], axis=0)
        mean, sd = mean_and_sd(np.array(found[SKIP, quantity]) - best)
        rows.append(Row((setting.name, setting.dataset, SKIP_TOP, quantity), mean, unpublished(OWN_RULE), sd))
        mean, sd = mean_and_sd(np.array(found[IPFL, quantity]) - best)
        expected = quantity == UTILITY or setting.name in TOP_IN_ACCURACY
        what = f"iPFL is {'' if expected else 'not '}top in {quantity.removesuffix(' (%)')}"
        rows.append(Row((setting.name, setting.dataset, TOP, quantity), mean, law((mean > 0.0) == expected, what), sd))
    return rows


def _row(setting: Setting, method: str, quantity: str, values: list[float]) -> Row:
    mean, sd = mean_and_sd(values)
    key = setting.name, setting.dataset, method, quantity
    if method == SKIP:
        return Row(key, mean, unpublished(OWN_RULE), sd)
    if setting.name not in FIGURE_2:
        return Row(key, mean, unpublished("published as a picture only"), sd)
    point = FIGURE_2[setting.name][method]
    published = point.accuracy if quantity == ACCURACY else point.utility
    return Row(key, mean, _verdict(setting, method, quantity, mean, published), sd, published)


def _verdict(setting: Setting, method: str, quantity: str, found: float, published: float) -> Verdict:
    if quantity == ACCURACY:
        same = setting.dataset == "cifar10"
        return other_setting("shorter training on fewer samples" if same else "other images", found, published)
    if method == LOCAL:
        return printed(found, published, READ_OFF)
    if setting.name == "CIFAR-10 Skew" and method in WHOLE:
        # Equally much data everywhere, so the utility follows from who uses whose model.
        return printed(found, published, READ_OFF, slack=0.5)
    return other_setting("another draw of the partition, other models", found, published)


def plot_points(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One quantity of all methods by setting, from the rows of this study about that quantity."""
    ax = canvas(ax)
    names = list(dict.fromkeys(zip(table["setting"], table["played with"], strict=True)))
    heights = {name: len(names) - 1 - place for place, name in enumerate(names)}
    for method in PLAYED:
        line = table[table["method"] == method]
        if line.empty:
            continue
        at = [heights[name] + SPREAD * ((len(PLAYED) - 1) / 2 - PLAYED.index(method)) 
              for name in zip(line["setting"], line["played with"], strict=True)]  # fmt: skip
        main = method in (IPFL, SKIP)
        ax.scatter(line["found"], at, marker=MARKS[method], s=70 if main else 34, color=COLOURS[method], label=method,
                   edgecolors="white", linewidths=0.6, zorder=4 if main else 3)  # fmt: skip
    ax.set_yticks(list(heights.values()), [f"{setting}\n{dataset}" for setting, dataset in names])
    ax.set_ylim(-0.6, len(names) - 0.4)
    return ax


@styled
def _figure(table: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(11.4, 5.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    plot_points(table[(table["quantity"] == ACCURACY) & table["method"].isin(PLAYED)], left)
    plot_points(table[(table["quantity"] == UTILITY) & table["method"].isin(PLAYED)], right)
    left.set_title("Accuracy of personal models")
    left.set_xlabel("accuracy (%)")
    right.set_title("Utility of their owners")
    right.set_xlabel(f"utility over {ROUNDS} rounds (money)")
    right.axvline(0.0, color=MUTED, linewidth=0.8, zorder=1)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(PLAYED))
    return figure
