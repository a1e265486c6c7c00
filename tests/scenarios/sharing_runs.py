"""Small markets for personal models, and what tests ask of their runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from market_runs import Played, merged

from scenarios.schema import Scenario

MICRO = 1e-6
"""Money is paid in whole millionths, so that a booked amount is up to half of one from the bill."""

SHARED: dict[str, Any] = {
    "name": "shared",
    "horizon": 6,
    "population": {
        "initial": 6,
        "types": {
            "gain_scale": 8000.0,
            "sharing_cost": 1.0,
            "wealth": 1000.0,
            **dict.fromkeys(("cost", "model_value", "outside_option", "link_time", "think_time"), 0.0),
        },
        "participation": {"name": "strict", "patience": 1000},
    },
    "data": {"dataset": "digits", "partition": "iid", "quality": 1.0, "train_limit": 480, "test_limit": 200},
    "learning": {"learning_rate": 0.05, "personalization": {"name": "proximal_centre"}},
    "market": {"mechanism": {"name": "ipfl"}, "budget": 0.0, "treasury": 0.0, "revenue": 0.0, "neighbours": 0},
    "recording": {"network_every": 1},
}

PEERS = ("fedavg", "fedprox", "ditto", "fedamp", "cfl", "fedfomo", "pfedgraph")

ATTACKS = ("attack_shuffle", "attack_sign_flip", "attack_same_value", "attack_random")

UNLIKE: dict[str, Any] = {
    "types": {
        "gain_scale": {"name": "uniform", "low": 3000.0, "high": 12000.0},
        "sharing_cost": {"name": "uniform", "low": 0.1, "high": 1.5},
    }
}

CLUSTERED: dict[str, Any] = {"partition": {"name": "clustered", "clusters": 2}}


def shared(**change: Any) -> Scenario:
    """Six owners with 80 samples each and K / N = 100, with some parts changed."""
    return Scenario.model_validate(merged(SHARED, change))


def by_peers(method: str, **change: Any) -> Scenario:
    """The same owners, but a learning method decides who uses whose model, and nobody pays."""
    learning = {"personalization": {"name": method}, **change.pop("learning", {})}
    return shared(learning=learning, market={"mechanism": {"name": "model_sharing"}}, **change)


def ipfl(**params: Any) -> dict[str, Any]:
    return {"mechanism": {"name": "ipfl", **params}}


def with_last(strategy: str, **params: Any) -> dict[str, Any]:
    """Everybody is honest but the last of six owners."""
    return {"strategies": [{"name": "honest"}, {"name": strategy, **params}], "assignment": [0, 0, 0, 0, 0, 1]}


def in_rounds(run: Played) -> pd.DataFrame:
    owners = run.table("owners")
    return owners[owners["moment"] == "round"]


def at_the_end(run: Played) -> pd.DataFrame:
    owners = run.table("owners")
    return owners[owners["moment"] == "final"].set_index("owner")


def edges_in(run: Played, number: int) -> set[tuple[int, int]]:
    edges = run.table("edges")
    rows = edges[edges["round"] == number]
    return set(zip(rows["user"].tolist(), rows["source"].tolist(), strict=True))


def ends(run: Played) -> set[int]:
    """Everybody who ever bought or sold."""
    edges = run.table("edges")
    return set(edges["user"]) | set(edges["source"])


def cumulative(run: Played) -> np.ndarray:
    return run.simulation.population.utility_total


def moved(run: Played, kind: str) -> pd.DataFrame:
    transfers = run.table("transfers")
    return transfers[transfers["kind"] == kind]
