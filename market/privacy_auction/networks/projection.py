"""The budget kept by construction: allocation and payment of all owners are scaled alike."""

from __future__ import annotations

import torch
from torch import Tensor

from market.privacy_auction.networks.game import Sold

MARGIN = 1e-9
"""Share of the budget left unspent where it binds, so that no order of summation of a million floats exceeds it."""


def projected(raw_epsilon: Tensor, raw_payment: Tensor, total: Tensor, valuation: Tensor, budget: Tensor) -> Sold:
    """s = min(1, B / total raw payment) times both: payments never exceed B, and no owner's price changes.

    Rounding is in the owner's favour: a raw payment of at least v times the raw epsilon stays so to the last bit.
    """
    ceiling = budget * (1.0 - MARGIN)
    scale = ceiling / torch.maximum(total, ceiling)
    epsilon = scale * raw_epsilon
    return Sold(epsilon, torch.maximum(scale * raw_payment, valuation * epsilon))
