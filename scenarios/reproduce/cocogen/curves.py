"""Learning curves of tasks of rising difficulty, measured by real training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from scenarios.palette import BLACK, BLUE, ORANGE, PURPLE, VERMILION
from scenarios.plots.canvas import styled, thousands
from scenarios.reproduce.cocogen.tasks import Task, measured_tasks, says
from scenarios.reproduce.study import NOTHING, Options, Row, Study
from scenarios.reproduce.verdicts import law_in_noise, unpublished

COLUMNS = ("task", "quantity")
NAMES = {
    "limit": "accuracy limit",
    "volume_scale": "volume scale a",
    "volume_exponent": "volume exponent b",
    "emd_penalty": "EMD penalty zeta",
    "synthetic_quality": "worth of a synthetic sample kappa",
}
HARM, WORTH = "EMD penalty zeta", "worth of a synthetic sample kappa"
TAKEN = {HARM: "unlike labels cost accuracy", WORTH: "a synthetic sample is worth something"}
"""What the game takes for granted."""
COLOURS = (ORANGE, PURPLE, VERMILION, BLACK)
"""Of the tasks, from easy to difficult."""


def curves(options: Options) -> Study:
    """The curves that the following studies play with."""
    tasks, warnings = measured_tasks(options)
    rows: list[Row] = []
    for task in tasks:
        rows.append(Row((task.name, "errors with a cohort's real data (%)"), 100 * task.difficulty, unpublished()))
        for name, label in NAMES.items():
            estimate = task.curve.estimates[name]
            verdict = unpublished()
            if label in TAKEN:
                low, high = estimate.interval()
                verdict = law_in_noise(estimate.value, 0.5 * (high - low), TAKEN[label])
            rows.append(Row((task.name, label), estimate.value, verdict, estimate.standard_error))
        rows.append(Row((task.name, "noise of a trial (points)"), 100 * task.curve.noise, unpublished(), NOTHING))
    return Study(
        name="curves",
        title="Tasks of rising difficulty",
        method=(
            f"{says(tasks)}. The curve accuracy = limit - a (D + kappa g)^-b - zeta H is fitted to trials with other "
            "volumes of real data D, synthetic data g and label mixes at a mean distance H; sd is the standard error. "
            "The game takes zeta and kappa above 0 for granted; where that does not come out, it is played with 0 "
            "and next to 0."
            if tasks
            else "No task could be played."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        figure=_figure(tasks),
        caption="Dots: mean of the trials, lines: the fitted curves. Left: real data alone. Right: what synthetic "
        "data on top of a cohort's real data brings.",
        warnings=warnings,
    )


@styled
def _figure(tasks: Sequence[Task]) -> Figure:
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    for task, colour in zip(tasks, [*COLOURS, *[BLUE] * len(tasks)], strict=False):
        made = _means(task, "volume")
        grid = np.geomspace(task.volumes[0], task.volumes[-1], 60)
        left.plot(grid, 100 * task.curve.accuracy(grid, 0 * grid, 0 * grid), color=colour, label=task.name)
        left.scatter(made[:, 0], 100 * made[:, 2], color=colour, s=16)
        grown = _means(task, "growing")
        share, real = np.linspace(0.0, float((grown[:, 1] / task.base).max()), 60), np.full(60, float(task.base))
        fitted = task.curve.accuracy(real, share * real, 0 * real)
        start = float(fitted[0])
        right.plot(share, 100 * (fitted - start), color=colour)
        right.scatter(grown[:, 1] / task.base, 100 * (grown[:, 2] - start), color=colour, s=16)
    left.set_xscale("log")
    thousands(left.xaxis)
    left.set_title("Real data")
    left.set_xlabel("real samples")
    left.set_ylabel("test accuracy (%)")
    right.set_title("Synthetic data on top")
    right.set_xlabel("synthetic per real sample")
    right.set_ylabel("accuracy gained (points)")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=max(len(tasks), 1))
    return figure


def _means(task: Task, study: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Real samples, synthetic samples and mean accuracy [V, 3] of the trials of a series, in order of volumes."""
    made = [r for r in task.results if r.design.study == study]
    kinds = sorted({(r.design.real, r.design.synthetic) for r in made})
    accuracy = {kind: [r.accuracy for r in made if (r.design.real, r.design.synthetic) == kind] for kind in kinds}
    return np.array([[*kind, float(np.mean(accuracy[kind]))] for kind in kinds])
