"""The fee of the server, which runs the market for the regulator: a share of what owners earn in it."""

from __future__ import annotations

import numpy as np

from market.money import floor_micro, from_micro, to_micro
from market.parties import REGULATOR
from scenarios.engine.settled import Settled
from scenarios.engine.world import World


def charge_fees(world: World, settled: Settled, tick: int) -> None:
    """Owners hand over a share of their net earnings from the round's payments, if the rules ask for one.

    Rounded down, and never more than an owner has at hand; it lowers the payment of the round.
    """
    share, owners = world.policy.server_fee, settled.owner
    if share == 0.0:
        return
    earned = to_micro(np.maximum(settled.payment, 0.0))
    fee = np.minimum(floor_micro(share * earned), world.ledger.wallet[owners])
    world.post(tick, "server fee", owners, REGULATOR, fee)
    settled.payment = settled.payment - from_micro(fee)
    settled.server_fees = float(from_micro(fee.sum()))
