"""How long owners stay in the runs of a study: all stays together, for one curve per level of what varies."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from scenarios.analysis.spells import CENSORED, spells_of
from scenarios.studies.levels import short_names
from scenarios.studies.results import StudyResults

FEWEST_EXITS = 5
"""Fewer exits than these make no curve worth a look."""
MOST_GROUPS, MOST_STRATEGIES = 12, 4


def study_spells(study: StudyResults) -> pd.DataFrame:
    """The stays of all finished runs on the clock of the tenure, as of ``analysis.tenure_spells``.

    Beside its columns: ``run``, ``replication``, and a column for each field that varies. Empty where the study keeps
    no episodes.
    """
    if "episodes" not in study.study.keep:
        return pd.DataFrame()
    runs = study.runs[study.runs["status"] == "done"]
    episodes = study.table("episodes").df()
    window = episodes["run"].map((runs["ticks"] / runs["windows"]).set_axis(runs["run"]))
    spells = spells_of(episodes, window.to_numpy(dtype="float64")).assign(run=episodes["run"].to_numpy())
    spells = spells.assign(entry=0.0, exit=spells["exit"] - spells["entry"], joined=spells["entry"])
    about = runs[list(dict.fromkeys(["run", "replication", *study.fields]))]
    return spells.merge(about, on="run", how="left", validate="many_to_one")


def stays_by_strategy(spells: pd.DataFrame, field: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Strategies at the join with their stays, the most frequent first; ``group`` is the short name of the level.

    Only strategies of which enough owners left, and none where ``field`` has many levels.
    """
    if spells.empty or spells[field].nunique() > MOST_GROUPS:
        return
    named = spells.assign(group=spells[field].map(short_names(spells[field])))
    for strategy in named["strategy"].value_counts().index[:MOST_STRATEGIES]:
        stays = named[named["strategy"] == strategy]
        if int((stays["cause"] != CENSORED).sum()) >= FEWEST_EXITS:
            yield str(strategy), stays
