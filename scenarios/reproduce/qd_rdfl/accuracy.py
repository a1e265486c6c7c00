"""Accuracy with and without adjustment, in both aggregation modes, and by the round of the adjustment."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from learning.columns import FloatColumn
from scenarios.palette import BLACK, BLUE, MUTED, ORANGE
from scenarios.plots.canvas import styled
from scenarios.reproduce.qd_rdfl.living import MEASURED_IN, STRENGTHS, Setting, market, played, setting
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.verdicts import law, other_setting, same_sign

FEDAVG, SEQUENTIAL = "fedavg", "sequential_accept"
WITH, WITHOUT, GAIN = "with", "without", "gain"
PUBLISHED = {"mnist": (81.02, 81.00), "cifar10": (53.60, 51.80), "cifar100": (19.39, 19.26)}
"""Final accuracy in percent with and without adjustment, after 101 rounds, by data set."""

LATER = (0, 1, 2, 4, 9, 14, 19)
PUBLISHED_LATER = (80.3, 80.6, 79.2, 78.6, 75.5, 72.7, 72.4)
"""Final accuracy in percent on MNIST by the round of the adjustment, counted from 0."""

WARNING = (
    "sequential_accept keeps a center's model only if its accuracy on the TEST data rose: it selects on test data, so "
    "its accuracies are no estimate for new data."
)


def ablation(options: Options) -> Study:
    """Final accuracy with and without the adjustment, FedAvg and the authors' way, over several seeds."""
    where = setting(options)
    closest = where.dataset if where.dataset in PUBLISHED else "mnist"
    why = f"published on {closest} with another network, 101 rounds"
    rows, courses = [], {}
    for strength, mode in itertools.product(STRENGTHS, (FEDAVG, SEQUENTIAL)):
        arms = ((WITH, MEASURED_IN), (WITHOUT, -1))
        course = {arm: courses_of(where, mode, number, strength) for arm, number in arms}
        courses[strength, mode] = course
        final = {arm: 100 * values[:, -1] for arm, values in course.items()}
        for arm, published in zip((WITH, WITHOUT), PUBLISHED[closest], strict=True):
            mean, sd = float(final[arm].mean()), float(final[arm].std())
            rows.append(
                Row((strength, mode, arm, "accuracy (%)"), mean, other_setting(why, mean, published), sd, published)
            )
        gain = final[WITH] - final[WITHOUT]
        mean, sd, published = float(gain.mean()), float(gain.std()), PUBLISHED[closest][0] - PUBLISHED[closest][1]
        verdict = same_sign(why, mean, sd / np.sqrt(len(gain)), published)
        rows.append(Row((strength, mode, GAIN, "points"), mean, verdict, sd, round(published, 2)))
    for strength in STRENGTHS:
        ranks = rank_agreement(where, strength)
        verdict = law(float(ranks.mean()) > 0.0, "what training measures ranks the owners as their true quality does")
        key = (strength, FEDAVG, "measured", "rank correlation with true quality")
        rows.append(Row(key, float(ranks.mean()), verdict, float(ranks.std())))
    return Study(
        name="ablation",
        title="Accuracy with and without adjustment",
        method=(
            f"{where.says()}: ten honest owners and ten centers; at quality 0, features have noise of 1 or 4 of their "
            f"standard deviations. With adjustment, quality counts as measured in round {MEASURED_IN} (from 0) from "
            "the next one on; without, as claimed, which is the truth as long as owners are honest. Every seed "
            "is played both ways, with the same people, data and order of samples."
        ),
        columns=("noise", "aggregation", "adjustment", "quantity"),
        rows=tuple(rows),
        figure=_ablation_figure(courses),
        caption="Mean test accuracy over the seeds; the grey line is the round of the measurement.",
        warnings=(WARNING,),
    )


def adjustment_round(options: Options) -> Study:
    """Final accuracy by the round of the measurement, FedAvg."""
    where = setting(options)
    numbers = [number for number in LATER if number < where.rounds - 1]
    final = [100 * courses_of(where, FEDAVG, number)[:, -1] for number in numbers]
    rows = []
    for number, values in zip(numbers, final, strict=True):
        published = PUBLISHED_LATER[LATER.index(number)]
        verdict = other_setting("published on mnist with another network, 101 rounds", float(values.mean()), published)
        rows.append(Row((number, "accuracy (%)"), float(values.mean()), verdict, float(values.std()), published))
    slope = np.array([np.polyfit(numbers, values, 1)[0] for values in np.array(final).T])
    published_slope = float(np.polyfit(LATER, PUBLISHED_LATER, 1)[0])
    verdict = same_sign("slope of a straight line; published on mnist with another network, one run each",
                        float(slope.mean()), float(slope.std()) / np.sqrt(len(slope)), published_slope)  # fmt: skip
    rows.append(
        Row(("all", "slope (points per round)"), float(slope.mean()), verdict, float(slope.std()), published_slope)
    )
    return Study(
        name="adjustment_round",
        title="When quality is measured",
        method=f"{where.says()}, FedAvg: quality measured in round L (from 0) and counted from the next one on.",
        columns=("L", "quantity"),
        rows=tuple(rows),
        figure=_later_figure(numbers, final),
        caption="Dots: mean over the seeds, bars: one standard deviation; crosses: published for MNIST.",
    )


def courses_of(where: Setting, algorithm: str, measured_in: int, strength: float = STRENGTHS[0]) -> FloatColumn:
    """Test accuracy in [0, 1] after each round, [seeds, rounds]."""
    scenario = market(
        where, adjustment_round=measured_in, learning={"algorithm": algorithm}, data={"max_feature_noise": strength}
    )
    runs = [played(scenario, seed, where.device, "rounds")[0] for seed in range(1, where.seeds + 1)]
    return np.array([run["accuracy"].to_numpy() for run in runs])


def rank_agreement(where: Setting, strength: float) -> FloatColumn:
    """Spearman's rank correlation of measured and true quality over the owners of each seed, [seeds], in [-1, 1].

    0 where the measurement tells no two owners apart.
    """
    scenario = market(replace(where, rounds=MEASURED_IN + 1), data={"max_feature_noise": strength})
    found = []
    for seed in range(1, where.seeds + 1):
        (owners,) = played(scenario, seed, where.device, "owners")
        last = owners[(owners["moment"] == "round") & (owners["round"] == MEASURED_IN)]
        found.append(float(last["quality"].corr(last["measured_quality"].fillna(0.0), method="spearman")))
    return np.asarray(np.nan_to_num(np.array(found)))


@styled
def _ablation_figure(courses: dict[tuple[float, str], dict[str, FloatColumn]]) -> Figure:
    figure = Figure(figsize=(9.6, 6.6), layout="constrained")
    axes: list[Axes] = figure.subplots(2, 2, sharex=True, sharey="row").ravel().tolist()
    for ax, ((strength, mode), arms) in zip(axes, courses.items(), strict=True):
        ax.axvline(MEASURED_IN, color=MUTED, linewidth=0.8)
        for (arm, values), colour in zip(arms.items(), (BLUE, ORANGE), strict=True):
            ax.plot(100 * values.mean(axis=0), color=colour, label=f"{arm} adjustment")
        ax.set_title(f"{mode}, noise up to {strength:g} sd")
    for ax in axes[2:]:
        ax.set_xlabel("round")
    for ax in axes[::2]:
        ax.set_ylabel("test accuracy (%)")
    axes[-1].legend(loc="lower right")
    return figure


@styled
def _later_figure(numbers: list[int], final: list[FloatColumn]) -> Figure:
    figure = Figure(figsize=(6.6, 3.9), layout="constrained")
    ax = figure.add_subplot()
    ax.errorbar(numbers, [v.mean() for v in final], [v.std() for v in final], fmt="o-", color=BLUE, label="found")
    ax.scatter(LATER, PUBLISHED_LATER, marker="x", color=BLACK, label="published (MNIST)", zorder=3)
    ax.set_xticks(LATER)
    ax.set_title("When quality is measured")
    ax.set_xlabel("round of the measurement L, from 0")
    ax.set_ylabel("final test accuracy (%)")
    ax.legend()
    return figure
