"""What computing centers of different cost earn from the owner that each is matched with."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from learning.columns import FloatColumn
from market.qd_rdfl.deviations import unstable_pairs
from market.qd_rdfl.equilibrium import Centers, Market, solve
from scenarios.palette import BLACK, BLUE, ORANGE
from scenarios.plots.canvas import styled
from scenarios.reproduce.qd_rdfl.draws import number_of_draws, qualities
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.verdicts import Verdict, law, one_draw, other_setting, printed, unpublished

SIZE = 10
FACTORS = np.arange(1, SIZE + 1) / SIZE
PUBLISHED = {0.5: 0.0694, 1.0: 0.0}
"""Money by cost factor, of the authors' MNIST run; which qualities it drew is not known."""

EQUAL, DRAWN = "equal owners", "drawn owners"


def matching(options: Options) -> Study:
    """Utilities of ten centers with cost factors from 0.1 to 1, the authors' targets and the stable matching."""
    draws = number_of_draws(options.quick)
    equal, equal_blocked = center_utilities(np.ones((1, SIZE)))
    drawn, drawn_blocked = center_utilities(qualities(draws, SIZE))
    sd = drawn.std(axis=0)
    rows = []
    for name, values, deviation in ((EQUAL, equal[0], np.full(SIZE, np.nan)), (DRAWN, drawn.mean(axis=0), sd)):
        for factor, value, spread in zip(FACTORS.tolist(), values.tolist(), deviation.tolist(), strict=True):
            published = PUBLISHED.get(factor, np.nan)
            verdict = _verdict(name, factor, value, spread, published)
            rows.append(Row((name, "U_m", factor), value, verdict, spread, published))
    for name, blocked in ((EQUAL, equal_blocked), (DRAWN, drawn_blocked)):
        stable = law(blocked == 0, "the matching is stable: no owner and center would both rather have each other")
        rows.append(Row((name, "blocking pairs", "all"), float(blocked), stable))
    return Study(
        name="matching",
        title="Computing centers and their match",
        method=(
            f"{SIZE} owners and {SIZE} centers of cost factor sigma = 0.1 to 1; a center earns x (1 - sigma) from the "
            f"contribution x of its owner (money). Owners are equal (f = 1), or drawn {draws:,} times as in the "
            "comparison; loads are the authors' targets, contributions those of their first-order conditions."
        ),
        columns=("owners", "quantity", "sigma"),
        rows=tuple(rows),
        figure=_figure(rows),
        caption="Line: mean over the draws, band: 2 sd of one draw; dots: equal owners; crosses: published. "
        "The center that all owners want most (sigma = 1) earns nothing.",
    )


def center_utilities(quality: FloatColumn) -> tuple[FloatColumn, int]:
    """Money [draws, centers] for qualities [draws, owners], and the number of blocking pairs in all draws."""
    utility, blocked = [], 0
    for values in quality:
        market = Market(values, centers=Centers(FACTORS, solver="authors"), owner_solver="foc")
        found = solve(market)
        assert found.utility_center is not None
        utility.append(found.utility_center)
        blocked += unstable_pairs(market, found) or 0
    return np.array(utility), blocked


def _verdict(name: str, factor: float, value: float, sd: float, published: float) -> Verdict:
    if factor == 1.0:
        return printed(value, published, 1e-4)
    if np.isnan(published):
        return unpublished()
    if name == DRAWN:
        return one_draw(value, sd, published)
    # With equal owners x = reward (N - 1) / N^2, and the payment is reward / N.
    why = (
        "not known to have equal owners; 0.0694 / (1 - 0.5) = 0.1389 is what an equal owner is paid, "
        "while it contributes 0.125"
    )
    return other_setting(why, value, published)


@styled
def _figure(rows: list[Row]) -> Figure:
    figure = Figure(figsize=(6.6, 3.9), layout="constrained")
    ax = figure.add_subplot()
    equal, drawn = ([row for row in rows if row.key[:2] == (name, "U_m")] for name in (EQUAL, DRAWN))
    mean, sd = (np.array([getattr(row, name) for row in drawn]) for name in ("found", "sd"))
    ax.fill_between(FACTORS, mean - 2 * sd, mean + 2 * sd, color=BLUE, alpha=0.15, linewidth=0)
    ax.plot(FACTORS, mean, color=BLUE, label="drawn owners")
    ax.scatter(FACTORS, [row.found for row in equal], s=22, color=ORANGE, label="equal owners", zorder=3)
    ax.scatter(list(PUBLISHED), list(PUBLISHED.values()), s=46, color=BLACK, marker="x", label="published", zorder=4)
    ax.set_title("What a center earns")
    ax.set_xlabel("cost factor sigma of the center")
    ax.set_ylabel("center's utility U_m (money)")
    ax.set_xticks(FACTORS)
    ax.legend()
    return figure
