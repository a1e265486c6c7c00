"""LeNet-5 with rectifiers and max-pooling, unpadded as in the original."""

from __future__ import annotations

from torch import nn

from learning.models.families import MODELS, image_shape

LEAST = 16
"""Pixels below which nothing is left after two convolutions and two poolings."""


@MODELS.register("lenet")
def lenet(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Two 5 x 5 convolutions (6, 16 filters) with max-pooling and hidden layers of 120 and 84 (LeCun et al. 1998).

    The SimpleCNN of the experiments of pFedGraph and iPFL. Raises ``ValueError`` unless the samples are images of at
    least 16 x 16.
    """
    channels, height, width = image_shape("lenet", shape)
    if min(height, width) < LEAST:
        raise ValueError(
            f"the model 'lenet' needs images of at least {LEAST} x {LEAST}, the samples have shape {shape}"
        )
    rows, columns = (((size - 4) // 2 - 4) // 2 for size in (height, width))
    return nn.Sequential(
        nn.Conv2d(channels, 6, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * rows * columns, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, classes),
    )
