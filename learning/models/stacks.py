"""Stacks of linear layers with rectifiers between them: the models with the fastest back-end."""

from __future__ import annotations

import math

from torch import nn

from learning.models.families import MODELS

HIDDEN = 64
TABULAR_HIDDEN = (64, 32)


@MODELS.register("softmax")
def softmax(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Softmax (multinomial logistic) regression."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes))


@MODELS.register("mlp")
def mlp(shape: tuple[int, ...], classes: int) -> nn.Module:
    """One hidden layer of 64 rectified units."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))


@MODELS.register("tabular")
def tabular(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Two hidden layers of 64 and 32 rectified units, for tables of features."""
    wide, narrow = TABULAR_HIDDEN
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(shape), wide),
        nn.ReLU(),
        nn.Linear(wide, narrow),
        nn.ReLU(),
        nn.Linear(narrow, classes),
    )
