"""Rules of random markets: enforcement, faults, and levers that are turned on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from learning.registry import Registry
from scenarios import registries
from scenarios.soak.dice import Dice
from scenarios.soak.parameters import entry_of, some_entry

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


_TURNED: dict[str, tuple[Any, ...]] = {
    "market.budget": (0.0, 5.0, 100.0),
    "market.revenue": (0.0, 5.0, 100.0),
    "market.neighbours": (0, 3),
    "population.arrival_rate": (0.0, 2.0),
    "population.departure_rate": (0.0, 0.5),
    "round.report_deadline": (2.0, 8.0),
    "round.train_deadline": (5.0, 35.0),
    "round.invited": (None, 2),
    "round.buffer_size": (1, 4),
    "learning.epochs": (1, 2),
    "learning.batch_size": (1, 20),
    "learning.learning_rate": (0.01, 0.5),
}
"""Levers outside of enforcement, with values."""


def _rules() -> list[tuple[str, Registry[Any], float]]:
    """Rules of enforcement that are chosen by name, and how often a market has one."""
    return [
        ("audit_policy", registries.audit_policies(), 0.3),
        ("slashing", registries.slashing_schedules(), 0.3),
        ("admission", registries.admissions(), 0.3),
        ("deposits", registries.deposit_schedules(), 0.3),
        ("ban", registries.bans(), 0.4),
        ("appeal", registries.appeals(), 0.3),
        ("regulation", registries.regulations(), 0.3),
    ]


def draw_enforcement(dice: Dice) -> dict[str, Any]:
    """Any rules: whatever does not go together is left out afterwards."""
    if dice.chance(0.15):
        return {}
    rules = {name: dice.one_of(values) for name, values in _NUMBERS.items() if dice.chance(0.5)}
    if dice.chance(0.6):
        rules["audit_rate"] = dice.one_of([0.3, 1.0])
    for field, registry, chance in _rules():
        if dice.chance(chance):
            rules[field] = some_entry(dice, registry)
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
    names = [name for name in sorted(known) if centers or name != "center_outage"]
    return [draw_fault(dice, dice.one_of(names)) for _ in range(dice.whole(1, 4))]


def draw_fault(dice: Dice, name: str) -> dict[str, Any]:
    """One fault with its parameters."""
    lasting = name in ("server_restart", "network_partition", "center_outage")
    always = {"duration": dice.one_of([2.0, 20.0, 60.0])} if lasting else {}
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
        kind = dice.one_of(["mechanism", "number", "enforcement", "rule", "choice", "faults"])
        if kind == "mechanism":
            levers["market.mechanism"] = draw_mechanism(dice)
        elif kind == "faults":
            levers["faults"] = draw_faults(dice, False)
        elif kind == "rule":
            field, registry, _ = dice.one_of(_rules())
            levers[f"enforcement.{field}"] = some_entry(dice, registry)
        elif kind == "choice":
            field, registry = dice.one_of(
                [
                    ("participation", registries.participation_rules()),
                    ("patience", registries.patience_kinds()),
                    ("adaptation", registries.adaptation_rules()),
                    ("confirmation", registries.confirmation_rules()),
                ]
            )
            levers[f"population.{field}"] = some_entry(dice, registry)
        else:
            values = _TURNED if kind == "number" else {f"enforcement.{name}": found for name, found in _NUMBERS.items()}
            path = dice.one_of(sorted(values))
            levers[path] = dice.one_of(values[path])
    return levers
