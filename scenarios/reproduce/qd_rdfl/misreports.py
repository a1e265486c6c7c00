"""Misreported quality: who gains before it is measured, what the model owner believes, and what is left after it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from learning.columns import FloatColumn
from market.qd_rdfl.equilibrium import Market, model_owner_utility, solve
from market.qd_rdfl.quality import floored, self_report
from scenarios.palette import BLUE, MUTED, ORANGE, PURPLE, SKY, VERMILION
from scenarios.plots.canvas import styled
from scenarios.reproduce.qd_rdfl.draws import noise_levels, number_of_draws
from scenarios.reproduce.qd_rdfl.living import MEASURED_IN, OWNERS, Setting, market, played, setting
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.verdicts import law, other_setting, unpublished

UNDERSTATED = (-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6)
"""r: the share of its noise power that a liar hides; below 0 it reports more noise than there is."""

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
BELIEVED, TRUE, LIAR = "believed U_s", "true U_s", "U_n of a liar"
QUANTITIES = (BELIEVED, TRUE, LIAR)
FACTOR = 1.4
"""What a liar in the played market multiplies its quality with; claims stop at 1."""


def misreports(options: Options) -> Study:
    """Changes by lies: in the static market over many draws, and round by round in the market that measures."""
    noise = noise_levels(number_of_draws(options.quick), OWNERS)
    changes = np.array([[changes_by_lies(noise, round(s * OWNERS), r) for r in UNDERSTATED] for s in SHARES])
    rows = [*_laws(changes)]
    for s, share in enumerate(SHARES):
        for r, hidden in enumerate(UNDERSTATED):
            for q, quantity in enumerate(QUANTITIES):
                if hidden != 0.0:
                    values = changes[s, r, q]
                    key = "static", f"{100 * share:.0f} %", f"{100 * hidden:+.0f} %", quantity
                    rows.append(Row(key, float(values.mean()), unpublished("only plotted"), float(values.std())))
    where = setting(options)
    gains = gains_over_twins(where)
    rows += _played_rows(gains)
    return Study(
        name="misreports",
        title="Misreported quality",
        method=(
            f"Static: {len(noise):,} draws of {OWNERS} owners; liars report their noise power times (1 - r), and all "
            "reports are stretched to [0.9, 1]. Numbers are changes against the same owners being honest (money). "
            "true U_s counts the true quality of what was contributed, believed U_s what was reported. Played: "
            f"{where.says()}; a quarter of the owners claims {FACTOR} times its quality. Each is compared with itself, "
            "honest, on the same seed."
        ),
        columns=("market", "liars", "r", "quantity"),
        rows=tuple(rows),
        figure=_figure(changes, gains),
        caption="Left and middle: mean changes by lies in the static market, by the share of owners that lie. Right: "
        "what a liar is paid more than its honest twin, per round; quality is measured in the round of the grey line "
        "and counts from the next one on.",
    )


def changes_by_lies(noise: FloatColumn, liars: int, hidden: float) -> FloatColumn:
    """Changes [quantities, draws] in money when the first ``liars`` owners hide this share of their noise power.

    ``noise`` [draws, owners] are true deviations.
    """
    understated = np.where(np.arange(noise.shape[1]) < liars, hidden, 0.0)
    changes = np.empty((len(QUANTITIES), len(noise)))
    for draw, power in enumerate(noise**2):
        truth, reported = floored(self_report(power)), floored(self_report(power, understated))
        honest, lied = solve(Market(truth)), solve(Market(reported))
        true = model_owner_utility(Market(truth), lied.contribution, lied.reward, truth)
        changes[:, draw] = (
            lied.utility_model_owner - honest.utility_model_owner,
            true - honest.utility_model_owner,
            (lied.utility_owner - honest.utility_owner)[:liars].mean(),
        )
    return changes


def gains_over_twins(where: Setting) -> FloatColumn:
    """What liars are paid, net, more than their honest twins, [liars of all seeds, rounds], in money."""

    def payments(seed: int, factor: float) -> tuple[pd.DataFrame, list[int]]:
        liar = {"name": "misreport_quality", "share": 0.25, "factor": factor}
        scenario = market(where, population={"strategies": [{"name": "honest", "share": 0.75}, liar]})
        (owners,) = played(scenario, seed, where.device, "owners")
        rows = owners[owners["moment"] == "round"]
        liars = sorted(rows.loc[rows["strategy"] == "misreport_quality", "person"].unique().tolist())
        return rows.pivot(index="person", columns="round", values="payment"), liars

    gains = []
    for seed in range(1, where.seeds + 1):
        (honest, _), (lying, liars) = payments(seed, 1.0), payments(seed, FACTOR)
        gains.append((lying.loc[liars] - honest.loc[liars]).to_numpy())
    return np.concatenate(gains)


def _laws(changes: FloatColumn) -> list[Row]:
    """Directions that were published. ``changes`` [shares, r, quantities, draws]."""
    means = changes.mean(axis=3)
    least, most = means[:, 0], means[:, -1]
    some = slice(0, len(SHARES) - 1)
    rows = []
    for s, share in list(enumerate(SHARES))[some]:
        for end, hidden, r in ((least, UNDERSTATED[0], "less"), (most, UNDERSTATED[-1], "more")):
            value = float(end[s, QUANTITIES.index(LIAR)])
            what = f"reporting {r} quality than there is {'costs' if hidden < 0 else 'pays'}"
            key = "static law", f"{100 * share:.0f} %", f"{100 * hidden:+.0f} %", LIAR
            rows.append(Row(key, value, law(value * hidden > 0.0, what)))
            value = float(end[s, QUANTITIES.index(BELIEVED)])
            key = "static law", f"{100 * share:.0f} %", f"{100 * hidden:+.0f} %", BELIEVED
            rows.append(Row(key, value, law(value > 0.0, "the believed U_s rises in both directions of r")))
    everybody = float(np.abs(changes[-1]).max())
    rule = "if all hide the same share, the scale hides it and nothing changes"
    rows.append(Row(("static law", "100 %", "any", "largest change"), everybody, law(everybody < 1e-9, rule)))
    return rows


def _played_rows(gains: FloatColumn) -> list[Row]:
    before, after = gains[:, : MEASURED_IN + 1].mean(axis=1), gains[:, MEASURED_IN + 1 :].mean(axis=1)
    error = 2.0 / np.sqrt(len(gains))
    rows = []
    for name, values in (("before", before), ("after", after)):
        mean, sd = float(values.mean()), float(values.std())
        if name == "before":
            verdict = law(mean > error * sd, "a lie pays until quality is measured")
        elif mean <= error * sd:
            verdict = law(True, "no gain beyond the noise once quality is measured")
        else:
            verdict = other_setting("more data from liars were measured")
        rows.append(
            Row(("played", "25 %", f"factor {FACTOR}", f"gain per round {name} measurement"), mean, verdict, sd)
        )
    return rows


@styled
def _figure(changes: FloatColumn, gains: FloatColumn) -> Figure:
    figure = Figure(figsize=(11.4, 3.9), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    percent = 100 * np.array(UNDERSTATED)
    means = 1e3 * changes.mean(axis=3)
    for share, values, colour in zip(SHARES, means, (SKY, BLUE, PURPLE, ORANGE, VERMILION), strict=True):
        label = f"{100 * share:.0f} % lie"
        left.plot(percent, values[:, QUANTITIES.index(BELIEVED)], color=colour, label=label)
        left.plot(percent, values[:, QUANTITIES.index(TRUE)], "--", color=colour)
        middle.plot(percent, values[:, QUANTITIES.index(LIAR)], color=colour, label=label)
    left.set_title("U_s, believed (lines) and true (broken)")
    left.set_ylabel("change (money / 1000)")
    middle.set_title("Mean U_n of the liars")
    middle.set_ylabel("change (money / 1000)")
    middle.legend()
    for ax in (left, middle):
        ax.set_xlabel("share of the noise that is hidden, r (%)")
    mean, error = 1e3 * gains.mean(axis=0), 2e3 * gains.std(axis=0) / np.sqrt(len(gains))
    rounds = np.arange(gains.shape[1])
    right.axvline(MEASURED_IN, color=MUTED, linewidth=0.8)
    right.fill_between(rounds, mean - error, mean + error, color=ORANGE, alpha=0.2, linewidth=0)
    right.plot(rounds, mean, color=ORANGE)
    right.set_title("Liar over its honest twin")
    right.set_xlabel("round")
    right.set_ylabel("paid more (money / 1000)")
    return figure
