"""The parts of a random market, each a mapping as it stands in a scenario file."""

from __future__ import annotations

from typing import Any

from scenarios import registries
from scenarios.soak.dice import Dice
from scenarios.soak.parameters import entry_of
from scenarios.soak.people import draw_population
from scenarios.soak.rules import draw_enforcement, draw_faults, draw_interventions
from scenarios.soak.training import PERSONAL, draw_learning

_WINDOW = (60.0, 60.0, 90.0, 200.0)


def draw_content(dice: Dice, name: str) -> dict[str, Any]:
    """What the file of one market says; parts may not go together yet."""
    mechanism = draw_mechanism(dice)
    kind = mechanism["name"]
    content: dict[str, Any] = {
        "name": name,
        "seed": dice.whole(0, 2**40),
        "horizon": dice.whole(2, 5),
        "window": dice.one_of(_WINDOW),
        "market": draw_purse(dice, kind) | {"mechanism": mechanism},
        "population": draw_population(dice, kind),
        "data": draw_data(dice),
        "learning": draw_learning(dice, kind),
        "round": draw_round(dice, kind),
        "enforcement": draw_enforcement(dice),
        "recording": draw_recording(dice),
    }
    if kind == "qd_rdfl" or dice.chance(0.3):
        content["centers"] = draw_centers(dice)
    if dice.chance(0.5):
        content["faults"] = draw_faults(dice, "centers" in content)
    if dice.chance(0.4):
        content["interventions"] = draw_interventions(dice, content["horizon"], draw_mechanism)
    return content


def draw_mechanism(dice: Dice) -> dict[str, Any]:
    """Any mechanism, each as likely as the others."""
    name = dice.one_of(sorted(registries.mechanisms()))
    always = {}
    if name == "privacy_auction":
        from market.privacy_auction.rules import RULES

        always = {"rule": dice.one_of(sorted(RULES))}
    return entry_of(dice, registries.mechanisms(), name, always)


def draw_purse(dice: Dice, mechanism: str) -> dict[str, Any]:
    """The model owner's money, and who competes."""
    purse: dict[str, Any] = {
        "budget": dice.one_of([0.0, 0.001, 20.0, 20.0, 100.0, 300.0]),
        "treasury": dice.one_of([0.0, 15.0, 1000.0, 1000.0, 1000.0]),
        "revenue": dice.one_of([0.0, 1.0, 30.0]),
        "neighbours": dice.whole(0, 4),
    }
    if mechanism in PERSONAL:
        purse |= {"budget": 0.0, "treasury": 0.0, "revenue": 0.0}
    if mechanism == "cocogen" and dice.chance(0.8):
        purse["competition"] = entry_of(dice, registries.rivalries(), dice.one_of(["pairs", "markets"]))
    return purse


def draw_data(dice: Dice) -> dict[str, Any]:
    """A small data set, dealt in some way, of any quality."""
    partitions = registries.partitions()
    dataset = dice.one_of(["digits"] * 8 + ["iris", "wine", "breast_cancer", "digits_domains", "digits_writers"])
    grouped = dataset in ("digits_domains", "digits_writers")
    names = [name for name in sorted(partitions) if grouped or not name.startswith("natural")]
    data: dict[str, Any] = {
        "dataset": dataset,
        "partition": entry_of(dice, partitions, dice.one_of(names)),
        "train_limit": dice.whole(60, 300),
        "test_limit": dice.whole(10, 60),
    }
    if dice.chance(0.6):
        data["quality"] = dice.one_of([0.0, 1.0, 0.7, {"kind": "uniform", "low": 0.2, "high": 1.0}])
    if dice.chance(0.3):
        data["shards"] = dice.whole(2, 20)
    for name, most in (
        ("max_label_noise", 1.0), ("max_class_loss", 1.0), ("max_duplicates", 1.0), ("max_feature_noise", 3.0),
    ):  # fmt: skip
        if dice.chance(0.25):
            data[name] = dice.number(0.0, most)
    return data


def draw_round(dice: Dice, mechanism: str) -> dict[str, Any]:
    """Deadlines, and what becomes of late updates."""
    late = ["drop", "wait"] if mechanism in PERSONAL else ["drop", "wait", "buffer"]
    rules: dict[str, Any] = {
        "late": dice.one_of(late),
        "report_deadline": dice.one_of([0.5, 5.0, 10.0, 10.0]),
        "train_deadline": dice.one_of([1.0, 20.0, 40.0, 40.0]),
    }
    if rules["late"] == "buffer":
        rules["buffer_size"] = dice.whole(1, 6)
        rules["merging"] = entry_of(dice, registries.merging_rules(), dice.one_of(["fedbuff", "fedasync"]))
        names = sorted(registries.staleness_functions())
        rules["staleness"] = entry_of(dice, registries.staleness_functions(), dice.one_of(names))
    if dice.chance(0.25):
        rules["invited"] = dice.whole(1, 5)
    return rules


def draw_centers(dice: Dice) -> dict[str, Any]:
    """Computing centers, slow or fast."""
    return {
        "count": dice.whole(1, 4),
        "slots": dice.whole(1, 3),
        "rate": dice.one_of([3.0, 200.0, {"kind": "lognormal", "median": 5.0, "sigma": 0.5}]),
        "cost_factor": dice.one_of([0.5, {"kind": "uniform", "low": 0.1, "high": 1.0}]),
    }


def draw_recording(dice: Dice) -> dict[str, Any]:
    """Everything is recorded in most markets, for the tables are compared with each other."""
    if dice.chance(0.85):
        return {}
    return {
        "owners_every": dice.whole(1, 2), "owners_sample": dice.one_of([None, 2]),
        "edges_every": dice.whole(1, 2), "network_every": dice.whole(1, 3),
    }  # fmt: skip
