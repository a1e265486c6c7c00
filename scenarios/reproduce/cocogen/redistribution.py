"""Payments among rivals: the best rate by task, what is lost without a planner, who had better stay alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from learning.columns import FloatColumn
from market.cocogen import Game, equilibrium, play
from market.cocogen.deviations import participation
from market.cocogen.game import CompetitionModel
from market.cocogen.welfare import welfare_optimum
from scenarios.palette import BLUE, GREEN
from scenarios.plots.canvas import canvas, styled
from scenarios.reproduce.cocogen.curves import COLOURS
from scenarios.reproduce.cocogen.rivals import (
    MODERATE,
    READINGS,
    STRONG,
    Setting,
    mean_and_sd,
    number_of_instances,
    preset_game,
)
from scenarios.reproduce.cocogen.tasks import Task, measured_tasks
from scenarios.reproduce.study import Key, Options, Row, Study
from scenarios.reproduce.verdicts import law, unpublished

COLUMNS = ("task", "reading", "competition", "at rate", "quantity")
LARGEST_RATE, COST_FACTOR = 0.3, 3.0
WEAK = 0.01
NONE, BEST, LARGEST = "none", "best", "largest"
RATE, GAIN, LOST = "rate", "welfare gain over VCFL", "gain lost from the best to the largest rate (%)"
CAUGHT, ALONE, CAPPED = "optimum's gain caught (%)", "share better off alone", "share at the cap"
BALANCE = "sum of net payments / sum of gross ones"
FLAT = 0.01
"""A fall of welfare beyond the best rate of less than this share of the rise up to it is a plateau, and no peak."""
NOTHING_GAINED = 1e-6
"""Money that a planner may gain and still be said to gain nothing."""
LOWEST = -110.0
"""Bottom of the picture of welfare, in percent of the planner's gain."""
PRESET_COLOURS = (GREEN, BLUE)


@dataclass(frozen=True)
class Kind:
    """A task to find the best rate for: its game by instance; ``difficult``: whether the paper's peak is expected."""

    name: str
    game: Callable[[int, Setting], Game]
    difficult: bool


@dataclass(frozen=True)
class Course:
    """Means over the instances by rate [R]; ``optimum``: mean gain of the planner, ``best_rates`` of each instance."""

    rates: FloatColumn
    gain: FloatColumn
    alone: FloatColumn
    capped: FloatColumn
    optimum: float
    best_rates: FloatColumn
    balance: float

    @property
    def caught(self) -> FloatColumn:
        """Mean gain relative to the planner's, [R]: 1 over the price of anarchy; NaN where a planner gains nothing."""
        return np.asarray(
            self.gain / self.optimum if self.optimum > NOTHING_GAINED else np.full(len(self.gain), np.nan)
        )

    @property
    def best(self) -> int:
        """Place of the rate with the highest mean welfare, the lowest of these."""
        return int(self.gain.argmax())

    @property
    def lost(self) -> float:
        """Welfare gain lost from the best rate to the largest, as a share of that won from none to the best; NaN if no
        rate helps.
        """
        risen = float(self.gain[self.best] - self.gain[0])
        return float(self.gain[self.best] - self.gain[-1]) / risen if risen > 0.0 else np.nan

    @property
    def interior(self) -> bool:
        """Whether welfare rises to a peak and falls again."""
        return 0 < self.best < len(self.rates) - 1 and self.lost > FLAT


def redistribution(options: Options, instances: int | None = None) -> Study:
    """Welfare by rate for fitted and measured curves."""
    count = instances or number_of_instances(options.quick)
    rates = np.linspace(0.0, LARGEST_RATE, 16 if options.quick else 31)
    tasks, warnings = measured_tasks(options)
    rows: list[Row] = []
    drawn: dict[tuple[str, str], Course] = {}
    for kind, reading in itertools.product(kinds_of(tasks), READINGS):
        for strength in (WEAK, STRONG):
            found = course(kind, Setting(reading, strength, cost_factor=COST_FACTOR), rates, count)
            rows += _rows(kind, reading, strength, found)
            if strength == STRONG:
                drawn[kind.name, reading] = found
    rows = [*_across_rows(drawn), *sorted(rows, key=lambda row: row.verdict.word == "not comparable")]
    return Study(
        name="redistribution",
        title="The rate of redistribution",
        method=(
            f"{count} draws for each curve: 'easy' and 'hard' as in the study of demand, at alpha = {MODERATE:g}, and "
            f"the measured tasks. Unit costs are {COST_FACTOR:g} times as high, so that there is something to "
            f"compensate; rates go from 0 to {LARGEST_RATE:g}. The best rate has the highest mean welfare; a fall "
            f"beyond it of less than {FLAT:.0%} of the rise is a plateau. The price of anarchy is 100 over the "
            "percentage of the planner's gain that is caught. Published: the best rate depends on the "
            "task, is moderate for difficult ones, and payments balance. An organisation is better off alone if "
            "training on its own real and best synthetic data, without rivals and payments, gives more utility."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        figure=_figure(drawn),
        caption=f"Mean over the draws at a competition of {STRONG:g}. Left: share of the planner's gain, "
        "dots at the best rates; no line where a planner would generate nothing. Right: share of organisations that "
        "had better stay alone.",
        warnings=warnings,
    )


def kinds_of(tasks: Sequence[Task]) -> list[Kind]:
    """Both presets, then the measured tasks, of which the last one is difficult if there are several."""

    def fitted(name: str) -> Callable[[int, Setting], Game]:
        return lambda number, setting: preset_game(name, MODERATE, number, setting)

    presets = [Kind(name, fitted(name), name == "hard") for name in ("easy", "hard")]
    return presets + [Kind(task.name, task.game, len(tasks) > 1 and task is tasks[-1]) for task in tasks]


def course(kind: Kind, setting: Setting, rates: FloatColumn, count: int) -> Course:
    """Play every instance at every rate; rates are stated for organisations with a typical amount of data."""
    gain, alone, capped = (np.empty((count, len(rates))) for _ in range(3))
    optimum, balance = np.empty(count), 0.0
    for number in range(count):
        free = kind.game(number, setting)
        full = kind.game(number, replace(setting, rate=1.0)).redistribution_rate
        nothing = play(free, np.zeros(len(free))).social_welfare
        optimum[number] = welfare_optimum(free).social_welfare - nothing
        for place, rate in enumerate(rates.tolist()):
            game = replace(free, redistribution_rate=rate * full)
            outcome = play(game, equilibrium(game).synthetic_volume)
            gain[number, place] = outcome.social_welfare - nothing
            alone[number, place] = participation(game, outcome).violations / len(game)
            cap = game.organisations.synthetic_volume_cap
            capped[number, place] = float((outcome.synthetic_volume >= cap).mean())
            net = abs(float(outcome.payoffs.redistribution.sum()))
            gross = game.redistribution_rate * float(game.total_competition @ outcome.synthetic_volume)
            balance = max(balance, net / gross if gross > 0.0 else net)
    best_rates = rates[gain.argmax(axis=1)]
    means = [np.asarray(values.mean(axis=0)) for values in (gain, alone, capped)]
    return Course(rates, means[0], means[1], means[2], float(optimum.mean()), best_rates, balance)


def _rows(kind: Kind, reading: CompetitionModel, strength: float, found: Course) -> list[Row]:
    key: tuple[Key, ...] = (kind.name, reading, strength)
    peak = unpublished("the peak is published for difficult tasks")
    if kind.difficult and found.best == len(found.rates) - 1:
        peak = unpublished("welfare still rises at the largest rate: a peak, if there is one, lies beyond")
    elif kind.difficult:
        peak = law(found.interior, "the best rate of a difficult task is moderate")
    rows = [
        Row((*key, BEST, RATE), float(found.rates[found.best]), peak, float(found.best_rates.std())),
        Row((*key, LARGEST, LOST), 100 * found.lost, unpublished(_shape(found))),
        Row((*key, "all", BALANCE), found.balance, law(found.balance < 1e-9, "payments balance")),
    ]
    places = {NONE: 0, BEST: found.best, LARGEST: -1}
    for (name, place), (quantity, values) in itertools.product(
        places.items(),
        ((GAIN, found.gain), (CAUGHT, 100 * found.caught), (ALONE, found.alone), (CAPPED, found.capped)),
    ):
        rows.append(Row((*key, name, quantity), float(values[place]), unpublished()))
    return [row for row in rows if not np.isnan(row.found)]


def _shape(found: Course) -> str:
    """What the course of welfare looks like, in words."""
    if found.interior:
        return "rises to a peak and falls"
    if found.best == 0:
        return "no rate raises welfare"
    return "rises to a plateau" if found.best < len(found.rates) - 1 else "rises all the way"


def _across_rows(drawn: dict[tuple[str, str], Course]) -> list[Row]:
    """Whether the best rate depends on the task: from the lowest to the highest over the tasks."""
    rows = []
    for reading in READINGS:
        best = [float(found.rates[found.best]) for (_, own), found in drawn.items() if own == reading]
        mean, _ = mean_and_sd(best)
        apart = max(best) - min(best)
        key = ("all", reading, STRONG, BEST, "span of best rates over the tasks")
        rows.append(Row(key, apart, law(apart > 0.0, f"the best rate depends on the task (mean {mean:.3g})")))
    return rows


def plot_caught(drawn: dict[str, Course], ax: Axes | None = None) -> Axes:
    """Share of the planner's gain by rate, a line for each task."""
    ax = canvas(ax)
    for (name, found), colour in zip(drawn.items(), (*PRESET_COLOURS, *COLOURS), strict=False):
        ax.plot(found.rates, 100 * found.caught, color=colour, label=name)
        ax.scatter([found.rates[found.best]], [100 * found.caught[found.best]], color=colour, s=28, zorder=3)
    ax.set_ylabel("planner's gain caught (%)")
    return ax


@styled
def _figure(drawn: dict[tuple[str, str], Course]) -> Figure:
    figure = Figure(figsize=(9.6, 6.6), layout="constrained")
    axes = figure.subplots(len(READINGS), 2, sharex=True)
    for reading, (left, right) in zip(READINGS, axes, strict=True):
        own = {name: found for (name, other), found in drawn.items() if other == reading}
        plot_caught(own, left)
        for found, colour in zip(own.values(), (*PRESET_COLOURS, *COLOURS), strict=False):
            right.plot(found.rates, 100 * found.alone, color=colour)
        left.set_ylim(max(left.get_ylim()[0], LOWEST), 110.0)
        left.set_title(f"{reading}: welfare")
        right.set_title(f"{reading}: better off alone")
        right.set_ylabel("organisations (%)")
    for ax in axes[-1]:
        ax.set_xlabel("redistribution rate (money per sample and unit of competition)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure
