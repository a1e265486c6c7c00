"""Joining late, which the paper rules out: what waiting is worth under two valuations, and which fee stops it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scenarios.palette import BLUE, MUTED, ORANGE
from scenarios.plots.canvas import canvas, styled
from scenarios.reproduce.ipfl.living import (
    NEVER_SELLS,
    Run,
    Scale,
    find,
    market,
    mean_and_sd,
    played,
    scale_of,
    table,
    training,
)
from scenarios.reproduce.ipfl.published import ROUNDS
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.tables import tidy
from scenarios.reproduce.verdicts import law, unpublished

COLUMNS = ("joins", "admission fee share", "quantity")
EARLY, LATE = "at the start", "halfway"
SUM, FINAL, ACCURACY, FEE, GAP = (
    "per-round sum", "final model", "accuracy (%)", "admission fee paid", "fee paid less received by incumbents",
)  # fmt: skip
SHARES = (0.0, 0.5, 1.0)
SETTING = "CIFAR-10 Skew"


def waiting(options: Options, scale: Scale | None = None) -> Study:
    """One buyer that joins at the start or halfway, with admission fees of different height."""
    scale = scale or scale_of(options)
    setting = find(options.dataset, SETTING)
    late = scale.rounds // 2
    buyer = setting.clients - 1
    early = {seed: played(market(setting, scale, population=people(setting.clients)), seed, options.device)
             for seed in scale.seed_numbers}  # fmt: skip
    found = {(EARLY, 0.0): [worth(run, buyer) for run in early.values()]}
    for share in SHARES:
        found[LATE, share] = []
        for seed in early:
            scenario = market(
                setting, scale, population=late_people(setting.clients, late), mechanism={"admission_fee_share": share}
            )
            found[LATE, share].append(worth(played(scenario, seed, options.device), buyer))
    rows = [row for key, values in found.items() for row in _rows(*key, values, found[EARLY, 0.0])]
    shown = tidy(COLUMNS, rows)
    return Study(
        name="waiting",
        title="Joining late",
        method=(
            f"{training(setting, scale).says(setting)}, two clusters of classes, {setting.clients} owners, the last of "
            f"them a pure buyer, {scale.says()}. It joins at the "
            f"start or in round {late}, and then pays phi times its first bill again for each round missed. Two ways "
            "of valuing what it has: the per-round sum of equation 3, or the final model, which is worth the last "
            "round's gain in every round, whenever it was bought, less all that was paid. Money over 50 rounds."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        figure=_figure(shown),
        caption="What the buyer has of the market, by when it joins and the share phi of the fee. The paper suggests "
        "an admission fee and names no formula; this one is this project's.",
    )


def people(clients: int) -> dict[str, Any]:
    """The population fields of a market whose last person never sells."""
    return {"types": {"sharing_cost": table(np.where(np.arange(clients) == clients - 1, NEVER_SELLS, 1.0))}}


def late_people(clients: int, late: int) -> dict[str, Any]:
    """The same with the last person arriving just before round ``late`` opens."""
    return {**people(clients), "initial": clients - 1, "arrival_times": [60.0 * late - 1.0]}


def worth(run: Run, buyer: int) -> dict[str, float]:
    """What the market is worth to this person under both valuations (money over 50 rounds), and what it paid.

    Fees and what incumbents received of them are in money as booked, not scaled.
    """
    own = run.owners[run.owners["person"] == buyer].sort_values("round")
    scale = ROUNDS / run.rounds
    fees = run.transfers[run.transfers["kind"] == "admission fee to incumbents"]
    identities = set(own["owner"])
    paid = float(fees.loc[fees["payer"].isin(identities), "amount_micro"].sum()) / 1e6
    received = float(fees.loc[~fees["payee"].isin(identities) & (fees["payee"] >= 0), "amount_micro"].sum()) / 1e6
    return {
        SUM: scale * float(own["paper_utility"].sum()),
        FINAL: scale * float(run.rounds * own["sharing_gain"].iloc[-1] - own["net_payment"].sum()),
        ACCURACY: 100.0 * float(own["accuracy"].max()),
        FEE: paid,
        GAP: paid - received,
    }


def _rows(joins: str, share: float, values: list[dict[str, float]], early: list[dict[str, float]]) -> list[Row]:
    rows = []
    for quantity in (SUM, FINAL, ACCURACY, FEE, GAP):
        mean, sd = mean_and_sd([value[quantity] for value in values])
        gain = float(np.mean([value[quantity] - first[quantity] for value, first in zip(values, early, strict=True)]))
        verdict = unpublished("the paper lets nobody join late")
        if joins == LATE and quantity == FINAL and share == 0.0:
            verdict = law(gain > 0.0, "without a fee waiting pays if the final model is what counts")
        elif joins == LATE and quantity == SUM and share == 0.0:
            verdict = law(gain <= 0.0, "waiting does not pay under the per-round sum, even without a fee")
        elif quantity == GAP:
            verdict = law(abs(mean) < 1e-9, "incumbents receive what is paid")
        rows.append(Row((joins, f"{share:g}" if joins == LATE else "-", quantity), mean, verdict, sd))
    return rows


def plot_worth(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Worth by the share of the fee, and the early joiner's as a line, from the rows about one valuation."""
    ax = canvas(ax)
    early, late = (table[table["joins"] == joins] for joins in (EARLY, LATE))
    level = float(early["found"].iloc[0])
    ax.axhline(level, color=ORANGE, label="joins at the start")
    ax.errorbar(late["admission fee share"].astype(float), late["found"], late["sd"], fmt="o-", color=BLUE,
                elinewidth=0.8, label="joins halfway")  # fmt: skip
    ax.axhline(0.0, color=MUTED, linewidth=0.8)
    ax.set_xticks(SHARES)
    ax.set_xlabel("admission fee share phi")
    return ax


@styled
def _figure(shown: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    plot_worth(shown[shown["quantity"] == SUM], left)
    plot_worth(shown[shown["quantity"] == FINAL], right)
    left.set_title("Sum over the rounds")
    left.set_ylabel("worth to the buyer (money)")
    right.set_title("Final model")
    right.legend()
    return figure
