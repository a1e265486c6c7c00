"""Spells of time in the market, the raw material of survival analysis: one row per stay, from ``episodes``.

Two clocks, two functions. On the clock of the *tenure* everybody enters at 0. On the clock of the *market* an owner
enters when it joins, so that those who come late are at risk only from then on (late entry, or left truncation).
"""

from __future__ import annotations

import pandas as pd

from learning.columns import FloatColumn
from scenarios.results import Run

CENSORED = "censored"
"""Cause of a spell that had not ended when the run did."""

SPELL = ("owner", "person", "stay", "strategy", "entry", "exit", "cause")


def tenure_spells(run: Run) -> pd.DataFrame:
    """Stays on the clock of the owner's tenure, in reporting windows since it joined.

    Columns ``SPELL`` (``strategy`` is the one at the join, ``entry`` 0 for all, ``cause`` why the stay ended), and
    ``joined``, the window in which it began, from 0, with its fraction.
    """
    market = market_spells(run)
    return market.assign(entry=0.0, exit=market["exit"] - market["entry"], joined=market["entry"])


def market_spells(run: Run) -> pd.DataFrame:
    """Stays on the clock of the market, in reporting windows since it opened; columns ``SPELL``."""
    return spells_of(run.episodes, window_ticks(run))


def spells_of(episodes: pd.DataFrame, window: float | FloatColumn) -> pd.DataFrame:
    """The rows of an episodes table as ``SPELL``; ``window`` is the length of a window in ticks, of all or of each."""
    spells = pd.DataFrame({
        "owner": episodes["owner"],
        "person": episodes["person"],
        "stay": episodes["stay"],
        "strategy": episodes["strategy_joined"].astype(str),
        "entry": episodes["joined_tick"] / window,
        "exit": episodes["left_tick"] / window,
        "cause": episodes["exit_kind"].astype(str),
    })  # fmt: skip
    return spells.reset_index(drop=True)


def window_ticks(run: Run) -> float:
    """Length of a reporting window of the run, in ticks."""
    played = run.runs.iloc[0]
    return float(played["ticks"]) / float(played["windows"])


def grouped(spells: pd.DataFrame, by: str | None) -> list[tuple[str, pd.DataFrame]]:
    """Names and rows of the groups in the column ``by``, in alphabetical order; one group, *all*, without it."""
    if by is None:
        return [("all", spells)]
    return [(str(name), rows) for name, rows in spells.groupby(spells[by].astype(str), sort=True)]
