"""Cohort retention: of those who joined in the same windows, how many are still there later."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scenarios.analysis.spells import CENSORED


def retention(spells: pd.DataFrame, end: float, width: float = 5.0) -> pd.DataFrame:
    """Share of each cohort still in its stay after each tenure; NaN where the run ended before it could be seen.

    ``spells`` as of ``tenure_spells``; ``end`` is the length of the run in windows; cohorts and tenures are steps of
    ``width`` windows. Index ``joined`` (first window of the cohort), columns tenure in windows (0, width, ...). The
    number of stays by cohort is in ``attrs["stays"]`` of the table.

    A tenure is shown for a cohort only when all of its members could have reached it within the run.
    """
    if not width > 0:
        raise ValueError(f"the width of a cohort must be above 0 windows, not {width}")
    tenures = np.arange(0.0, end, width)
    cohort = np.floor(spells["joined"] / width) * width
    table = pd.DataFrame(np.nan, index=pd.Index(sorted(cohort.unique()), name="joined"), columns=tenures)
    for first, rows in spells.groupby(cohort):
        latest = float(rows["joined"].max())
        for tenure in tenures:
            if latest + tenure <= end:
                there = (rows["exit"] > tenure) | ((rows["exit"] == tenure) & (rows["cause"] == CENSORED))
                table.loc[first, tenure] = float(there.mean())
    table.attrs["stays"] = {float(first): len(rows) for first, rows in spells.groupby(cohort)}
    return table
