"""One attacker among nine owners: what it does to the models of the others, and what it has of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scenarios.palette import BLUE, GREEN, MUTED, ORANGE, PURPLE, VERMILION
from scenarios.plots.canvas import canvas, styled
from scenarios.reproduce.ipfl.living import (
    IPFL,
    Run,
    Scale,
    Setting,
    find,
    gain_scale,
    market,
    mean_and_sd,
    played,
    scale_of,
    table,
    training,
)
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.tables import tidy
from scenarios.reproduce.verdicts import Verdict, law, unpublished

COLUMNS = ("attack", "attacker's type", "method", "quantity")
BENIGN, ATTACKER, SALES = "benign accuracy (points)", "attacker's utility", "imports of the attacker's model"

METHODS = (IPFL, "Ditto", "FedAMP", "CFL", "pFedGraph")
SETTING = "CIFAR-10 Cluster"

PURE, OWN = "pure seller", "own"
"""Types of an attacker: K = 0 and c = 0, or its own K with no cost of sharing what it did not train."""


@dataclass(frozen=True)
class Attack:
    """A strategy, and which types its attackers have; the first is that of the authors' code."""

    strategy: str
    types: tuple[str, ...]


ATTACKS: Mapping[str, Attack] = {
    "shuffle": Attack("attack_shuffle", (PURE, OWN)),
    "sign flip": Attack("attack_sign_flip", (PURE, OWN)),
    "same value": Attack("attack_same_value", (OWN,)),
    "random": Attack("attack_random", (OWN,)),
}


def attacks(options: Options, scale: Scale | None = None) -> Study:
    """Every attack under five methods, each run beside the one with the same seed in which everybody is honest."""
    scale = scale or scale_of(options)
    setting = find(options.dataset, SETTING)
    rows: list[Row] = []
    for method in METHODS:
        honest = {seed: played(market(setting, scale, method), seed, options.device) for seed in scale.seed_numbers}
        for name, attack in ATTACKS.items():
            for kind in attack.types:
                attacked = {
                    seed: played(
                        market(
                            setting, scale, method, population=attacked_population(setting, scale, attack, kind, seed)
                        ),
                        seed,
                        options.device,
                    )
                    for seed in honest
                }
                rows += _rows((name, kind, method), setting, honest, attacked)
    shown = tidy(COLUMNS, rows)
    rows += [_of_all(shown, method) for method in METHODS]
    return Study(
        name="attacks",
        title="Attackers",
        method=(
            f"{training(setting, scale).says(setting)}, clustered, {setting.clients} owners of whom one attacks, "
            f"{scale.says()}. Changes are against the run with the "
            "same seed in which that owner is honest. As in the authors' code those that train first (shuffle, sign "
            "flip) are pure sellers (K = 0, c = 0), those that do not (same value, random) keep their K and have no "
            "cost; to be comparable, all four are also played with the attacker's own K and no cost. Utilities over 50 "
            "rounds, in money."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        figure=_figure(shown),
        caption="Change of the mean accuracy of the eight benign owners and of the attacker's utility, types as in the "
        "authors' code. In the paper only iPFL leaves every attacker worse off.",
    )


def attacker_of(setting: Setting, seed: int) -> int:
    """The person that attacks in the run with this seed: another one in each."""
    return seed % setting.clients


def attacked_population(setting: Setting, scale: Scale, attack: Attack, kind: str, seed: int) -> dict[str, Any]:
    """The population fields that make one owner an attacker of this type."""
    attacker = attacker_of(setting, seed)
    chosen = np.arange(setting.clients) == attacker
    worth = gain_scale(setting, training(setting, scale))
    return {
        "strategies": [{"name": "honest"}, {"name": attack.strategy}],
        "assignment": chosen.astype(int).tolist(),
        "types": {
            "gain_scale": table(np.where(chosen & (kind == PURE), 0.0, worth)),
            "sharing_cost": table(np.where(chosen, 0.0, 1.0)),
        },
    }


def _rows(key: tuple[str, str, str], setting: Setting, honest: dict[int, Run], attacked: dict[int, Run]) -> list[Row]:
    benign, utility, sales = [], [], []
    for seed, run in attacked.items():
        attacker = attacker_of(setting, seed)
        change = run.accuracy() - honest[seed].accuracy()
        benign.append(float(change.drop(attacker).mean()))
        utility.append(float(run.utility()[attacker] - honest[seed].utility()[attacker]))
        sales.append(float(run.total("sales")[attacker]))
    rows = [Row((*key, BENIGN), *_with(benign, unpublished("published as a picture only")))]
    rows.append(Row((*key, ATTACKER), *_with(utility, _of_utility(key, float(np.mean(utility))))))
    rows.append(Row((*key, SALES), *_with(sales, unpublished())))
    return rows


def _of_all(shown: pd.DataFrame, method: str) -> Row:
    """How many of the attackers, with their types in the authors' code, are worse off by attacking."""
    own = shown[(shown["method"] == method) & (shown["quantity"] == ATTACKER)]
    changes = [
        float(own.loc[(own["attack"] == name) & (own["attacker's type"] == attack.types[0]), "found"].iloc[0])
        for name, attack in ATTACKS.items()
    ]
    worse = sum(change < 0.0 for change in changes)
    if method == IPFL:
        said = law(worse == len(changes), "every attacker is worse off")
    else:
        said = law(worse < len(changes), "not every attacker is worse off")
    return Row(("all", "as in the authors' code", method, "attackers worse off"), float(worse), said)


def _with(values: list[float], verdict: Verdict) -> tuple[float, Verdict, float]:
    mean, sd = mean_and_sd(values)
    return mean, verdict, sd


def _of_utility(key: tuple[str, str, str], change: float) -> Verdict:
    name, kind, method = key
    if kind != ATTACKS[name].types[0]:
        return unpublished("another type than in the authors' code")
    if method == IPFL:
        return law(change < 0.0, "iPFL makes this attacker worse off")
    return unpublished(f"worse off under {method} too" if change < 0.0 else f"not worse off under {method}")


def plot_changes(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Bars by attack and method, from the rows of this study about one quantity and one type per attack."""
    ax = canvas(ax)
    width = 0.8 / len(METHODS)
    names = list(dict.fromkeys(table["attack"]))
    for place, (method, colour) in enumerate(zip(METHODS, (VERMILION, BLUE, GREEN, ORANGE, PURPLE), strict=True)):
        line = table[table["method"] == method].set_index("attack").loc[names]
        at = np.arange(len(names)) + (place - (len(METHODS) - 1) / 2) * width
        ax.bar(at, line["found"], 0.9 * width, color=colour, label=method, yerr=line["sd"],
               error_kw={"ecolor": MUTED, "elinewidth": 0.8})  # fmt: skip
    ax.axhline(0.0, color=MUTED, linewidth=0.8)
    ax.set_xticks(range(len(names)), names)
    return ax


@styled
def _figure(shown: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(10.4, 3.9), layout="constrained")
    first = [attack.types[0] for attack in (ATTACKS[name] for name in shown["attack"])]
    authors = shown[shown["attacker's type"] == first]
    left, right = figure.subplots(1, 2)
    plot_changes(authors[authors["quantity"] == BENIGN], left)
    plot_changes(authors[authors["quantity"] == ATTACKER], right)
    left.set_title("Accuracy of the benign owners")
    left.set_ylabel("change (points)")
    right.set_title("Utility of the attacker")
    right.set_ylabel("change over 50 rounds (money)")
    right.legend(ncols=2)
    return figure
