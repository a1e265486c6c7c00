"""``privacy-auction``: one auction of privacy budget, what is sold at what payment, and what lies would bring."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from learning.columns import FloatColumn
from market.privacy_auction import RULES, Bids, Rule, RuleName, SaleOutcome, play_round
from market.privacy_auction.csra import csra
from market.privacy_auction.deviations import (
    Regret,
    cap_violations,
    grid_regret,
    individual_rationality,
    is_budget_feasible,
)
from market.privacy_auction.first_best import first_best
from market.privacy_auction.rules import regret
from market.privacy_auction.surplus import server_value, total_surplus
from scenarios.instances import INSTANCES, InstanceKind
from scenarios.instances.fields import BadInstance, Instance, bounded, check_length, field_error

if TYPE_CHECKING:
    from market.privacy_auction.networks.game import AuctionNetwork

# Within these bounds no product of any three leaves the floats.
Valuation = Annotated[float, AfterValidator(bounded(0.0, 1e15))]
PrivacyBudget = Annotated[float, AfterValidator(bounded(1e-9, 1e9))]
DataSize = Annotated[float, AfterValidator(bounded(1e-6, 1e12))]
Budget = Annotated[float, AfterValidator(bounded(1e-9, 1e15))]

Name = Literal[
    "pac",
    "pac_capped",
    "vcg",
    "csra",
    "all_in",
    "mfg_pricing",
    "first_best",
    "regretnet",
    "dm_regretnet",
    "mfg_regretnet",
]
Parametrisation = Literal["equivariant", "free_markup", "paper"]


class PrivacyAuctionInstance(Instance):
    """Owners of one auction, lists in owner order; ``data_size`` is left out where sizes play no part."""

    rule: Name
    valuation: Annotated[list[Valuation], Field(min_length=1)]
    privacy_budget: list[PrivacyBudget]
    data_size: list[DataSize] | None = None
    budget: Budget
    allocation: Literal["as_coded", "declared"] | None = None
    parametrisation: Parametrisation | None = None
    weights: str | None = None

    @model_validator(mode="after")
    def _one_per_owner(self) -> Self:
        check_length("privacy_budget", self.privacy_budget, len(self.valuation), "owner")
        if self.data_size is not None:
            check_length("data_size", self.data_size, len(self.valuation), "owner")
        return self

    @model_validator(mode="after")
    def _options_of_the_rule(self) -> Self:
        users: dict[str, tuple[str, ...]] = {
            "allocation": ("csra",),
            "parametrisation": ("mfg_regretnet",),
            "weights": ("regretnet", "dm_regretnet", "mfg_regretnet"),
        }
        for option, rules in users.items():
            value = getattr(self, option)
            if value is not None and self.rule not in rules:
                raise field_error(option, value, f"not an option of rule {self.rule}, only of {', '.join(rules)}")
        return self

    def bids(self) -> Bids:
        """The same in columns."""
        sizes = np.ones(len(self.valuation)) if self.data_size is None else _column(self.data_size)
        return Bids(_column(self.valuation), _column(self.privacy_budget), sizes)

    def rule_name(self) -> RuleName:
        """The rule in the registry: a parametrisation other than the first has a rule of its own there."""
        plain = self.parametrisation in (None, "equivariant")
        name = self.rule if plain else f"{self.rule}_{self.parametrisation}"
        return next(known for known in RULES if known == name)


def _column(values: list[float]) -> FloatColumn:
    return np.array(values, dtype=np.float64)


def _network(instance: PrivacyAuctionInstance) -> AuctionNetwork | None:
    """The network with the weights that the instance names. Raises ``BadInstance`` where they cannot be used."""
    if instance.weights is None:
        return None
    from pathlib import Path

    from market.privacy_auction.networks.shipped import with_weights
    from market.privacy_auction.tensors import BadTensorFile, read_tensors

    try:
        return with_weights(instance.rule_name(), read_tensors(Path(instance.weights)))
    except BadTensorFile as fault:
        raise BadInstance("weights", instance.weights, str(fault)) from None
    except OSError as fault:
        raise BadInstance("weights", instance.weights, f"cannot be read ({fault.strerror})") from None


def _rule(instance: PrivacyAuctionInstance, network: AuctionNetwork | None) -> Rule:
    if network is not None:
        from market.privacy_auction.networks.columns import clear

        return partial(clear, network)
    if instance.rule == "csra":
        return partial(csra, allocation=instance.allocation or "as_coded")
    return RULES[instance.rule_name()]


def _described(outcome: SaleOutcome) -> dict[str, object]:
    return {
        "epsilon": outcome.epsilon.tolist(),
        "payment": outcome.payment.tolist(),
        "utility": outcome.utility.tolist(),
        "total_payment": outcome.total_payment,
        "social_welfare": outcome.social_welfare,
        "epsilon_share": outcome.epsilon_share,
        "winners": outcome.winners.tolist(),
    }


def solve(instance: PrivacyAuctionInstance) -> dict[str, object]:
    """What is sold and paid; lists in owner order, winners counted from 0; money."""
    bids = instance.bids()
    return _described(play_round(_rule(instance, _network(instance)), bids, bids, instance.budget))


def check(instance: PrivacyAuctionInstance) -> dict[str, object]:
    """The outcome, and its measured properties: rationality, regret, budget, caps, and how near to the first best."""
    bids, budget, network = instance.bids(), instance.budget, _network(instance)
    rule = _rule(instance, network)
    outcome = play_round(rule, bids, bids, budget)
    rationality = individual_rationality(outcome, budget)
    return {
        **_described(outcome),
        "individual_rationality": {"count": rationality.violations, "worst": rationality.worst},
        "regret": _summary(_regret(instance, rule, network, bids)),
        "budget_feasible": is_budget_feasible(outcome, budget),
        "caps_respected": not cap_violations(bids, outcome).any(),
        "cap_violations": int(cap_violations(bids, outcome).sum()),
        "budget_utilisation": outcome.total_payment / budget,
        "server_value": server_value(bids, outcome),
        "total_surplus": total_surplus(bids, outcome),
        "first_best_epsilon_share": play_round(first_best, bids, bids, budget).epsilon_share,
    }


def _regret(instance: PrivacyAuctionInstance, rule: Rule, network: AuctionNetwork | None, bids: Bids) -> Regret:
    if network is not None:
        from market.privacy_auction.networks.columns import regret as regret_of_network

        return regret_of_network(network, bids, instance.budget)
    if instance.rule == "csra":
        return grid_regret(rule, bids, instance.budget)
    return regret(instance.rule_name(), bids, instance.budget)


def _summary(found: Regret) -> dict[str, object]:
    """Mean and maximum relative to the mean cost, the same in money, and how many owners were looked at."""
    return {
        "mean": found.mean,
        "max": found.largest,
        "mean_gain": float(found.gain.mean()),
        "max_gain": float(found.gain.max()),
        "mean_cost": found.mean_cost,
        "owners": len(found.owner),
    }


INSTANCES.register("privacy-auction")(InstanceKind(PrivacyAuctionInstance, solve, check))
