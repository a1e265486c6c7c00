"""The SGD step of all owners at once, for back-ends that hold the weights of a chunk as stacked tensors.

Written with rate-scaled quantities, the step of ``learning.local_terms`` is

    without momentum:  w <- keep * w + push - rate * g
    with momentum:     u <- momentum * u - rate * g;  u <- u + push - (1 - keep) * w;  w <- w + u

with keep = 1 - rate * (mu + weight_decay + pull), push = rate * (mu * base + pull * centre - drift) and u = -rate * v,
so that the terms cost one element-wise pass, and nothing where there are none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from learning.batches import LocalTraining
from learning.local_terms import LocalTerms
from learning.models import FlatModel


class Descent:
    """Weights of K owners as stacked tensors, one [K, *shape] for each parameter, and how a gradient changes them.

    Attributes:
        weights: the current weights, one tensor [K, *shape] per parameter: views of the rows of ``trained``.
        rate: learning rate: a number, or [K] where owners differ.
    """

    def __init__(
        self, start: Tensor, model: FlatModel, plan: LocalTraining, terms: LocalTerms, trained: Tensor
    ) -> None:
        """Weights that begin as ``start`` [K, P] and live in ``trained`` [K, P], which shares no memory with it."""
        self.weights = list(model.unflatten(trained.copy_(start)).values())
        rate = np.asarray(plan.learning_rate if terms.rate is None else terms.rate, dtype=np.float64)
        shrink = plan.proximal + terms.weight_decay + (0.0 if terms.pull is None else terms.pull)
        self.rate = _number_or_column(rate, start)
        self._keep = _number_or_column(1 - rate * shrink, start)
        self._momentum = terms.momentum
        push = _push(start, rate, plan, terms)
        self._push = None if push is None else list(model.unflatten(push).values())
        self._velocity = [torch.zeros_like(part) for part in self.weights] if self._momentum > 0 else None

    def target(self, which: int, active: int) -> tuple[Tensor, float]:
        """The tensor [active, *shape] and factor beta with which -rate * gradient is to be accumulated.

        The caller computes target <- beta * target - rate * gradient of parameter ``which``, then calls ``settle``.
        """
        if self._velocity is not None:
            return self._velocity[which][:active], self._momentum
        weight = self.weights[which][:active]
        push = None if self._push is None else self._push[which][:active]
        if isinstance(self._keep, float) and push is None:
            return weight, self._keep
        keep = _beside(self._keep, weight)
        if push is None:
            weight.mul_(keep)
        elif isinstance(keep, float):
            torch.add(push, weight, alpha=keep, out=weight)
        else:
            torch.addcmul(push, weight, keep, out=weight)
        return weight, 1.0

    def settle(self, which: int, active: int) -> None:
        """Finish the step of parameter ``which`` after the gradient has been accumulated."""
        if self._velocity is None:
            return
        velocity, weight = self._velocity[which][:active], self.weights[which][:active]
        keep = _beside(self._keep, weight)
        if isinstance(keep, Tensor):
            velocity.addcmul_(weight, keep - 1)
        elif keep != 1:
            velocity.add_(weight, alpha=keep - 1)
        if self._push is not None:
            velocity.add_(self._push[which][:active])
        weight.add_(velocity)

    def step(self, active: int, gradients: Sequence[Tensor]) -> None:
        """One step of the first ``active`` owners along gradients [active, *shape] of the first parameters."""
        for which, gradient in enumerate(gradients):
            target, beta = self.target(which, active)
            if beta != 1:
                target.mul_(beta)
            rate = _beside(self.rate, gradient)
            if isinstance(rate, float):
                target.sub_(gradient, alpha=rate)
            else:
                target.addcmul_(gradient, rate, value=-1)
            self.settle(which, active)


def _push(start: Tensor, rate: ArrayLike, plan: LocalTraining, terms: LocalTerms) -> Tensor | None:
    """rate * (mu * base + pull * centre - drift) [K, P], or None where there is nothing of it."""
    total: Tensor | None = None
    if plan.proximal > 0:
        total = start * plan.proximal
    if terms.centre is not None and terms.pull is not None:
        drawn = terms.centre.to(start) * torch.from_numpy(terms.pull).to(start).unsqueeze(1)
        total = drawn if total is None else total + drawn
    if terms.drift is not None:
        drift = terms.drift.to(start).expand_as(start)
        total = -drift if total is None else total - drift
    return None if total is None else total * _beside(_number_or_column(rate, start), total)


def _number_or_column(value: ArrayLike, like: Tensor) -> float | Tensor:
    """A float for a single number, else a tensor [K] of the type and on the device of ``like``."""
    value = np.asarray(value, dtype=np.float64)
    return float(value) if value.ndim == 0 else torch.from_numpy(value).to(like)


def _beside(value: float | Tensor, stacked: Tensor) -> float | Tensor:
    """A number as it is; the first entries of a column shaped to multiply ``stacked`` [active, ...]."""
    if isinstance(value, float):
        return value
    return value[: len(stacked)].view(-1, *[1] * (stacked.ndim - 1))
