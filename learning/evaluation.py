"""How good weights are on a test set."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from learning.columns import FloatColumn
from learning.models import FlatModel

SAMPLES_AT_ONCE = 1024
NUMBERS_AT_ONCE = 2**23
"""Input numbers that meet the models in one batched product; bounds memory. Part of the result's last bits."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Accuracy in [0, 1], mean cross-entropy in nats, and both for the samples of each true class [C].

    A class without test samples has the overall values, so that those of owners stay defined.
    """

    accuracy: float
    loss: float
    class_accuracy: FloatColumn
    class_loss: FloatColumn


def _blocks(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for begin in range(0, len(y), SAMPLES_AT_ONCE):
        yield x[begin : begin + SAMPLES_AT_ONCE], y[begin : begin + SAMPLES_AT_ONCE]


def evaluate(model: FlatModel, weights: Tensor, x: Tensor, y: Tensor, classes: int) -> Evaluation:
    """Test one model, weights [P], on samples x [n, *shape] with labels y [n]."""
    right = np.zeros(classes, dtype=np.int64)
    losses = np.zeros(classes)
    with torch.no_grad():
        for samples, labels in _blocks(x, y):
            logits = model.logits(weights.unsqueeze(0), samples.to(weights.dtype))[0]
            each = cross_entropy(logits.double(), labels, reduction="none").cpu().numpy()
            losses += np.bincount(labels.cpu().numpy(), weights=each, minlength=classes)
            hits = labels[logits.argmax(dim=1) == labels]
            right += torch.bincount(hits, minlength=classes).cpu().numpy()
    total = torch.bincount(y, minlength=classes).cpu().numpy()
    accuracy, loss = float(right.sum() / total.sum()), float(losses.sum() / total.sum())
    present, counts = total > 0, np.maximum(total, 1)
    by_class = np.where(present, right / counts, accuracy), np.where(present, losses / counts, loss)
    return Evaluation(accuracy, loss, *by_class)


def utilities(model: FlatModel, weights: Tensor, x: Tensor, y: Tensor) -> FloatColumn:
    """Accuracy [M] of many models, weights [M, P], on the same samples x [n, *shape] with labels y [n]."""
    models_at_once = max(1, NUMBERS_AT_ONCE // (SAMPLES_AT_ONCE * math.prod(model.shape)))
    hits = torch.zeros(len(weights), dtype=torch.int64, device=weights.device)
    with torch.no_grad():
        for begin in range(0, len(weights), models_at_once):
            some = slice(begin, begin + models_at_once)
            for samples, labels in _blocks(x, y):
                guesses = model.logits(weights[some], samples.to(weights.dtype)).argmax(dim=2)
                hits[some] += (guesses == labels).sum(dim=1)
    return hits.cpu().numpy() / len(y)
