"""QD-RDFL as a mechanism: the game of ``market.qd_rdfl.equilibrium`` played round after round by who is there.

Each round the model owner announces the reward that is best for the qualities it believes in; owners offer what they
contribute in the equilibrium of the contest for it; each is matched with a computing center, keeps it for as long as
it stays, and pays it for the training. Believed is what was measured in real training, and before that what an owner
says. Everything is solved anew in O(N log N) whenever the population changes; only new owners are matched.

A contribution is a share of what an owner holds, in [0, 1], as in the authors' code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.mechanism import (
    MEASURED_QUALITY,
    MECHANISMS,
    QUALITY,
    Advice,
    Allocation,
    Board,
    Guarantee,
    Members,
    Outcome,
    PaperUtility,
    Reports,
    Settlement,
    Terms,
    Transfers,
    Types,
)
from market.parties import MODEL_OWNER, WORLD, center_party
from market.qd_rdfl.baselines import FIXED_REWARD, random_reward
from market.qd_rdfl.centers import equilibrium_loads, target_loads
from market.qd_rdfl.equilibrium import (
    CenterSolver,
    Market,
    OwnerSolver,
    announced_reward,
    model_owner_utility,
    owners_answer,
)
from market.qd_rdfl.matching import ALONE
from market.qd_rdfl.quality import floored, unfloored
from market.qd_rdfl.rematching import rematch
from market.quoting import Offers, Quote
from market.settling import arrivals, everybody_is_taken, pay_arrivals, share_out

EFFORT = "effort"
"""Column of the terms: effective contributions of the members in equilibrium; the figure of that name is their sum."""
FEE = "training fee"
_LEAST_FEE = 1e-100
"""Of an owner, in money: who pays nothing for training would contribute without bound."""
COMPUTE = "compute cost"
_OWNER, _QUALITY, _CENTER, _COST = "owner", "quality", "center", "center_cost"
_MOST, _LOWEST, _HIGHEST = "budget", "lowest claim", "highest claim"


class _Seat(NamedTuple):
    """Columns [K] of owners in the contest: believed quality, advised share, effort, everybody's effort, reward."""

    quality: FloatColumn
    share: FloatColumn
    effort: FloatColumn
    total: FloatColumn
    reward: FloatColumn


@MECHANISMS.register("qd_rdfl")
@dataclass(frozen=True)
class QDRDFL:
    """QD-RDFL: a reward for quality-weighted data, computing centers matched and paid by the owners.

    ``revenue_sensitivity``, ``revenue_coefficient``: the model owner expects ``coefficient * sensitivity *
    ln(1 + effective data)`` of revenue (money); ``market_factor * unit_price``: what an owner pays for training all of
    its data (money); ``unit_compute_cost``: what that costs a center of cost factor 1. ``reward``: the model owner's
    best one, the authors' baseline ``random``, or ``fixed_reward``; never more than the budget.
    ``adjustment_round``: number of the round in which quality is measured, counted from 0 (-1: never), and
    ``adjustment_every``: measured again after so many rounds (0: never). ``quality_floor``: the authors' scale from
    this to 1 between the worst and the best owner; below 0: no floor, relative to the best owner.
    ``owner_solver``, ``center_solver``: see ``datagora solve qd-rdfl``.

    Claimed quality pays until it is measured, so no incentive compatibility is declared. Fewer than two owners, or a
    reward that is not worth it, close the market for the round.
    """

    revenue_sensitivity: float = 5.0
    revenue_coefficient: float = 0.5
    market_factor: float = 1.0
    unit_price: float = 1.0
    unit_compute_cost: float = 1.0
    reward: Literal["equilibrium", "random", "fixed"] = "equilibrium"
    fixed_reward: float = FIXED_REWARD
    adjustment_round: int = 2
    adjustment_every: int = 0
    quality_floor: float = 0.9
    owner_solver: OwnerSolver = "active_set"
    center_solver: CenterSolver = "equilibrium"

    name: ClassVar[str] = "qd_rdfl"
    needs: ClassVar[tuple[str, ...]] = (QUALITY,)
    measures: ClassVar[tuple[str, ...]] = (MEASURED_QUALITY,)
    watches_members: ClassVar[bool] = True
    guarantees: ClassVar[tuple[Guarantee, ...]] = (
        Guarantee("budget_feasibility"),
        Guarantee("individual_rationality"),
    )
    reference: ClassVar[str] = "Data assetization via resources-decoupled federated learning (2025), arXiv 2501.14588"

    def __post_init__(self) -> None:
        for name in ("revenue_sensitivity", "revenue_coefficient", "market_factor", "unit_price"):
            value = getattr(self, name)
            if not (value > 0.0 and math.isfinite(value)):
                raise ValueError(f"{name}: expected a number above 0, got {value}")
        if not _LEAST_FEE <= self.fee < math.inf:
            raise ValueError(f"market_factor * unit_price: expected a number from {_LEAST_FEE:g} on, got {self.fee:g}")
        for name in ("unit_compute_cost", "fixed_reward"):
            value = getattr(self, name)
            if not (value >= 0.0 and math.isfinite(value)):
                raise ValueError(f"{name}: expected a number of at least 0, got {value}")
        if self.adjustment_round < -1:
            raise ValueError(f"adjustment_round: expected a round number, or -1 for never, got {self.adjustment_round}")
        if self.adjustment_every < 0:
            raise ValueError(f"adjustment_every: expected a number of rounds, got {self.adjustment_every}")
        if not self.quality_floor <= 1.0:
            raise ValueError(f"quality_floor: expected a number up to 1, got {self.quality_floor}")
        if self.adjustment_round < 0:
            object.__setattr__(self, "measures", ())  # the class tells for its default parameters, an instance its own

    @property
    def fee(self) -> float:
        """What an owner pays for training on all of its data, in money."""
        return self.market_factor * self.unit_price

    def market(self, quality: FloatColumn, reward: float | None = None) -> Market:
        """The game among owners of these believed qualities, who hold one unit of data each."""
        return Market(
            quality,
            cap=np.ones(len(quality)) if self.owner_solver == "active_set" else None,
            reward=reward,
            revenue_sensitivity=self.revenue_sensitivity,
            revenue_coefficient=self.revenue_coefficient,
            market_factor=self.market_factor,
            unit_price=self.unit_price,
            owner_solver=self.owner_solver,
        )

    def believed(self, members: Members) -> FloatColumn:
        """Quality of the members as it enters the contest: measured where it was, claimed elsewhere.

        Measured and claimed values are scaled apart, for they have different units.
        """
        claimed, measured = np.nan_to_num(members.claims[QUALITY], nan=1.0), members.measured[QUALITY]
        known = ~np.isnan(measured)
        quality = self._on_scale(claimed) if self.quality_floor >= 0.0 else claimed.copy()
        quality[known] = self._on_scale(measured[known])
        return quality

    def _on_scale(self, raw: FloatColumn) -> FloatColumn:
        return floored(raw, self.quality_floor) if self.quality_floor >= 0.0 else unfloored(raw)

    def announce(self, board: Board) -> Terms:
        members = _by_owner(board.members or _NOBODY)
        quality = self.believed(members)
        reward = self._reward(quality, board)
        effort = self._effort(quality, reward)
        return Terms(
            board.round,
            reward,
            {EFFORT: float(effort.sum()), _MOST: board.budget, **self._claimed_range(members)},
            {
                _OWNER: members.owner,
                _QUALITY: quality,
                EFFORT: effort,
                _CENTER: members.center,
                _COST: board.center_cost,
            },
            self._measured_in(board.round),
        )

    def _claimed_range(self, members: Members) -> dict[str, float]:
        """Lowest and highest claim of the members, between which the floored scale stretches."""
        claimed = members.claims[QUALITY]
        claimed = claimed[~np.isnan(claimed)]
        return {_LOWEST: float(claimed.min()), _HIGHEST: float(claimed.max())} if len(claimed) else {}

    def _reward(self, quality: FloatColumn, board: Board) -> float:
        """Money, at most the budget."""
        best = announced_reward(self.market(quality)) if len(quality) else 0.0
        wanted = {
            "equilibrium": best,
            "random": random_reward(best, board.lot),
            "fixed": self.fixed_reward,
        }[self.reward]
        return min(wanted, board.budget)

    def _effort(self, quality: FloatColumn, reward: float) -> FloatColumn:
        """Effective contributions [N] in equilibrium; first-order ones are cut to 0 and to all of an owner's data."""
        if len(quality) == 0:
            return np.zeros(0)
        return np.clip(owners_answer(self.market(quality, reward), reward), 0.0, np.maximum(quality, 0.0))

    def _measured_in(self, number: int) -> tuple[str, ...]:
        since = number - self.adjustment_round
        again = self.adjustment_every > 0 and since > 0 and since % self.adjustment_every == 0
        return self.measures if since == 0 or again else ()

    def recommend(self, terms: Terms, types: Types) -> Advice:
        """What a member contributes at the announced reward; what somebody outside could expect as one owner more.

        The expected payment is the reward's share less the training fee. Before a second owner is there, an entrant
        hopes for one rival like itself.
        """
        seat = self._seat(terms, types)
        net = self._net(seat, seat.share, seat.effort)
        worthwhile = (seat.share > 0.0) & (net >= types.cost * seat.share * types.data_size)
        return Advice(worthwhile, seat.share, np.where(worthwhile, net, 0.0))

    def quote(self, terms: Terms, offers: Offers) -> Quote:
        """The reward's share less the fee for what is offered, as far as the contest lets it count.

        Nothing where that does not cover what it really costs: such an owner does better to sit the round out.
        """
        seat, truth = self._seat(terms, offers.said), offers.types
        # Whole shares keep the effort as it was announced, to the last bit.
        share = np.minimum(offers.data_share, np.minimum(seat.share, 1.0))
        effort = np.where(share == seat.share, seat.effort, seat.quality * share)
        net = self._net(seat, share, effort)
        worthwhile = (share > 0.0) & (net >= truth.cost * share * truth.data_size)
        return everybody_is_taken(np.where(worthwhile, net, 0.0))

    def _net(self, seat: _Seat, share: FloatColumn, effort: FloatColumn) -> FloatColumn:
        """The prize for an effective contribution less the fee for the share behind it, in money [K]."""
        total = seat.total + (effort - seat.effort)
        prize = np.divide(effort, total, out=np.zeros(len(total)), where=total > 0.0) * seat.reward
        return np.asarray(prize - self.fee * share)

    def _seat(self, terms: Terms, types: Types) -> _Seat:
        """Where owners of these types stand in the contest; who is outside, as one owner more."""
        place, inside = _find(terms, types.owner, len(types))
        quality = types.quality.astype(np.float64)
        quality[inside] = terms.columns[_QUALITY][place[inside]]
        effort = np.zeros(len(types))
        reward = np.full(len(types), terms.budget)
        total = np.full(len(types), terms.figures[EFFORT])
        effort[inside] = terms.columns[EFFORT][place[inside]]
        # Each is the one owner more, so entrants of one quality expect the same: it is worked out once.
        claimed, alike = np.unique(quality[~inside], return_inverse=True)
        if len(claimed):
            entries = np.array([self._entry(terms, one) for one in claimed.tolist()])[alike]
            reward[~inside], total[~inside], effort[~inside], quality[~inside] = entries.T
        share = np.divide(effort, quality, out=np.zeros(len(types)), where=quality > 0.0)
        return _Seat(quality, share, effort, total, reward)

    def _entry(self, terms: Terms, quality: float) -> tuple[float, float, float, float]:
        """Reward, total effort, own effort and believed quality when an owner that claims this quality joins."""
        there = terms.columns[_QUALITY]
        if self.quality_floor >= 0.0:
            lowest, highest = terms.figures.get(_LOWEST, quality), terms.figures.get(_HIGHEST, quality)
            quality = float(floored(np.clip([lowest, highest, quality], lowest, highest), self.quality_floor)[2])
        everybody = np.append(there if len(there) else [quality], quality)
        reward = self.fixed_reward if self.reward == "fixed" else announced_reward(self.market(everybody))
        reward = min(reward, terms.figures[_MOST])
        effort = self._effort(everybody, reward)
        return reward, float(effort.sum()), float(effort[-1]), quality

    def plan(self, terms: Terms, reports: Reports) -> Allocation:
        place, inside = _find(terms, reports.owner, len(reports))
        quality = np.zeros(len(reports))
        quality[inside] = terms.columns[_QUALITY][place[inside]]
        # More than its share of the equilibrium would only cost an owner fees, and spoil the contest for the others.
        share = np.zeros(len(reports))
        due = terms.columns[EFFORT][place[inside]]
        limit = np.divide(due, quality[inside], out=np.zeros(len(due)), where=quality[inside] > 0.0)
        share[inside] = np.clip(reports.data_share[inside], 0.0, np.minimum(limit, 1.0))
        effort = quality * share
        selected = effort > 0.0
        unwilling = len(terms.columns[_COST]) > 0 and not self._centers(terms).any()
        if np.count_nonzero(selected) < 2 or terms.budget <= 0.0 or unwilling:
            selected[:] = False
        effort = np.where(selected, effort, 0.0)
        center = np.full(len(reports), ALONE, dtype=np.int64)
        center[selected] = self._matched(terms, place[selected], share[selected])
        claims = {**reports.claims, EFFORT: effort, _CENTER: center.astype(np.float64)}
        return Allocation(
            reports.owner,
            selected,
            share,
            share_out(terms.budget, effort),
            claims,
            center if self._centers(terms).any() else None,
        )

    def _centers(self, terms: Terms) -> BoolColumn:
        """Centers that take owners: one whose costs exceed the fee has no reason to."""
        return np.asarray(self.unit_compute_cost * terms.columns[_COST] <= self.fee)

    def _matched(self, terms: Terms, place: IntColumn, share: FloatColumn) -> IntColumn:
        """Centers of the contributing owners; who has one keeps it."""
        willing = np.flatnonzero(self._centers(terms))
        if len(willing) == 0 or len(place) == 0:
            return np.full(len(place), ALONE, dtype=np.int64)
        factor = terms.columns[_COST][willing]
        data = float(share.sum())
        if self.center_solver == "authors":
            target = target_loads(share, self.unit_compute_cost * factor)
        else:
            target = equilibrium_loads(self.fee * data, data, self.unit_compute_cost * factor)
        number = np.full(len(terms.columns[_COST]), ALONE, dtype=np.int64)
        number[willing] = np.arange(len(willing))
        had = terms.columns[_CENTER][place]
        kept = np.where(had >= 0, number[had], ALONE)
        return willing[rematch(kept, share, target, factor)]

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement:
        """The reward is shared by the effective contributions that came; their training is paid for."""
        came = arrivals(allocation, outcome)
        effort = allocation.claims[EFFORT] * came
        paid = pay_arrivals(allocation, outcome, share_out(terms.budget, effort), claimed=float(effort.sum()))
        center, share = allocation.claims[_CENTER][came].astype(np.int64), allocation.data_share[came]
        party = np.where(center >= 0, center_party(center), WORLD)
        cost = np.append(terms.columns[_COST], 0.0)[center] * self.unit_compute_cost * share
        working = (center >= 0) & (cost > 0.0)
        world = np.full(int(working.sum()), WORLD, dtype=np.int64)
        bought = paid.edges.user == MODEL_OWNER
        return Settlement(
            paid.transfers,
            paid.edges.take(bought),
            np.zeros(len(allocation), dtype=np.bool_),  # the model is the model owner's alone
            paid.claimed,
            {
                FEE: Transfers(allocation.owner[came], party, self.fee * share),
                COMPUTE: Transfers(party[working], world, cost[working]),
            },
        )

    def paper_utility(
        self,
        terms: Terms,
        allocation: Allocation,
        outcome: Outcome,
        settlement: Settlement,
        types: Types,
        trained: BoolColumn,
    ) -> PaperUtility:
        """U_s, U_n and sum of U_m of section 2.3 for what was contributed, on true quality: 0 where nobody trained."""
        came = arrivals(allocation, outcome)
        effort, share = allocation.claims[EFFORT] * came, allocation.data_share * came
        truth = self._on_scale(types.quality) if self.quality_floor >= 0.0 else types.quality
        prize = share_out(terms.budget, effort)
        model_owner = model_owner_utility(self.market(truth), share * trained, float(prize.sum()), truth)
        center = allocation.claims[_CENTER].astype(np.int64)
        cost = np.append(terms.columns[_COST], 0.0)[center]
        centers = float((share * (self.fee - self.unit_compute_cost * cost))[center >= 0].sum())
        return PaperUtility(model_owner, prize - self.fee * share, centers)


_NOBODY = Members(np.zeros(0, dtype=np.int64), {QUALITY: np.zeros(0)}, {QUALITY: np.zeros(0)}, np.zeros(0, np.int64))


def _by_owner(members: Members) -> Members:
    """The members in the order of their ids."""
    order = np.argsort(members.owner)
    claims, measured = ({name: c[order] for name, c in each.items()} for each in (members.claims, members.measured))
    return Members(members.owner[order], claims, measured, members.center[order])


def _find(terms: Terms, owner: IntColumn, count: int) -> tuple[IntColumn, BoolColumn]:
    """Where owners [K] stand in the columns of the terms, and whether they stand there at all."""
    known = terms.columns[_OWNER]
    if len(owner) == 0 or len(known) == 0:
        return np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.bool_)
    place = np.minimum(np.searchsorted(known, owner), len(known) - 1)
    return place, np.asarray(known[place] == owner)
