"""A conditional diffusion model for images, trained by flow matching."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from learning.columns import BoolColumn, IntColumn
from learning.generation.descent import SAMPLES, Share, check_training, descend, keyed, normal_rows
from learning.generation.generator import (
    GENERATORS,
    DataRange,
    check_labels,
    check_samples,
    known_classes,
)
from learning.generation.scaling import Scaling
from learning.generation.unet import GROUPS, UNet
from learning.memory import rows_in_parts
from learning.streams import Streams

AT_ONCE = 256
"""Samples that are made together; bounds memory."""


@GENERATORS.register("diffusion")
@dataclass(frozen=True)
class Diffusion:
    """A small conditional diffusion model, for images and a GPU: flow matching with a U-Net (Lipman et al. 2023).

    On the straight path x_t = (1 - t) noise + t image the network learns the velocity image - noise; samples follow
    it from noise, t = 0, to images, t = 1 (also Liu, Gong, Liu 2023, "rectified flow").

    Attributes:
        width: channels of the U-Net's first level, a multiple of 4.
        steps, batch_size, rate: of the training with Adam.
        sampling_steps: midpoint steps from noise to image; each asks the network twice.
    """

    axes: ClassVar[tuple[int, ...]] = (3,)
    width: int = 32
    steps: int = 4000
    batch_size: int = 128
    rate: float = 2e-3
    sampling_steps: int = 12

    def __post_init__(self) -> None:
        if self.width < GROUPS or self.width % GROUPS:
            raise ValueError(f"width must be a multiple of {GROUPS}, got {self.width}")
        if self.sampling_steps < 1:
            raise ValueError(f"sampling_steps must be at least 1, got {self.sampling_steps}")
        check_training(self.steps, self.batch_size, self.rate)

    def fit(self, x: Tensor, y: Tensor, classes: int, owner: int, counter: int, streams: Streams) -> FittedDiffusion:
        """See ``Generator.fit``."""
        check_samples(self, x, y, classes)
        scaling = Scaling.of(x)
        images, told = scaling.scaled(x), one_hot(y, classes).to(x.dtype)
        channels, side = x.shape[1], min(x.shape[2:])
        network = keyed(lambda: UNet(channels, classes, side, self.width), owner, counter, streams).to(x.device)
        chance = streams.generator("generator training", owner, counter)

        def loss(rows: IntColumn) -> Share:
            some = torch.from_numpy(rows).to(x.device)
            image = images[some]
            noise = normal_rows(chance, len(rows), math.prod(x.shape[1:]), x).reshape(image.shape)
            time = torch.from_numpy(chance.random(len(rows))).to(device=x.device, dtype=x.dtype)
            between = noise + time[:, None, None, None] * (image - noise)

            def share(part: slice) -> Tensor:
                wanted = (image - noise)[part]
                found: Tensor = (network(between[part], time[part], told[some[part]]) - wanted).square().mean()
                return found if len(wanted) == len(rows) else found * (len(wanted) / len(rows))

            return share

        order = streams.generator("generator batches", owner, counter)
        trained = descend(network, loss, len(x), batch_size=self.batch_size, steps=self.steps, rate=self.rate,
                          chance=order)  # fmt: skip
        known = known_classes(y, classes)
        return FittedDiffusion(trained, self.sampling_steps, scaling, DataRange.of(x), known, x.shape[1:])


@dataclass(frozen=True, eq=False)
class FittedDiffusion:
    """A trained velocity field."""

    network: UNet
    steps: int
    scaling: Scaling
    limits: DataRange
    known: BoolColumn
    shape: torch.Size

    @torch.no_grad()
    def sample(self, labels: IntColumn, owner: int, counter: int, streams: Streams) -> Tensor:
        """See ``Fitted.sample``."""
        check_labels(labels, self.known)
        chance = streams.generator("generated sample", owner, counter)
        made = normal_rows(chance, len(labels), math.prod(self.shape), self.limits.low).reshape(-1, *self.shape)
        told = one_hot(torch.from_numpy(labels).to(made.device), len(self.known)).to(made.dtype)
        for begin in range(0, len(labels), AT_ONCE):
            place = slice(begin, begin + AT_ONCE)
            made[place] = self._paths(made[place], told[place])
        return self.limits.clip(self.scaling.restored(made))

    def _paths(self, x: Tensor, told: Tensor) -> Tensor:
        """Images at the end of their paths, fewer at once where memory runs out."""
        return rows_in_parts(lambda part: self._followed(x[part], told[part]), len(x), x.device, SAMPLES)

    def _followed(self, x: Tensor, told: Tensor) -> Tensor:
        """Images [B, *shape] at the end of the paths that begin at x; the midpoint method."""
        for step in range(self.steps):
            half = x + self._velocity(x, step, told) / (2 * self.steps)
            x = x + self._velocity(half, step + 0.5, told) / self.steps
        return x

    def _velocity(self, x: Tensor, step: float, told: Tensor) -> Tensor:
        velocity: Tensor = self.network(x, x.new_full((len(x),), step / self.steps), told)
        return velocity
