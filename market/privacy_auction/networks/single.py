"""Large markets in single precision where that does no harm: the hidden layers of a network, and nothing else of it.

Reports, means, sums, outputs, payments and the projection stay in double precision, so whatever holds by construction
still does. In layers of width 64 numbers of half the size are half the work and fit the caches; sales move by less than
1e-6 of the largest.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from market.privacy_auction.networks.context import Trunk
from market.privacy_auction.networks.game import AuctionNetwork

LARGE = 2**16
"""From so many owners on."""
CLOSE = 1e-4
"""Outputs that differ by less are taken for a tie, and computed in double precision."""
_ROWS_AT_ONCE = 2**12
"""Whose hidden layers stay in the cache of a core."""


class SingleTrunk(nn.Module):
    """A trunk whose hidden layers are in single precision, for inference; takes and gives double precision.

    The first ``options`` outputs are scores of which the highest is chosen outright: where that is close, they are
    those of the trunk itself, so that the choice is the same.
    """

    def __init__(self, trunk: Trunk, options: int = 0) -> None:
        super().__init__()
        self.trunk, self.options = trunk, options
        layers = [layer for layer in trunk.hidden if isinstance(layer, nn.Linear)]
        self.weights = [layer.weight.detach().float().T.contiguous() for layer in layers]
        self.biases = [layer.bias.detach().float() for layer in layers]

    def forward(self, features: Tensor) -> Tensor:
        """Outputs [N, outputs] of features [N, inputs]."""
        rows = min(_ROWS_AT_ONCE, len(features))
        hidden = [torch.empty(rows, weight.shape[1]) for weight in self.weights]
        outputs = []
        for begin in range(0, len(features), rows):
            here = features[begin : begin + rows].float()
            for weight, bias, room in zip(self.weights, self.biases, hidden, strict=True):
                here = torch.addmm(bias, here, weight, out=room[: len(here)]).tanh_()
            outputs.append(self.trunk.last(here.double()))
        found = torch.cat(outputs)
        if self.options:
            score = found[:, : self.options]
            near = (score >= score.amax(dim=-1, keepdim=True) - CLOSE).sum(dim=-1) > 1
            found[near] = self.trunk(features[near])
        return found


def for_owners(network: AuctionNetwork, owners: int) -> AuctionNetwork:
    """The network for a market of so many owners: itself, or one with the same weights and a ``SingleTrunk``."""
    trunk = getattr(network, "trunk", None)
    if owners < LARGE or network.single_options is None or not isinstance(trunk, Trunk):
        return network
    hasty = copy.copy(network)
    hasty._modules = {**network._modules, "trunk": SingleTrunk(trunk, network.single_options)}
    return hasty
