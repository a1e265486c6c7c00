"""Modules of a user's own for the tests of the back-ends: what a grouped convolution can train and what it cannot."""

import torch
from torch import Tensor, nn


class Normed(nn.Sequential):
    """Nested stacks, a strided convolution with groups and without bias, GroupNorm, other activations and pooling."""

    def __init__(self, shape, classes):
        super().__init__(
            nn.Sequential(nn.Conv2d(shape[0], 4, 3, padding="same"), nn.GroupNorm(2, 4), nn.Tanh()),
            nn.MaxPool2d(2),
            nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, groups=2, bias=False), nn.GELU(), nn.AvgPool2d(1)),
            nn.Flatten(),
            nn.Linear(6, classes),
        )


class TwoTails(nn.Sequential):
    """A stack that flattens a second time: no stack that the grouped convolution knows."""

    def __init__(self, shape, classes):
        super().__init__(nn.Conv2d(shape[0], 2, 8), nn.Flatten(), nn.Linear(2, classes), nn.Flatten())


class Own(nn.Sequential):
    """Looks like a stack and computes something else."""

    def __init__(self, shape, classes):
        super().__init__(nn.Conv2d(shape[0], 2, 8), nn.Flatten(), nn.Linear(2, classes))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sinh(super().forward(x))


class Doubled(nn.Conv2d):
    """A convolution that doubles its result."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class WithDoubled(nn.Sequential):
    """A stack with a layer that is more than the type it derives from."""

    def __init__(self, shape, classes):
        super().__init__(Doubled(shape[0], 2, 8), nn.Flatten(), nn.Linear(2, classes))


class Tied(nn.Sequential):
    """Two convolutions that share their weights."""

    def __init__(self, shape, classes):
        shared = nn.Conv2d(shape[0], shape[0], 3, padding=1)
        super().__init__(shared, nn.ReLU(), shared, nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))
