"""Accuracy against epsilon, and under what each rule buys (RQ4 and RQ5)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from learning.columns import FloatColumn
from market.privacy_auction import Bids, settle
from scenarios.palette import BLACK, MUTED
from scenarios.plots.canvas import styled
from scenarios.reproduce.privacy_auction.looks import colour
from scenarios.reproduce.privacy_auction.markets import FIELD, Estimate, estimate, market, row
from scenarios.reproduce.privacy_auction.published import ACCURACY
from scenarios.reproduce.privacy_auction.training import (
    ALPHA,
    EPOCHS,
    REPETITIONS,
    TERMS,
    Setting,
    benches,
    settings,
    spent,
)
from scenarios.reproduce.study import NOTHING, Options, Row, Study
from scenarios.reproduce.verdicts import law, other_setting, unpublished

EPSILONS = (0.5, 1.0, 2.5, 5.0, 25.0, 100.0)
"""Of one round, for every owner alike; up to 5 as in the paper's types."""
NO_PRIVACY = "no privacy"
FACTOR = 0.6
ACCURACY_OF = "accuracy (%)"
RAW, MATCHED = "as bought", "at equal mean epsilon"
SOLD_UNDER = (
    "pac_capped", "csra_declared", "all_in", "mfg_pricing", "regretnet", "dm_regretnet", "mfg_regretnet",
    "mfg_regretnet_free_markup", "first_best",
)  # fmt: skip
"""Rules that keep within owners' caps, so that what they buy can be trained with."""
FEWER = ("pac_capped", "all_in", "mfg_pricing", "regretnet", "dm_regretnet", "mfg_regretnet")
"""Those that are played on large data, and where all shall be quick."""
CHANCE = 2.0
"""Accuracy is compared to that of guessing so many times."""


def by_epsilon(options: Options) -> Study:
    """Accuracy when every owner sells the same epsilon in every round."""
    rows: list[Row] = []
    places, warnings = settings(options)
    for where in places:
        repeated = benches(where)
        found = {eps: [one.accuracy(np.full(where.owners, eps)) for one in repeated] for eps in EPSILONS}
        found[np.inf] = [one.accuracy(None) for one in repeated]
        rows += _rows(where, found, 100.0 * repeated[0].dataset.chance)
    return Study(
        name="accuracy_by_epsilon",
        title="Accuracy against epsilon",
        method=(
            f"{'; '.join(where.says() for where in places)}. Softmax regression, Dirichlet({ALPHA:g}) shards, {EPOCHS} "
            f"local epochs, {REPETITIONS} repetitions. Every update is clipped to an L2 norm of {TERMS.clip_norm:g}, "
            "then noised by the analytic Gaussian mechanism (any two data sets of an owner are neighbours, delta = "
            f"{TERMS.delta:g}); epsilon is that of one round. 'Spent' is what all rounds cost together (Renyi)."
        ),
        columns=("data", "epsilon per round", "quantity"),
        rows=tuple(rows),
        figure=_figure(rows, places),
        caption="Means with 95 % intervals; dashed: without clipping and noise. Shaded: the epsilon of the paper's "
        "types.",
        warnings=tuple(warnings),
    )


def _rows(where: Setting, found: dict[float, list[float]], chance: float) -> list[Row]:
    rows = []
    for eps, values in found.items():
        name = NO_PRIVACY if eps == np.inf else f"{eps:g}"
        control = law(float(np.mean(values)) > CHANCE * chance, "the control without privacy learns")
        rows.append(row((where.dataset, name, ACCURACY_OF), values, control if eps == np.inf else None))
        if eps < np.inf:
            why = unpublished("the paper does not add rounds up")
            rows.append(Row((where.dataset, name, "epsilon spent"), spent(eps, where.rounds), why))
    held = rises(list(found.values()))
    verdict = law(held, "accuracy does not fall as epsilon grows, up to its 95 % interval")
    rows.append(Row((where.dataset, "all", "accuracy rises with epsilon"), float(held), verdict))
    published = "privacy costs next to no accuracy: the paper's rules differ from no privacy by 1 point at most"
    gap = [none - five for none, five in zip(found[np.inf], found[5.0], strict=True)]
    rows.append(row((where.dataset, "5", "points below no privacy"), gap, law(float(np.mean(gap)) <= 1.0, published)))
    return rows


def rises(columns: Sequence[Sequence[float]]) -> bool:
    """Whether no mean is below an earlier one by more than the 95 % interval of their paired difference."""
    pairs = itertools.pairwise(columns)
    changes = [estimate(np.subtract(later, earlier)) for earlier, later in pairs]
    return all(change.mean + change.half_width >= 0.0 for change in changes)


def by_rule(options: Options) -> Study:
    """Accuracy with the epsilon that each rule buys, as it is and with the noise scaled to one mean epsilon."""
    rows: list[Row] = []
    places, warnings = settings(options)
    for where in places:
        repeated = benches(where)
        markets = [market(number, where.owners, FACTOR) for number in range(REPETITIONS)]
        none = [one.accuracy(None) for one in repeated]
        arms: dict[tuple[str, str], list[float]] = {(NO_PRIVACY, RAW): none}
        bought: dict[str, list[float]] = {}
        for name in FEWER if where.short else SOLD_UNDER:
            sales = [settle(bids, FIELD[name](bids, budget)).epsilon for bids, budget in markets]
            bought[name] = [float(epsilon.mean()) for epsilon in sales]
            arms[name, RAW] = [one.accuracy(epsilon) for one, epsilon in zip(repeated, sales, strict=True)]
            if not where.short:
                scaled = [matched(epsilon, bids) for epsilon, (bids, _) in zip(sales, markets, strict=True)]
                arms[name, MATCHED] = [one.accuracy(epsilon) for one, epsilon in zip(repeated, scaled, strict=True)]
        rows += _rule_rows(where, arms, bought)
    return Study(
        name="accuracy_by_rule",
        title="Accuracy under each rule",
        method=(
            f"{'; '.join(where.says() for where in places)}; training as above, {REPETITIONS} repetitions, each "
            f"with owners' types of its own. The epsilon that a rule buys at {FACTOR:g} times what everything costs is "
            "spent anew in every round; uploads count by epsilon squared. 'At equal mean epsilon' (small data only, "
            "not with --quick): all epsilon of a rule are multiplied alike, so that their mean over the owners is that "
            "of all privacy budgets; only who sells differs then. Rules that buy more than owners have are left out."
        ),
        columns=("data", "rule", "epsilon", "quantity"),
        rows=tuple(rows),
        figure=_rule_figure(rows, places),
        caption="Accuracy as bought against the mean epsilon that a rule buys, with 95 % intervals; dashed: without "
        "privacy. MFG-Pricing owners lose money, first best knows their valuations.",
        warnings=tuple(warnings),
    )


def matched(epsilon: FloatColumn, bids: Bids) -> FloatColumn:
    """Epsilon [N] times one factor, so that its mean is that of the privacy budgets; nothing stays nothing."""
    total = float(epsilon.sum())
    return epsilon * (float(bids.privacy_budget.sum()) / total) if total > 0.0 else epsilon


def _rule_rows(where: Setting, arms: dict[tuple[str, str], list[float]], bought: dict[str, list[float]]) -> list[Row]:
    why = "published with a convolutional network, Laplace noise that is not what was sold, and three runs"
    rows = []
    for (name, how), values in arms.items():
        published = ACCURACY.get(where.dataset, {}).get(name, NOTHING) if how == RAW else NOTHING
        mean = float(np.mean(values))
        verdict = None if np.isnan(published) else other_setting(why, mean, published)
        rows.append(row((where.dataset, name, how, ACCURACY_OF), values, verdict, published))
    rows += [row((where.dataset, name, RAW, "mean epsilon"), values) for name, values in bought.items()]
    ours = arms["mfg_regretnet", RAW]
    for name in ("pac_capped", "regretnet", "dm_regretnet"):
        gap = estimate(np.subtract(ours, arms[name, RAW]))
        same = law(abs(gap.mean) <= gap.half_width, "no difference in accuracy, as in the published runs")
        key = (where.dataset, name, RAW, "mfg_regretnet less this (points)")
        rows.append(row(key, np.subtract(ours, arms[name, RAW]), same))
    return rows


@styled
def _figure(rows: Sequence[Row], places: Sequence[Setting]) -> Figure:
    figure = Figure(figsize=(3.9 * max(len(places), 2), 3.9), layout="constrained")
    for ax, where in zip(figure.subplots(1, len(places), squeeze=False)[0], places, strict=True):
        line = [one for one in rows if one.key[0] == where.dataset and one.key[2] == ACCURACY_OF]
        control = next(one for one in line if one.key[1] == NO_PRIVACY)
        private = [one for one in line if one is not control]
        ax.errorbar(
            EPSILONS, [one.found for one in private], yerr=[_width(one) for one in private], color=colour("pac"),
            marker="o", markersize=3,
        )  # fmt: skip
        ax.axhline(control.found, color=BLACK, linewidth=0.8, linestyle="--")
        ax.axvspan(0.1, 5.0, color=MUTED, alpha=0.12, linewidth=0)
        ax.set_xscale("log")
        ax.set_xlim(0.35, 140)
        ax.set_ylim(0, None)
        ax.set_title(f"{where.dataset}, {where.rounds} rounds")
        ax.set_xlabel("epsilon per round")
        ax.set_ylabel(ACCURACY_OF)
    return figure


def _width(one: Row) -> float:
    """Half of the 95 % interval of a mean over the repetitions, from the deviation of one."""
    return Estimate.of_sd(one.found, one.sd, REPETITIONS).half_width


@styled
def _rule_figure(rows: Sequence[Row], places: Sequence[Setting]) -> Figure:
    figure = Figure(figsize=(4.6 * max(len(places), 1) + 1.5, 4.1), layout="constrained")
    found = {one.key: one for one in rows}
    axes = figure.subplots(1, len(places), squeeze=False)[0]
    for ax, where in zip(axes, places, strict=True):
        for name in [one for one in SOLD_UNDER if (where.dataset, one, RAW, ACCURACY_OF) in found]:
            point, bought = (
                found[where.dataset, name, RAW, ACCURACY_OF],
                found[where.dataset, name, RAW, "mean epsilon"],
            )
            ax.errorbar(
                [bought.found], [point.found], xerr=[_width(bought)], yerr=[_width(point)], color=colour(name),
                marker="o", markersize=4, linestyle="none", label=name,
            )  # fmt: skip
        ax.axhline(found[where.dataset, NO_PRIVACY, RAW, ACCURACY_OF].found, color=BLACK, linewidth=0.8, linestyle="--")
        ax.set_ylim(0, None)
        ax.set_title(where.dataset)
        ax.set_xlabel("mean epsilon bought per round")
        ax.set_ylabel(ACCURACY_OF)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    return figure
