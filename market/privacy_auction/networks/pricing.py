"""MFG-Pricing as a network without weights, so that attacks by gradient can be tried on a rule known in closed form."""

from __future__ import annotations

from torch import Tensor

from market.privacy_auction.networks.game import AuctionNetwork, Sold


class PricingNetwork(AuctionNetwork):
    """eps_out = eps and p_i = B eps_i / sum eps, as ``market.privacy_auction.mfg_pricing``."""

    def own(self, report: Tensor, sums: Tensor, owners: int, budget: Tensor) -> Tensor:
        """The privacy budget, [..., 1]."""
        return report[..., 1:]

    def coupling(self, own: Tensor) -> Tensor:
        return own

    def sold(self, own: Tensor, total: Tensor, report: Tensor, budget: Tensor) -> Sold:
        return Sold(report[..., 1], budget * report[..., 1] / total[..., 0])
