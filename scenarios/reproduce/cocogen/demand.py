"""What drives generation: competition x heterogeneity x redistribution, on fitted curves."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from learning.columns import FloatColumn
from market.cocogen import equilibrium
from scenarios.palette import BLUE, GREEN, ORANGE, PURPLE
from scenarios.plots.canvas import canvas, styled
from scenarios.reproduce.cocogen.rivals import (
    COMPETITION,
    PRESETS,
    READINGS,
    SKEWS,
    Setting,
    holdings,
    mean_and_sd,
    number_of_instances,
    preset_game,
)
from scenarios.reproduce.study import Key, Options, Row, Study
from scenarios.reproduce.tables import tidy
from scenarios.reproduce.verdicts import Verdict, law, unpublished

COLUMNS = ("reading", "task", "rate", "alpha", "competition", "quantity")
VOLUME, CAPPED = "synthetic per real sample", "share at the cap"
BY_COMPETITION, BY_SKEW = "rise with competition", "rise with heterogeneity"
EMD = "mean EMD"
RATES = (0.0, 0.05)
ALL = "all"
MOST = 0.5
"""Share of organisations at the cap from which on volumes are not expected to rise any more."""


def demand(options: Options, instances: int | None = None) -> Study:
    """Equilibrium volumes over the whole grid, in both readings of competition."""
    count = instances or number_of_instances(options.quick)
    laws: list[Row] = []
    points: list[Row] = []
    for reading, task, rate in itertools.product(READINGS, PRESETS, RATES):
        volume, capped = (np.empty((len(SKEWS), len(COMPETITION), count)) for _ in range(2))
        for (row, alpha), (column, mean), number in itertools.product(
            enumerate(SKEWS), enumerate(COMPETITION), range(count)
        ):
            game = preset_game(task, alpha, number, Setting(reading, mean, rate))
            found, cap = equilibrium(game).synthetic_volume, game.organisations.synthetic_volume_cap
            volume[row, column, number] = found.sum() / game.real_volume
            capped[row, column, number] = float((found >= cap).mean())
        for row, column in itertools.product(range(len(SKEWS)), range(len(COMPETITION))):
            key = (reading, task, rate, SKEWS[row], COMPETITION[column])
            for quantity, values in ((VOLUME, volume[row, column]), (CAPPED, capped[row, column])):
                mean, sd = mean_and_sd(values)
                points.append(Row((*key, quantity), mean, unpublished(), sd))
        laws += _law_rows((reading, task, rate), volume.mean(axis=2), capped.mean(axis=2))
    distances = [_emd_row(alpha, count) for alpha in SKEWS]
    rows = (*laws, *distances, *points)
    return Study(
        name="demand",
        title="What drives generation",
        method=(
            f"{count} draws of ten organisations with 20,000 real samples; each class is shared out by a Dirichlet "
            "draw, and 'competition' is the mean intensity. Equilibrium volumes with fitted curves like those of "
            "Fashion-MNIST (easy) and CIFAR-10 (hard). Published: more competition and more heterogeneity, more "
            "generation. Under 'relative' one loses what rivals are better at, under 'damage' what one makes them "
            "better: the public text does not say which of the two the paper means."
        ),
        columns=COLUMNS,
        rows=rows,
        figure=_figure(tidy(COLUMNS, points)),
        caption="Mean over the draws; a small alpha is strong heterogeneity. Full lines: no redistribution, dashed: "
        f"rate {RATES[-1]:g}. Two synthetic samples per real one are the cap.",
    )


def _law_rows(key: tuple[Key, ...], volume: FloatColumn, capped: FloatColumn) -> list[Row]:
    """The two published signs, from mean volumes and shares at the cap [skews, competition].

    ``found`` is the rise from one end of the line to the other; each step of it has to go up.
    """
    rows = []
    for alpha, line, full in zip(SKEWS, volume, capped, strict=True):
        verdict = rising(line, full, "every step to more competition means more generation")
        rows.append(Row((*key, alpha, ALL, BY_COMPETITION), float(line[-1] - line[0]), verdict))
    for mean, line, full in zip(COMPETITION, volume.T, capped.T, strict=True):
        verdict = rising(line, full, "every step to more heterogeneity means more generation")
        rows.append(Row((*key, ALL, mean, BY_SKEW), float(line[-1] - line[0]), verdict))
    return rows


def rising(line: FloatColumn, capped: FloatColumn, what: str) -> Verdict:
    """Whether volumes rise step by step; nothing can rise between points where most are at the cap already."""
    steps, open_ended = np.diff(line), np.minimum(capped[1:], capped[:-1]) < MOST
    if bool((steps > 0.0).all()) or not bool((steps[open_ended] > 0.0).all()):
        return law(bool((steps > 0.0).all()), what)
    return unpublished(f"where steps are flat, {MOST:.0%} or more are at the cap; elsewhere {what}")


def _emd_row(alpha: float, count: int) -> Row:
    """What a Dirichlet parameter means as a distance of label mixes."""
    found = []
    for number in range(count):
        counts = holdings(number, alpha)
        size = counts.sum(axis=1, keepdims=True)
        found.append(float(np.abs(counts / size - counts.sum(axis=0) / size.sum()).sum(axis=1).mean()))
    mean, sd = mean_and_sd(found)
    return Row((ALL, ALL, ALL, alpha, ALL, EMD), mean, unpublished("alpha is no distance; this is"), sd)


def plot_volume(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Volume by competition, a line for each alpha, dashed with redistribution; rows of one reading and task."""
    ax = canvas(ax)
    shown = table[table["quantity"] == VOLUME]
    for (alpha, colour), (rate, style) in itertools.product(
        zip(SKEWS, (PURPLE, GREEN, BLUE, ORANGE), strict=True), zip(RATES, ("-", "--"), strict=True)
    ):
        line = shown[(shown["alpha"] == alpha) & (shown["rate"] == rate)]
        name = f"alpha = {alpha:g}" if rate == RATES[0] else None
        ax.plot(line["competition"], line["found"], style, marker="o", markersize=3, color=colour, label=name)
    ax.set_xticks(COMPETITION)
    ax.set_ylim(0.0, 2.1)
    return ax


@styled
def _figure(shown: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(9.6, 6.6), layout="constrained")
    axes = figure.subplots(len(READINGS), len(PRESETS), sharex=True, sharey=True)
    for (row, reading), (column, task) in itertools.product(enumerate(READINGS), enumerate(PRESETS)):
        ax = plot_volume(shown[(shown["reading"] == reading) & (shown["task"] == task)], axes[row, column])
        ax.set_title(f"{reading}, {task}")
    for ax in axes[-1]:
        ax.set_xlabel("mean competition intensity")
    for ax in axes[:, 0]:
        ax.set_ylabel(VOLUME)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(SKEWS))
    return figure
