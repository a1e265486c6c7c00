"""iPFL as a mechanism: the model-sharing market played round after round by who is there.

Every owner trains a model of its own. From the reports and the distances between the uploads the server makes the
graph and the bills of the round (``market.ipfl.clearing``); who confirms pays the sellers and is moved towards their
models. For late joining, which the paper leaves out, there are probation and an admission fee.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from learning.columns import FloatColumn, IntColumn
from market.ipfl.clearing import SharingRules, clear
from market.ipfl.greedy import StopRule
from market.ipfl.offers import SharingTypes
from market.ipfl.payments import PaymentRule, Purchases
from market.mechanism import (
    DATA_SIZE,
    GAIN_SCALE,
    MECHANISMS,
    MODEL_DISTANCE,
    OVERSTATED,
    SHARING_COST,
    TRAINS_ANYWAY,
    Advice,
    Allocation,
    Board,
    Edges,
    Guarantee,
    Members,
    Outcome,
    Reports,
    Settlement,
    Terms,
    Transfers,
    Types,
)
from market.model_sharing import HOPE, SharingAccounts, equation_3, everybody, join_with_everything

BILL = "model purchase"
LATE_FEE = "admission fee to incumbents"
SERVED, SETTLED, BUYS, SURPLUS = "probation served", "admission settled", "buys", "surplus"
_OWNER, _FIRST, _MISSED = "owner", "first round", "missed rounds"


@MECHANISMS.register("ipfl")
@dataclass(frozen=True)
class IPFL(SharingAccounts):
    """iPFL: owners buy each other's personal models; graph by thresholds, marginal-contribution prices.

    ``dissimilarity_penalty``: lambda, money per unit of distance and relative data size; ``payment_rule``: ``ipfl``
    (equation 12), ``critical`` or ``vcg``; ``graph_stop_rule``: what a greedy buyer does at a misfit (``datagora solve
    ipfl``). Late joiners (who have missed rounds): ``probation_rounds`` rounds in which they buy but cannot sell,
    counted only where the mean distance to the models that they buy (to the nearest one if they buy none) is at most
    ``probation_distance``; ``admission_fee_share`` phi: with its first purchase from owners that were there
    before it a late joiner pays phi times their part of this bill again for each round missed, to them.
    """

    dissimilarity_penalty: float = 2.0
    payment_rule: PaymentRule = "ipfl"
    graph_stop_rule: StopRule = "break"
    admission_fee_share: float = 0.0
    probation_rounds: int = 0
    probation_distance: float = 2.0

    name: ClassVar[str] = "ipfl"
    needs: ClassVar[tuple[str, ...]] = (DATA_SIZE, GAIN_SCALE, SHARING_COST)
    measures: ClassVar[tuple[str, ...]] = (MODEL_DISTANCE,)
    watches_members: ClassVar[bool] = True
    guarantees: ClassVar[tuple[Guarantee, ...]] = (
        Guarantee("individual_rationality", when=TRAINS_ANYWAY),
        Guarantee("incentive_compatibility", lie=SHARING_COST, when=OVERSTATED),
        Guarantee("budget_feasibility"),
    )
    reference: ClassVar[str] = "Zhang, Chai, Ye, Wang, Chen 2025, Nature Communications 16:7923"

    def __post_init__(self) -> None:
        for name in ("dissimilarity_penalty", "admission_fee_share", "probation_distance"):
            value = getattr(self, name)
            if not (value >= 0.0 and math.isfinite(value)):
                raise ValueError(f"{name}: expected a number of at least 0, got {value}")
        if self.probation_rounds < 0:
            raise ValueError(f"probation_rounds: expected a number of rounds, got {self.probation_rounds}")

    @property
    def rules(self) -> SharingRules:
        """What the server lays down for one round."""
        return SharingRules(self.dissimilarity_penalty, self.payment_rule, self.graph_stop_rule)

    def announce(self, board: Board) -> Terms:
        """Publish who is how far with its admission, and what buyers and sellers had of the last round."""
        members = board.members or Members(np.zeros(0, dtype=np.int64), {}, {}, np.zeros(0, dtype=np.int64))
        records = {name: _known(members, name) for name in (SERVED, SETTLED, BUYS, SURPLUS)}
        surplus, buys = records[SURPLUS], records[BUYS]
        figures = {
            f"{SURPLUS} of buyers": _mean(surplus[buys == 1.0]),
            f"{SURPLUS} of sellers": _mean(surplus[buys == 0.0]),
        }
        columns = {
            _OWNER: members.owner,
            _FIRST: members.first_round,
            _MISSED: members.missed,
            **{name: records[name] for name in (SERVED, SETTLED)},
        }
        return Terms(board.round, board.budget, figures=figures, columns=columns)

    def recommend(self, terms: Terms, types: Types) -> Advice:
        """Take part with everything; expect what others of the own kind had of the last round by their reports."""
        figures = terms.figures
        buyers, sellers = figures[f"{SURPLUS} of buyers"], figures[f"{SURPLUS} of sellers"]
        return join_with_everything(np.where(types.column(GAIN_SCALE) > 0, buyers, sellers))

    def plan(self, terms: Terms, reports: Reports) -> Allocation:
        return everybody(reports)

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement:
        """The graph, the bills and the admission fees; ``records`` tell the next round how admissions stand."""
        came = np.flatnonzero(allocation.selected & outcome.arrived & (allocation.claims[DATA_SIZE] > 0))
        owner = allocation.owner[came]
        claimed = {name: allocation.claims[name][came] for name in self.needs}
        served, settled = (_of(terms, name, owner) for name in (SERVED, SETTLED))
        first, missed = (_of(terms, name, owner) for name in (_FIRST, _MISSED))
        late = missed > 0
        on_probation = late & (served < self.probation_rounds)
        reports = SharingTypes(
            claimed[GAIN_SCALE],
            claimed[DATA_SIZE],
            np.where(on_probation, np.inf, claimed[SHARING_COST]),
        )
        distance = outcome.measured[MODEL_DISTANCE][np.ix_(came, came)]
        bought = clear(reports, distance, self.rules)
        buyer, seller = np.nonzero(bought.chosen)
        bills = bought.payment[buyer, seller]
        incumbent = first[seller] < first[buyer]
        due = self.admission_fee_share * np.where(late & (settled == 0.0), missed, 0.0)
        fees = np.where(incumbent, due[buyer] * bills, 0.0)
        edges = Edges(owner[buyer], owner[seller], np.ones(len(buyer)), bills, distance[buyer, seller])
        charged = fees > 0
        further = {
            BILL: Transfers(owner[buyer], owner[seller], bills),
            LATE_FEE: Transfers(owner[buyer[charged]], owner[seller[charged]], fees[charged]),
        }
        near = _distance_to_cluster(distance, bought) <= self.probation_distance
        delivered = np.zeros(len(allocation), dtype=np.bool_)
        delivered[came] = True
        settlement = Settlement(Transfers.none(), edges, delivered, 0.0, further)
        surplus = self._reported_surplus(allocation, came, settlement)
        records = {
            SERVED: served + near,
            SETTLED: np.where(np.isin(np.arange(len(owner)), buyer[incumbent]), 1.0, settled),
            BUYS: (claimed[GAIN_SCALE] > 0).astype(np.float64),
            SURPLUS: surplus,
        }
        spread = {name: _spread(column, came, allocation) for name, column in records.items()}
        return replace(settlement, records=spread)

    def _reported_surplus(self, allocation: Allocation, came: IntColumn, settlement: Settlement) -> FloatColumn:
        """What the round would be worth to owners that are as they say."""
        claims, of_no_matter = allocation.claims, np.zeros(len(allocation))
        further = {name: claims[name] for name in (GAIN_SCALE, SHARING_COST)}
        said = Types(claims[DATA_SIZE], of_no_matter, of_no_matter, allocation.owner, further)
        return np.asarray(equation_3(allocation, settlement, said).owners[came])


def _known(members: Members, name: str) -> FloatColumn:
    return members.records.get(name, np.full(len(members), np.nan))


def _mean(column: FloatColumn) -> float:
    known = column[np.isfinite(column)]
    return float(known.mean()) if len(known) else HOPE


def _of(terms: Terms, name: str, owner: IntColumn) -> FloatColumn:
    """A column of the terms for these owners; 0 for who joined after the announcement and where nothing is known."""
    there = terms.columns[_OWNER]
    found = np.zeros(len(owner))
    if len(there):
        order = np.argsort(there)
        place = order[np.minimum(np.searchsorted(there, owner, sorter=order), len(there) - 1)]
        known = there[place] == owner
        found[known] = np.nan_to_num(terms.columns[name][place[known]].astype(np.float64))
    return found


def _distance_to_cluster(distance: FloatColumn, bought: Purchases) -> FloatColumn:
    """Mean distance to the models that an owner buys, or else that of the nearest one; infinite for who is alone."""
    count = bought.chosen.sum(axis=1)
    others = np.where(np.eye(len(distance), dtype=np.bool_), np.inf, distance)
    nearest = others.min(axis=1, initial=np.inf)
    total = np.where(bought.chosen, distance, 0.0).sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), nearest))


def _spread(column: FloatColumn, came: IntColumn, allocation: Allocation) -> FloatColumn:
    """The column over the whole allocation, NaN for who did not come."""
    whole = np.full(len(allocation), np.nan)
    whole[came] = column
    return whole
