"""Static instances of QD-RDFL: qualities, prices, caps and computing centers in; the equilibrium out."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from learning.columns import FloatColumn
from market.qd_rdfl import deviations
from market.qd_rdfl.equilibrium import CapsBind, Centers, Equilibrium, Market
from market.qd_rdfl.equilibrium import solve as solve_market
from market.qd_rdfl.matching import ALONE
from scenarios.instances import INSTANCES, InstanceKind
from scenarios.instances.fields import BadInstance, Instance, NumberOrNumbers, bounded, check_length

# Wide enough for any unit of money and data, and far from where products of them leave the floats.
Amount = Annotated[float, AfterValidator(bounded(0.0, 1e9))]
Price = Annotated[float, AfterValidator(bounded(1e-9, 1e9))]


class CentersInstance(Instance):
    """Computing centers: the cost of a unit of data at center m is ``unit_compute_cost * compute_cost_factor[m]``."""

    compute_cost_factor: Annotated[list[Price], Field(min_length=1)]
    unit_compute_cost: Price = 1.0
    solver: Literal["equilibrium", "authors"] = "equilibrium"


class QdRdflInstance(Instance):
    """One market; what is left out is as in the authors' code."""

    revenue_sensitivity: Amount = 5.0
    revenue_coefficient: Amount = 0.5
    market_factor: Price = 1.0
    unit_price: Price = 1.0
    quality: Annotated[list[Amount], Field(min_length=1)]
    contribution_cap: NumberOrNumbers | None = None
    owner_solver: Literal["active_set", "foc"] = "active_set"
    reward_total: Amount | None = None
    computing_centers: CentersInstance | None = None

    @model_validator(mode="after")
    def _one_cap_per_owner(self) -> QdRdflInstance:
        if isinstance(self.contribution_cap, list):
            check_length("contribution_cap", self.contribution_cap, len(self.quality), "owner")
        return self

    def market(self) -> Market:
        """The same in columns."""
        quality = np.array(self.quality, dtype=np.float64)
        cap = self.contribution_cap
        centers = self.computing_centers
        return Market(
            quality=quality,
            cap=None if cap is None else np.array(np.broadcast_to(cap, quality.shape), dtype=np.float64),
            reward=self.reward_total,
            centers=None if centers is None else _centers(centers),
            revenue_sensitivity=self.revenue_sensitivity,
            revenue_coefficient=self.revenue_coefficient,
            market_factor=self.market_factor,
            unit_price=self.unit_price,
            owner_solver=self.owner_solver,
        )


def _centers(instance: CentersInstance) -> Centers:
    return Centers(np.array(instance.compute_cost_factor), instance.unit_compute_cost, instance.solver)


@np.errstate(over="ignore")  # a cost beyond the floats is infinite: that owner stays out
def solve(instance: QdRdflInstance) -> dict[str, object]:
    """The equilibrium, or the owners' and centers' answer to a given reward."""
    return _as_json(_solved(instance.market()))


@np.errstate(over="ignore")
def check(instance: QdRdflInstance) -> dict[str, object]:
    """The outcome of ``solve``, and what the tried deviations gain."""
    market = instance.market()
    found = _solved(market)
    rationality = deviations.individual_rationality(market, found)
    return _as_json(found) | {
        "owner_best_response_gain": deviations.owner_best_response_gain(market, found),
        "leader_gain": deviations.leader_gain(market, found),
        "individual_rationality": {"count": rationality.losers, "worst": rationality.worst},
        "balance": deviations.balance(market, found),
        "blocking_pairs": deviations.unstable_pairs(market, found),
        "quality_report_gain": deviations.quality_report_gain(market, found),
    }


def _solved(market: Market) -> Equilibrium:
    try:
        return solve_market(market)
    except CapsBind as bind:
        cap = 0.0 if market.cap is None else float(market.cap[bind.owner])
        problem = f"binds for owner {bind.owner}, which owner_solver foc does not know: use active_set"
        raise BadInstance("contribution_cap", cap, problem) from None


def _as_json(found: Equilibrium) -> dict[str, object]:
    match = None if found.match is None else [None if center == ALONE else center for center in found.match.tolist()]
    return {
        "trade": found.trade,
        "reward_total": found.reward,
        "contribution": found.contribution.tolist(),
        "effective_contribution": found.effective_contribution.tolist(),
        "payment": found.payment.tolist(),
        "utility_model_owner": found.utility_model_owner,
        "utility_owner": found.utility_owner.tolist(),
        "active": found.active.tolist(),
        "compute_load": _listed(found.load),
        "utility_center": _listed(found.utility_center),
        "match": match,
    }


def _listed(column: FloatColumn | None) -> list[float] | None:
    return None if column is None else column.tolist()


INSTANCES.register("qd-rdfl")(InstanceKind(QdRdflInstance, solve, check))
