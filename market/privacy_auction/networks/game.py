"""What every neural auction is made of, and what one owner's deviation does to it at the cost of one owner.

Owners are coupled by sums only: the context sums of their reports, of which everybody's own quantities depend on the
means, and sums of those own quantities, as the total of all payments. When owner i reports b' instead of b, the
context sums move by phi(b') - phi(b), everybody's quantities with them, and the coupling sums with those
("self-consistent mean field", equation 44 of arXiv 2603.28329).

Shapes: P profiles of N owners; reports are [..., N, 2] with valuation and privacy budget.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

DeviationMode = Literal["exact", "frozen", "first_order"]

CONTEXTS = 5
"""Numbers per owner of which the sums over all make up the context."""


def context_terms(report: Tensor) -> Tensor:
    """phi(b) = (v, eps, v eps, v^2, eps^2), [..., 5]."""
    valuation, cap = report[..., 0], report[..., 1]
    return torch.stack([valuation, cap, valuation * cap, valuation**2, cap**2], dim=-1)


class Profile(NamedTuple):
    """P auctions of N owners each: ``report`` [P, N, 2], ``budget`` [P] in money."""

    report: Tensor
    budget: Tensor

    @property
    def owners(self) -> int:
        return self.report.shape[-2]

    def sums(self) -> Tensor:
        """Context sums [P, 5]."""
        return context_terms(self.report).sum(dim=-2)


class Sold(NamedTuple):
    """``epsilon`` and ``payment`` of owners, both of the shape of their reports without the last axis."""

    epsilon: Tensor
    payment: Tensor


class AuctionNetwork(nn.Module):
    """A rule of the form: own quantities from (own report, context sums), sale from own quantities and their sums."""

    objective: ClassVar[Literal["epsilon_share", "payment_share"]] = "epsilon_share"
    """What training maximises: epsilon bought over all there is, or the share of the budget that is spent."""
    first_multiplier: ClassVar[float] = 1.0
    """Lagrange multiplier of the constraints at the start of training."""
    learning_rate: ClassVar[float] = 3e-3
    """Of Adam, at the start of training."""
    single_options: int | None = None
    """Large markets may be cleared with the trunk in single precision (``networks.single``): how many of its outputs
    are scores of which the highest is chosen. None for double precision whatever the market."""

    def prepare(self) -> None:
        """Set what shall not start at random; called once, after all weights were drawn."""

    def own(self, report: Tensor, sums: Tensor, owners: int, budget: Tensor) -> Tensor:
        """Own quantities [..., D] of reports [..., 2] where all reports, these included, sum to ``sums`` [..., 5]."""
        raise NotImplementedError

    def coupling(self, own: Tensor) -> Tensor:
        """What of the own quantities is summed over all owners, [..., C]."""
        raise NotImplementedError

    def sold(self, own: Tensor, total: Tensor, report: Tensor, budget: Tensor) -> Sold:
        """The sale [...] of owners whose coupling sums with all the others are ``total`` [..., C]."""
        raise NotImplementedError

    def indeterminacy(self, own: Tensor) -> Tensor:
        """How far the allocation is from a deterministic one, per owner; 0 for networks that draw no lots."""
        return torch.zeros_like(own[..., 0])

    def forward(self, profile: Profile) -> Sold:
        """The sale [P, N] when all report truthfully."""
        own, total = self.quantities(profile)
        return self.sold(own, total[:, None], profile.report, profile.budget[:, None])

    def quantities(self, profile: Profile) -> tuple[Tensor, Tensor]:
        """Own quantities [P, N, D] and coupling sums [P, C] under the reports of the profile."""
        own = self.own(profile.report, profile.sums()[:, None], profile.owners, profile.budget[:, None])
        return own, self.coupling(own).sum(dim=-2)


class Deviations:
    """Unilateral deviations from a profile: what each owner sells when it alone reports something else.

    ``exact`` computes everybody anew for every deviator, O(N^2) per profile. The others are O(N): ``frozen`` leaves
    the others' own quantities as they were (error of order 1/N), ``first_order`` moves their sum along its gradient in
    the context sums (error of order 1/N^2). With ``differentiable``, results carry gradients to the weights. ``rows``
    [R] names the owners that deviate, one at a time; all of them without it.
    """

    def __init__(
        self,
        network: AuctionNetwork,
        profile: Profile,
        mode: DeviationMode,
        rows: Tensor | None = None,
        differentiable: bool = False,
    ) -> None:
        self.network, self.profile, self.mode = network, profile, mode
        self.rows = torch.arange(profile.owners, device=profile.report.device) if rows is None else rows
        self.report = profile.report[:, self.rows]
        self.budget = profile.budget[:, None]
        self.terms = context_terms(self.report)
        self.sums = profile.sums()[:, None]
        with torch.set_grad_enabled(differentiable or mode == "first_order"):
            sums = self.sums.detach().requires_grad_() if mode == "first_order" else self.sums
            everybody = network.own(profile.report, sums, profile.owners, self.budget)
            total = network.coupling(everybody).sum(dim=-2, keepdim=True)
            self.slope = _slopes(total, sums, differentiable) if mode == "first_order" else None
            own = everybody[:, self.rows]
        self.own, self.total = (own, total) if differentiable else (own.detach(), total.detach())
        self.own_coupling = network.coupling(self.own)

    def truthful(self) -> Sold:
        """The sale [P, R] without a deviation."""
        return self.network.sold(self.own, self.total, self.report, self.budget)

    def sold(self, deviation: Tensor) -> Sold:
        """What each owner sells and is paid when it alone reports its ``deviation`` [P, R, 2]."""
        sums = self.sums + context_terms(deviation) - self.terms
        own = self.network.own(deviation, sums, self.profile.owners, self.budget)
        total = self._total(self.network.coupling(own), sums)
        return self.network.sold(own, total, deviation, self.budget)

    def _total(self, coupling: Tensor, sums: Tensor) -> Tensor:
        """Coupling sums [P, R, C] in the world of each deviator, whose own coupling there is given."""
        if self.mode == "frozen":
            return self.total + coupling - self.own_coupling
        network, profile = self.network, self.profile
        if self.mode == "exact":
            report = profile.report[:, None].expand(-1, len(self.rows), -1, -1)
            budget = self.budget[:, :, None]
            everybody = network.coupling(network.own(report, sums[:, :, None], profile.owners, budget))  # [P, R, N, C]
            honest = everybody[:, torch.arange(len(self.rows), device=self.rows.device), self.rows]
            return everybody.sum(dim=-2) - honest + coupling
        assert self.slope is not None
        moved = torch.einsum("pcf,pnf->pnc", self.slope, sums - self.sums)
        before = network.coupling(network.own(self.report, sums, profile.owners, self.budget))
        return self.total + moved + coupling - before


def _slopes(total: Tensor, sums: Tensor, differentiable: bool) -> Tensor:
    """The derivative [P, C, F] of coupling sums [P, 1, C] by context sums [P, 1, F], at the reports as they are."""
    rows = []
    for column in total.unbind(dim=-1):
        if column.grad_fn is None:
            rows.append(torch.zeros_like(sums[:, 0]))
            continue
        (row,) = torch.autograd.grad(
            column.sum(), sums, create_graph=differentiable, retain_graph=True, allow_unused=True
        )
        rows.append(torch.zeros_like(sums[:, 0]) if row is None else row[:, 0])
    return torch.stack(rows, dim=1)


def utility(sold: Sold, valuation: Tensor) -> Tensor:
    """u = p - v eps at true valuations."""
    return sold.payment - valuation * sold.epsilon
