"""What payoffs of mixed populations say about evolution: invasion, stability, fixation, the long run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from learning.columns import FloatColumn
from scenarios.analysis.evolution import (
    Matrix,
    crossings,
    fermi_ratios,
    fixation_probability,
    long_run_shares,
    moran_ratios,
    rest_points,
)
from scenarios.tournament.entrants import Entrant
from scenarios.tournament.payoffs import Payoffs, interval
from scenarios.tournament.worlds import World, pure

Process = Literal["fermi", "moran"]
Sides = tuple[FloatColumn, FloatColumn]


def mixture_table(payoffs: Payoffs[World], played: Sequence[Entrant], owners: int) -> pd.DataFrame:
    """One row per mechanism, pair of strategies and number of mutants that was played.

    ``residents_earn`` and ``mutants_earn`` are mean utilities (money) of those who play either, ``advantage`` is the
    second less the first, with bounds. As persons differ, what is averaged is how far each is from what it earns in
    the two pure worlds (mixed by the share of mutants), to which the mean of all persons there is added: the same on
    average over markets, and far less noisy.
    """
    rows = []
    for mechanism in payoffs.utility:
        for one, other in itertools.permutations(played, 2):
            for count, (residents, mutants) in sorted(_sides(payoffs, mechanism, one, other, owners).items()):
                mean, low, high = interval(mutants - residents)
                rows.append({
                    "mechanism": mechanism, "resident": one.label, "mutant": other.label, "mutants": count,
                    "residents_earn": float(residents.mean()), "mutants_earn": float(mutants.mean()),
                    "advantage": mean, "advantage_low": low, "advantage_high": high,
                })  # fmt: skip
    return pd.DataFrame(rows)


def evolution_table(
    mixtures: pd.DataFrame,
    deviations: pd.DataFrame,
    owners: int,
    process: Process = "fermi",
    selection: float = 1.0,
) -> pd.DataFrame:
    """One row per mechanism, resident and mutant strategy.

    ``invades``: whether a single mutant earns more than the residents: yes, no, or open where the interval of its
    advantage holds 0. ``resists``: whether the resident strategy is evolutionarily stable against the mutant (Maynard
    Smith 1982): nobody gains by deviating to it; or, where that makes no difference at all, residents gain by coming
    back among mutants. ``fixation``: probability that one mutant takes over, with what the bounds of the advantage
    give; 1 / owners is neutral. Payoffs between the counts played are interpolated, and are in units of what a person
    earns in the reference world, so that ``selection`` means the same under all mechanisms. ``mixes_at``: shares of
    mutants that selection draws the population to from both sides.
    """
    keyed = deviations.set_index(["mechanism", "resident", "mutant"])
    gains = {tuple(map(str, key)): row for key, (_, row) in zip(keyed.index, keyed.iterrows(), strict=True)}
    rows = []
    for keys, group in mixtures.groupby(["mechanism", "resident", "mutant"], sort=False):
        mechanism, resident, mutant = map(str, keys)
        there, back = gains[mechanism, resident, mutant], gains[mechanism, mutant, resident]
        unit = float(there["unit"]) or 1.0
        single = group.iloc[0]
        counts = group["mutants"].to_numpy(dtype=np.float64)
        advantage = group["advantage"].to_numpy(dtype=np.float64)
        mixed = [share for share, draws in crossings(counts, advantage, owners) if draws]
        fixed = [_fixation(group, column, unit, owners, process, selection)
                 for column in ("advantage", "advantage_low", "advantage_high")]  # fmt: skip
        rows.append({
            "mechanism": mechanism,
            "resident": resident,
            "mutant": mutant,
            "invades": _verdict(single["advantage_low"], single["advantage_high"]),
            "resists": _resists(there, back),
            "fixation": fixed[0],
            "fixation_low": fixed[1],
            "fixation_high": fixed[2],
            "neutral": 1.0 / owners,
            "mixes_at": " ".join(f"{share:.3g}" for share in mixed),
        })  # fmt: skip
    return pd.DataFrame(rows)


def standing_table(
    regrets: pd.DataFrame,
    evolution: pd.DataFrame,
    mixtures: pd.DataFrame,
    payoffs: Payoffs[World],
    played: Sequence[Entrant],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How strategies stand under each mechanism, and the rest points of the replicator dynamics.

    The first has one row per mechanism and strategy: its regret, how many others it resists and how many invade it for
    certain, and ``long_run``, its share of time when mutations are rare (NaN where a fixation is). The second has one
    row per rest point: the shares of all strategies, what everybody earns there (money) and whether it is stable, by
    the payoffs of one person among all others that play another strategy.
    """
    labels = [one.label for one in played]
    standing, points = [], []
    for mechanism, group in evolution.groupby("mechanism", sort=False):
        fixation = group.pivot(index="resident", columns="mutant", values="fixation").reindex(labels, columns=labels)
        shares = long_run_shares(fixation.to_numpy(dtype=np.float64))
        for label, share in zip(labels, shares, strict=True):
            own = regrets[(regrets["mechanism"] == mechanism) & (regrets["strategy"] == label)].iloc[0]
            met = group[group["resident"] == label]
            standing.append({
                "mechanism": mechanism, "strategy": label, "utility": own["utility"], "regret": own["regret"],
                "best_reply": own["best_reply"], "resists": int((met["resists"] == "yes").sum()),
                "invaded_by": int((met["invades"] == "yes").sum()), "rivals": len(met), "long_run": share,
            })  # fmt: skip
        points += [
            {"mechanism": mechanism, "stable": found.stable, "utility": found.payoff}
            | dict(zip(labels, found.shares, strict=True))
            for found in rest_points(payoff_matrix(mixtures, payoffs, str(mechanism), played))
        ]
    return pd.DataFrame(standing), pd.DataFrame(points)


def payoff_matrix(mixtures: pd.DataFrame, payoffs: Payoffs[World], mechanism: str, played: Sequence[Entrant]) -> Matrix:
    """What one person with the row's strategy earns where all others play the column's [s, s], in money."""
    single = mixtures[(mixtures["mechanism"] == mechanism) & (mixtures["mutants"] == 1)]
    earned = {(row.mutant, row.resident): row.mutants_earn for row in single.itertuples(index=False)}
    return np.array([
        [
            payoffs.utility[mechanism][pure(one)].mean() if one is other else earned[one.label, other.label]
            for other in played
        ]
        for one in played
    ])  # fmt: skip


def _sides(payoffs: Payoffs[World], mechanism: str, one: Entrant, other: Entrant, owners: int) -> dict[int, Sides]:
    """Mean payoffs of residents and mutants [seeds] by the number of mutants, from the worlds of either direction."""
    utility = payoffs.utility[mechanism]
    at_one, at_other = utility[pure(one)], utility[pure(other)]
    found: dict[int, list[Sides]] = {}
    for world, earned in utility.items():
        if not world.mutants or {world.resident, world.mutant} != {one, other}:
            continue
        plays = np.zeros(earned.shape[1], dtype=np.bool_)
        plays[list(world.mutants)] = True
        count = len(world.mutants)
        if world.resident == other:
            plays, count = ~plays, owners - count
        share = count / owners
        usual = (1.0 - share) * at_one + share * at_other
        level = usual.mean(axis=1)
        apart = earned - usual
        sides = (level + apart[:, ~plays].mean(axis=1), level + apart[:, plays].mean(axis=1))
        found.setdefault(count, []).append(sides)
    return {
        count: (np.mean([side[0] for side in sides], axis=0), np.mean([side[1] for side in sides], axis=0))
        for count, sides in found.items()
    }


def _verdict(low: float, high: float) -> str:
    return "yes" if low > 0.0 else "no" if high <= 0.0 else "open"


def _resists(there: pd.Series, back: pd.Series) -> str:
    """Maynard Smith's two conditions, as far as the intervals tell."""
    if there["gain"] == there["gain_low"] == there["gain_high"] == 0.0:
        return _verdict(back["gain_low"], back["gain_high"]) if back["gain"] != 0.0 else "neutral"
    return {"yes": "no", "no": "yes", "open": "open"}[_verdict(there["gain_low"], there["gain_high"])]


def _fixation(group: pd.DataFrame, column: str, unit: float, owners: int, process: Process, selection: float) -> float:
    """Fixation with the mutants' payoffs ahead of the residents' by this column."""
    every = np.arange(1.0, owners)
    counts = group["mutants"].to_numpy(dtype=np.float64)
    residents = np.interp(every, counts, group["residents_earn"].to_numpy(dtype=np.float64)) / unit
    ahead = np.interp(every, counts, group[column].to_numpy(dtype=np.float64)) / unit
    if process == "fermi":
        return fixation_probability(fermi_ratios(ahead, selection))
    return fixation_probability(moran_ratios(residents, residents + ahead, selection))
