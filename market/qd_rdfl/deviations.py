"""How far an outcome is from what theory promises, measured by trying deviations, not by the formulas that solved it.

Gains and utilities are in money. A gain is the best utility found by deviating less that of the outcome; at least 0.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from learning.columns import FloatColumn
from market.qd_rdfl.equilibrium import CapsBind, Equilibrium, Market, owners_answer, solve
from market.qd_rdfl.matching import ALONE, blocking_pairs
from market.qd_rdfl.search import largest_value

_CONTRIBUTIONS = 1001  # grid points per owner
_REWARDS = 2001
_REPORTS = 33
_OWNERS_AT_ONCE = 1024
_MISREPORTING = 500  # owners at most whose reports are tried
_SECTIONS = 20  # around the best report: each costs two markets
_SUSPECTS = 4  # of them, those whose reports are searched finely

_NEGLIGIBLE = 1e-12  # losses below this, relative to the revenue scale, are float arithmetic


class Rationality(NamedTuple):
    """How many parties lose by taking part (owners, centers and the model owner), and the lowest utility."""

    losers: int
    worst: float


def owner_best_response_gain(market: Market, found: Equilibrium) -> float:
    """The largest gain of an owner from another contribution, the others' and the reward as they are.

    Contributions are tried from 0 to the cap, or to where the fees eat the whole reward.
    """
    total = float(found.effective_contribution.sum())
    most = np.full(len(market.quality), found.reward / market.fee)
    if market.cap is not None:
        most = np.minimum(most, market.cap)
    gain = 0.0
    for start in range(0, len(most), _OWNERS_AT_ONCE):
        some = slice(start, start + _OWNERS_AT_ONCE)
        quality, others = market.quality[some], total - found.effective_contribution[some]

        def utility(
            contribution: FloatColumn, quality: FloatColumn = quality, others: FloatColumn = others
        ) -> FloatColumn:
            effort = quality * contribution
            share = np.divide(effort, effort + others, out=np.zeros_like(effort), where=effort > 0.0)
            return np.asarray(found.reward * share - market.fee * contribution)

        grid = np.linspace(0.0, 1.0, _CONTRIBUTIONS)[:, None] * most[some]
        gain = max(gain, float((largest_value(utility, grid) - found.utility_owner[some]).max()))
    return gain


def leader_gain(market: Market, found: Equilibrium) -> float:
    """The gain of the model owner from another reward, to which the owners respond in the same mode.

    Rewards are tried from 0 to where even the revenue of uncapped owners would not pay for them.
    """
    uncapped = replace(market, cap=None)

    def revenue(market: Market, reward: float) -> float:
        try:
            return market.revenue_scale * math.log1p(float(owners_answer(market, reward).sum()))
        except CapsBind:
            return -math.inf  # no outcome in this mode

    most = market.revenue_scale
    while revenue(uncapped, most) > most:
        most *= 2.0

    def utility(rewards: FloatColumn) -> FloatColumn:
        return np.reshape([revenue(market, reward) - reward for reward in rewards.ravel().tolist()], rewards.shape)

    best = float(largest_value(utility, np.linspace(0.0, most, _REWARDS)[:, None])[0])
    return max(0.0, best - found.utility_model_owner)


def quality_report_gain(market: Market, found: Equilibrium) -> float:
    """The largest gain of an owner from reporting another quality before it is measured, all others being honest.

    The lie moves the reward and everybody's contribution; the liar is paid for what it claims, and bears the true cost
    of what it contributes. Reports are tried from 0 to 1, or to the best quality if that is above 1. Of more than
    500 owners an even choice by quality is tried, so the figure is a lower bound then.
    """
    top = max(1.0, float(market.quality.max()))
    order = np.argsort(market.quality, kind="stable")
    owners = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), _MISREPORTING)).astype(np.int64))]

    def gain(owner: int, report: float) -> float:
        quality = market.quality.copy()
        quality[owner] = report
        try:
            lied = solve(replace(market, quality=quality))
        except CapsBind:
            return -math.inf
        return float(lied.utility_owner[owner] - found.utility_owner[owner])

    at_top = [gain(owner, top) for owner in owners.tolist()]
    suspects = owners[np.argsort(at_top, kind="stable")[-_SUSPECTS:]]

    def gains(reports: FloatColumn) -> FloatColumn:
        tried = reports.reshape(-1, len(suspects))
        return np.reshape(
            [
                [gain(owner, report) for owner, report in zip(suspects.tolist(), row, strict=True)]
                for row in tried.tolist()
            ],
            reports.shape,
        )

    grid = np.repeat(np.linspace(0.0, top, _REPORTS)[:, None], len(suspects), axis=1)
    return max(0.0, *at_top, float(largest_value(gains, grid, _SECTIONS).max()))


def individual_rationality(market: Market, found: Equilibrium) -> Rationality:
    """Whose utility is below 0, what they would have by staying out."""
    utilities = np.append(found.utility_owner, found.utility_model_owner)
    if found.utility_center is not None:
        utilities = np.append(utilities, found.utility_center)
    return Rationality(int((utilities < -_NEGLIGIBLE * market.revenue_scale).sum()), float(utilities.min()))


def balance(market: Market, found: Equilibrium) -> float:
    """Money that appears from nowhere: all utilities less the revenue and plus the cost of compute, 0 if none does.

    Owners without a center pay their fees outside the market: they count as paid.
    """
    outside = market.fee * float(found.contribution.sum())
    cost, everybody = 0.0, found.utility_model_owner + float(found.utility_owner.sum())
    if market.centers is not None and found.match is not None and found.load is not None:
        everybody += 0.0 if found.utility_center is None else float(found.utility_center.sum())
        if market.centers.solver == "equilibrium":
            outside, cost = 0.0, float((market.centers.cost * found.load).sum())
        else:
            matched = found.match != ALONE
            outside = market.fee * float(found.contribution[~matched].sum())
            cost = float((market.centers.cost[found.match[matched]] * found.contribution[matched]).sum())
    revenue = market.revenue_scale * math.log1p(float(found.effective_contribution.sum()))
    return everybody + outside + cost - revenue


def unstable_pairs(market: Market, found: Equilibrium) -> int | None:
    """Owners and centers who would both rather have each other; None without centers, 0 where nobody is matched."""
    if market.centers is None or found.match is None or found.load is None:
        return None
    if not found.trade:
        return 0
    return blocking_pairs(found.match, found.contribution, found.load, market.centers.cost_factor)
