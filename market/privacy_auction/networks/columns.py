"""Neural auctions on columns: clearing any number of owners in pieces, and the regret of one static market."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from learning.columns import IntColumn
from learning.streams import Streams
from market.privacy_auction.bids import Bids, Sale
from market.privacy_auction.deviations import Regret, attacked_owners, mean_cost, reports_of
from market.privacy_auction.networks.attack import TEST_ATTACK, best_misreports
from market.privacy_auction.networks.game import (
    AuctionNetwork,
    DeviationMode,
    Deviations,
    Profile,
    context_terms,
    utility,
)
from market.privacy_auction.networks.single import for_owners

_OWNERS_AT_ONCE = 2**14
_PAIRS_AT_ONCE = 2**18

SMALL = 32
"""Up to this number of owners every lie is valued by computing everybody anew."""
MOST_ATTACKED = 2000
"""Owners that are attacked in a large market, evenly spaced by valuation."""
EXACT_UP_TO = 2000
"""Best lies are valued by computing everybody anew up to this number of owners, to first order beyond."""


@torch.no_grad()
def clear(network: AuctionNetwork, bids: Bids, budget: float) -> Sale:
    """The sale of a network, O(N), in double precision but for the perceptrons of some in large markets."""
    network, report = for_owners(network, len(bids)), report_of(bids)
    owners, money = len(bids), torch.tensor(budget, dtype=torch.float64)
    sums = context_terms(report).sum(dim=0)
    pieces = torch.split(report, _OWNERS_AT_ONCE)
    own = [network.own(piece, sums, owners, money) for piece in pieces]
    total = torch.stack([network.coupling(quantities).sum(dim=0) for quantities in own]).sum(dim=0)
    sold = [network.sold(quantities, total, piece, money) for quantities, piece in zip(own, pieces, strict=True)]
    return Sale(
        torch.cat([piece.epsilon for piece in sold]).numpy(), torch.cat([piece.payment for piece in sold]).numpy()
    )


def report_of(bids: Bids) -> Tensor:
    """Reports [N, 2] in double precision."""
    return torch.from_numpy(np.stack([bids.valuation, bids.privacy_budget], axis=-1))


def regret(network: AuctionNetwork, bids: Bids, budget: float) -> Regret:
    """The best of a grid of reports and of gradient ascent from several starts, for up to ``MOST_ATTACKED`` owners.

    Lies are compared to first order in 1/N, which costs O(N); the best of each owner is then valued with everybody
    computed anew. In a small market everything is.
    """
    owners = attacked_owners(bids, MOST_ATTACKED)
    profile = Profile(report_of(bids)[None], torch.tensor([budget], dtype=torch.float64))
    rows = torch.from_numpy(owners)
    mode: DeviationMode = "exact" if len(bids) <= SMALL else "first_order"
    candidates = [_best_on_grid(Deviations(network, profile, mode, rows), bids, owners)]
    starts = Streams(0).generator("auction attack").uniform(size=(TEST_ATTACK.starts, 1, len(owners), 2))
    with _softly(network):
        lie, _ = best_misreports(network, profile, TEST_ATTACK._replace(mode=mode), torch.from_numpy(starts), rows)
    candidates.append(lie)
    gains = [_valued(network, profile, rows, lie) for lie in candidates]
    gain = torch.stack(gains).amax(dim=0).clamp_min(0.0)
    return Regret(owners, gain.numpy(), mean_cost(bids, clear(network, bids, budget).epsilon, budget))


@torch.no_grad()
def _best_on_grid(deviations: Deviations, bids: Bids, owners: IntColumn) -> Tensor:
    """The best report [1, R, 2] of each deviator on the grid."""
    grid = np.stack([np.stack(reports_of(bids, owner), axis=-1) for owner in owners.tolist()], axis=1)  # [G, R, 2]
    valuation = deviations.report[..., 0]
    best, best_utility = deviations.report.clone(), utility(deviations.truthful(), valuation)
    for report in torch.from_numpy(grid)[:, None]:
        worth = utility(deviations.sold(report), valuation)
        better = worth > best_utility
        best[better], best_utility[better] = report[better], worth[better]
    return best


@torch.no_grad()
def _valued(network: AuctionNetwork, profile: Profile, rows: Tensor, lie: Tensor) -> Tensor:
    """What each deviator [R] gains by its lie [1, R, 2], exactly where that can be afforded."""
    mode: DeviationMode = "exact" if profile.owners <= EXACT_UP_TO else "first_order"
    at_once = max(1, _PAIRS_AT_ONCE // profile.owners) if mode == "exact" else len(rows)
    gains = []
    for some, report in zip(torch.split(rows, at_once), torch.split(lie, at_once, dim=1), strict=True):
        deviations = Deviations(network, profile, mode, some)
        valuation = deviations.report[..., 0]
        gains.append(utility(deviations.sold(report), valuation) - utility(deviations.truthful(), valuation))
    return torch.cat(gains, dim=1)[0]


@contextmanager
def _softly(network: AuctionNetwork) -> Iterator[None]:
    """Let a network choose as it does in training, where its choices have gradients."""
    network.train()
    try:
        yield
    finally:
        network.eval()
