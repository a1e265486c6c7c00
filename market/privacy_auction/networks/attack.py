"""Misreport ascent: what each owner could gain by lying, found by following gradients.

Adam on the reports of all owners of a profile at once, each deviating alone; the reported privacy budget never above
the true one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from market.privacy_auction.networks.game import AuctionNetwork, DeviationMode, Deviations, Profile, utility


class Attack(NamedTuple):
    """How hard lies are searched for: Adam ``steps`` of ``step_size`` (in units of ``reach`` and of the own cap).

    ``reach``: the highest valuation reported, as a multiple of the profile's highest. The first start is the truth;
    ``starts`` more are uniform in the box of reports.
    """

    steps: int = 15
    step_size: float = 0.06
    starts: int = 0
    reach: float = 1.5
    mode: DeviationMode = "first_order"


TRAINING_ATTACK = Attack()
TEST_ATTACK = Attack(steps=60, step_size=0.05, starts=4)
"""Twenty times the steps of training."""


def best_misreports(
    network: AuctionNetwork,
    profile: Profile,
    attack: Attack,
    starts: Tensor | None = None,
    rows: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The best lie found of each owner [P, R, 2] and its gain [P, R] (money, at least 0: the truth is one of them).

    ``starts`` [S, P, R, 2] are uniform numbers in (0, 1), S = ``attack.starts``; ``rows`` as in ``Deviations``.
    """
    deviations = Deviations(network, profile, attack.mode, rows)
    report = deviations.report
    valuation = report[..., 0]
    with torch.no_grad():
        honest = utility(deviations.truthful(), valuation)
    top = attack.reach * profile.report[..., 0].amax(dim=-1, keepdim=True).clamp_min(1e-12)
    box = torch.stack([top.expand_as(valuation), report[..., 1]], dim=-1)
    best, best_gain = report.clone(), torch.zeros_like(honest)
    begins = [report / box, *([] if starts is None else starts.unbind(dim=0))]
    for begin in begins:
        place = begin.clone().requires_grad_()
        first, second = torch.zeros_like(place), torch.zeros_like(place)
        for step in range(1, attack.steps + 1):
            gain = utility(deviations.sold(place * box), valuation) - honest
            (slope,) = torch.autograd.grad((gain / box.prod(dim=-1)).sum(), place)
            with torch.no_grad():
                _keep(best, best_gain, place * box, gain)
                first = 0.9 * first + 0.1 * slope
                second = 0.999 * second + 0.001 * slope**2
                move = (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
                place += attack.step_size * move
                place.clamp_(0.0, 1.0)
                place[..., 1].clamp_min_(1e-3)
        with torch.no_grad():
            _keep(best, best_gain, place * box, utility(deviations.sold(place * box), valuation) - honest)
    return best, best_gain


def _keep(best: Tensor, best_gain: Tensor, report: Tensor, gain: Tensor) -> None:
    better = gain > best_gain
    best[better] = report[better]
    best_gain[better] = gain[better]
