"""Who gains and by what: welfare by party, an owner's utility by its parts."""

from __future__ import annotations

import pandas as pd

PARTIES = {
    "owners": "owner_utility",
    "model owner": "model_owner_utility",
    "regulator": "regulator_income",
    "centers": "center_income",
}
"""The parties whose gains add up to welfare, and the columns of the rounds table that hold them."""

PARTS = {
    "payment": 1.0,
    "model_benefit": 1.0,
    "sharing_gain": 1.0,
    "training_cost": -1.0,
    "generation_spent": -1.0,
    "competition_loss": -1.0,
    "sharing_loss": -1.0,
    "privacy_cost": -1.0,
    "penalty": -1.0,
}
"""Columns of the owners table that add up to an owner's utility, with their signs."""


def welfare_by_party(rounds: pd.DataFrame) -> pd.DataFrame:
    """Sum over the run of each party's gain, in money: party, total, share_of_rounds_with_a_gain; welfare last."""
    rows = [(party, rounds[column]) for party, column in (PARTIES | {"welfare": "welfare"}).items()]
    return pd.DataFrame(
        [(party, float(values.sum()), float((values > 0).mean()) if len(values) else 0.0) for party, values in rows],
        columns=["party", "total", "rounds_with_a_gain"],
    )


def utility_by_part(owners: pd.DataFrame) -> pd.DataFrame:
    """Mean per owner and round of each part of the owners' utility, by strategy; the last column is their sum.

    Rows of owners in the market after a settlement. A part that costs is negative.
    """
    rows = owners[(owners["moment"] == "round") & ((owners["status"] == "active") | owners["took_part"])]
    signed = pd.DataFrame({part: sign * rows[part] for part, sign in PARTS.items()})
    means = signed.groupby(rows["strategy"].astype(str)).mean()
    means.index.name = "strategy"
    return means.assign(utility=means.sum(axis=1))
