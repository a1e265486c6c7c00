"""What every rule buys and spends: over the budget factor, and at the budgets of the paper."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from market.privacy_auction import RULES, Bids, settle
from market.privacy_auction.deviations import cap_violations, individual_rationality, is_budget_feasible
from market.privacy_auction.surplus import server_value, total_surplus
from scenarios.palette import BLACK
from scenarios.plots.canvas import label_ends, styled
from scenarios.reproduce.privacy_auction.looks import colour
from scenarios.reproduce.privacy_auction.markets import FIELD, GIVEN_AWAY, OWNERS, drawn, market, row, total_cost
from scenarios.reproduce.privacy_auction.published import LOSSES, RATIONAL, UTILISATION, WELFARE
from scenarios.reproduce.study import NOTHING, Options, Row, Study
from scenarios.reproduce.verdicts import Verdict, law, other_setting, unpublished

FACTORS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
QUICK_FACTORS = (0.2, 0.6, 1.0, 2.0)
PAPER_BUDGETS: Mapping[str, tuple[float, ...]] = {
    "uniform": (10.0, 50.0, 100.0, 200.0), "bimodal": (50.0, 100.0), "realistic": (100.0,),
}  # fmt: skip
"""Money, by the paper's distribution of types."""

SHARE, SPENT = "epsilon bought (%)", "budget spent (%)"
WELFARE_OF, VALUE_OF, SURPLUS_OF = "social welfare (% of cost)", "server value (% of cost)", "total surplus (% of cost)"
LOSERS, CAPS, OVERSPENT = "owners at a loss (%)", "caps broken (%)", "payments beyond the budget (%)"
TRAP = "the trap: the budget is given away for nothing, and this welfare is the highest there is"
SHOWN = (
    "pac_capped", "csra_declared", "all_in", "mfg_pricing", "first_best", "regretnet", "dm_regretnet", "mfg_regretnet",
    GIVEN_AWAY,
)  # fmt: skip
"""Rules in the picture."""


def markets_played(quick: bool) -> int:
    """Independent markets of every size, rule and budget that need no search for lies."""
    return 20 if quick else 100


def figures(name: str, bids: Bids, budget: float) -> dict[str, float]:
    """Every quantity of one cleared market; money relative to what everything costs."""
    outcome, cost = settle(bids, FIELD[name](bids, budget)), total_cost(bids)
    return {
        SHARE: 100 * outcome.epsilon_share,
        SPENT: 100 * outcome.total_payment / budget,
        WELFARE_OF: 100 * outcome.social_welfare / cost,
        VALUE_OF: 100 * server_value(bids, outcome) / cost,
        SURPLUS_OF: 100 * total_surplus(bids, outcome) / cost,
        LOSERS: 100 * individual_rationality(outcome, budget).violations / len(bids),
        CAPS: 100 * float(cap_violations(bids, outcome).mean()),
        OVERSPENT: 100.0 * (not is_budget_feasible(outcome, budget)),
    }


def budget_factors(options: Options) -> Study:
    """All rules on the same markets with budgets of 0.2 to 2 times what everything costs."""
    factors, count = QUICK_FACTORS if options.quick else FACTORS, markets_played(options.quick)
    rows = []
    for factor, name in itertools.product(factors, FIELD):
        played = [figures(name, *market(number, OWNERS, factor)) for number in range(count)]
        for quantity in played[0]:
            values = [one[quantity] for one in played]
            published = LOSSES.get(name, NOTHING) if quantity == LOSERS else NOTHING
            rows.append(row((f"{factor:g}", name, quantity), values, _verdict(name, quantity, values), published))
    return Study(
        name="budget_factors",
        title="What is bought for which budget",
        method=(
            f"{count} markets of {OWNERS} owners, v ~ U[0, 1] and epsilon ~ U[0.1, 5], the same for every rule; budget "
            "is a factor times what everything costs. Utility is u = p - v epsilon for all. 'Caps broken' are "
            "owners of whom more epsilon is bought than they have. Server value is W log2(1 + share bought), with W "
            "what everything costs; total surplus is server value less v epsilon sold. 'given_away' buys nothing and "
            "hands out the budget."
        ),
        columns=("budget factor", "rule", "quantity"),
        rows=tuple(rows),
        figure=_figure(rows, factors),
        caption="Means over the markets. Social welfare leaves the buyer out and is highest where nothing is bought; "
        "total surplus is not. MFG-Pricing buys everything because owners cannot refuse.",
    )


def _verdict(name: str, quantity: str, values: Sequence[float]) -> Verdict | None:
    if quantity == LOSERS and name in RATIONAL:
        return law(max(values) == 0.0, "no honest owner loses")
    if quantity == OVERSPENT and name in RULES:
        return law(max(values) == 0.0, "payments keep within the budget")
    if quantity == CAPS and name.startswith("mfg_regretnet"):
        return law(max(values) == 0.0, "nobody sells more than it has")
    if quantity == WELFARE_OF and name == GIVEN_AWAY:
        return unpublished(TRAP)
    return None


def paper_budgets(options: Options) -> Study:
    """All rules at the budgets of the paper, which hardly ever bind."""
    count = 5 * markets_played(options.quick)
    rows = []
    for population, budgets in PAPER_BUDGETS.items():
        markets = [drawn(number, OWNERS, population) for number in range(count)]
        costs = np.array([total_cost(bids) for bids in markets])
        for budget in budgets:
            key = population, f"{budget:g}"
            rows.append(row((*key, "-", "budgets that bind (%)"), (100.0 * (costs > budget)).tolist()))
            for name in FIELD:
                rows += _paper_rows((*key, name), markets, budget)
        rows.append(row((population, "-", "-", "cost of everything (money)"), costs))
    return Study(
        name="paper_budgets",
        title="The budgets of the paper",
        method=(
            f"{count} markets of {OWNERS} owners with the paper's distributions of types: uniform as above; bimodal "
            "with half of the caps in [0.1, 0.5] and half in [2, 5]; realistic with v ~ LogNormal(0, 0.5). A budget "
            "binds where buying everything would cost more."
        ),
        columns=("types", "budget", "rule", "quantity"),
        rows=tuple(rows),
        figure=_paper_figure(rows),
        caption="Uniform types, B = 50: four times what everything costs on average. Bars: social welfare in money; "
        "crosses: published. Above the bars the epsilon bought.",
    )


def _paper_rows(key: tuple[str, str, str], markets: Sequence[Bids], budget: float) -> list[Row]:
    population, written, name = key
    outcomes = [settle(bids, FIELD[name](bids, budget)) for bids in markets]
    columns = {
        SHARE: [100 * outcome.epsilon_share for outcome in outcomes],
        "budget utilisation": [outcome.total_payment / budget for outcome in outcomes],
        "social welfare (money)": [outcome.social_welfare for outcome in outcomes],
        CAPS: [
            100 * float(cap_violations(bids, outcome).mean()) for bids, outcome in zip(markets, outcomes, strict=True)
        ],
    }
    published: dict[str, float] = {}
    if population == "uniform" and written == "50":
        published = {
            "budget utilisation": UTILISATION.get(name, NOTHING),
            "social welfare (money)": WELFARE.get(name, NOTHING),
        }
    return [
        row((*key, quantity), values, _paper_verdict(name, values, printed), printed)
        for quantity, values in columns.items()
        for printed in (published.get(quantity, NOTHING),)
    ]


def _paper_verdict(name: str, values: Sequence[float], published: float) -> Verdict | None:
    if np.isnan(published):
        return None
    mean = float(np.mean(values))
    if name != "mfg_pricing":
        return other_setting("a network trained otherwise, one per number of owners", mean, published)
    # The published mean has an error of its own, that of a test set of unknown size.
    spread = max(2 * float(np.std(values, ddof=1)) / len(values) ** 0.5, 0.005)
    return Verdict(
        "reproduced" if abs(mean - published) <= spread else "differs", f"within two standard errors: {spread:.3g}"
    )


@styled
def _figure(rows: Sequence[Row], factors: Sequence[float]) -> Figure:
    figure = Figure(figsize=(11.4, 4.3), layout="constrained")
    for ax, quantity in zip(figure.subplots(1, 3), (SHARE, WELFARE_OF, SURPLUS_OF), strict=True):
        ends = []
        for name in SHOWN:
            line = [one.found for one in rows if one.key[1:] == (name, quantity)]
            ax.plot(factors, line, color=colour(name), marker="o", markersize=2.5)
            ends.append((name, factors[-1], line[-1], colour(name)))
        ax.set_title(quantity)
        ax.set_xlabel("budget / cost of everything")
        label_ends(ax, ends)
    return figure


@styled
def _paper_figure(rows: Sequence[Row]) -> Figure:
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    ax = figure.add_subplot()
    found = {one.key[2:]: one for one in rows if one.key[:2] == ("uniform", "50")}
    for place, name in enumerate(FIELD):
        welfare = found[name, "social welfare (money)"]
        ax.bar(place, welfare.found, color=colour(name), width=0.7)
        top = float(np.nanmax([welfare.found, welfare.published, 0.0]))
        ax.annotate(
            f"{found[name, SHARE].found:.0f} %", (place, top), xytext=(0, 5), textcoords="offset points", ha="center",
            fontsize=8.5,
        )  # fmt: skip
        if not np.isnan(welfare.published):
            ax.scatter([place], [welfare.published], marker="x", s=46, color=BLACK, zorder=3)
    ax.set_xticks(range(len(FIELD)), list(FIELD), rotation=35, ha="right")
    ax.set_title("Social welfare at B = 50 (money); above the bars, epsilon bought")
    return figure
