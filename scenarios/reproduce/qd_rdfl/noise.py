"""A fifth of the owners with less or more noise in their data than the others: what becomes of the accuracy."""

from __future__ import annotations

import itertools

import numpy as np
from matplotlib.figure import Figure

from learning.columns import FloatColumn
from scenarios.palette import BLUE, GREEN, ORANGE
from scenarios.plots.canvas import styled
from scenarios.reproduce.qd_rdfl.living import MEASURED_IN, STRENGTHS, market, played, setting
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.verdicts import other_setting, same_sign

SHARE = 0.2
QUALITY = 0.5
ARMS = {"less": 1.0, "unchanged": QUALITY, "more": 0.0}
"""True quality of the fifth; the others have ``QUALITY``."""

PUBLISHED = {"less": 81.2, "unchanged": 80.0, "more": 77.8}
"""Final accuracy in percent, MNIST."""


def noise(options: Options) -> Study:
    """Final accuracy by the noise of a fifth of the owners, over several seeds."""
    where = setting(options)
    courses = {}
    for strength, (arm, quality) in itertools.product(STRENGTHS, ARMS.items()):
        drawn = {"name": "choice", "values": [quality, QUALITY], "weights": [SHARE, 1.0 - SHARE]}
        scenario = market(where, data={"quality": drawn, "max_feature_noise": strength})
        runs = [played(scenario, seed, where.device, "rounds")[0] for seed in range(1, where.seeds + 1)]
        courses[strength, arm] = np.array([100 * run["accuracy"].to_numpy() for run in runs])
    why = "published on mnist with another network, 101 rounds, one run each"
    rows = []
    for (strength, arm), course in courses.items():
        mean, sd = float(course[:, -1].mean()), float(course[:, -1].std())
        rows.append(
            Row((strength, arm, "accuracy (%)"), mean, other_setting(why, mean, PUBLISHED[arm]), sd, PUBLISHED[arm])
        )
    for strength, arm in itertools.product(STRENGTHS, ("less", "more")):
        change = courses[strength, arm][:, -1] - courses[strength, "unchanged"][:, -1]
        mean, sd, published = float(change.mean()), float(change.std()), PUBLISHED[arm] - PUBLISHED["unchanged"]
        verdict = same_sign(why, mean, sd / np.sqrt(len(change)), published)
        rows.append(Row((strength, arm, "points over unchanged"), mean, verdict, sd, round(published, 1)))
    return Study(
        name="noise",
        title="Owners with other noise",
        method=(
            f"{where.says()}, FedAvg, quality measured in round {MEASURED_IN}: most owners have noise of 0.5 "
            "or 2 standard deviations in their features; a fifth, by lot, has none (less) or twice as much (more). The "
            "lots are equal in all three arms."
        ),
        columns=("noise", "of a fifth", "quantity"),
        rows=tuple(rows),
        figure=_figure(courses),
        caption="Mean test accuracy over the seeds.",
    )


@styled
def _figure(courses: dict[tuple[float, str], FloatColumn]) -> Figure:
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    for ax, strength in zip(figure.subplots(1, len(STRENGTHS)), STRENGTHS, strict=True):
        for arm, colour in zip(ARMS, (GREEN, BLUE, ORANGE), strict=True):
            label = f"{arm}{' noise' * (arm != 'unchanged')}"
            ax.plot(courses[strength, arm].mean(axis=0), color=colour, label=label)
        ax.set_title(f"Most owners with noise of {(1 - QUALITY) * strength:g} sd")
        ax.set_xlabel("round")
        ax.set_ylabel("test accuracy (%)")
        ax.legend(loc="lower right")
    return figure
