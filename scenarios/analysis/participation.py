"""All tables about long-term participation of one run, and the files that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from scenarios.analysis.behaviour import audit_rates, cooperation, detection_spells
from scenarios.analysis.hazard import EFFECTS, churn_hazard, cox_exit, exit_intervals
from scenarios.analysis.incidence import cumulative_incidence
from scenarios.analysis.inequality import LORENZ, lorenz, payoff_inequality
from scenarios.analysis.regimes import regimes
from scenarios.analysis.retention import retention
from scenarios.analysis.spells import tenure_spells, window_ticks
from scenarios.analysis.survival import half_life, kaplan_meier
from scenarios.analysis.welfare import utility_by_part, welfare_by_party
from scenarios.results import Run
from scenarios.writing import made, write_whole

FOLDER = "analysis"
COVARIATES = ("utility", "reputation")
"""What the Cox model explains leaving by: the last round's realised utility (money) and public standing (0 to 1)."""

BANDS = 8
"""About so many cohorts and bands of tenure are made of a run."""


def run_windows(run: Run) -> float:
    """How long the run was, in windows."""
    return float(run.runs["ticks"].iloc[0]) / window_ticks(run)


def band_width(windows: float) -> float:
    """A round number of windows (1, 2 or 5 times a power of ten), of which about ``BANDS`` make the run."""
    least = max(windows / BANDS, 1.0)
    power = 10.0 ** np.floor(np.log10(least))
    return float(next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= least))


class Stays:
    """What several analyses of one run begin with, each made when first asked for."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @cached_property
    def end(self) -> float:
        """Length of the run in windows."""
        return run_windows(self._run)

    @cached_property
    def width(self) -> float:
        """Windows of a cohort, and of a band of tenure."""
        return band_width(self.end)

    @cached_property
    def spells(self) -> pd.DataFrame:
        """As of ``tenure_spells``."""
        return tenure_spells(self._run)

    @cached_property
    def lorenz(self) -> pd.DataFrame:
        """As of ``lorenz_tables``."""
        return lorenz_tables(self._run)

    @cached_property
    def regimes(self) -> pd.DataFrame:
        """Of the number of owners, as of ``analysis.regimes``."""
        return regimes(self._run.rounds)


@lru_cache(maxsize=1)
def stays(run: Run) -> Stays:
    """The stays of a run; those of the run that was asked for last are remembered."""
    return Stays(run)


def participation_tables(run: Run) -> Mapping[str, pd.DataFrame]:
    """Every analysis of one run by the name of its file; a table is empty where the run has nothing to say."""
    spells, end = tenure_spells(run), run_windows(run)
    width = band_width(end)
    curves = kaplan_meier(spells, "strategy")
    return {
        "survival": curves,
        "half_life": half_life(curves),
        "exit_causes": cumulative_incidence(spells),
        "churn": churn_hazard(spells, width),
        "retention": retention(spells, end, width),
        "exit_effects": exit_effects(run),
        "cooperation": cooperation(run.rounds),
        "audit_rates": audit_rates(run.rounds),
        "detection": cumulative_incidence(detection_spells(run)),
        "welfare_by_party": welfare_by_party(run.rounds),
        "utility_by_part": utility_by_part(run.owners),
        "inequality": payoff_inequality(run.owners),
        "lorenz": lorenz_tables(run),
        "regimes": regimes(run.rounds),
    }


def exit_effects(run: Run) -> pd.DataFrame:
    """``cox_exit`` on ``COVARIATES``; empty where the run recorded too little of them or too little happened."""
    try:
        return cox_exit(exit_intervals(run, COVARIATES))
    except ValueError:
        return pd.DataFrame(columns=list(EFFECTS))


def lorenz_tables(run: Run) -> pd.DataFrame:
    """Lorenz curves of the owners' wallets and of the accuracies on their own class mixes, at the end of the run."""
    final = run.owners[run.owners["moment"] == "final"]
    values = {name: final[name].dropna() for name in ("wallet", "accuracy")}
    curves = [lorenz(column, name) for name, column in values.items() if column.sum() > 0]
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=list(LORENZ))


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> list[Path]:
    """One CSV file per table in ``folder``, complete or not there; their paths. OSError if that fails."""
    paths = []
    with made(folder):
        for name, table in tables.items():
            path = folder / f"{name}.csv"
            write_whole(path, table.to_csv(index=table.index.name is not None).encode())
            paths.append(path)
    return paths
