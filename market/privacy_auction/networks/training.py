"""Training of neural auctions: an objective under constraints of no regret and no loss, by augmented Lagrangian.

loss = - objective + sum over constraints of (lambda c + rho / 2 c^2), with c relative to the mean realised cost.
Regret is that of the best misreport that gradient ascent finds against the self-consistent mean field, at O(N) per
profile. One network trains on markets of several sizes, so that one set of weights serves every N.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from learning.streams import Streams
from market.privacy_auction.networks.attack import TRAINING_ATTACK, Attack, best_misreports
from market.privacy_auction.networks.game import AuctionNetwork, Deviations, Profile, utility
from market.privacy_auction.networks.populations import draw

_LEAST_COST = 0.3
"""Violations are relative to the mean cost, but to no less than this share of what everything would cost."""
CONSTRAINTS = ("regret", "individual_rationality", "indeterminacy")


@dataclass(frozen=True)
class TrainingPlan:
    """How a network is trained; two equal plans on one kind of device give the same weights."""

    iterations: int = 1000
    batch: int = 32
    owners: tuple[int, ...] = (5, 10, 20, 50)
    populations: tuple[str, ...] = ("uniform", "uniform", "bimodal", "realistic")
    budget_factor: tuple[float, float] = (0.1, 3.0)
    learning_rate: float = 3e-3
    last_learning_rate: float = 1e-4
    multiplier: float = 1.0
    multiplier_every: int = 25
    penalty: float = 1.0
    penalty_growth: float = 1.1
    penalty_every: int = 100
    penalty_most: float = 100.0
    seed: int = 1
    attack: Attack = field(default=TRAINING_ATTACK)

    def settings(self) -> dict[str, Any]:
        """As plain values, for metadata."""
        return {**asdict(self), "attack": self.attack._asdict()}


class Progress(NamedTuple):
    """The state after an iteration; figures are means since the last multiplier update."""

    iteration: int
    objective: float
    regret: float
    individual_rationality: float
    indeterminacy: float


class Training:
    """A training under way: ``steps`` goes on from ``iteration``, ``state`` and ``restore`` carry it over a break."""

    def __init__(self, network: AuctionNetwork, plan: TrainingPlan, device: torch.device) -> None:
        self.network, self.plan, self.device = network.to(device), plan, device
        self.optimizer = torch.optim.Adam(network.parameters(), lr=plan.learning_rate)
        self.streams = Streams(plan.seed)
        self.iteration = 0
        self.penalty = plan.penalty
        self.multiplier = dict.fromkeys(CONSTRAINTS, plan.multiplier)
        self._recent: list[list[float]] = []

    def state(self) -> dict[str, Any]:
        """All that a later process needs to go on, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": self.iteration,
            "penalty": self.penalty,
            "multiplier": dict(self.multiplier),
            "recent": [list(row) for row in self._recent],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a ``state``. Raises ``KeyError`` or ``RuntimeError`` where it belongs to something else."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration, self.penalty = state["iteration"], state["penalty"]
        self.multiplier = dict(state["multiplier"])
        self._recent = [list(row) for row in state["recent"]]

    def steps(self) -> Iterator[Progress]:
        """Train to the end of the plan; yields after every multiplier update."""
        plan = self.plan
        while self.iteration < plan.iterations:
            self._recent.append(self._step())
            self.iteration += 1
            if self.iteration % plan.penalty_every == 0:
                self.penalty = min(plan.penalty_most, self.penalty * plan.penalty_growth)
            if self.iteration % plan.multiplier_every == 0 or self.iteration == plan.iterations:
                objective, *violations = [sum(column) / len(column) for column in zip(*self._recent, strict=True)]
                for name, violation in zip(CONSTRAINTS, violations, strict=True):
                    self.multiplier[name] += self.penalty * violation
                self._recent.clear()
                yield Progress(self.iteration, objective, *violations)

    def _step(self) -> list[float]:
        """One optimiser step; objective and violations."""
        plan = self.plan
        done = self.iteration / max(1, plan.iterations)
        rate = plan.learning_rate * (plan.last_learning_rate / plan.learning_rate) ** done
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        profile = self._profile()
        misreport, _ = best_misreports(self.network, profile, plan.attack, self._starts(profile))
        objective, violations = _figures(self.network, profile, misreport, plan)
        loss = -objective
        for name, violation in zip(CONSTRAINTS, violations, strict=True):
            # Asked for from the beginning, definite choices would be the same for everybody.
            weight = done if name == "indeterminacy" else 1.0
            loss = loss + weight * (self.multiplier[name] * violation + 0.5 * self.penalty * violation**2)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        return [objective.item(), *(violation.item() for violation in violations)]

    def _profile(self) -> Profile:
        plan, turn = self.plan, self.iteration
        owners = plan.owners[turn % len(plan.owners)]
        population = plan.populations[turn // len(plan.owners) % len(plan.populations)]
        drawn = draw(self.streams, turn, population, plan.batch, owners, plan.budget_factor)
        return Profile(self._tensor(drawn.report), self._tensor(drawn.budget))

    def _starts(self, profile: Profile) -> Tensor | None:
        if self.plan.attack.starts == 0:
            return None
        chance = self.streams.generator("auction attack", 0, self.iteration)
        return self._tensor(chance.uniform(size=(self.plan.attack.starts, *profile.report.shape)))

    def _tensor(self, values: Any) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32, device=self.device)


def _figures(
    network: AuctionNetwork, profile: Profile, misreport: Tensor, plan: TrainingPlan
) -> tuple[Tensor, list[Tensor]]:
    """The objective and the constraints' violations, all relative."""
    deviations = Deviations(network, profile, plan.attack.mode, differentiable=True)
    sold = deviations.truthful()
    valuation, cap = profile.report.unbind(dim=-1)
    honest = utility(sold, valuation)
    gain = utility(deviations.sold(misreport), valuation) - honest
    # Without the floor, networks that start at a loss end up buying next to nothing, where all is dear relative to it.
    least = _LEAST_COST * float((valuation * cap).mean())
    cost = (valuation * sold.epsilon).mean().clamp_min(least).detach()
    shares = {
        "epsilon_share": sold.epsilon.sum(dim=-1) / cap.sum(dim=-1),
        "payment_share": sold.payment.sum(dim=-1) / profile.budget,
    }
    violations = [
        gain.clamp_min(0.0).mean() / cost,
        (-honest).clamp_min(0.0).mean() / cost,
        network.indeterminacy(deviations.own).mean(),
    ]
    return shares[network.objective].mean(), violations
