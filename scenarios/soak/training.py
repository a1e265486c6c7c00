"""The training of a random market, as it stands in a scenario file; what it trains by depends on the mechanism."""

from __future__ import annotations

from typing import Any

from scenarios import registries
from scenarios.soak.dice import Dice
from scenarios.soak.parameters import entry_of, some_entry

PERSONAL = ("ipfl", "model_sharing")
SHARED = ("fedavg", "fedprox", "cfl", "fedamp", "fedfomo", "local", "pfedgraph", "ditto")
"""Personalization for ``model_sharing``; ``proximal_centre`` belongs to ``ipfl``."""
MEASURING = ("shapley", "qd_rdfl")


def draw_learning(dice: Dice, mechanism: str) -> dict[str, Any]:
    """How is trained, if at all."""
    learning: dict[str, Any] = {
        "enabled": mechanism in MEASURING or dice.chance(0.7),
        "model": dice.one_of(["softmax", "softmax", "mlp", "tabular"]),
        "epochs": dice.whole(1, 2),
        "batch_size": dice.one_of([1, 5, 10, 64]),
        "learning_rate": dice.one_of([0.001, 0.1, 1.0]),
    }
    if dice.chance(0.3):
        learning |= {"momentum": dice.number(0.0, 0.95), "weight_decay": dice.number(0.0, 0.1)}
    if dice.chance(0.3):
        learning["backend"] = dice.one_of(["loop", "linear", "vmap"])
    if dice.chance(0.2):
        learning["chunk"] = dice.whole(1, 4)
    if mechanism in PERSONAL:
        method = "proximal_centre" if mechanism == "ipfl" else dice.one_of(SHARED)
        learning["personalization"] = entry_of(dice, registries.personalization_methods(), method)
        learning["personalization"].pop("dissimilarity_penalty", None)
        return learning
    learning |= _draw_global(dice)
    if mechanism == "cocogen" and (learning["enabled"] or dice.chance(0.3)):
        generators = registries.generators()
        learning["generation"] = {
            "generator": entry_of(dice, generators, "gaussian_mixture"),
            "public": dice.one_of([0, 0, 40]),
            "fit_seconds": dice.one_of([0.0, 2.0]),
            "seconds_per_sample": dice.one_of([0.0, 0.01]),
        }
    if mechanism == "privacy_auction":
        learning["privacy"] = {"clip": dice.wide(0.1, 2.0)} | _draw_privacy(dice)
    elif dice.chance(0.2):
        learning["privacy"] = {"clip": dice.wide(0.1, 2.0), "noise_multiplier": dice.one_of([0.0, 0.1, 2.0])}
    if mechanism not in MEASURING and dice.chance(0.1):
        learning["trained_sample"] = dice.whole(1, 4)
    return learning


def _draw_global(dice: Dice) -> dict[str, Any]:
    """The rules that make one model of the uploads."""
    found = {}
    for field, registry, chance in (
        ("algorithm", registries.algorithms(), 0.6),
        ("aggregation", registries.robust_rules(), 0.4),
        ("server", registries.server_optimizers(), 0.4),
        ("contribution", registries.contribution_methods(), 0.8),
    ):
        if dice.chance(chance):
            found[field] = some_entry(dice, registry)
    if dice.chance(0.3):
        found["measurement"] = {"worth": dice.one_of(["accuracy", "negative_loss"]), "max_evaluations": 40}
    return found


def _draw_privacy(dice: Dice) -> dict[str, Any]:
    return {
        "delta": dice.one_of([1e-5, 1e-3]),
        "mechanism": dice.one_of(["gaussian_analytic", "gaussian_classical", "laplace"]),
        "neighbours": dice.one_of(["replace_one", "add_remove"]),
        "weights": dice.one_of(["data_size", "uniform", "epsilon", "epsilon_squared", "least_error"]),
    }
