"""What a run came to, strategy by strategy: the table that the command line prints."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from market.money import from_micro
from scenarios.results import open_run
from scenarios.tables import EVENTS, TRANSFERS

COLUMNS = ("owners", "stays", "utility", "paid", "flagged", "left", "expelled", "bankrupt", "still_there")


def strategy_summary(folder: Path) -> pd.DataFrame:
    """One row per strategy (index), best paid by utility first.

    ``owners`` identities that ever joined, under the strategy they ended with; ``stays`` their stays; ``utility``
    mean realised utility per owner (money); ``paid`` received from the mechanism in all (money, net); ``flagged``
    audits that found guilty; then how the stays ended.
    """
    episodes = open_run(folder).episodes
    strategy = episodes.sort_values("stay").groupby("owner", observed=True)["strategy_left"].last().astype(str)
    stays = episodes.assign(strategy=episodes["owner"].map(strategy))
    by_strategy = stays.groupby("strategy", observed=True)
    ends = pd.crosstab(stays["strategy"], stays["exit_kind"].astype(str))
    ends = ends.reindex(columns=["voluntary", "expelled", "bankrupt", "censored"], fill_value=0)
    table = pd.DataFrame({"owners": by_strategy["owner"].nunique(), "stays": by_strategy.size()})
    table["utility"] = by_strategy["utility"].sum() / table["owners"]
    table["paid"] = _payments(folder).groupby(strategy).sum()
    table["flagged"] = _verdicts(folder).groupby(strategy).sum()
    table[["left", "expelled", "bankrupt", "still_there"]] = ends
    table = table.fillna({"paid": 0.0, "flagged": 0}).astype({"flagged": "int64"})
    return table[list(COLUMNS)].sort_values("utility", ascending=False, kind="stable")


def _payments(folder: Path) -> pd.Series[float]:
    """Net money from the mechanism, by owner."""
    path = folder / TRANSFERS.file_name
    rows = pq.read_table(
        path, columns=["payer", "payee", "amount_micro"], filters=[("kind", "=", "payment")]
    ).to_pandas()
    received = rows[rows["payee"] >= 0].groupby("payee")["amount_micro"].sum()
    given = rows[rows["payer"] >= 0].groupby("payer")["amount_micro"].sum()
    net = received.sub(given, fill_value=0)
    return pd.Series(from_micro(net.to_numpy(dtype="int64")), index=net.index, dtype="float64")


def _verdicts(folder: Path) -> pd.Series[int]:
    """Audits that found guilty, by owner."""
    rows = pq.read_table(folder / EVENTS.file_name, columns=["owner"], filters=[("kind", "=", "guilty")]).to_pandas()
    counts: pd.Series[int] = rows.groupby("owner").size()
    return counts
