"""What being in the market costs: admission fees and deposits, by the rules in force."""

from __future__ import annotations

import numpy as np

from learning.columns import FloatColumn, IntColumn
from market.ledger import DEPOSIT
from market.money import from_micro, to_micro
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
    """Owners restore their deposits and get back what the rules no longer ask for; returns those that cannot pay.

    These are bankrupt.
    """
    claimed = world.population.reported_data_size[owners]
    missing = required_deposit(world, owners, claimed) - deposit_held(world, owners)
    world.post(tick, "deposit back", owners, owners, np.maximum(0, -missing), payer_book=DEPOSIT)
    able = world.ledger.wallet[owners] >= missing
    paying = owners[able & (missing > 0)]
    world.post(tick, "deposit", paying, paying, missing[able & (missing > 0)], payee_book=DEPOSIT)
    return owners[~able]


def next_fine(world: World, owners: IntColumn, claimed: FloatColumn) -> FloatColumn:
    """What a guilty verdict would take from these owners, by what they would have locked and their strikes (money)."""
    policy, locked = world.policy, required_deposit(world, owners, claimed)
    fine = policy.slashing.fine(policy.slash_share, locked, world.population.strikes[owners])
    return from_micro(np.minimum(fine, locked))


def deposit_held(world: World, owners: IntColumn) -> IntColumn:
    """What these owners have locked for the regulator, without what a mechanism has of flights under way."""
    locked = np.zeros(len(world.population), dtype=np.int64)
    np.add.at(locked, world.flights.owner, world.flights.locked)
    return np.asarray(world.ledger.deposit[owners] - locked[owners])
