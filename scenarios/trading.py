"""What owners did in a market for personal models: who bought and who sold, and what they had of it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from market.money import from_micro
from scenarios.palette import strategy_colours
from scenarios.results import Run

ROLES = ("buys and sells", "only buys", "only sells", "does not trade")


def has_personal_models(run: Run) -> bool:
    """Whether owners had models of their own in this run."""
    return run.scenario.get("learning", {}).get("personalization") is not None


def quarantined(run: Run) -> pd.Series[int]:
    """Uploads that were no numbers and were kept from everybody, by owner (index)."""
    kinds = [("kind", "in", ["quarantine", "diverged"])]
    counts: pd.Series[int] = run.columns("events", ["owner"], kinds)["owner"].value_counts()
    return counts


def between_owners(run: Run) -> pd.DataFrame:
    """Postings of which both sides are owners: purchases, admission fees to incumbents."""
    return run.transfers[(run.transfers["payer"] >= 0) & (run.transfers["payee"] >= 0)]


def traded(run: Run) -> float:
    """Money that owners paid to owners in all."""
    return float(from_micro(int(between_owners(run)["amount_micro"].sum())))


def trades(run: Run, families: dict[str, str]) -> pd.DataFrame:
    """One row per strategy (index, an owner's last) and role (``ROLES``, by what it did in the recorded rounds).

    ``owners``: identities; means over these: ``purchases`` and ``sales`` of the recorded rounds, ``earned`` (money
    received from other owners less paid to them), ``utility`` (realised, money); ``quarantined``: uploads, in all.
    """
    stays, edges, postings = (
        run.episodes.sort_values("joined_tick", kind="stable"),
        run.edges[run.edges["source"] >= 0],
        between_owners(run),
    )
    table = pd.DataFrame({
        "strategy": stays.groupby("owner")["strategy_left"].last().astype(str),
        "utility": stays.groupby("owner")["utility"].sum(),
    })  # fmt: skip
    columns = {
        "purchases": edges["user"].value_counts(),
        "sales": edges["source"].value_counts(),
        "quarantined": quarantined(run),
        "income": postings.groupby("payee")["amount_micro"].sum(),
        "expense": postings.groupby("payer")["amount_micro"].sum(),
    }
    for name, column in columns.items():
        table[name] = column.reindex(table.index, fill_value=0)
    table["earned"] = from_micro((table["income"] - table["expense"]).to_numpy(dtype=np.int64))
    buys, sells = table["purchases"] > 0, table["sales"] > 0
    table["role"] = np.select([buys & sells, buys, sells], ROLES[:3], ROLES[3])
    table["owners"] = 1
    how = {"owners": "sum", "purchases": "mean", "sales": "mean", "earned": "mean", "utility": "mean"}
    found = table.groupby(["strategy", "role"]).agg({**how, "quarantined": "sum"}).reset_index("role")
    strategies = list(strategy_colours(map(str, found.index), families))
    places = np.lexsort(([ROLES.index(role) for role in found["role"]], [strategies.index(s) for s in found.index]))
    return found.iloc[places]
