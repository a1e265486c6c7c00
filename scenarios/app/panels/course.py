"""Courses of a world: population, accuracy, free riding and audits, welfare."""

from __future__ import annotations

import numpy as np

from market.mechanism import PRIVACY_BUDGET, PROFITABILITY
from scenarios import registries
from scenarios.app.charts import RIGHT, Axes, Course, courses, span_of
from scenarios.app.drawing import Picture, shortened
from scenarios.app.view import NOT_YET, View
from scenarios.palette import BLUE, GREEN, MUTED, ORANGE, PARTIES, PURPLE
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
    longest = max(len(f"{shortened(name, 24)} {int(count)}") for name, count in zip(names, counts[-1], strict=True))
    right = max(RIGHT, 30 + 6.5 * longest)
    top = max(1.0, 1.06 * float(stack.max()))
    axes = Axes(picture, span_of(view.rounds), (0.0, top), right=right, marks=view.marks)
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
        picture.text(x + 13, y, f"{shortened(name, 24)} {int(count)}", size=10.5)
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
    guilty, audits = (smoothed(view.series(name), AUDIT_SMOOTHING) for name in ("flagged", "audited"))
    lines = [
        Course("forged uploads", share("free_riding", "trained", "free_riding"), PURPLE, 3.0),
        Course("false reports", share("lying", "participants"), ORANGE, 1.8),
        Course("audits: guilty", guilty / np.where(audits > 0, audits, np.nan), view.theme.ink, 1.2, "3 3"),
    ]
    audited, hits, wrong, missed = (
        int(view.series(name).sum()) for name in ("audited", "true_positives", "false_positives", "false_negatives")
    )
    found = f"{hits:,} caught, {wrong:,} wronged, {missed:,} missed"
    verdicts = f"{audited:,} audits: {found}" if audited else "no audits yet"
    picture = courses(
        "Free riding and audits",
        view.theme,
        view.rounds,
        lines,
        unit="share",
        bounds=(0.0, 1.0),
        marks=view.marks,
        empty="Nobody has uploaded anything yet." if view.frames else NOT_YET,
    )
    picture.text(picture.width - 12, 32, verdicts, size=10, anchor="end", colour=view.theme.muted)
    return picture


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
            lines.append(Course(party, np.cumsum(values), colour, dash="5 3" if party == "all" else "", digits=None))
    return courses(
        "Welfare and who gets it", view.theme, view.rounds, lines, unit="money since the start", marks=view.marks,
        empty=NOT_YET,
    )  # fmt: skip


def earnings(view: View) -> Picture:
    """What an owner of each strategy has gained per round in the market, on average since the start: does lying pay?"""
    lines = []
    for name in view.colours:
        totals = [frame.earned.get(name, (0.0, 0)) for frame in view.frames]
        values = np.array([gained / count if count else np.nan for gained, count in totals])
        lines.append(Course(name, values, view.colours[name], digits=None))
    return courses(
        "Gain by strategy: does honesty pay?", view.theme, view.rounds, lines, unit="money per owner and round",
        marks=view.marks, empty="Nobody has been in the market yet." if view.frames else NOT_YET,
    )  # fmt: skip


def rules(view: View) -> Picture:
    """What the mechanism in force is about: privacy, synthetic data, models traded, or money offered."""
    entry = registries.mechanisms()[view.mechanism] if view.mechanism else None
    if entry is not None and PRIVACY_BUDGET in entry.needs:
        unit, columns = "privacy loss (epsilon), all owners", PRIVACY
    elif entry is not None and PROFITABILITY in entry.needs:
        unit, columns = "synthetic samples, all owners", SYNTHETIC
    elif entry is not None and hasattr(entry, "sharing"):
        unit, columns = "models used by other owners", MODELS
    else:
        unit, columns = "money per round", MONEY
    lines = [Course(name, view.series(column), colour, digits=None) for name, (column, colour) in columns.items()]
    title = f"Mechanism: {view.mechanism}"
    return courses(
        title, view.theme, view.rounds, lines if view.frames else [], unit=unit, marks=view.marks, empty=NOT_YET
    )


PRIVACY = {"offered": ("epsilon_offered", MUTED), "sold": ("epsilon_sold", BLUE), "lost": ("epsilon_lost", ORANGE)}
SYNTHETIC = {"made": ("synthetic_volume", PURPLE)}
MODELS = {"used": ("graph_edges", BLUE)}
MONEY = {"budget": ("budget", MUTED), "paid to owners": ("paid", BLUE), "revenue": ("revenue", GREEN)}
"""Lines of the mechanism's picture: column of the rounds table and colour, by name."""
