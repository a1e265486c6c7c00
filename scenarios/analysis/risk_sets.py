"""Who was at risk, and who went, at every time at which somebody went: what survival and incidence are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from learning.columns import FloatColumn
from scenarios.analysis.spells import CENSORED


@dataclass(frozen=True)
class RiskSets:
    """Columns over the rising times of exits: ``at_risk`` just before each, ``ended`` at it (of all causes)."""

    time: FloatColumn
    at_risk: FloatColumn
    ended: FloatColumn

    @property
    def survival(self) -> FloatColumn:
        """The product-limit estimate after each time (Kaplan and Meier 1958, with late entry as Turnbull 1976)."""
        return np.cumprod(1.0 - self.ended / self.at_risk, dtype=np.float64)


def risk_sets(spells: pd.DataFrame, times: FloatColumn | None = None) -> RiskSets:
    """The risk sets of spells: an owner is at risk after its entry, to its exit; who enters at 0 also at 0.

    Who enters later and leaves at once was at risk at no time, and so is left out (as lifelines demands). ``times``:
    where to look, if not at the times at which anybody of these went; there nobody may be at risk.
    """
    spells = ever_at_risk(spells)
    entry, exit = (spells[column].to_numpy(dtype=np.float64) for column in ("entry", "exit"))
    gone = (spells["cause"] != CENSORED).to_numpy()
    time = np.unique(exit[gone]) if times is None else times
    there = _at_or_after(exit, time) - _at_or_after(np.where(entry > 0, entry, -1.0), time)
    return RiskSets(time, there, ended_at(exit[gone], time))


def ever_at_risk(spells: pd.DataFrame) -> pd.DataFrame:
    """The spells without those that enter after 0 and leave at once."""
    return spells[(spells["exit"] > spells["entry"]) | (spells["entry"] == 0)]


def ended_at(exits: FloatColumn, time: FloatColumn) -> FloatColumn:
    """How many of the exits were at each time."""
    ordered = np.sort(exits)
    counts = np.searchsorted(ordered, time, side="right") - np.searchsorted(ordered, time, side="left")
    return counts.astype(np.float64)


def _at_or_after(values: FloatColumn, time: FloatColumn) -> FloatColumn:
    return (len(values) - np.searchsorted(np.sort(values), time, side="left")).astype(np.float64)
