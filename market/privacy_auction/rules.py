"""Every rule of the privacy auction by name; neural ones load torch and their weights when first used."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal, get_args

from market.privacy_auction.all_in import all_in
from market.privacy_auction.bids import Bids, Rule, Sale
from market.privacy_auction.csra import csra
from market.privacy_auction.deviations import Regret, grid_regret
from market.privacy_auction.first_best import first_best
from market.privacy_auction.mfg_pricing import mfg_pricing
from market.privacy_auction.pac import pac, pac_capped
from market.privacy_auction.vcg import vcg

Neural = Literal["mfg_regretnet", "mfg_regretnet_free_markup", "mfg_regretnet_paper", "regretnet", "dm_regretnet"]
RuleName = Literal["pac", "pac_capped", "vcg", "csra", "all_in", "mfg_pricing", "first_best", Neural]
NEURAL: tuple[Neural, ...] = get_args(Neural)


def neural(name: str, bids: Bids, budget: float) -> Sale:
    """The sale of a network with its shipped weights."""
    from market.privacy_auction.networks.columns import clear as clear_columns
    from market.privacy_auction.networks.shipped import shipped

    return clear_columns(shipped(name), bids, budget)


RULES: Mapping[RuleName, Rule] = {
    "pac": pac,
    "pac_capped": pac_capped,
    "vcg": vcg,
    "csra": csra,
    "all_in": all_in,
    "mfg_pricing": mfg_pricing,
    "first_best": first_best,
    "mfg_regretnet": partial(neural, "mfg_regretnet"),
    "mfg_regretnet_free_markup": partial(neural, "mfg_regretnet_free_markup"),
    "mfg_regretnet_paper": partial(neural, "mfg_regretnet_paper"),
    "regretnet": partial(neural, "regretnet"),
    "dm_regretnet": partial(neural, "dm_regretnet"),
}
"""Cleared on columns; every rule is permutation equivariant up to ties, which the order of owners breaks."""


def clear(name: RuleName, bids: Bids, budget: float) -> Sale:
    """The sale of a rule by its name."""
    return RULES[name](bids, budget)


def regret(name: RuleName, bids: Bids, budget: float) -> Regret:
    """What lies would gain: by grid, and by gradient too where a rule has gradients."""
    if name in NEURAL or name == "mfg_pricing":
        from market.privacy_auction.networks.columns import regret as differentiable_regret
        from market.privacy_auction.networks.pricing import PricingNetwork
        from market.privacy_auction.networks.shipped import shipped

        network = PricingNetwork() if name == "mfg_pricing" else shipped(name)
        return differentiable_regret(network, bids, budget)
    return grid_regret(RULES[name], bids, budget)
