"""Appeals against guilty verdicts, and what looking costs the regulator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.enforcement import Verdicts
from market.enforcement.appeals import Appeal
from market.ledger import DEPOSIT
from market.money import from_micro, to_micro
from market.parties import REGULATOR, WORLD
from scenarios.engine.settled import Settled
from scenarios.engine.world import World

_ROUNDING = 1e-9
"""Money by which sums of costs may be off."""


@dataclass(frozen=True)
class Heard:
    """Of the owners that were judged: who appealed, whose verdict fell, and the fee that each has lost (money)."""

    appealed: BoolColumn
    overturned: BoolColumn
    fee: FloatColumn


def hear_appeals(
    world: World,
    settled: Settled,
    who: IntColumn,
    violation: BoolColumn,
    flagged: BoolColumn,
    slashed_micro: IntColumn,
    tick: int,
) -> Heard:
    """Who was found guilty in this round decides whether to appeal; verdicts that fall are undone, money included.

    An owner appeals with what it has at hand after the fine: who cannot put the fee down cannot appeal.
    """
    rule = world.policy.appeal
    nobody = np.zeros(len(who), dtype=np.bool_)
    if rule is None:
        return Heard(nobody, nobody, np.zeros(len(who)))
    fee = int(to_micro(rule.fee))
    appealed = _lodged(world, rule, who, violation, flagged, slashed_micro)
    overturned = appealed & rule.overturned(violation, world.uniform("appeal", who, world.rounds_closed))
    lost = np.where(appealed & ~overturned, from_micro(fee), 0.0)
    world.post(tick, "appeal fee", who[appealed], REGULATOR, fee)
    world.post(tick, "appeal fee back", REGULATOR, who[overturned], fee)
    world.post(tick, "refund", REGULATOR, who[overturned], slashed_micro[overturned], payee_book=DEPOSIT)
    cost = rule.cost * int(appealed.sum())
    subsidise(world, cost, tick)
    world.post(tick, "appeal", REGULATOR, WORLD, to_micro(cost))
    settled.audit_cost += cost
    settled.appeal_fees = float(lost.sum())
    return Heard(appealed, overturned, lost)


def paid_for(
    world: World, who: IntColumn, violation: BoolColumn, verdicts: Verdicts, slashed_micro: IntColumn, lot: FloatColumn
) -> Verdicts:
    """The audits that the regulator's purse pays for, with the appeals that follow.

    They take place one after another, in the order of their lots (uniform ``lot`` over the probability of the audit, so
    that the order tells nothing of it), until another one and an appeal could cost more than what is left.
    """
    rule, audited = world.policy.appeal, np.flatnonzero(verdicts.audited)
    cost, most = np.full(len(who), world.policy.audit_cost), world.policy.audit_cost
    if rule is not None:
        appeals = _lodged(world, rule, who, violation, verdicts.flagged, slashed_micro)
        cost, most = cost + rule.cost * appeals, most + rule.cost
    order = audited[np.argsort(lot[audited] / verdicts.chance[audited], kind="stable")]
    before = np.cumsum(cost[order]) - cost[order]
    done = np.zeros(len(who), dtype=np.bool_)
    done[order[before + most <= world.regulator.purse + _ROUNDING]] = True
    return verdicts.only(done)


def _lodged(
    world: World, rule: Appeal, who: IntColumn, violation: BoolColumn, flagged: BoolColumn, slashed_micro: IntColumn
) -> BoolColumn:
    """Which of the guilty appeal and can put down the fee."""
    able = world.ledger.wallet[who] >= int(to_micro(rule.fee))
    return np.asarray(flagged & able & rule.lodged(violation, from_micro(slashed_micro)))


def subsidise(world: World, cost: float, tick: int) -> None:
    """The regulator pays for looking from fees and fines; what these do not cover comes from outside."""
    missing = int(to_micro(cost)) - world.ledger.balance(REGULATOR)
    world.post(tick, "audit subsidy", WORLD, REGULATOR, max(0, missing))
