"""Courses of a world: population, accuracy, free riding and audits, welfare."""

from __future__ import annotations

import numpy as np

from scenarios.app.charts import Axes, Course, courses, span_of
from scenarios.app.drawing import Picture, shortened
from scenarios.app.view import NOT_YET, View
from scenarios.palette import BLUE, MUTED, ORANGE, PARTIES, PURPLE
from scenarios.plots.canvas import smoothed
from scenarios.plots.course import AUDIT_SMOOTHING


def population(view: View) -> Picture:
    """Numbers of active owners by strategy, stacked."""
    picture = Picture("Population by strategy", view.theme)
    if not view.frames:
        picture.note(NOT_YET)
        return picture
    names = list(view.colours)
    counts = np.array([[frame.counts.get(name, 0) for name in names] for frame in view.frames])  # [rounds, strategies]
    stack = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts, axis=1)], axis=1)
    axes = Axes(picture, span_of(view.rounds), (0.0, max(1.0, 1.06 * float(stack.max()))), marks=view.marks)
    # A round is a step one round wide.
    at = axes.x(np.clip(np.repeat(np.append(view.rounds, view.rounds[-1] + 1), 2)[1:-1] - 0.5, *axes.rounds))
    for k, name in enumerate(names):
        low, high = (axes.y(np.repeat(stack[:, edge], 2)) for edge in (k, k + 1))
        picture.area([*zip(at, low, strict=True), *zip(at[::-1], high[::-1], strict=True)], view.fill(name))
    axes.draw("owners in the market")
    y = 50.0
    for name, count in list(zip(names, counts[-1], strict=True))[::-1]:
        x = picture.width - axes.right + 10
        picture.box(x, y - 8, 9, 9, view.fill(name))
        picture.text(x + 13, y, f"{shortened(name, 17)} {int(count)}", size=9.5)
        y += 16
    return picture


def accuracy(view: View) -> Picture:
    """Test accuracy of the global model (or the mean of personal ones) and how it serves the owners."""
    mean, spread = view.series("owner_accuracy_mean"), view.series("owner_accuracy_std")
    lines = [
        Course("model", view.series("accuracy"), BLUE, 2.4, digits=3),
        Course("owners' mean", mean, BLUE, 1.2, "4 3", digits=3),
        Course("worst owner", view.series("owner_accuracy_min"), MUTED, 1.2, "2 3", digits=3),
    ]
    return courses(
        "Accuracy",
        view.theme,
        view.rounds,
        lines,
        unit="band: owners ± 1 sd",
        bounds=(0.0, 1.0),
        band=(np.clip(mean - spread, 0, 1), np.clip(mean + spread, 0, 1), BLUE),
        marks=view.marks,
        empty="This scenario trains no model: there is no accuracy to show." if view.frames else NOT_YET,
    )


def free_riding(view: View) -> Picture:
    """Truth: forged uploads and lying reports; beside it what audits found, and the sum of their verdicts."""

    def share(part: str, *whole: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        below = np.sum([view.series(name) for name in whole], axis=0)
        return np.asarray(view.series(part) / np.where(below > 0, below, np.nan))

    # Single rounds audit few owners: as in the report, the mean over some rounds is shown.
    found, audits = (smoothed(view.series(name), AUDIT_SMOOTHING) for name in ("flagged", "audited"))
    lines = [
        Course("forged", share("free_riding", "trained", "free_riding"), PURPLE, 3.0),
        Course("lying", share("lying", "participants"), ORANGE, 1.8),
        Course("guilty/audits", found / np.where(audits > 0, audits, np.nan), view.theme.ink, 1.2, "3 3"),
    ]
    audited, hits, wrong, missed = (
        int(view.series(name).sum()) for name in ("audited", "true_positives", "false_positives", "false_negatives")
    )
    verdicts = f"{audited:,} audits: {hits:,} right, {wrong:,} wrong, {missed:,} missed" if audited else "no audits yet"
    return courses(
        "Free riding and audits",
        view.theme,
        view.rounds,
        lines,
        unit=f"share · {verdicts}",
        bounds=(0.0, 1.0),
        marks=view.marks,
        empty="Nobody has uploaded anything yet." if view.frames else NOT_YET,
    )


def welfare(view: View) -> Picture:
    """Realised gains from true types, added up since the start, and who has them."""
    columns = {
        "all": "welfare",
        "owners": "owner_utility",
        "model owner": "model_owner_utility",
        "regulator": "regulator_income",
        "centers": "center_income",
    }
    lines = []
    for party, column in columns.items():
        values = np.nan_to_num(view.series(column)) if view.frames else np.zeros(0)
        if party != "centers" or values.any():
            colour = view.theme.ink if party == "all" else PARTIES[party]
            lines.append(Course(party, np.cumsum(values), colour, dash="5 3" if party == "all" else "", digits=0))
    return courses(
        "Welfare and who gets it", view.theme, view.rounds, lines, unit="money since the start", marks=view.marks,
        empty=NOT_YET,
    )  # fmt: skip
