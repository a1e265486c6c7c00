"""Cohorts that really train at the volumes of every rule: accuracy and welfare, fitted and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from learning.generation.worth import streams_of, trained_on
from learning.streams import Streams
from market.cocogen import play
from scenarios.palette import INK, MUTED
from scenarios.plots.canvas import canvas, styled, thousands
from scenarios.reproduce.cocogen.rivals import STRONG, Setting, mean_and_sd, reach
from scenarios.reproduce.cocogen.rules import (
    COLOURS,
    EQUILIBRIUM,
    PUBLISHED_BASELINES,
    RULES,
    SAYS,
    VCFL,
    volumes,
)
from scenarios.reproduce.cocogen.tasks import SEED, Task, measured_tasks, says
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.tables import tidy
from scenarios.reproduce.verdicts import law, law_in_noise, unpublished

COLUMNS = ("task", "rule", "quantity")
VOLUME, CAPPED = "synthetic per real sample", "share at the cap"
FITTED, MEASURED = "accuracy by the curve (%)", "accuracy measured (%)"
FITTED_GAIN, MEASURED_GAIN = "welfare gain by the curve", "welfare gain by measured accuracy"
QUANTITIES = (VOLUME, CAPPED, FITTED, MEASURED, FITTED_GAIN, MEASURED_GAIN)


@dataclass(frozen=True)
class Played:
    """One cohort under one rule. Accuracies in [0, 1], welfare in money, counted from VCFL."""

    synthetic_share: float
    share_at_cap: float
    fitted_accuracy: float
    accuracy: float
    fitted_gain: float
    gain: float

    def shown(self) -> tuple[float, ...]:
        """In the order of ``QUANTITIES``."""
        return (self.synthetic_share, self.share_at_cap, 100 * self.fitted_accuracy, 100 * self.accuracy,
                self.fitted_gain, self.gain)  # fmt: skip


def cohort(options: Options) -> Study:
    """Real training under every rule, on every task."""
    tasks, warnings = measured_tasks(options)
    laws: list[Row] = []
    points: list[Row] = []
    for task in tasks:
        found = trained(task)
        points += _point_rows(task, found)
        laws += _law_rows(task, found)
    return Study(
        name="cohort",
        title="Rivals who really train",
        method=(
            f"{says(tasks)}. Competition {STRONG:g}, read as 'relative', no redistribution; costs and caps per sample "
            f"are as much higher as data are scarcer. {SAYS}; RaDG draws once. Every cohort ({tasks[0].cohorts} a "
            "task) trains under all rules, with the same real data and initial weights. Welfare by measured accuracy "
            "has the measured accuracy in place of the curve's; costs, personal gains and competition are those of "
            "the game. Differences within their 95 % confidence interval are called noise."
            if tasks
            else "No task could be played."
        ),
        columns=COLUMNS,
        rows=(*laws, *points),
        figure=_figure(tidy(COLUMNS, points), [task.name for task in tasks]),
        caption="Mean over cohorts, bars: one standard deviation. Hollow: by the fitted curve; full: by what the "
        "trained model got right.",
        warnings=warnings,
    )


@lru_cache(maxsize=8)
def trained(task: Task) -> dict[str, list[Played]]:
    """Every cohort of a task under every rule."""
    found: dict[str, list[Played]] = {rule: [] for rule in RULES}
    for number in range(task.cohorts):
        for rule, played in played_cohort(task, number).items():
            found[rule].append(played)
    return found


def played_cohort(task: Task, number: int) -> dict[str, Played]:
    """One cohort under every rule; generated volumes are whole samples, in the game as in training."""
    game, parts = task.game(number, Setting()), task.parts(number)
    cap = game.organisations.synthetic_volume_cap
    limit, profitability = task.curve.parameters["limit"], float(game.organisations.profitability.sum())
    outcomes, accuracies = {}, {}
    for rule, profiles in volumes(game, number, draws=1).items():
        whole = np.minimum(np.rint(profiles[0]), np.floor(cap))
        outcomes[rule] = play(game, whole)
        luck = streams_of(number, Streams(SEED))
        accuracies[rule] = trained_on(task.laboratory, parts, whole.astype(np.int64), luck)[1]
    base, base_accuracy = outcomes[VCFL], accuracies[VCFL]
    found = {}
    for rule, outcome in outcomes.items():
        gain = outcome.social_welfare - base.social_welfare
        # Under 'relative' the common performance enters welfare through what it earns, and nowhere else.
        surprise = (accuracies[rule] - base_accuracy) - (outcome.performance - base.performance)
        found[rule] = Played(
            synthetic_share=float(outcome.synthetic_volume.sum()) / game.real_volume,
            share_at_cap=float((outcome.synthetic_volume >= np.floor(cap)).mean()),
            fitted_accuracy=limit + outcome.performance,
            accuracy=accuracies[rule],
            fitted_gain=gain,
            gain=gain + profitability * surprise,
        )
    return found


def _point_rows(task: Task, found: dict[str, list[Played]]) -> list[Row]:
    rows = []
    for rule, played in found.items():
        for quantity, values in zip(QUANTITIES, np.array([each.shown() for each in played]).T, strict=True):
            mean, sd = mean_and_sd(values)
            rows.append(Row((task.name, rule, quantity), mean, unpublished(), sd))
    return rows


def _law_rows(task: Task, found: dict[str, list[Played]]) -> list[Row]:
    """The published order of welfare, by the curve and by measured accuracy."""
    rows = []
    for baseline in PUBLISHED_BASELINES:
        pairs = list(zip(found[EQUILIBRIUM], found[baseline], strict=True))
        what = f"more welfare than {baseline}"
        fitted, sd = mean_and_sd([ours.fitted_gain - theirs.fitted_gain for ours, theirs in pairs])
        rows.append(
            Row((task.name, EQUILIBRIUM, f"fitted welfare over {baseline}"), fitted, law(fitted > 0.0, what), sd)
        )
        differences = [ours.gain - theirs.gain for ours, theirs in pairs]
        measured, sd = mean_and_sd(differences)
        verdict = law_in_noise(measured, reach(differences), what)
        rows.append(Row((task.name, EQUILIBRIUM, f"measured welfare over {baseline}"), measured, verdict, sd))
    apart = [abs(each.accuracy - each.fitted_accuracy) for played in found.values() for each in played]
    verdict = unpublished("how far the curve is from training")
    rows.append(Row((task.name, "all", "curve from measured accuracy (points)"), 100 * float(np.mean(apart)), verdict))
    return rows


def plot_rules(table: pd.DataFrame, fitted: str, measured: str, ax: Axes | None = None) -> Axes:
    """Fitted and measured numbers of one task side by side, a place for each rule."""
    ax = canvas(ax)
    rules = [rule for rule in RULES if rule in set(table["rule"])]
    for place, rule in enumerate(rules):
        for quantity, shift, full in ((fitted, -0.15, False), (measured, 0.15, True)):
            row = table[(table["rule"] == rule) & (table["quantity"] == quantity)]
            ax.errorbar(
                [place + shift], row["found"], row["sd"], fmt="o", color=COLOURS[rule], elinewidth=0.8, markersize=6,
                markerfacecolor=COLOURS[rule] if full else "none",
            )  # fmt: skip
    ax.set_xticks(range(len(rules)), rules, rotation=30, ha="right")
    ax.tick_params(axis="x", labelcolor=INK)
    thousands(ax.yaxis)
    return ax


@styled
def _figure(shown: pd.DataFrame, tasks: Sequence[str]) -> Figure:
    columns = max(len(tasks), 1)
    figure = Figure(figsize=(max(3.1 * columns, 6.6), 6.2), layout="constrained")
    axes = figure.subplots(2, columns, squeeze=False, sharex="col")
    for column, task in enumerate(tasks):
        part = shown[shown["task"] == task]
        plot_rules(part, FITTED, MEASURED, axes[0, column])
        plot_rules(part, FITTED_GAIN, MEASURED_GAIN, axes[1, column])
        axes[1, column].axhline(0.0, color=MUTED, linewidth=0.8)
        axes[0, column].set_title(task)
    axes[0, 0].set_ylabel("test accuracy (%)")
    axes[1, 0].set_ylabel("welfare gain over VCFL (money)")
    return figure
