"""Enforce the rules after a settlement: audits, verdicts, deposits, standing, probation, expulsion."""

from __future__ import annotations

import numpy as np

from agents.participation import skill
from agents.population import Status
from market.enforcement import audit, drift, sanction
from market.ledger import DEPOSIT
from market.money import from_micro, to_micro
from market.parties import REGULATOR, WORLD
from scenarios.engine.event_log import Event
from scenarios.engine.identities import counted_once
from scenarios.engine.membership import ExitKind, leave, top_up_deposit
from scenarios.engine.settled import Settled
from scenarios.engine.world import World


def enforce(world: World, settled: Settled, tick: int) -> None:
    """Draw audits, judge, slash, adjust standing, restrict and expel. The truth stands beside every verdict."""
    population, policy, number = world.population, world.policy, world.rounds_closed
    took = settled.arrived & (population.status[settled.owner] == Status.ACTIVE)
    who, violation = settled.owner[took], settled.violation[took]
    verdicts = audit(policy, violation, world.uniform("audit", who, number), world.uniform("verdict", who, number))
    settled.audited[took], settled.flagged[took] = verdicts.audited, verdicts.flagged
    settled.audit_cost = policy.audit_cost * int(verdicts.audited.sum())
    _pay_for_audits(world, settled.audit_cost, tick)
    sanctions = sanction(
        policy,
        verdicts,
        world.ledger.deposit[who],
        population.reputation[who],
        population.strikes[who],
        population.probation_until[who],
        number,
    )
    world.post(tick, "slash", who, REGULATOR, sanctions.slashed_micro, payer_book=DEPOSIT)
    settled.penalty[took] = from_micro(sanctions.slashed_micro)
    settled.slashed = float(settled.penalty.sum())
    active = population.status == Status.ACTIVE
    active[who] = False
    idle = np.flatnonzero(active)
    population.reputation[idle] = drift(policy, population.reputation[idle])
    population.reputation[who], population.strikes[who] = sanctions.reputation, sanctions.strikes
    population.probation_until[who] = sanctions.probation_until
    population.flagged[who] = verdicts.flagged
    present = np.concatenate([idle, who])
    world.graph.set_standing(present, population.reputation[present])
    world.log.add(Event.AUDIT, tick, number, who[verdicts.audited], violation[verdicts.audited])
    world.log.add(Event.GUILTY, tick, number, who[verdicts.flagged], settled.penalty[took][verdicts.flagged])
    _book_utilities(world, settled)
    for owner in who[(sanctions.probation_until > number + 1) & ~population.restricted[who]].tolist():
        population.restricted[owner] = True
        world.graph.restrict(owner)
    expelled = who[sanctions.expelled]
    settled.expelled = len(expelled)
    for owner in expelled.tolist():
        leave(world, owner, ExitKind.EXPELLED, tick)
    rest = who[~sanctions.expelled]
    for owner in top_up_deposit(world, rest, tick).tolist():
        leave(world, owner, ExitKind.BANKRUPT, tick)


def _pay_for_audits(world: World, cost: float, tick: int) -> None:
    """The regulator pays for audits from fees and fines; what these do not cover is a public subsidy."""
    bill = int(to_micro(cost))
    world.post(tick, "audit subsidy", WORLD, REGULATOR, max(0, bill - world.ledger.balance(REGULATOR)))
    world.post(tick, "audit", REGULATOR, WORLD, bill)


def _book_utilities(world: World, settled: Settled) -> None:
    """Realised utility of the round, from true types, for everybody in the market."""
    population = world.population
    active = population.active()
    booked = {
        "payment": settled.payment,
        "training_cost": settled.spent - settled.generation_spent,
        "generation_spent": settled.generation_spent,
        "competition_loss": settled.competition_loss,
        "penalty": settled.penalty,
        "sharing_gain": settled.sharing_gain,
        "sharing_loss": settled.sharing_loss,
        "privacy_cost": settled.privacy_cost,
    }
    for name, column in booked.items():
        getattr(population, name)[active] = 0.0
        getattr(population, name)[settled.owner] = column
    held = np.nan_to_num(population.held_accuracy[active])
    benefit = population.model_value[active] * skill(held, world.board.chance)
    population.model_benefit[active] = counted_once(world, active, benefit)
    utility = (
        population.payment[active]
        - population.training_cost[active]
        - population.generation_spent[active]
        - population.competition_loss[active]
        + population.model_benefit[active]
        - population.penalty[active]
        + population.sharing_gain[active]
        - population.sharing_loss[active]
        - population.privacy_cost[active]
    )
    population.utility[active] = utility
    population.utility_total[active] += utility
    population.stay_utility[active] += utility
    arrived = settled.owner[settled.arrived]
    population.rounds_taken[arrived] += 1
    population.stay_rounds[arrived] += 1
