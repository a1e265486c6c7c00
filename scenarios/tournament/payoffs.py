"""From the runs of a tournament to tidy tables: what each person earned in each world, and what deviating gained it.

Payoffs are sums over a whole run of the realised utility from true types, in money; of a person with several
identities, of all of them. One value per seed goes into every interval, for persons of one market are not independent:
intervals are Student's, at 95 %, over the seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd
from scipy.stats import t as student

from learning.columns import BoolColumn, FloatColumn
from scenarios.results import BadRun
from scenarios.studies.results import StudyResults
from scenarios.tournament.worlds import Market, Playable, World

CONFIDENCE = 0.95
AnyWorld = TypeVar("AnyWorld", bound=Playable)


@dataclass(frozen=True)
class Payoffs(Generic[AnyWorld]):
    """Utilities by mechanism: ``utility[mechanism][world]`` [seeds, persons], ``welfare[mechanism][world]`` [seeds]."""

    utility: dict[str, dict[AnyWorld, FloatColumn]]
    welfare: dict[str, dict[AnyWorld, FloatColumn]]

    def unit(self, mechanism: str, reference: AnyWorld) -> float:
        """Mean absolute utility of a person in the reference world, in money: what relative gains are relative to."""
        return float(np.abs(self.utility[mechanism][reference]).mean())


def gather(study: StudyResults, markets: Sequence[Market], worlds: Sequence[AnyWorld]) -> Payoffs[AnyWorld]:
    """Read the payoffs of a study that ``make_study`` made of these; ``BadRun`` where a run is not done."""
    runs = study.runs
    missing = runs[runs["status"] != "done"]
    if len(missing):
        errors = missing["error"].dropna()
        why = f", the first: {errors.iloc[0]}" if len(errors) else ""
        raise BadRun(f"{study.folder}: {len(missing)} of {len(runs)} runs are not done{why}")
    episodes = study.table("episodes").df()
    # Added up here and not by the data base, whose order of adding depends on its threads.
    earned = episodes.groupby(["run", "person"], sort=False)["utility"].sum()
    persons = int(episodes["person"].max()) + 1 if len(episodes) else 0
    by_run = earned.unstack("person").reindex(columns=range(persons)).fillna(0.0)
    replaced = any(market.replaced for market in markets)
    utility: dict[str, dict[AnyWorld, FloatColumn]] = {}
    welfare: dict[str, dict[AnyWorld, FloatColumn]] = {}
    for place, market in enumerate(markets):
        label, first = ("scenario", place * len(worlds)) if replaced else (market.mechanism, 0)
        here = runs[runs["scenario"] == label]
        utility[market.mechanism], welfare[market.mechanism] = {}, {}
        by_point = dict(list(here.groupby("point")))
        for number, world in enumerate(worlds):
            rows = by_point[first + number].sort_values("replication")
            utility[market.mechanism][world] = by_run.reindex(rows["run"]).fillna(0.0).to_numpy(dtype=np.float64)
            welfare[market.mechanism][world] = rows["welfare"].to_numpy(dtype=np.float64)
    return Payoffs(utility, welfare)


def utility_table(payoffs: Payoffs[World]) -> pd.DataFrame:
    """One row per mechanism, world, seed and strategy in it: persons that play it and the mean of their utility."""
    rows = []
    for mechanism, worlds in payoffs.utility.items():
        for world, utility in worlds.items():
            plays = _plays(world, utility.shape[1])
            for seed, earned in enumerate(utility):
                for chosen, one in ((~plays, world.resident), (plays, world.mutant)):
                    if chosen.any():
                        rows.append({
                            "mechanism": mechanism, "resident": world.resident.label, "mutant": world.mutant.label,
                            "mutants": " ".join(map(str, world.mutants)), "seed": seed, "strategy": one.label,
                            "persons": int(chosen.sum()), "utility": float(earned[chosen].mean()),
                            "welfare": float(payoffs.welfare[mechanism][world][seed]),
                        })  # fmt: skip
    return pd.DataFrame(rows)


def deviation_table(payoffs: Payoffs[World], worlds: Sequence[World], reference: World) -> pd.DataFrame:
    """One row per mechanism, resident and mutant strategy: what a person gains when it alone deviates.

    ``gain`` is its utility less that of the same person in the pure world, ``others`` what the others gain in sum and
    ``welfare`` what the market does, each in money over the run with bounds (``gain_low``, ``gain_high``); ``relative``
    is the gain in units of the utility of a person in the reference world.
    """
    rows = []
    pairs = dict.fromkeys((world.resident, world.mutant) for world in worlds if len(world.mutants) == 1)
    for mechanism, utility in payoffs.utility.items():
        welfare, unit = payoffs.welfare[mechanism], payoffs.unit(mechanism, reference)
        for resident, mutant in pairs:
            base = World(resident, resident)
            tried = [w for w in worlds if (w.resident, w.mutant) == (resident, mutant) and len(w.mutants) == 1]
            change = [utility[world] - utility[base] for world in tried]
            own = np.mean([gained[:, w.mutants[0]] for w, gained in zip(tried, change, strict=True)], axis=0)
            everybody = np.mean([gained.sum(axis=1) for gained in change], axis=0)
            market = np.mean([welfare[world] - welfare[base] for world in tried], axis=0)
            row: dict[str, Any] = {"mechanism": mechanism, "resident": resident.label, "mutant": mutant.label}
            for name, values in (("gain", own), ("others", everybody - own), ("welfare", market)):
                row |= dict(zip((name, f"{name}_low", f"{name}_high"), interval(values), strict=True))
            rows.append(row | {"relative": _ratio(row["gain"], unit), "unit": unit, "persons": len(tried)})
    return pd.DataFrame(rows)


def regret_table(payoffs: Payoffs[World], deviations: pd.DataFrame, reference: World) -> pd.DataFrame:
    """One row per mechanism and strategy: the most that a person gains by leaving it when everybody plays it.

    ``regret`` (money, never below 0) is the largest mean gain over the other strategies, the bounds are those of that
    gain, ``best_reply`` is that strategy, or the strategy itself where none gains. ``utility`` and ``welfare`` are
    means of the pure world; ``relative`` as in ``deviation_table``. The maximum of noisy means is biased upwards.
    """
    rows = []
    pures = {world.resident.label: world for world in next(iter(payoffs.utility.values())) if not world.mutants}
    for (mechanism, resident), group in deviations.groupby(["mechanism", "resident"], sort=False):
        best = group.iloc[int(group["gain"].to_numpy().argmax())]
        gains = bool(best["gain"] > 0.0)
        pure = pures[str(resident)]
        rows.append({
            "mechanism": mechanism,
            "strategy": resident,
            "utility": float(payoffs.utility[str(mechanism)][pure].mean()),
            "welfare": float(payoffs.welfare[str(mechanism)][pure].mean()),
            "regret": float(best["gain"]) if gains else 0.0,
            "regret_low": max(float(best["gain_low"]), 0.0),
            "regret_high": max(float(best["gain_high"]), 0.0),
            "best_reply": best["mutant"] if gains else resident,
            "relative": float(best["relative"]) if gains else 0.0,
        })  # fmt: skip
    return pd.DataFrame(rows)


def interval(values: FloatColumn) -> tuple[float, float, float]:
    """Mean of one value per seed with Student's bounds; the bounds are NaN for a single seed."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = student.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * float(np.std(values, ddof=1)) / np.sqrt(len(values))
    return mean, mean - float(half), mean + float(half)


def _plays(world: World, persons: int) -> BoolColumn:
    plays = np.zeros(persons, dtype=np.bool_)
    plays[list(world.mutants)] = True
    return plays


def _ratio(amount: float, unit: float) -> float:
    return amount / unit if unit > 0.0 else float("nan")
