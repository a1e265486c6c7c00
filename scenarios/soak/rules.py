"""Rules of random markets: enforcement, faults, and levers that are turned on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scenarios import registries
from scenarios.soak.dice import Dice
from scenarios.soak.parameters import entry_of

_NUMBERS: dict[str, tuple[Any, ...]] = {
    "deposit": (0.0, 1.5, 1.5, 30.0),
    "admission_fee": (0.0, 0.1, 0.1, 2.0),
    "audit_rate": (0.0, 0.3, 1.0),
    "detection_rate": (0.0, 0.5, 1.0),
    "false_alarm_rate": (0.0, 0.2, 1.0),
    "tolerance": (0.0, 0.05, 0.5),
    "slash_share": (0.0, 0.5, 1.0),
    "audit_cost": (0.0, 0.05, 2.0),
    "initial_reputation": (0.0, 0.5, 1.0),
    "reputation_gain": (0.0, 0.05, 1.0),
    "reputation_loss": (0.0, 0.5, 1.0),
    "reputation_decay": (0.0, 0.1, 1.0),
    "probation_rounds": (0, 1, 2),
    "expel_after": (0, 1, 2),
    "expel_below": (0.0, 0.2, 0.6),
    "server_fee": (0.0, 0.1, 0.1, 1.0),
}
"""Levers of enforcement with values of every size."""


def draw_enforcement(dice: Dice) -> dict[str, Any]:
    """Any rules: whatever does not go together is left out afterwards."""
    if dice.chance(0.15):
        return {}
    rules = {name: dice.one_of(values) for name, values in _NUMBERS.items() if dice.chance(0.5)}
    if dice.chance(0.6):
        rules["audit_rate"] = dice.one_of([0.3, 1.0])
    for field, registry, chance in (
        ("audit_policy", registries.audit_policies(), 0.3),
        ("slashing", registries.slashing_schedules(), 0.3),
        ("admission", registries.admissions(), 0.3),
        ("deposits", registries.deposit_schedules(), 0.3),
        ("ban", registries.bans(), 0.4),
        ("appeal", registries.appeals(), 0.3),
        ("regulation", registries.regulations(), 0.3),
    ):
        if dice.chance(chance):
            rules[field] = entry_of(dice, registry, dice.one_of(sorted(registry)))
    if dice.chance(0.4):
        known = registries.detectors()
        rules["detectors"] = [entry_of(dice, known, name) for name in dice.some_of(sorted(known), 3)]
        rules["votes"] = dice.whole(1, max(1, len(rules["detectors"])))
    if rules.get("slashing", {}).get("name", "proportional") != "proportional":
        rules.pop("slash_share", None)
    return rules


def draw_faults(dice: Dice, centers: bool) -> list[dict[str, Any]]:
    """Up to four faults that the market can have."""
    known = registries.faults()
    names = [name for name in sorted(known) if name != ("client_crash" if centers else "center_outage")]
    return [draw_fault(dice, dice.one_of(names)) for _ in range(dice.whole(1, 4))]


def draw_fault(dice: Dice, name: str) -> dict[str, Any]:
    """One fault with its parameters."""
    always = {} if name != "server_restart" else {"duration": dice.one_of([2.0, 20.0])}
    return entry_of(dice, registries.faults(), name, always)


def draw_interventions(
    dice: Dice, horizon: int, draw_mechanism: Callable[[Dice], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Levers turned in some rounds, in their order."""
    rounds = sorted(dice.whole(0, horizon - 1) for _ in range(dice.whole(1, 3)))
    return [{"round": number, "set": draw_lever(dice, draw_mechanism)} for number in rounds]


def draw_lever(dice: Dice, draw_mechanism: Callable[[Dice], dict[str, Any]]) -> dict[str, Any]:
    """One or two levers with values."""
    levers: dict[str, Any] = {}
    for _ in range(dice.whole(1, 2)):
        if dice.chance(0.3):
            levers["market.mechanism"] = draw_mechanism(dice)
        elif dice.chance(0.3):
            levers[dice.one_of(["market.budget", "market.revenue"])] = dice.one_of([0.0, 5.0, 100.0])
        else:
            name = dice.one_of(sorted(_NUMBERS))
            levers[f"enforcement.{name}"] = dice.one_of(_NUMBERS[name])
    return levers
