"""QD-RDFL against a random and a fixed reward, for 10 to 60 owners: utilities of the model owner and of data owners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from learning.columns import FloatColumn
from market.qd_rdfl.baselines import FIXED_REWARD, random_reward
from market.qd_rdfl.equilibrium import Market, OwnerSolver, announced_reward, solve
from scenarios.palette import BLUE, GREEN, ORANGE
from scenarios.plots.canvas import styled
from scenarios.reproduce.qd_rdfl.draws import STREAMS, number_of_draws, qualities
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.verdicts import Verdict, law, one_draw, other_setting

SIZES = (10, 20, 30, 40, 50, 60)
METHODS = ("QD-RDFL", "RANDOM", "FIXED")
MODES: tuple[OwnerSolver, ...] = ("foc", "active_set")
MODEL_OWNER, OWNERS, BEST = "U_s", "mean U_n", "QD-RDFL has the highest U_s"

PUBLISHED = {
    (MODEL_OWNER, "QD-RDFL"): (0.581, 0.664, 0.680, 0.711, 0.716, 0.716),
    (MODEL_OWNER, "RANDOM"): (0.536, 0.664, 0.645, 0.692, 0.705, 0.694),
    (MODEL_OWNER, "FIXED"): (0.555, 0.627, 0.640, 0.666, 0.670, 0.671),
    (OWNERS, "QD-RDFL"): (15.1e-3, 5.1e-3, 3.0e-3, 2.1e-3, 1.9e-3, 1.7e-3),
    (OWNERS, "RANDOM"): (10.1e-3, 5.0e-3, 2.1e-3, 1.6e-3, 1.6e-3, 1.4e-3),
    (OWNERS, "FIXED"): (11.3e-3, 3.6e-3, 2.1e-3, 1.4e-3, 1.3e-3, 1.2e-3),
}
"""The authors' log for MNIST with noise and unequal amounts of data: one draw of owners per number of owners."""


def comparison(options: Options) -> Study:
    """Utilities over many draws of owners, in the authors' mode and in the true equilibrium."""
    draws = number_of_draws(options.quick)
    lots = STREAMS.uniform("lot", 0, np.arange(draws))
    found = {(mode, size): utilities(mode, qualities(draws, size), lots) for mode in MODES for size in SIZES}
    rows = [
        _row(mode, metric, method, size, found[mode, size][METHODS.index(method), :, place])
        for mode in MODES
        for place, metric in enumerate((MODEL_OWNER, OWNERS))
        for method in METHODS
        for size in SIZES
    ]
    for mode in MODES:
        for size in SIZES:
            values = found[mode, size][:, :, 0]
            share = float((values[0] >= values.max(axis=0) - 1e-12).mean())
            rows.append(Row((mode, BEST, "share of draws", size), share, law(share == 1.0, "so in every draw"), 0.0))
    return Study(
        name="comparison",
        title="Comparison with random and fixed rewards",
        method=(
            f"{draws:,} draws of owners whose images have noise of standard deviation U(0, 0.1); quality is 1 less its "
            "square, stretched to [0.9, 1]. Published is one draw per number of owners (the authors' log for MNIST). "
            "foc solves first-order conditions without bounds, as the authors do; active_set is the equilibrium. "
            "U_s and U_n are the utilities of model owner and data owners, in money."
        ),
        columns=("mode", "quantity", "method", "owners"),
        rows=tuple(rows),
        figure=_figure(rows),
        caption="Lines: mean over the draws in the authors' mode, bands: 2 sd of one draw, dots: published. "
        "Broken lines: the equilibrium, in which owners of poor quality stay out. All utilities in units of money.",
    )


def utilities(mode: OwnerSolver, quality: FloatColumn, lots: FloatColumn) -> FloatColumn:
    """Money of the model owner and of the average data owner, [methods, draws, 2], for qualities [draws, owners].

    ``lots`` [draws], in [0, 1), are the luck of RANDOM.
    """
    found = np.empty((len(METHODS), len(quality), 2))
    for draw, (values, lot) in enumerate(zip(quality, lots.tolist(), strict=True)):
        market = Market(values, owner_solver=mode)
        best = announced_reward(market)
        for method, reward in enumerate((best, random_reward(best, lot), FIXED_REWARD)):
            outcome = solve(replace(market, reward=reward))
            found[method, draw] = outcome.utility_model_owner, outcome.utility_owner.mean()
    return found


def _row(mode: OwnerSolver, metric: str, method: str, size: int, values: FloatColumn) -> Row:
    mean, sd = float(values.mean()), float(values.std())
    published = PUBLISHED[metric, method][SIZES.index(size)]
    return Row((mode, metric, method, size), mean, _verdict(mode, method, mean, sd, published), sd, published)


def _verdict(mode: OwnerSolver, method: str, mean: float, sd: float, published: float) -> Verdict:
    if mode == "active_set":
        return other_setting("published with first-order conditions", mean, published)
    if method == "RANDOM":
        return other_setting("RANDOM is a single random reward per number of owners", mean, published)
    return one_draw(mean, sd, published)


@styled
def _figure(rows: list[Row]) -> Figure:
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    for ax, metric, scale, label in zip(
        figure.subplots(1, 2), (MODEL_OWNER, OWNERS), (1.0, 1e3),
        ("model owner's utility U_s (money)", "mean utility of data owners U_n (money / 1000)"), strict=True,
    ):  # fmt: skip
        for method, colour in zip(METHODS, (BLUE, ORANGE, GREEN), strict=True):
            for mode, style in zip(MODES, ("-", "--"), strict=True):
                line = [row for row in rows if row.key[:3] == (mode, metric, method)]
                mean, sd = (scale * np.array([getattr(row, name) for row in line]) for name in ("found", "sd"))
                ax.plot(SIZES, mean, style, color=colour, linewidth=1.8 if mode == "foc" else 1.0,
                        label=method if mode == "foc" else None)  # fmt: skip
                if mode == "foc":
                    published = [scale * row.published for row in line]
                    if method != "RANDOM":  # its band would hide the others'
                        ax.fill_between(SIZES, mean - 2 * sd, mean + 2 * sd, color=colour, alpha=0.15, linewidth=0)
                    ax.scatter(SIZES, published, s=26, color=colour, edgecolors="white", linewidths=0.8, zorder=3)
        ax.set_title(metric)
        ax.set_xlabel("data owners")
        ax.set_ylabel(label)
        ax.set_xticks(SIZES)
    ax.legend()
    return figure
