"""Enforce the rules after a settlement: audits, verdicts, appeals, deposits, standing, probation, expulsion."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from agents.participation import skill
from agents.population import Status
from learning.columns import IntColumn
from market.enforcement import Sanctions, Verdicts, audit, drift, sanction
from market.ledger import DEPOSIT
from market.money import from_micro, to_micro
from market.parties import REGULATOR, WORLD
from scenarios.engine.appealing import hear_appeals, paid_for, subsidise
from scenarios.engine.audit_record import write_audits
from scenarios.engine.banning import expel
from scenarios.engine.entry_money import deposit_held, top_up_deposit
from scenarios.engine.event_log import Event
from scenarios.engine.identities import counted_once
from scenarios.engine.leaving import ExitKind, leave_for_good
from scenarios.engine.settled import Settled
from scenarios.engine.world import World


def enforce(world: World, settled: Settled, tick: int) -> None:
    """Draw audits, judge, hear appeals, slash, adjust standing, restrict and expel; note the truth beside verdicts."""
    population, policy, number = world.population, world.policy, world.rounds_closed
    took = settled.arrived & (population.status[settled.owner] == Status.ACTIVE)
    who, violation = settled.owner[took], settled.violation[took]
    draws = world.uniform("audit", who, number), world.uniform("verdict", who, number)
    verdicts = audit(policy, violation, *draws, settled.evidence.of(took))
    if math.isfinite(world.regulator.purse):
        fines = _sanctions(world, who, verdicts).slashed_micro
        verdicts = paid_for(world, who, violation, verdicts, fines, draws[0])
    settled.audited[took] = verdicts.audited
    settled.audit_cost = policy.audit_cost * int(verdicts.audited.sum())
    subsidise(world, settled.audit_cost, tick)
    world.post(tick, "audit", REGULATOR, WORLD, to_micro(settled.audit_cost))
    sanctions = _sanctions(world, who, verdicts)
    world.post(tick, "slash", who, REGULATOR, sanctions.slashed_micro, payer_book=DEPOSIT)
    heard = hear_appeals(world, settled, who, violation, verdicts.flagged, sanctions.slashed_micro, tick)
    slashed = np.where(heard.overturned, 0, sanctions.slashed_micro)
    final = verdicts
    if heard.overturned.any():
        final = dataclasses.replace(verdicts, flagged=verdicts.flagged & ~heard.overturned)
        sanctions = _sanctions(world, who, final, slashed)
    settled.flagged[took] = final.flagged
    settled.penalty[took] = from_micro(slashed) + heard.fee
    settled.slashed = float(from_micro(slashed).sum())
    _set_standing(world, who, final, sanctions)
    world.log.add(Event.AUDIT, tick, number, who[verdicts.audited], violation[verdicts.audited])
    world.log.add(Event.GUILTY, tick, number, who[final.flagged], settled.penalty[took][final.flagged])
    write_audits(world, settled, took, verdicts, final, heard, slashed)
    reached = float(np.nan_to_num(skill(world.accuracy, world.board.chance)))
    world.regulator.hear(verdicts, settled.audit_cost, reached)
    _book_utilities(world, settled)
    for owner in who[(sanctions.probation_until > number + 1) & ~population.restricted[who]].tolist():
        population.restricted[owner] = True
        world.graph.restrict(owner)
    expelled = who[sanctions.expelled]
    for owner in expelled.tolist():
        if population.status[owner] == Status.ACTIVE:  # else it has gone with another of its names
            settled.expelled += expel(world, owner, tick)
    rest = who[population.status[who] == Status.ACTIVE]
    broke = top_up_deposit(world, rest, tick)
    if len(broke):
        leave_for_good(world, broke, ExitKind.BANKRUPT, tick)


def _sanctions(world: World, who: IntColumn, verdicts: Verdicts, slashed: IntColumn | None = None) -> Sanctions:
    """What the verdicts cost; ``slashed``: what has been taken for them already."""
    population = world.population
    taken = 0 if slashed is None else slashed
    return sanction(
        world.policy,
        verdicts,
        deposit_held(world, who) + taken,
        population.reputation[who],
        population.strikes[who],
        population.probation_until[who],
        world.rounds_closed,
    )


def _set_standing(world: World, who: IntColumn, verdicts: Verdicts, sanctions: Sanctions) -> None:
    """Reputation, strikes and probation after the verdicts; everybody else's reputation drifts."""
    population = world.population
    active = population.status == Status.ACTIVE
    active[who] = False
    idle = np.flatnonzero(active)
    population.reputation[idle] = drift(world.policy, population.reputation[idle])
    population.reputation[who], population.strikes[who] = sanctions.reputation, sanctions.strikes
    population.probation_until[who] = sanctions.probation_until
    population.flagged[who] = verdicts.flagged
    present = np.concatenate([idle, who])
    world.graph.set_standing(present, population.reputation[present])


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
