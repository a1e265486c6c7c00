"""Algorithms of federated optimization: what they add to an owner's training and to the merging of what comes back.

An algorithm is frozen parameters. What it remembers of each owner stands in ``OwnerRows``, so that a checkpoint is a
copy of those. It combines with a robust rule (``learning.robust``) and with the server's optimizer
(``learning.server``), which take its uploads for plain ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from learning.aggregation import step_normalised
from learning.batches import LocalTraining
from learning.columns import FloatColumn, IntColumn
from learning.local_terms import LocalTerms, scaffold_controls
from learning.owner_rows import OwnerRows
from learning.privacy_hook import ClipAndNoise
from learning.registry import Registry

Make = Callable[[Tensor, IntColumn], Tensor]
"""Uploads [K, P] of the members at these places [K] of a cohort, from models [K, P] that they received."""

LARGEST_CONTROL = 1e30
"""What a weight of one of SCAFFOLD's controls stays below, so that a sum of millions of them is a float32 number."""


class Algorithm:
    """Everything as in FedAvg; an algorithm overrides what it does otherwise."""

    def check(self, plan: LocalTraining, terms: LocalTerms, privacy: ClipAndNoise) -> None:
        """Raise ``ValueError`` if the algorithm has no meaning for owners that train like this."""

    def check_asynchronous(self) -> None:
        """Raise ``ValueError`` if every upload has to start from the current model."""

    def plan(self, plan: LocalTraining) -> LocalTraining:
        """How owners train."""
        return plan

    def uploads(self, bases: Tensor, make: Make, accuracy: Callable[[Tensor], float]) -> Tensor:
        """What a cohort sends [K, P]; ``bases`` [K, P] are the models of the server that its members received.

        ``accuracy`` of weights [P] is that on the test set, in [0, 1].
        """
        return make(bases, np.arange(len(bases)))

    def drift(self, owners: IntColumn, rows: OwnerRows) -> Tensor | None:
        """What is added to every gradient of these owners [K, P]."""
        return None

    def prepared(
        self, uploads: Tensor, bases: Tensor, samples: FloatColumn, plan: LocalTraining, terms: LocalTerms
    ) -> Tensor:
        """The uploads [K, P] as they are merged.

        ``bases`` are the models that they started from, [K, P] or [1, P]; ``samples`` [K] is on how many the owners
        say they trained, and how much the uploads weigh; the sum is above 0.
        """
        return uploads

    def learn(
        self,
        trained: Tensor,
        bases: Tensor,
        owners: IntColumn,
        samples: IntColumn,
        plan: LocalTraining,
        rows: OwnerRows,
    ) -> None:
        """Remember what there is to remember of the really trained uploads [K, P] of a merge."""


ALGORITHMS: Registry[type[Algorithm]] = Registry("algorithm")


@ALGORITHMS.register("fedavg")
@dataclass(frozen=True)
class FedAvg(Algorithm):
    """Federated averaging of local SGD (McMahan et al. 2017)."""


@ALGORITHMS.register("fedprox")
@dataclass(frozen=True)
class FedProx(Algorithm):
    """FedAvg with a penalty ``mu`` / 2 · ‖w − w₀‖² on local weights, w₀ the model received (Li et al. 2020)."""

    mu: float = 0.01

    def __post_init__(self) -> None:
        _check_mu(self.mu)

    def check(self, plan: LocalTraining, terms: LocalTerms, privacy: ClipAndNoise) -> None:
        _check_not_given(plan)

    def plan(self, plan: LocalTraining) -> LocalTraining:
        return replace(plan, proximal=self.mu)


@ALGORITHMS.register("fednova")
@dataclass(frozen=True)
class FedNova(Algorithm):
    """Updates count per local step, so who makes more steps does not pull harder (Wang et al. 2020); ``mu`` as FedProx.

    The server goes by the steps that the claimed samples would take, for it knows no others. So a claim of more data
    than there is does not only weigh more: it raises the mean number of steps, which lengthens everybody's update.
    Local momentum, weight decay and ``mu`` enter the steps as in ``effective_steps``.
    """

    mu: float = 0.0

    def __post_init__(self) -> None:
        _check_mu(self.mu)

    def check(self, plan: LocalTraining, terms: LocalTerms, privacy: ClipAndNoise) -> None:
        shrink = self._shrink(plan, terms)
        if shrink >= 1:
            raise ValueError(
                f"fednova needs learning_rate * (mu + weight_decay) below 1 to count local steps, got {shrink:g}"
            )

    def plan(self, plan: LocalTraining) -> LocalTraining:
        return replace(plan, proximal=self.mu)

    def prepared(
        self, uploads: Tensor, bases: Tensor, samples: FloatColumn, plan: LocalTraining, terms: LocalTerms
    ) -> Tensor:
        claimed = np.maximum(np.rint(samples), 1).astype(np.int64)  # without weight, the steps do not matter
        return step_normalised(
            uploads,
            bases,
            samples,
            plan.steps(claimed),
            momentum=terms.momentum,
            shrink=self._shrink(plan, terms),
        )

    def _shrink(self, plan: LocalTraining, terms: LocalTerms) -> float:
        return plan.learning_rate * (self.mu + terms.weight_decay)


@ALGORITHMS.register("scaffold")
@dataclass(frozen=True)
class Scaffold(Algorithm):
    """Control variates undo the drift of local SGD: gradients plus c − c_i (Karimireddy et al. 2020, option II).

    Algorithm 1, with an open population: c is the mean of the controls of the owners that have trained and are still
    there. An owner trains for the first time with c_i = c, that is, without correction (the paper starts at c_i = 0,
    which is the same as long as c is 0; with everybody in every round nothing differs). Updates are weighted like
    everybody's; the mean of the controls is not. The controls follow from what was really trained: a forged upload
    changes none, as if the server knew it. Synchronous rounds only, for the controls belong to the current model.
    A training so wild that its control would overflow teaches none: all others hear of it through c.
    """

    def check(self, plan: LocalTraining, terms: LocalTerms, privacy: ClipAndNoise) -> None:
        if terms.momentum > 0 or terms.weight_decay > 0:
            raise ValueError("scaffold reads gradients off the update, so momentum and weight_decay must be 0")
        if privacy.clip is not None:
            raise ValueError("scaffold reads gradients off the update, so it cannot be clipped")

    def check_asynchronous(self) -> None:
        raise ValueError("scaffold's controls belong to the current model, so it needs synchronous rounds")

    def drift(self, owners: IntColumn, rows: OwnerRows) -> Tensor | None:
        own, server = self._controls(owners, rows)
        return server - own

    def learn(
        self,
        trained: Tensor,
        bases: Tensor,
        owners: IntColumn,
        samples: IntColumn,
        plan: LocalTraining,
        rows: OwnerRows,
    ) -> None:
        own, server = self._controls(owners, rows)
        steps = plan.steps(samples)
        rate = np.full(len(owners), plan.learning_rate)
        fresh = scaffold_controls(own, server, bases, trained, rate, steps)
        moved = (steps > 0) & (fresh.abs() < LARGEST_CONTROL).all(dim=1).cpu().numpy()
        rows.remember(owners[moved], fresh[torch.from_numpy(moved).to(fresh.device)])

    @staticmethod
    def _controls(owners: IntColumn, rows: OwnerRows) -> tuple[Tensor, Tensor]:
        """Controls of the owners [K, P] and of the server [P]."""
        server = rows.mean()
        own = server.repeat(len(owners), 1)
        kept, known = rows.recall(owners)
        own[torch.from_numpy(known).to(own.device)] = kept
        return own, server


@ALGORITHMS.register("sequential_accept")
@dataclass(frozen=True)
class SequentialAccept(Algorithm):
    """One model goes from owner to owner; what each makes of it is kept if TEST accuracy rose (QD-RDFL's code, 2025).

    For comparison only: it selects on the test data, so its accuracy is no estimate for new data. Owners train in the
    order of the cohort, each on what the ones before it left; what an owner sends is the model as it stands after it,
    and the next global model is the last of these. Weights do not matter. Synchronous rounds only.
    """

    def check_asynchronous(self) -> None:
        raise ValueError("sequential_accept hands one model from owner to owner, so it needs synchronous rounds")

    def uploads(self, bases: Tensor, make: Make, accuracy: Callable[[Tensor], float]) -> Tensor:
        sent = bases.clone()
        if len(bases) == 0:
            return sent
        kept, best = bases[0], accuracy(bases[0])
        for place in range(len(bases)):
            tried = make(kept.unsqueeze(0), np.array([place]))[0]
            if bool(torch.isfinite(tried).all()) and (reached := accuracy(tried)) > best:
                kept, best = tried, reached
            sent[place] = kept
        return sent

    def prepared(
        self, uploads: Tensor, bases: Tensor, samples: FloatColumn, plan: LocalTraining, terms: LocalTerms
    ) -> Tensor:
        return uploads[-1:].repeat(len(uploads), 1)


def _check_not_given(plan: LocalTraining) -> None:
    """The algorithm sets the proximal term; a plan that has one already would be overruled without a word."""
    if plan.proximal > 0:
        raise ValueError(f"the algorithm's mu is the proximal term, but the plan has proximal {plan.proximal:g} too")


def _check_mu(mu: float) -> None:
    if not (np.isfinite(mu) and mu >= 0):
        raise ValueError(f"mu must be a number of at least 0, got {mu}")
