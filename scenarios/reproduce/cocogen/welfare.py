"""Welfare of the equilibrium, the planner and the baselines, by competition and by heterogeneity, on fitted curves."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from market.cocogen import play
from market.cocogen.game import CompetitionModel
from scenarios.palette import MUTED
from scenarios.plots.canvas import canvas, styled, thousands
from scenarios.reproduce.cocogen.rivals import (
    COMPETITION,
    MODERATE,
    PRESETS,
    READINGS,
    SKEWS,
    STRONG,
    Setting,
    mean_and_sd,
    number_of_instances,
    preset_game,
)
from scenarios.reproduce.cocogen.rules import (
    COLOURS,
    EQUILIBRIUM,
    PUBLISHED_BASELINES,
    RULES,
    SAYS,
    VCFL,
    WCO,
    volumes,
    welfare,
)
from scenarios.reproduce.study import Key, Options, Row, Study
from scenarios.reproduce.tables import tidy
from scenarios.reproduce.verdicts import law, unpublished

COLUMNS = ("reading", "task", "varied", "value", "rule", "quantity")
COMPETITION_VARIED, SKEW_VARIED = "competition", "alpha"
GAIN, LEVEL = "gain over VCFL", "welfare"
SWEEPS = {COMPETITION_VARIED: COMPETITION, SKEW_VARIED: SKEWS}

Gains = dict[tuple[float, str], list[float]]


def welfare_sweeps(options: Options, instances: int | None = None) -> Study:
    """All rules on two cuts through the grid: competition at one heterogeneity, heterogeneity at one competition."""
    count = instances or number_of_instances(options.quick)
    laws: list[Row] = []
    points: list[Row] = []
    for reading, task, varied in itertools.product(READINGS, PRESETS, SWEEPS):
        gains, levels = _played(reading, task, varied, count)
        key: tuple[Key, ...] = (reading, task, varied)
        for (value, rule), found in gains.items():
            mean, sd = mean_and_sd(found)
            points.append(Row((*key, value, rule, GAIN), mean, unpublished(), sd))
        for value, found in levels.items():
            mean, sd = mean_and_sd(found)
            points.append(Row((*key, value, EQUILIBRIUM, LEVEL), mean, unpublished(), sd))
        laws += [*_order_rows(key, gains), *_course_rows(key, gains, levels)]
    return Study(
        name="welfare",
        title="Welfare and the baselines",
        method=(
            f"{count} draws as in the study of demand, no redistribution. Competition is varied at alpha = "
            f"{MODERATE:g}, alpha at a competition of {STRONG:g}. {SAYS}. Gains are over nobody generating (VCFL), in "
            "money; the level of welfare is counted from perfect accuracy down and so mostly below 0. Published: more "
            "welfare than VCFL, WCO and RaDG; more under strong competition and moderate heterogeneity. Whether that "
            "is said of gains or levels is not public, so both are judged."
        ),
        columns=COLUMNS,
        rows=(*laws, *points),
        figure=_figure(tidy(COLUMNS, points)),
        caption="Mean gains over the draws. Under 'damage' nobody is paid for what it does for all, so deciding as "
        "if nobody competed, or at random, is better for all together.",
    )


def _played(reading: CompetitionModel, task: str, varied: str, count: int) -> tuple[Gains, dict[float, list[float]]]:
    """Gains by (value, rule) and the equilibrium's welfare by value, one number per instance."""
    gains: Gains = {(value, rule): [] for value, rule in itertools.product(SWEEPS[varied], RULES) if rule != VCFL}
    levels: dict[float, list[float]] = {value: [] for value in SWEEPS[varied]}
    for value, number in itertools.product(SWEEPS[varied], range(count)):
        alpha, mean = (MODERATE, value) if varied == COMPETITION_VARIED else (value, STRONG)
        game = preset_game(task, alpha, number, Setting(reading, mean))
        decided = volumes(game, number)
        nothing = play(game, decided[VCFL][0]).social_welfare
        for rule in RULES:
            if rule != VCFL:
                gains[value, rule].append(welfare(game, decided[rule]) - nothing)
        levels[value].append(welfare(game, decided[EQUILIBRIUM]))
    return gains, levels


def _order_rows(key: tuple[Key, ...], gains: Gains) -> list[Row]:
    """The published order, point by point: the equilibrium's mean gain over each baseline."""
    rows = []
    for value, baseline in itertools.product(SWEEPS[str(key[2])], PUBLISHED_BASELINES):
        ours = np.array(gains[value, EQUILIBRIUM])
        more = ours if baseline == VCFL else ours - np.array(gains[value, baseline])
        mean, sd = mean_and_sd(more)
        if baseline == WCO and key[2] == COMPETITION_VARIED and value == 0.0:
            verdict = unpublished("without competition both are the same game")
        else:
            verdict = law(mean > 0.0, f"more welfare than {baseline}")
        rows.append(Row((*key, value, EQUILIBRIUM, f"more than {baseline} by"), mean, verdict, sd))
    return rows


def _course_rows(key: tuple[Key, ...], gains: Gains, levels: dict[float, list[float]]) -> list[Row]:
    """Where along the sweep the equilibrium does best; ``found`` is that value of what is varied."""
    courses = {
        GAIN: [float(np.mean(gains[value, EQUILIBRIUM])) for value in levels],
        LEVEL: [float(np.mean(found)) for found in levels.values()],
    }
    rows = []
    for quantity, course in courses.items():
        best = int(np.argmax(course))
        if key[2] == COMPETITION_VARIED:
            verdict = law(best == len(course) - 1, "highest where competition is strongest")
        else:
            verdict = law(0 < best < len(course) - 1, "highest at moderate heterogeneity")
        value = SWEEPS[str(key[2])][best]
        rows.append(Row((*key, "best", EQUILIBRIUM, f"{key[2]} of the highest {quantity}"), value, verdict))
    return rows


def plot_gains(table: pd.DataFrame, varied: str, ax: Axes | None = None) -> Axes:
    """Mean gain by what is varied, a line per rule; rows of one reading and task."""
    ax = canvas(ax)
    shown = table[(table["varied"] == varied) & (table["quantity"] == GAIN)]
    for rule in RULES:
        line = shown[shown["rule"] == rule]
        if len(line):
            ax.plot(range(len(line)), line["found"], marker="o", markersize=3, color=COLOURS[rule], label=rule)
    ax.axhline(0.0, color=MUTED, linewidth=0.8)
    ax.set_xticks(range(len(SWEEPS[varied])), [f"{value:g}" for value in SWEEPS[varied]])
    thousands(ax.yaxis)
    return ax


@styled
def _figure(shown: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(12.6, 6.6), layout="constrained")
    axes = figure.subplots(2, 4)
    labels = {COMPETITION_VARIED: "mean competition intensity", SKEW_VARIED: "alpha (less is more unlike)"}
    for (row, varied), (column, (reading, task)) in itertools.product(
        enumerate(SWEEPS), enumerate(itertools.product(READINGS, PRESETS))
    ):
        part = shown[(shown["reading"] == reading) & (shown["task"] == task)]
        ax = plot_gains(part, varied, axes[row, column])
        ax.set_xlabel(labels[varied])
        if row == 0:
            ax.set_title(f"{reading}, {task}")
    for ax in axes[:, 0]:
        ax.set_ylabel("welfare gain over VCFL (money)")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure
