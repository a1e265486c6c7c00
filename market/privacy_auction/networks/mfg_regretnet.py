"""MFG-RegretNet in three parametrisations; all of them map a report and the mean field to a sale.

``EnvelopeNetwork`` (``equivariant``) is what ships: permutation equivariant, individually rational, within the budget
and within the caps by construction. Its payment is tied to its allocation by the envelope theorem (Myerson 1981), and
its mean field is that of the others, so that without the projection onto the budget lies could not pay at all;
training has only the projection left to deal with. ``FreeMarkupNetwork`` (``free_markup``) learns the mark-up on its
own, from own report and the mean of all. ``PaperNetwork`` (``paper``) has the output maps printed in arXiv 2603.28329,
equations 39 to 41, with payments alone projected: neither rational nor able to buy more than one owner's epsilon.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from market.privacy_auction.networks.context import SHAPES, Trunk, others
from market.privacy_auction.networks.game import AuctionNetwork, Sold, context_terms
from market.privacy_auction.networks.projection import MARGIN, projected

VALUATION_SCALE, CAP_SCALE, MEAN_COST = 1.0, 5.0, 1.275
"""Units of the reference's features: v ~ U[0, 1], eps ~ U[0.1, 5] and E[v eps] of those."""


class EnvelopeNetwork(AuctionNetwork):
    """A curve of supply per market: z(v) = L sum_k w_k sigma((t_k - v) / tau_k), with payments by the envelope.

    Level, weights, thresholds and widths are functions of the others' mean field. An owner with cap eps sells z(v) eps
    and is paid v z(v) eps plus the rent eps int_v^inf z, before the projection.
    """

    # So little regret is there to begin with that a low multiplier would leave it.
    first_multiplier: ClassVar[float] = 10.0

    def __init__(self, width: int = 32, layers: int = 2, steps: int = 4) -> None:
        super().__init__()
        self.steps = steps
        self.trunk = Trunk(SHAPES, width, layers, 3 * steps + 1)

    @torch.no_grad()
    def prepare(self) -> None:
        """Everything sold, at thresholds from one to three times the mean valuation, whatever the market."""
        bias = torch.zeros(3, self.steps)
        bias[1] = torch.linspace(0.0, 2.0, self.steps)
        bias[2] = -2.0
        self.trunk.last.weight.mul_(0.1)
        self.trunk.last.bias.copy_(torch.cat([torch.full((1,), 2.0), bias.flatten()]))

    def own(self, report: Tensor, sums: Tensor, owners: int, budget: Tensor) -> Tensor:
        """Raw epsilon and raw payment, [..., 2]."""
        market = others(report, sums, owners, budget)
        curve = self.trunk(market.shape)
        level = torch.sigmoid(curve[..., 0])
        weight, threshold, steepness = curve[..., 1:].unflatten(-1, (3, self.steps)).unbind(dim=-2)
        weight = torch.softmax(weight, dim=-1)
        price = market.price[..., None]
        span = price * (functional.softplus(steepness) + 1e-3)
        place = (price * functional.softplus(threshold) - report[..., :1]) / span
        share = level * (weight * torch.sigmoid(place)).sum(dim=-1)
        rent = level * (weight * span * functional.softplus(place)).sum(dim=-1)
        cap = report[..., 1]
        return torch.stack([cap * share, cap * (share * report[..., 0] + rent)], dim=-1)

    def coupling(self, own: Tensor) -> Tensor:
        return own[..., 1:]

    def sold(self, own: Tensor, total: Tensor, report: Tensor, budget: Tensor) -> Sold:
        return projected(own[..., 0], own[..., 1], total[..., 0], report[..., 0], budget)


class FreeMarkupNetwork(AuctionNetwork):
    """Allocation fraction and mark-up learnt freely: z = sigmoid(a), price = v + softplus(k)."""

    single_options = 0

    def __init__(self, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.trunk = Trunk(8, width, layers, 2)

    def own(self, report: Tensor, sums: Tensor, owners: int, budget: Tensor) -> Tensor:
        """Raw epsilon and raw payment, [..., 2]."""
        heads = self.trunk(_features(report, sums, owners, budget))
        raw = torch.sigmoid(heads[..., 0]) * report[..., 1]
        return torch.stack([raw, raw * (report[..., 0] + functional.softplus(heads[..., 1]))], dim=-1)

    def coupling(self, own: Tensor) -> Tensor:
        return own[..., 1:]

    def sold(self, own: Tensor, total: Tensor, report: Tensor, budget: Tensor) -> Sold:
        return projected(own[..., 0], own[..., 1], total[..., 0], report[..., 0], budget)


class PaperNetwork(AuctionNetwork):
    """Softmax of the allocation across clients, payment as a fraction of the bid v eps, payments alone projected.

    The trunk is the shared one instead of the printed flat input, which would fix the number of owners.
    """

    objective: ClassVar[Literal["epsilon_share", "payment_share"]] = "payment_share"

    single_options = 0

    def __init__(self, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.trunk = Trunk(8, width, layers, 2)

    def own(self, report: Tensor, sums: Tensor, owners: int, budget: Tensor) -> Tensor:
        """exp(h) of the allocation and the raw payment, [..., 2]."""
        heads = self.trunk(_features(report, sums, owners, budget))
        bid = report[..., 0] * report[..., 1]
        # |h| stays below 10, so that the sum of a million exponentials does too in single precision
        score = torch.exp(10.0 * torch.tanh(heads[..., 0] / 10.0))
        return torch.stack([score, torch.sigmoid(heads[..., 1]) * bid], dim=-1)

    def coupling(self, own: Tensor) -> Tensor:
        return own

    def sold(self, own: Tensor, total: Tensor, report: Tensor, budget: Tensor) -> Sold:
        ceiling = budget * (1.0 - MARGIN)
        scale = ceiling / torch.maximum(total[..., 1], ceiling)
        return Sold(own[..., 0] / total[..., 0] * report[..., 1], scale * own[..., 1])


def _features(report: Tensor, sums: Tensor, owners: int, budget: Tensor) -> Tensor:
    """Own report, mean field of all, budget per owner: the eight numbers of the reference design, [..., 8]."""
    own = context_terms(report)[..., :3] / report.new_tensor([VALUATION_SCALE, CAP_SCALE, VALUATION_SCALE * CAP_SCALE])
    units = report.new_tensor([VALUATION_SCALE, CAP_SCALE, VALUATION_SCALE * CAP_SCALE, VALUATION_SCALE**2])
    field = sums[..., :4] / owners / units
    allowance = (budget / (owners * MEAN_COST))[..., None]
    shape = np.broadcast_shapes(own.shape[:-1], field.shape[:-1])
    return torch.cat([part.expand(*shape, part.shape[-1]) for part in (own, field, allowance)], dim=-1)
