"""The people of a random market: who is there, how they behave, and their private types."""

from __future__ import annotations

import inspect
from typing import Any

from scenarios import registries
from scenarios.soak.dice import Dice
from scenarios.soak.parameters import entry_of, some_entry
from scenarios.soak.training import PERSONAL


def draw_population(dice: Dice, mechanism: str) -> dict[str, Any]:
    """Who is there, who comes, how they behave."""
    initial = dice.whole(2 if mechanism in PERSONAL else 1, 12)
    population: dict[str, Any] = {
        "initial": initial,
        "strategies": [draw_strategy(dice) for _ in range(dice.whole(1, 5))],
        "types": draw_types(dice, mechanism),
    }
    for field, registry in (
        ("participation", registries.participation_rules()),
        ("patience", registries.patience_kinds()),
        ("adaptation", registries.adaptation_rules()),
        ("confirmation", registries.confirmation_rules()),
    ):
        if dice.chance(0.7):
            population[field] = some_entry(dice, registry)
    if dice.chance(0.4):
        population["arrival_rate"] = dice.one_of([0.5, 3.0])
    if dice.chance(0.2):
        population["arrival_times"] = sorted(dice.number(0.0, 250.0) for _ in range(dice.whole(1, 3)))
    if dice.chance(0.3):
        processes = registries.arrival_processes()
        names = [name for name in sorted(processes) if name != "trace"]
        population["arrivals"] = [entry_of(dice, processes, dice.one_of(names)) for _ in range(dice.whole(1, 2))]
    if dice.chance(0.4):
        population["departure_rate"] = dice.one_of([0.1, 1.0])
    if dice.chance(0.5):
        population["regions"] = dice.whole(2, 3)
    if dice.chance(0.2):
        population["assignment"] = [dice.whole(0, len(population["strategies"]) - 1) for _ in range(initial)]
    if dice.chance(0.3):
        population["sold_out"] = "leave"
    if dice.chance(0.2):
        population["valuation_rule"] = {name: dice.number(0.0, 0.5) for name in ("accuracy", "data", "non_iid")}
    return population


def draw_strategy(dice: Dice) -> dict[str, Any]:
    """Any strategy, sometimes transformed."""
    known = registries.strategies()
    name = "honest" if dice.chance(0.15) else dice.one_of(sorted(known))
    strategy = entry_of(dice, known, name) | {"share": dice.one_of([0.5, 1.0, 3.0])}
    if dice.chance(0.3):
        strategy["with"] = [draw_step(dice) for _ in range(dice.whole(1, 2))]
    return strategy


def draw_step(dice: Dice) -> dict[str, Any]:
    """A transformer with its parameters; whether it fits the strategy is for the schema to say."""
    known = registries.strategy_transformers()
    name = dice.one_of(sorted(known))
    ranges = {
        "rounds": dice.whole(1, 2), "period": dice.whole(3, 4), "probability": dice.number(0.0, 1.0),
        "below": dice.number(0.0, 1.0), "spread": dice.number(0.0, 0.5), "claim": "data_size",
    }  # fmt: skip
    own = inspect.signature(known[name]).parameters
    return {"name": name, **{key: value for key, value in ranges.items() if key in own}}


_TYPES: dict[str, tuple[float, ...]] = {
    "cost": (0.0, 0.002, 0.002, 0.02, 1.0),
    "compute_rate": (0.5, 20.0, 100.0, 1000.0),
    "link_time": (0.0, 2.0, 40.0),
    "think_time": (0.0, 1.0, 8.0),
    "model_value": (0.0, 0.5, 3.0),
    "outside_option": (-1.0, -1.0, 0.0, 0.0, 0.1, 1.0),
    "wealth": (0.0, 3.0, 50.0, 50.0, 1000.0),
    "gain_scale": (0.0, 50.0, 8000.0, 8000.0),
    "sharing_cost": (0.0, 0.02, 1.0),
    "valuation": (0.0, 0.2, 1.0),
    "privacy_budget": (0.0, 0.5, 2.0, 8.0),
    "lifetime_privacy": (0.5, 10.0, 1e6),
    "generation_cost": (0.0, 0.008, 0.5),
    "profitability": (0.0, 30.0, 30.0, 100.0),
}
_NEEDED = {
    "ipfl": ("gain_scale", "sharing_cost"),
    "model_sharing": ("gain_scale", "sharing_cost"),
    "privacy_auction": ("valuation", "privacy_budget", "lifetime_privacy"),
    "cocogen": ("generation_cost", "profitability"),
}


def draw_types(dice: Dice, mechanism: str) -> dict[str, Any]:
    """Distributions of the private type: half by default, but what the mechanism reads is drawn more often."""
    needed = _NEEDED.get(mechanism, ())
    # Half of all markets are worth being in whatever they pay; else many would stay empty.
    drawn: dict[str, Any] = {"outside_option": -3.0} if dice.chance(0.5) else {}
    for name, usual in _TYPES.items():
        if name not in drawn and dice.chance(0.85 if name in needed else 0.3):
            drawn[name] = draw_distribution(dice, dice.one_of(usual))
    if "sharing_cost" in drawn and mechanism == "ipfl" and dice.chance(0.15):
        drawn["sharing_cost"] = {"kind": "choice", "values": [0.1, None]}
    return drawn


def draw_distribution(dice: Dice, middle: float) -> Any:
    """A distribution about a number, of any kind."""
    kind = dice.one_of(["bare", "constant", "uniform", "lognormal", "beta", "choice", "table"])
    if kind == "bare" or (kind == "lognormal" and middle <= 0):
        return middle
    if kind == "constant":
        return {"kind": kind, "value": middle}
    if kind == "uniform":
        return {"kind": kind, "low": min(0.5 * middle, 2 * middle), "high": max(0.5 * middle, 2 * middle)}
    if kind == "lognormal":
        return {"kind": kind, "median": middle, "sigma": dice.number(0.0, 1.0)}
    if kind == "beta":
        low, high = sorted((0.0, middle or 1.0))
        return {"kind": kind, "a": dice.wide(0.3, 3.0), "b": dice.wide(0.3, 3.0), "low": low, "high": high}
    return {"kind": kind, "values": [middle, 0.5 * middle, middle]}
