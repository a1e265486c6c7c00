"""The parts of a random market, each a mapping as it stands in a scenario file."""

from __future__ import annotations

from typing import Any

from scenarios import registries
from scenarios.soak.dice import Dice
from scenarios.soak.parameters import entry_of
from scenarios.soak.rules import draw_enforcement, draw_faults, draw_interventions

PERSONAL = ("ipfl", "model_sharing")
SHARED = ("fedavg", "fedprox", "cfl", "fedamp", "fedfomo", "local", "pfedgraph", "ditto")
"""Personalization for ``model_sharing``; ``proximal_centre`` belongs to ``ipfl``."""
MEASURING = ("shapley", "qd_rdfl")

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
            population[field] = entry_of(dice, registry, dice.one_of(sorted(registry)))
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
    import inspect

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
            found[field] = entry_of(dice, registry, dice.one_of(sorted(registry)))
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
