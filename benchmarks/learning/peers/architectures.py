"""The models of the benchmark in plain PyTorch, for the sides that do not have this project's.

Layer for layer, and weight for weight in a flat vector, what ``learning.models`` builds under the names given in
``benchmarks.learning.work``; a test holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

Shape = tuple[int, ...]


def softmax(shape: Shape, classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes))


def mlp(shape: Shape, classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 64), nn.ReLU(), nn.Linear(64, classes))


def lenet(shape: Shape, classes: int) -> nn.Module:
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * (height // 4) * (width // 4), 84),
        nn.ReLU(),
        nn.Linear(84, classes),
    )


def simple_cnn(shape: Shape, classes: int) -> nn.Module:
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * ((height - 4) // 2) * ((width - 4) // 2), 128),
        nn.ReLU(),
        nn.Linear(128, classes),
    )


ARCHITECTURES: dict[str, Callable[[Shape, int], nn.Module]] = {
    "softmax": softmax,
    "mlp": mlp,
    "lenet": lenet,
    "simple_cnn": simple_cnn,
}


def build(name: str, shape: Shape, classes: int) -> nn.Module:
    return ARCHITECTURES[name](tuple(shape), classes)
