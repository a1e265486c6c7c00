"""RegretNet for procurement and DM-RegretNet, the rivals: payments by softmax within the budget, losses possible.

RegretNet (Duetting et al., "Optimal auctions through deep learning") in the procurement form of FL-Market (arXiv
2106.04384): z_i is the chance to sell the whole privacy budget, payments are a softmax over N + 1 slots times B.
DM-RegretNet (FL-Market, Algorithm 3) chooses one of the sub-bids 0, eps/M, ..., eps instead, softly while it trains and
outright afterwards. Both are printed with flat inputs for one N; here every owner goes through the same trunk beside
the market around it, so that the weights serve any number of owners.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from market.privacy_auction.networks.context import SHAPES, Trunk, others
from market.privacy_auction.networks.game import AuctionNetwork, Sold

_HIGHEST_SCORE = 10.0


class BudgetShares(AuctionNetwork):
    """Payments as shares of the budget: p_i = B e_i / (sum_j e_j + N e_0), with the last slot for what is kept."""

    single_options = 0

    def __init__(self, width: int, layers: int, outputs: int) -> None:
        super().__init__()
        self.trunk = Trunk(3 + SHAPES, width, layers, outputs + 1)
        self.kept = nn.Parameter(torch.zeros(()))

    def heads(self, report: Tensor, sums: Tensor, owners: int, budget: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs for the allocation [..., outputs] and e_i relative to N e_0 [..., 1]."""
        market = others(report, sums, owners, budget)
        relative = torch.stack([report[..., 0] / market.price, report[..., 1] / market.cap], dim=-1).clamp_max(20.0)
        own = torch.cat([relative, relative.prod(dim=-1, keepdim=True)], dim=-1)
        out = self.trunk(torch.cat([torch.log1p(own), market.shape], dim=-1))
        score = torch.exp(_HIGHEST_SCORE * torch.tanh(out[..., -1:] / _HIGHEST_SCORE) - self.kept) / owners
        return out[..., :-1], score

    def coupling(self, own: Tensor) -> Tensor:
        return own[..., -1:]

    def payment(self, own: Tensor, total: Tensor, budget: Tensor) -> Tensor:
        """p_i, of which the sum is below B."""
        return budget * own[..., -1] / (total[..., 0] + 1.0)


class RegretNetwork(BudgetShares):
    """What is sold is the expectation z_i eps_i of a lottery; so are utilities."""

    def __init__(self, width: int = 64, layers: int = 2) -> None:
        super().__init__(width, layers, 1)

    def own(self, report: Tensor, sums: Tensor, owners: int, budget: Tensor) -> Tensor:
        """z_i and the payment score, [..., 2]."""
        chance, score = self.heads(report, sums, owners, budget)
        return torch.cat([torch.sigmoid(chance), score], dim=-1)

    def sold(self, own: Tensor, total: Tensor, report: Tensor, budget: Tensor) -> Sold:
        return Sold(own[..., 0] * report[..., 1], self.payment(own, total, budget))


class DeterministicNetwork(BudgetShares):
    """DM-RegretNet: ``sub_bids`` + 1 levels of epsilon; a soft choice in training mode, the likeliest otherwise."""

    # Pressed harder or moved faster, all owners end at one level before what they report makes a difference.
    first_multiplier: ClassVar[float] = 0.1
    learning_rate: ClassVar[float] = 1e-3

    def __init__(self, width: int = 64, layers: int = 2, sub_bids: int = 8, temperature: float = 0.125) -> None:
        super().__init__(width, layers, sub_bids + 1)
        self.single_options = sub_bids + 1
        self.sub_bids, self.temperature = sub_bids, temperature

    def own(self, report: Tensor, sums: Tensor, owners: int, budget: Tensor) -> Tensor:
        """z' over the levels 0, eps/M, ..., eps, and the payment score, [..., M + 2]."""
        logits, score = self.heads(report, sums, owners, budget)
        if self.training:
            chosen = torch.softmax(logits / self.temperature, dim=-1)
        else:
            chosen = functional.one_hot(logits.argmax(dim=-1), self.sub_bids + 1).to(logits)
        return torch.cat([chosen, score], dim=-1)

    def sold(self, own: Tensor, total: Tensor, report: Tensor, budget: Tensor) -> Sold:
        chosen = own[..., :-1]
        levels = torch.arange(self.sub_bids + 1, dtype=chosen.dtype, device=chosen.device) / self.sub_bids
        return Sold((chosen * levels).sum(dim=-1) * report[..., 1], self.payment(own, total, budget))

    def indeterminacy(self, own: Tensor) -> Tensor:
        """M / (M + 1) - sum_m (z'_m - 1 / (M + 1))^2: 0 for one level alone, M / (M + 1) for all of them alike."""
        return indeterminacy(own[..., :-1])


def indeterminacy(chosen: Tensor) -> Tensor:
    """How far each distribution [..., M + 1] is from a single level."""
    levels = chosen.shape[-1]
    return (levels - 1) / levels - ((chosen - 1.0 / levels) ** 2).sum(dim=-1)
