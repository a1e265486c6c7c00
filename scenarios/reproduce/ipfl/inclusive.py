"""The inclusive market of figure 5: twelve owners in four roles, and who pays whom."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from learning.columns import FloatColumn
from learning.streams import Streams
from scenarios.palette import BLUE, GREEN, INK, MUTED, ORANGE, PAPER, VERMILION
from scenarios.plots.canvas import canvas, styled
from scenarios.reproduce.ipfl.living import (
    LOCAL,
    NEVER_SELLS,
    Run,
    Scale,
    find,
    gain_scale,
    market,
    mean_and_sd,
    played,
    scale_of,
    table,
    training,
)
from scenarios.reproduce.ipfl.published import CLUSTERS_5, EDGES_5, ROLES_5, ROUNDS_5
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.tables import tidy
from scenarios.reproduce.verdicts import Verdict, law, other_setting

COLUMNS = ("subject", "role", "quantity")
CLIENTS = 12
PENALTY, STEP = 2.0, 10.0

ROLE_OF = {client: role for role, clients in ROLES_5.items() for client in clients}
CLUSTER_OF = {client: number for number, clients in enumerate(CLUSTERS_5) for client in clients}
COLOURS = {"trader": BLUE, "buyer": ORANGE, "seller": GREEN, "attacker": VERMILION}

GAINS = {"buyer": (0.63, 2.17), "trader": (0.47, 0.99)}
"""Points of accuracy over local training that buyers and traders had in the paper, least and most."""


def inclusive(options: Options, scale: Scale | None = None) -> Study:
    """Twenty rounds of the market of figure 5, several seeds."""
    scale = replace(scale or scale_of(options), rounds=ROUNDS_5)
    setting = replace(find(options.dataset, "CIFAR-10 Cluster"), clients=CLIENTS, penalty=PENALTY, step=STEP)
    runs, alone = [], []
    for seed in scale.seed_numbers:
        scenario = market(setting, scale, population=roles(gain_scale(setting, training(setting, scale)), seed))
        runs.append(played(scenario, seed, options.device))
        alone.append(played(market(setting, scale, LOCAL), seed, options.device))
    money = [paid(run) for run in runs]
    rows = [*_laws(money), *_accuracy_rows(runs, alone), *_client_rows(money)]
    payments = flows(np.mean(money, axis=0))
    return Study(
        name="inclusive",
        title="The inclusive market",
        method=(
            f"{training(setting, scale).says(setting)} in three clusters, twelve owners, "
            f"{scale.says()}, lambda = 2, eta = 10. Traders and buyers have K from half to "
            "all of the usual, traders a cost of 0.5 to 1, buyers one of 1000; sellers have K = 0 and c = 0, as "
            "client 12, who shuffles the weights that it sends. Clients are counted from 1, as in the paper. "
            "The amounts hang on random K and c: what is compared is who pays whom."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        figure=_figure(payments, tidy(COLUMNS, rows)),
        caption="Left: money from payer (row) to payee (column) over 20 rounds, mean over seeds; frames are the three "
        "clusters, rings the edges of the paper's figure 5. Right: received less paid; crosses: published.",
    )


def roles(worth: float, seed: int) -> dict[str, object]:
    """The population fields of figure 5; ``worth`` is the K of the other studies. ``seed`` draws K and c."""
    streams, persons = Streams(seed), np.arange(CLIENTS)
    chance = {part: streams.uniform(f"static market/{part}", persons) for part in ("gain scale", "cost")}
    role = np.array([ROLE_OF[client] for client in range(1, CLIENTS + 1)])
    buys = (role == "trader") | (role == "buyer")
    cost = np.select([role == "trader", role == "buyer"], [0.5 + 0.5 * chance["cost"], NEVER_SELLS], 0.0)
    return {
        "initial": CLIENTS,
        "strategies": [{"name": "honest"}, {"name": "attack_shuffle"}],
        "assignment": (role == "attacker").astype(int).tolist(),
        "types": {
            "gain_scale": table(np.where(buys, worth * (0.5 + 0.5 * chance["gain scale"]), 0.0)),
            "sharing_cost": table(cost),
        },
    }


def paid(run: Run) -> FloatColumn:
    """Money [12, 12] that row paid to column over the rounds, by person."""
    person = run.owners.drop_duplicates("owner").set_index("owner")["person"]
    amounts = np.zeros((CLIENTS, CLIENTS))
    edges = run.edges[run.edges["source"] >= 0]
    np.add.at(amounts, (person[edges["user"]].to_numpy(), person[edges["source"]].to_numpy()), edges["payment"])
    return amounts


def agreement(amounts: FloatColumn) -> float:
    """Edges both here and in figure 5 as a share of all that are in one of the two."""
    ours = {(int(payer) + 1, int(payee) + 1) for payer, payee in zip(*np.nonzero(amounts), strict=True)}
    theirs = {(payer, payee) for payer, payee, _ in EDGES_5}
    return len(ours & theirs) / len(ours | theirs)


def flows(amounts: FloatColumn) -> pd.DataFrame:
    """The amounts as a tidy table: payer, payee (clients from 1), amount in money."""
    pairs = itertools.product(range(1, CLIENTS + 1), repeat=2)
    lines = [(payer, payee, float(amounts[payer - 1, payee - 1])) for payer, payee in pairs]
    return pd.DataFrame(lines, columns=["payer", "payee", "amount"])


def _laws(money: list[FloatColumn]) -> list[Row]:
    role = np.array([ROLE_OF[client] for client in range(1, CLIENTS + 1)])
    cluster = np.array([CLUSTER_OF[client] for client in range(1, CLIENTS + 1)])
    same = cluster[:, None] == cluster
    found = {
        ("purity", "all", "share of money within a cluster"): [
            float(amounts[same].sum() / max(amounts.sum(), 1e-12)) for amounts in money
        ],
        ("income", "buyer", "money received"): [float(a[:, role == "buyer"].sum()) for a in money],
        ("spending", "seller", "money paid"): [float(a[role == "seller"].sum()) for a in money],
        ("income", "attacker", "money received"): [float(a[:, role == "attacker"].sum()) for a in money],
        ("edges", "all", "share of edges as in figure 5"): [agreement(a) for a in money],
        ("balance", "all", "sum of net amounts"): [float((a.sum(axis=0) - a.sum(axis=1)).sum()) for a in money],
    }
    said = {
        "share of money within a cluster": (1.0, "no edge crosses a data cluster"),
        "share of edges as in figure 5": (1.0, "the edges are those of figure 5 and no others"),
        "money paid": (0.0, "sellers only receive"),
        "sum of net amounts": (0.0, "what is paid is received"),
    }
    said_of_income = {"buyer": "buyers only pay", "attacker": "client 12 earns nothing"}
    rows = []
    for key, values in found.items():
        wanted, what = said.get(key[2], (0.0, said_of_income.get(key[1], "")))
        mean, sd = mean_and_sd(values)
        holds = bool(np.abs(np.array(values) - wanted).max() < 1e-9)
        rows.append(Row(key, mean, law(holds, what), sd, wanted))
    return rows


def _accuracy_rows(runs: list[Run], alone: list[Run]) -> list[Row]:
    rows = []
    for role, (least, most) in GAINS.items():
        persons = [client - 1 for client in ROLES_5[role]]
        gains = [
            float((run.accuracy() - single.accuracy())[persons].mean()) for run, single in zip(runs, alone, strict=True)
        ]
        mean, sd = mean_and_sd(gains)
        verdict = law(mean > 0.0, f"{role}s have better models than by local training (published: +{least} to +{most})")
        rows.append(Row(("accuracy", role, "points over local training"), mean, verdict, sd))
    return rows


def _client_rows(money: list[FloatColumn]) -> list[Row]:
    rows = []
    published = published_net()
    for client in range(1, CLIENTS + 1):
        nets = [float(amounts[:, client - 1].sum() - amounts[client - 1].sum()) for amounts in money]
        mean, sd = mean_and_sd(nets)
        verdict: Verdict = other_setting("hangs on random K and c", mean, published[client])
        rows.append(
            Row((f"client {client}", ROLE_OF[client], "received less paid"), mean, verdict, sd, published[client])
        )
    return rows


def published_net() -> dict[int, float]:
    """Net amounts of the published edges by client, in money."""
    net = dict.fromkeys(range(1, CLIENTS + 1), 0.0)
    for payer, payee, amount in EDGES_5:
        net[payer] -= amount
        net[payee] += amount
    return {client: round(amount, 2) for client, amount in net.items()}


def plot_flows(flows: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Money from payer to payee as a matrix of squares, from ``flows``."""
    ax = canvas(ax)
    amounts = flows.pivot(index="payer", columns="payee", values="amount")
    picture = ax.imshow(amounts, cmap="Blues", vmin=0.0, extent=(0.5, CLIENTS + 0.5, CLIENTS + 0.5, 0.5))
    ax.figure.colorbar(picture, ax=ax, label="money over 20 rounds", shrink=0.8)
    largest = float(amounts.to_numpy().max())
    shown = flows[flows["amount"] >= 0.5]
    for payer, payee, amount in zip(*(shown[name].tolist() for name in shown), strict=True):
        dark = amount > 0.6 * largest
        ax.text(payee, payer, f"{amount:.0f}", ha="center", va="center", fontsize=7, color=PAPER if dark else INK)
    for clients in CLUSTERS_5:
        low, side = clients[0] - 0.5, len(clients)
        ax.add_patch(_frame(low, side))
    payers, payees, _ = zip(*EDGES_5, strict=True)
    ax.scatter(payees, payers, s=230, facecolors="none", edgecolors=VERMILION, linewidths=1.0)
    ax.set_xticks(range(1, CLIENTS + 1))
    ax.set_yticks(range(1, CLIENTS + 1))
    ax.grid(visible=False)
    ax.set_xlabel("payee")
    ax.set_ylabel("payer")
    ax.set_title("Who pays whom")
    return ax


def plot_net(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Received less paid by client, coloured by role, from the rows of this study about clients."""
    ax = canvas(ax)
    shown = table[table["quantity"] == "received less paid"].reset_index(drop=True)
    for role, colour in COLOURS.items():
        line = shown[shown["role"] == role]
        ax.bar(line.index + 1, line["found"], color=colour, width=0.7, label=role)
    ax.scatter(shown.index + 1, shown["published"], marker="x", color=INK, zorder=3, label="published")
    ax.axhline(0.0, color=MUTED, linewidth=0.8)
    ax.set_xticks(range(1, CLIENTS + 1))
    ax.set_xlabel("client")
    ax.set_ylabel("received less paid (money)")
    ax.set_title("Net amounts")
    ax.legend(fontsize=8, ncols=2)
    return ax


def _frame(low: float, side: int) -> Rectangle:
    return Rectangle((low, low), side, side, fill=False, edgecolor=MUTED, linewidth=1.0)


@styled
def _figure(payments: pd.DataFrame, table: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(11.4, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(6, 5))
    plot_flows(payments, left)
    plot_net(table, right)
    return figure
