"""``ipfl``: one round of the model-sharing market, its graph and payments, and what lies would bring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from learning.columns import FloatColumn
from market.ipfl import BundleTooHard, SharingOutcome, SharingRules, SharingTypes, play_round
from market.ipfl.deviations import (
    COST_ABOVE,
    COST_BELOW,
    GAIN_SCALES,
    SIZES,
    Lies,
    Report,
    individual_rationality,
    lie_gains,
    one_flip_gain,
)
from market.ipfl.greedy import StopRule
from market.ipfl.offers import FloatMatrix
from market.ipfl.payments import PaymentRule
from scenarios.instances import INSTANCES, InstanceKind
from scenarios.instances.fields import BadInstance, Instance, bounded, check_length

# Within these bounds no figure and no lie overflows.
GainScale = Annotated[float, AfterValidator(bounded(0, 1e30))]
DataSize = Annotated[float, AfterValidator(bounded(1e-6, 1e12))]
SharingCost = Annotated[float, AfterValidator(bounded(0, 1e15))]
Weight = Annotated[float, AfterValidator(bounded(0, 1e15))]
Distance = Annotated[float, Field(le=1e15)]  # the lower bound is not asked of the diagonal


class ReportedTypes(Instance):
    """What owners say where that is not the truth; lists in owner order, as in the instance itself."""

    gain_scale: list[GainScale] | None = None
    data_size: list[DataSize] | None = None
    sharing_cost: list[SharingCost | None] | None = None


class SharingInstance(Instance):
    """Owners of a model-sharing market; lists in owner order, ``null`` as a sharing cost for who never sells.

    ``model_distance`` [m][m] is d of the uploaded models (row: buyer), of which the diagonal is not
    used.
    """

    gain_scale: Annotated[list[GainScale], Field(min_length=1)]
    data_size: list[DataSize]
    sharing_cost: list[SharingCost | None]
    model_distance: list[list[Distance]]
    dissimilarity_penalty: Weight
    payment_rule: PaymentRule
    graph_stop_rule: StopRule = "break"
    reported: ReportedTypes = ReportedTypes()

    @model_validator(mode="after")
    def _one_per_owner(self) -> Self:
        said = self.reported
        columns: dict[str, Sequence[object] | None] = {
            "data_size": self.data_size,
            "sharing_cost": self.sharing_cost,
            "model_distance": self.model_distance,
            "reported.gain_scale": said.gain_scale,
            "reported.data_size": said.data_size,
            "reported.sharing_cost": said.sharing_cost,
        }
        for name, column in columns.items():
            if column is not None:
                check_length(name, column, len(self.gain_scale), "owner")
        return self

    def distances(self) -> FloatMatrix:
        """The model distances [m, m]. Raises ``BadInstance`` for rows of another length, and for negative ones."""
        owners = len(self.gain_scale)
        for buyer, row in enumerate(self.model_distance):
            if len(row) != owners:
                found = "1 value" if len(row) == 1 else f"{len(row)} values"
                raise BadInstance(f"model_distance.{buyer}", found, f"expected {owners}, one per owner")
        matrix = np.array(self.model_distance, dtype=np.float64)
        buyers, sellers = np.nonzero((matrix < 0) & ~np.eye(owners, dtype=np.bool_))
        if len(buyers):
            place = f"model_distance.{buyers[0]}.{sellers[0]}"
            raise BadInstance(place, float(matrix[buyers[0], sellers[0]]), "expected a number of at least 0")
        np.fill_diagonal(matrix, 0.0)  # whatever stands there: it has no bound, and would overflow
        return matrix

    def truth(self) -> SharingTypes:
        """What the owners are."""
        return SharingTypes(_column(self.gain_scale), _column(self.data_size), _column(self.sharing_cost))

    def reports(self) -> SharingTypes:
        """What the owners say. Raises ``BadInstance`` where one that never sells says a price."""
        said = self.reported
        costs = said.sharing_cost or self.sharing_cost
        for owner, (true, claimed) in enumerate(zip(self.sharing_cost, costs, strict=True)):
            if true is None and claimed is not None:
                field = f"reported.sharing_cost.{owner}"
                raise BadInstance(field, claimed, "expected null, as the sharing_cost of this owner is null")
        return SharingTypes(
            _column(said.gain_scale or self.gain_scale), _column(said.data_size or self.data_size), _column(costs)
        )

    def rules(self) -> SharingRules:
        """What the server lays down."""
        return SharingRules(self.dissimilarity_penalty, self.payment_rule, self.graph_stop_rule)


def _column(values: Sequence[float | None]) -> FloatColumn:
    return np.array([np.inf if value is None else value for value in values], dtype=np.float64)


@contextmanager
def _fault_named(instance: SharingInstance) -> Iterator[None]:
    """Say which field is to blame for a bundle that is too hard."""
    try:
        yield
    except BundleTooHard as hard:
        raise BadInstance("payment_rule", instance.payment_rule, str(hard)) from None


def _described(outcome: SharingOutcome) -> dict[str, object]:
    buyer, seller = np.nonzero(outcome.adjacency)
    payment = outcome.payment[buyer, seller]
    return {
        "edges": [list(edge) for edge in zip(buyer.tolist(), seller.tolist(), payment.tolist(), strict=True)],
        "gain": outcome.gain.tolist(),
        "net_payment": outcome.net_payment.tolist(),
        "utility_client": outcome.utility_client.tolist(),
        "welfare": outcome.welfare,
        "balance": outcome.balance,
    }


def solve(instance: SharingInstance) -> dict[str, object]:
    """Edges [buyer, seller, payment] by buyer and seller, counted from 0; lists in owner order; money."""
    with _fault_named(instance):
        return _described(play_round(instance.truth(), instance.reports(), instance.distances(), instance.rules()))


def check(instance: SharingInstance) -> dict[str, object]:
    """The outcome, and its measured properties: rationality, what unilateral lies bring, local optimality."""
    truth, reports, distances, rules = instance.truth(), instance.reports(), instance.distances(), instance.rules()

    def gain_from(report: Report, factors: Sequence[float]) -> dict[str, object]:
        return _summary(lie_gains(truth, reports, distances, rules, report, factors))

    with _fault_named(instance):
        outcome = play_round(truth, reports, distances, rules)
        rationality = individual_rationality(outcome)
        return {
            **_described(outcome),
            "individual_rationality": {"count": rationality.violations, "worst": rationality.worst},
            "cost_over_report_gain": gain_from("sharing_cost", COST_ABOVE),
            "cost_under_report_gain": gain_from("sharing_cost", COST_BELOW),
            "size_report_gain": gain_from("data_size", SIZES),
            "gain_scale_report_gain": gain_from("gain_scale", GAIN_SCALES),
            "one_flip_gain": one_flip_gain(outcome, reports, distances, rules)._asdict(),
        }


def _summary(lies: Lies) -> dict[str, object]:
    """The best lie of all, the share of owners who have a gainful one, and the same by factor."""
    return {
        "largest": float(lies.gain.max(initial=0.0)),
        "share": float(lies.gainful.any(axis=0).mean()),
        "by_factor": [
            {"factor": factor, "largest": float(gain.max()), "mean": float(gain.mean()), "share": float(better.mean())}
            for factor, gain, better in zip(lies.factors.tolist(), lies.gain, lies.gainful, strict=True)
        ],
    }


INSTANCES.register("ipfl")(InstanceKind(SharingInstance, solve, check))
