"""What being in the market costs: admission fees and deposits, by the rules in force."""

from __future__ import annotations

from learning.columns import FloatColumn, IntColumn
from market.ledger import DEPOSIT
from market.money import to_micro
from scenarios.engine.world import World


def admission_fee(world: World, owners: IntColumn) -> IntColumn:
    """What these owners pay if they join now, by the rounds that they have missed, in micro-units."""
    started = world.rounds_closed + (world.round is not None)
    missed = started - world.population.rounds_taken[owners]
    return to_micro(world.policy.admission.fee(world.policy.admission_fee, missed))


def required_deposit(world: World, owners: IntColumn, claimed: FloatColumn) -> IntColumn:
    """What these owners have to lock, by the samples that they claim and their strikes, in micro-units."""
    policy = world.policy
    return policy.deposits.required(policy.deposit, claimed, world.population.strikes[owners])


def top_up_deposit(world: World, owners: IntColumn, tick: int) -> IntColumn:
    """Owners restore their slashed deposits; returns those that cannot (they are bankrupt)."""
    claimed = world.population.reported_data_size[owners]
    missing = required_deposit(world, owners, claimed) - world.ledger.deposit[owners]
    able = world.ledger.wallet[owners] >= missing
    paying = owners[able & (missing > 0)]
    world.post(tick, "deposit", paying, paying, missing[able & (missing > 0)], payee_book=DEPOSIT)
    return owners[~able]
