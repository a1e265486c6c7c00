"""The attack that works on any model: search the sample whose gradient looks like what was sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from learning.models import FlatModel
from learning.privacy.gradient_inversion import sample_gradients
from learning.registry import Registry
from learning.streams import Streams

Distance = Callable[[Tensor, Tensor], Tensor]
"""How far [M] the gradients [M, P] of guesses are from those sent [M, P]."""

DISTANCES: Registry[Distance] = Registry("gradient distance")


@DISTANCES.register("cosine")
def cosine(made: Tensor, sent: Tensor) -> Tensor:
    """1 - cosine, which no scaling or clipping disturbs (Geiping et al. 2020, "Inverting gradients", eq. 4)"""
    return 1 - torch.nn.functional.cosine_similarity(made, sent, dim=1)


@DISTANCES.register("l2")
def l2(made: Tensor, sent: Tensor) -> Tensor:
    """Squared distance, relative to what was sent (Zhu, Liu, Han 2019, "Deep leakage from gradients", eq. 4)"""
    return (made - sent).square().sum(dim=1) / sent.square().sum(dim=1)


@dataclass(frozen=True, eq=False)
class GradientMatching:
    """Adam on signs of gradients moves guesses of the samples from random ones; the best on the way is kept.

    Signs and falling rates as in Geiping et al. 2020, "Inverting gradients - how easy is it to break privacy in
    federated learning?", section 6.

    Attributes:
        model, weights: what the gradients were made with; weights [P].
        distance: a name in ``DISTANCES``.
        steps: of Adam, at least 1; its rate falls to a tenth after 3/8, 5/8 and 7/8 of them.
        learning_rate: of Adam, in units of the data.
        total_variation: weight of the mean absolute difference of neighbouring pixels; 0 for data without any.
        clip: L2 norm that gradients were clipped to, which the attacker knows; None: not at all.
        limits: the least and the largest number that data can hold; guesses are kept within.
        labels: [M], the samples' labels; None: read off the gradient (``labels_of``).
        streams: for the first guesses, by (sample, draw).

    Raises ``UnknownName`` and ``ValueError``.
    """

    model: FlatModel
    weights: Tensor
    streams: Streams
    distance: str = "cosine"
    steps: int = 300
    learning_rate: float = 0.1
    total_variation: float = 0.0
    clip: float | None = None
    limits: tuple[float, float] = (-np.inf, np.inf)
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        _ = DISTANCES[self.distance]
        if self.steps < 1 or not self.learning_rate > 0 or not self.total_variation >= 0:
            raise ValueError("steps and learning_rate must be above 0 and total_variation at least 0")
        if self.total_variation > 0 and len(self.model.shape) < 2:
            raise ValueError("total_variation is for pictures, whose numbers have neighbours")
        if not self.model.maps:
            raise ValueError(f"the model '{self.model.name}' cannot be attacked: it has no gradients of many samples")

    def __call__(self, gradients: Tensor, draw: int) -> Tensor:
        """Guesses [M, *shape] of the samples behind gradients [M, P]."""
        labels = labels_of(self.model, gradients) if self.labels is None else self.labels.to(gradients.device)
        count, numbers = len(gradients), int(np.prod(self.model.shape))
        first = [
            self.streams.generator("matching start", place, draw).standard_normal(numbers) for place in range(count)
        ]
        guess = torch.from_numpy(np.stack(first)).to(gradients).view(count, *self.model.shape)
        guess = guess.clamp(*self.limits).requires_grad_()
        optimizer = torch.optim.Adam([guess], lr=self.learning_rate)
        milestones = [self.steps * eighths // 8 for eighths in (3, 5, 7)]
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones)
        best, least = guess.detach().clone(), torch.full((count,), torch.inf).to(gradients)
        for _ in range(self.steps):
            value = self._mismatch(guess, labels, gradients)
            with torch.no_grad():
                better = value < least
                best[better], least[better] = guess[better], value[better]
            # Each guess has a term of its own, and Adam keeps coordinates apart: M attacks in one.
            guess.grad = torch.autograd.grad(value.sum(), guess)[0].sign()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                guess.clamp_(*self.limits)
        return best

    def _mismatch(self, guess: Tensor, labels: Tensor, sent: Tensor) -> Tensor:
        made = sample_gradients(self.model, self.weights, guess, labels)
        if self.clip is not None:
            made = made * (self.clip / torch.linalg.vector_norm(made, dim=1, keepdim=True)).clamp(max=1)
        value = DISTANCES[self.distance](made, sent)
        if self.total_variation > 0:
            across = (guess[..., 1:] - guess[..., :-1]).abs().flatten(1).mean(dim=1)
            down = (guess[..., 1:, :] - guess[..., :-1, :]).abs().flatten(1).mean(dim=1)
            value = value + self.total_variation * (across + down)
        return value


def labels_of(model: FlatModel, gradients: Tensor) -> Tensor:
    """The labels [M] of single samples: where the gradient of the last bias is least (Zhao et al. 2020, "iDLG").

    It is the predicted probability, less 1 at the label: below 0 there and nowhere else, as long as there is no noise.
    Raises ``ValueError`` for a model that does not end in a bias.
    """
    last = list(model.unflatten(gradients).values())[-1]
    if last.shape[1:] != (model.classes,):
        raise ValueError(f"the model '{model.name}' does not end in a bias for each class")
    return last.argmin(dim=1)
