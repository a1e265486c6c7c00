"""Long-term truthfulness: what owners that keep what paid come to report, under three payment rules."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scenarios.loading import load_scenario
from scenarios.plots.canvas import styled
from scenarios.plots.reports import report_drift, report_factors
from scenarios.reproduce.ipfl.living import Run, mean_and_sd, played
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.verdicts import law, unpublished

COLUMNS = ("payment rule", "quantity")
RULES = ("ipfl", "critical", "vcg")
SIZE, COST, UTILITY = "data size, claimed / true", "sharing cost, claimed / true", "owners' utility, last / first tenth"
_CLAIM = {SIZE: "data size", COST: "sharing cost"}


QUICK_ROUNDS = 150


def drift(options: Options) -> Study:
    """The scenario ``ipfl_truthfulness`` under each rule."""
    scenario = load_scenario("ipfl_truthfulness")
    rounds = QUICK_ROUNDS if options.quick else scenario.horizon
    seeds = range(1, 2 if options.quick else 4)
    runs: dict[str, list[Run]] = {}
    for rule in RULES:
        mechanism = scenario.market.mechanism.model_copy(update={"payment_rule": rule})
        market = scenario.market.model_copy(update={"mechanism": mechanism})
        changed = scenario.model_copy(update={"market": market, "horizon": rounds})
        runs[rule] = [played(changed, seed, options.device) for seed in seeds]
    rows = [row for rule, found in runs.items() for row in _rows(rule, found)]
    return Study(
        name="drift",
        title="Long-term truthfulness",
        method=(
            f"The ready-made scenario ipfl_truthfulness (digits, twelve owners, {rounds} rounds, {len(seeds)} "
            f"seed{'s' * (len(seeds) > 1)}): owners begin with the truth, now and then try another data size or "
            "sharing cost for a round, and keep what paid. Factors are geometric means over owners, of the last tenth "
            "of the rounds."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        figure=_figure(runs),
        caption="Claimed over true data size and sharing cost (first seed): median owner and middle half. Inflated "
        "sizes pay under every rule, for no payment depends on measured data.",
    )


def _rows(rule: str, runs: list[Run]) -> list[Row]:
    rows = []
    for quantity, claim in _CLAIM.items():
        mean, sd = mean_and_sd([settled_factor(run, claim) for run in runs])
        verdict = unpublished("owners of the paper report once and never learn")
        if quantity == SIZE:
            verdict = law(mean <= 1.1, "misreporting the data size does not pay (by more than a tenth)")
        rows.append(Row((rule, quantity), mean, verdict, sd))
    mean, sd = mean_and_sd([lasting_utility(run) for run in runs])
    rows.append(Row((rule, UTILITY), mean, unpublished("what the lies of all do to all"), sd))
    return rows


def settled_factor(run: Run, claim: str) -> float:
    """Geometric mean over owners of what they claim relative to the truth, in the last tenth of the rounds."""
    factors = report_factors(run.owners)
    late = factors[(factors["claim"] == claim) & (factors["round"] >= 0.9 * run.rounds)]
    return float(np.exp(np.log(late.groupby("owner")["factor"].median()).mean()))


def lasting_utility(run: Run) -> float:
    """Utility of all owners in the last tenth of the rounds over that in the first."""
    total: pd.Series = run.owners.groupby("round")["utility"].sum()
    tenth = max(1, len(total) // 10)
    return float(total.iloc[-tenth:].mean() / total.iloc[:tenth].mean())


@styled
def _figure(runs: dict[str, list[Run]]) -> Figure:
    figure = Figure(figsize=(11.0, 3.6), layout="constrained")
    axes = figure.subplots(1, len(runs), sharey=True)
    for ax, (rule, found) in zip(axes, runs.items(), strict=True):
        report_drift(found[0].owners, ax)
        ax.set_title(f"payment rule {rule}")
        if ax is not axes[0]:
            ax.set_ylabel("")
            ax.get_legend().remove()
    return figure
