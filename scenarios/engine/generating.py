"""Synthetic data at the plan: what owners are asked for and really make, what that costs, and the deposits for it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.uploads import works
from market.ledger import DEPOSIT
from market.mechanism import Allocation, Generating
from market.money import from_micro, to_micro
from market.parties import WORLD
from scenarios.engine.decisions import Decisions, true_types
from scenarios.engine.world import World


class Generated(NamedTuple):
    """Columns of the selected owners, [N].

    Samples asked for, those that an owner means to make and those that it can pay for and makes; money spent, seconds
    taken, micro-units locked.
    """

    told: FloatColumn
    wanted: FloatColumn
    synthetic: IntColumn
    spent: FloatColumn
    seconds: FloatColumn
    locked: IntColumn


def generate(world: World, chosen: Decisions, allocation: Allocation, selected: IntColumn, tick: int) -> Generated:
    """Book the cost of synthetic data, and lock the deposits that the mechanism asks for, as far as there is money.

    Whole samples only; who forges its upload makes none, and nobody makes more than it can pay for.
    """
    owners, count = chosen.owner, len(chosen.owner)
    mechanism = world.mechanism
    nothing = np.zeros(count)
    if not isinstance(mechanism, Generating) or allocation.synthetic_volume is None:
        whole = np.zeros(count, dtype=np.int64)
        return Generated(nothing, nothing, whole, nothing, nothing, whole)
    told = np.rint(allocation.synthetic_volume[selected])
    wanted = np.rint(told * np.where(works(chosen.upload), np.clip(chosen.volume_share, 0.0, 1.0), 0.0))
    types = true_types(world.population, owners, world.labels)
    wallet = world.ledger.wallet[owners]
    price = mechanism.generation_cost(types, wanted)
    dear = price > from_micro(wallet) + 1.0
    cost = to_micro(np.where(dear, 0.0, price))
    paid_for = np.where(dear, np.floor(wanted * (from_micro(wallet) / np.maximum(price, 1.0))), wanted)
    paid_for = np.where(cost <= wallet, paid_for, np.floor(paid_for * wallet / np.maximum(cost, 1)))
    spent = to_micro(np.minimum(mechanism.generation_cost(types, paid_for), from_micro(wallet)))
    world.post(tick, "generation cost", owners, WORLD, spent)
    locked = np.zeros(count, dtype=np.int64)
    if allocation.deposit is not None:
        locked = to_micro(np.minimum(allocation.deposit[selected], from_micro(world.ledger.wallet[owners])))
        world.post(tick, "redistribution deposit", owners, owners, locked, payee_book=DEPOSIT)
    seconds = nothing
    if world.speed is not None:
        seconds = world.speed.seconds(paid_for, np.ones(count))
    return Generated(told, wanted, paid_for.astype(np.int64), np.asarray(from_micro(spent)), seconds, locked)
