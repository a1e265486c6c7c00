"""One number of the market varied, all else as in equilibrium: the reward, an owner's data, the revenue's sensitivity.

Which qualities the published sweeps were drawn with is not known. But the market with first-order conditions depends on
them only through ``kappa = (N - 1) / sum of 1 / f`` and, for one owner, its own f. Both follow from two published
peaks, so the other published numbers can be predicted from these; ``Recovered`` does that.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import brentq

from learning.columns import FloatColumn
from market.qd_rdfl.baselines import FIXED_REWARD
from market.qd_rdfl.equilibrium import Equilibrium, Market, OwnerSolver, solve
from scenarios.palette import BLACK, BLUE
from scenarios.plots.canvas import styled
from scenarios.reproduce.qd_rdfl.draws import number_of_draws, qualities
from scenarios.reproduce.study import NOTHING, Key, Options, Row, Study
from scenarios.reproduce.verdicts import law, one_draw, other_setting, printed, unpublished

SIZE = 10
BEST_UTILITY, BEST_REWARD = 0.5710, 1.33
"""Published: the peak of the reward sweep."""
OWNER_UTILITY, OWNER_DATA, OWNER_AT_ONE = 0.00663, 0.087, -0.380
"""Published: the peak of the sweep of an owner's own data, and its end."""
SENSITIVITIES = tuple(range(1, 11))
PUBLISHED_SENSITIVITIES = tuple(range(3, 11))
GOLDEN = (
    ("2 owners, f = 0.9 and 1, equilibrium", (0.9, 1.0), None, (0.38889, 0.0338019, 0.0974915)),
    ("2 owners, f = 0.9 and 1, reward 1", (0.9, 1.0), FIXED_REWARD, (1.0, -0.0305862, 0.2506925)),
    ("10 owners, f = 1, equilibrium", (1.0,) * 10, None, (1.38889, 0.6384367, 0.0138889)),
    ("10 owners, f = 1, reward 1", (1.0,) * 10, FIXED_REWARD, (1.0, 0.6046347, 0.0100000)),
)
"""Name, qualities, reward (None: the best) and the published reward, U_s and mean U_n."""


def sweeps(options: Options) -> Study:
    """The published sweeps with drawn owners and with the market that their peaks imply, and the exact numbers."""
    drawn = qualities(number_of_draws(options.quick), SIZE)
    implied = recovered(BEST_UTILITY, OWNER_UTILITY)
    rows = [*_golden_rows(), *_drawn_rows(drawn), *_implied_rows(implied), *_sensitivity_rows(drawn, implied)]
    return Study(
        name="sweeps",
        title="Sweeps and exact numbers",
        method=(
            f"{SIZE} owners, first-order conditions. 'exact': the published numbers for given qualities. 'drawn': "
            f"{len(drawn):,} draws of owners as in the comparison. 'implied': the one market whose best U_s and "
            "best U_0 are the published ones: what else was published about these two sweeps is predicted from it."
        ),
        columns=("owners", "sweep", "quantity"),
        rows=tuple(rows),
        figure=_figure(drawn, implied, [row for row in rows if row.key[0] == "drawn" and row.key[1] == "sensitivity"]),
        caption="Lines: the implied market, in the third picture the mean over the draws (band: 2 sd of one draw); "
        "crosses: published. The own data of owner 0 is a share of what it holds.",
    )


@dataclass(frozen=True)
class Recovered:
    """A market that has the published peaks: its qualities [N], owner 0 being the one whose data was varied."""

    quality: FloatColumn

    @property
    def found(self) -> Equilibrium:
        """Its equilibrium, by first-order conditions."""
        return solve(Market(self.quality, owner_solver="foc"))

    def own_utility(self, contribution: FloatColumn) -> FloatColumn:
        """Money of owner 0 for each of its contributions, everybody else's and the reward as in equilibrium."""
        found = self.found
        effort = self.quality[0] * contribution
        others = float(found.effective_contribution[1:].sum())
        return np.asarray(found.reward * effort / (effort + others) - contribution)


def recovered(best_utility: float, owner_utility: float) -> Recovered:
    """The market of ``SIZE`` owners whose model owner and whose owner 0 have these utilities (money).

    The owners other than 0 are alike: only the sum of their 1 / f matters.
    """

    def market(own: float, others: float) -> Recovered:
        return Recovered(np.array([own, *[others] * (SIZE - 1)]))

    def others(own: float) -> float:
        return float(brentq(lambda f: market(own, f).found.utility_model_owner - best_utility, 0.8, 1.2, xtol=1e-13))

    def excess(own: float) -> float:
        return float(market(own, others(own)).found.utility_owner[0]) - owner_utility

    # Below kappa an owner would contribute less than nothing, and earn again.
    least = brentq(lambda own: market(own, others(own)).found.contribution[0], 0.7, 1.0, xtol=1e-13)
    own = float(brentq(excess, least, 1.1, xtol=1e-13))
    return market(own, others(own))


def _golden_rows() -> list[Row]:
    rows = []
    modes: tuple[OwnerSolver, ...] = ("foc", "active_set")
    for (name, quality, reward, published), mode in itertools.product(GOLDEN, modes):
        found = solve(Market(np.array(quality), reward=reward, owner_solver=mode))
        values = found.reward, found.utility_model_owner, float(found.utility_owner.mean())
        for quantity, value, expected, unit in zip(
            ("reward", "U_s", "mean U_n"), values, published, (1e-5, 1e-7, 1e-7), strict=True
        ):
            if value != reward:  # which was given, not found
                key = "exact", name, f"{quantity} ({mode})"
                rows.append(Row(key, value, printed(value, expected, unit), published=expected))
    return rows


def _drawn_rows(drawn: FloatColumn) -> list[Row]:
    outcomes = [solve(Market(quality, owner_solver="foc")) for quality in drawn]
    ends = [float(Recovered(quality).own_utility(np.ones(1))[0]) for quality in drawn]
    values: tuple[tuple[str, str, list[float], float], ...] = (
        ("reward", "best U_s", [found.utility_model_owner for found in outcomes], BEST_UTILITY),
        ("reward", "reward at the best U_s", [found.reward for found in outcomes], BEST_REWARD),
        ("own data", "best U_0", [float(found.utility_owner[0]) for found in outcomes], OWNER_UTILITY),
        ("own data", "x_0 at the best U_0", [float(found.contribution[0]) for found in outcomes], OWNER_DATA),
        ("own data", "U_0 at x_0 = 1", ends, OWNER_AT_ONE),
    )
    rows = []
    for sweep, quantity, column, published in values:
        mean, sd = float(np.mean(column)), float(np.std(column))
        rows.append(Row(("drawn", sweep, quantity), mean, one_draw(mean, sd, published), sd, published))
    return rows


def _implied_rows(implied: Recovered) -> list[Row]:
    """Predictions. Each peak was printed with an error of half a digit, which the predictions inherit."""
    corners = [
        recovered(BEST_UTILITY + first * 0.5e-4, OWNER_UTILITY + second * 0.5e-5)
        for first, second in itertools.product((-1, 1), repeat=2)
    ]
    named = (
        ("reward", "reward at the best U_s", BEST_REWARD, 0.01, lambda market: market.found.reward),
        ("own data", "x_0 at the best U_0", OWNER_DATA, 0.001, lambda market: float(market.found.contribution[0])),
        ("own data", "U_0 at x_0 = 1", OWNER_AT_ONE, 0.001, lambda market: float(market.own_utility(np.ones(1))[0])),
    )
    rows = []
    for sweep, quantity, published, unit, value in named:
        found = value(implied)
        slack = max(abs(value(corner) - found) for corner in corners)
        verdict = printed(found, published, unit, slack)
        rows.append(Row(("implied", sweep, quantity), found, verdict, NOTHING, published))
    quality = unpublished("what the two published peaks imply")
    rows.append(Row(("implied", "own data", "quality f_0"), float(implied.quality[0]), quality))
    return rows


def _sensitivity_rows(drawn: FloatColumn, implied: Recovered) -> list[Row]:
    utility = np.array([[_utility(quality, alpha) for alpha in SENSITIVITIES] for quality in drawn])
    rows = []
    for alpha, column in zip(SENSITIVITIES, utility.T, strict=True):
        key: tuple[Key, ...] = ("drawn", "sensitivity", f"U_s at alpha = {alpha}")
        why = "only the shape was published" if alpha in PUBLISHED_SENSITIVITIES else "not in the published sweep"
        rows.append(Row(key, float(column.mean()), unpublished(why), float(column.std())))
    published = [SENSITIVITIES.index(alpha) for alpha in PUBLISHED_SENSITIVITIES]
    rising = float((np.diff(utility[:, published], axis=1) > 0.0).all(axis=1).mean())
    verdict = law(rising == 1.0, "U_s increases with alpha from 3 to 10 in every draw")
    rows.append(Row(("drawn", "sensitivity", "share of draws with rising U_s"), rising, verdict))
    closed = float((utility[:, SENSITIVITIES.index(2)] == 0.0).mean())
    why = "the authors' solver fails where there is no trade and reports U_s below 0; here nobody trades and U_s is 0"
    rows.append(Row(("drawn", "sensitivity", "share of draws without trade at alpha = 2"), closed, other_setting(why)))
    return rows


def _utility(quality: FloatColumn, alpha: float) -> float:
    return solve(Market(quality, revenue_sensitivity=float(alpha), owner_solver="foc")).utility_model_owner


@styled
def _figure(drawn: FloatColumn, implied: Recovered, sensitivity: list[Row]) -> Figure:
    figure = Figure(figsize=(11.4, 3.7), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    rewards = np.linspace(0.02, 3.0, 150)
    market = Market(implied.quality, owner_solver="foc")
    left.plot(
        rewards, [solve(replace(market, reward=reward)).utility_model_owner for reward in rewards.tolist()], color=BLUE
    )
    _cross(left, BEST_REWARD, BEST_UTILITY, "0.5710 at 1.33")
    _named(left, "Reward", "reward (money)", "model owner's utility U_s (money)")
    shares = np.linspace(0.0, 1.0, 201)
    middle.plot(shares, implied.own_utility(shares), color=BLUE)
    _cross(middle, OWNER_DATA, OWNER_UTILITY, "0.00663 at 0.087")
    _cross(middle, 1.0, OWNER_AT_ONE, "-0.380 at 1", left=True)
    _named(middle, "Own data", "contribution x_0 of owner 0", "its utility U_0 (money)")
    alphas = [row for row in sensitivity if str(row.key[2]).startswith("U_s")]
    mean, sd = (np.array([getattr(row, name) for row in alphas]) for name in ("found", "sd"))
    right.fill_between(SENSITIVITIES, mean - 2 * sd, mean + 2 * sd, color=BLUE, alpha=0.2, linewidth=0)
    right.plot(SENSITIVITIES, mean, color=BLUE)
    right.annotate("no trade", (1.5, 0.0), xytext=(0, 6), textcoords="offset points", ha="center", color=BLACK)
    right.set_xticks(SENSITIVITIES)
    _named(right, "Revenue sensitivity", "sensitivity alpha", "model owner's utility U_s (money)")
    return figure


def _cross(ax: Axes, x: float, y: float, text: str, *, left: bool = False) -> None:
    ax.scatter([x], [y], marker="x", s=46, color=BLACK, zorder=3)
    ax.annotate(
        text, (x, y), xytext=(-10, -3) if left else (6, 6), textcoords="offset points", ha="right" if left else "left"
    )


def _named(ax: Axes, title: str, x: str, y: str) -> None:
    ax.set_title(title)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
