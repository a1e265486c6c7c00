"""What a network is told beside the owner's own report: the market around the owner, in no unit at all.

Means over the *others'* reports: what an owner says moves the terms of all the others and not its own. With one owner
there are no others and its own report stands in for them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from market.privacy_auction.networks.game import context_terms

SHAPES = 5
"""Numbers that describe the others and the budget."""
LEAST_BUDGET, MOST_BUDGET = 0.02, 8.0
"""Budget factors beyond these look like these to a network; the projection keeps the budget in any case."""
_TINY = 1e-9


class Others(NamedTuple):
    """``price`` and ``cap`` are the others' mean valuation and mean privacy budget [...], ``shape`` [..., 5]."""

    price: Tensor
    cap: Tensor
    shape: Tensor


def others(report: Tensor, sums: Tensor, owners: int, budget: Tensor) -> Others:
    """The market as it is to the owner of each report [..., 2]; ``sums`` are over all reports, these included.

    The shape holds correlation and dispersions as ratios of means (1 for none), the logarithm of the budget factor and
    the reciprocal of the number of owners.
    """
    mean = (sums - context_terms(report)) / (owners - 1) if owners > 1 else context_terms(report)
    mean = mean.clamp_min(0.0)  # differences of sums, up to rounding
    valuation, cap, cost, valuation_squared, cap_squared = mean.unbind(dim=-1)
    spendable = budget / owners
    cap = cap.clamp_min(torch.finfo(cap.dtype).tiny)
    price = torch.maximum(valuation, _TINY * spendable / cap)
    cost = torch.maximum(cost, _TINY * spendable)
    factor = (spendable / cost).clamp(LEAST_BUDGET, MOST_BUDGET)
    shape = [cost / (price * cap), valuation_squared / price**2, cap_squared / cap**2]
    # Neither a rare dispersion nor a lone owner may leave the range that the network was trained on by far.
    shape = [torch.log(ratio.clamp(0.05, 20.0)) for ratio in shape]
    size = torch.full_like(cap, 1.0 / owners)
    return Others(price, cap, torch.stack([*shape, torch.log(factor).expand_as(cap), size], dim=-1))


class Trunk(nn.Module):
    """A perceptron with tanh layers, applied to each owner alike."""

    def __init__(self, inputs: int, width: int, layers: int, outputs: int) -> None:
        super().__init__()
        sizes = [inputs] + [width] * layers
        self.hidden = nn.ModuleList([nn.Linear(before, after) for before, after in pairwise(sizes)])
        self.last = nn.Linear(width, outputs)

    def forward(self, features: Tensor) -> Tensor:
        for layer in self.hidden:
            features = layer(features).tanh_()
        out: Tensor = self.last(features)
        return out
