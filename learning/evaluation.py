"""How good weights are on a test set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.columns import FloatColumn
from learning.memory import in_parts
from learning.models import FlatModel
from learning.objective import sample_hits, sample_losses, samples_at_once

SAMPLES_AT_ONCE = 1024
NUMBERS_AT_ONCE = 2**23
"""Input numbers that meet the models in one batched product; bounds memory. Part of the result's last bits."""

NUMBERS_IN_CACHE = 2**17
"""Input numbers that meet a single model in one call, where that is faster."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Accuracy in [0, 1], mean cross-entropy in nats, and both for the samples of each true class [C].

    A class without test samples has the overall values, so that those of owners stay defined.
    """

    accuracy: float
    loss: float
    class_accuracy: FloatColumn
    class_loss: FloatColumn


def blocks(x: Tensor, y: Tensor, size: int = SAMPLES_AT_ONCE) -> Iterator[tuple[Tensor, Tensor]]:
    """Samples x [n, *shape] and labels y [n], ``size`` at a time, in their order."""
    for begin in range(0, len(y), size):
        yield x[begin : begin + size], y[begin : begin + size]


def block_size(model: FlatModel) -> int:
    """Samples that meet models in one call."""
    if model.answers is None or model.vocabulary is None:
        return SAMPLES_AT_ONCE
    return min(SAMPLES_AT_ONCE, samples_at_once(model.answers, model.shape[0], model.vocabulary))


def evaluate(model: FlatModel, weights: Tensor, x: Tensor, y: Tensor, classes: int) -> Evaluation:
    """Test one model, weights [P], on samples x [n, *shape] with labels y [n]."""
    right = np.zeros(classes, dtype=np.int64)
    losses = np.zeros(classes)

    def meet(_: slice, samples: Tensor, labels: Tensor) -> None:
        nonlocal right, losses
        logits = model.logits(weights.unsqueeze(0), samples.to(weights.dtype))[0]
        each = sample_losses(model.answers, logits.double(), samples, labels).cpu().numpy()
        hits = labels[sample_hits(model.answers, logits, samples, labels)]
        right = right + torch.bincount(hits, minlength=classes).cpu().numpy()
        losses = losses + np.bincount(labels.cpu().numpy(), weights=each, minlength=classes)

    with torch.no_grad():
        for samples, labels in blocks(x, y, block_size(model)):
            in_parts(meet, slice(0, 1), samples, labels)
    total = torch.bincount(y, minlength=classes).cpu().numpy()
    accuracy, loss = float(right.sum() / total.sum()), float(losses.sum() / total.sum())
    present, counts = total > 0, np.maximum(total, 1)
    by_class = np.where(present, right / counts, accuracy), np.where(present, losses / counts, loss)
    return Evaluation(accuracy, loss, *by_class)


def evaluate_each(
    model: FlatModel, weights: Tensor, x: Tensor, y: Tensor, classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accuracies and losses [M, C] by true class of many models, weights [M, P], on the same samples x with labels y.

    As ``Evaluation`` has them of one model: a class without test samples has the overall values.
    """
    right = torch.zeros(len(weights), classes, dtype=torch.float64, device=weights.device)
    lost = torch.zeros_like(right)

    def meet(some: slice, samples: Tensor, labels: Tensor) -> None:
        logits = _logits(model, weights[some], samples)
        hit = sample_hits(model.answers, logits, samples, labels).double()
        each = sample_losses(model.answers, logits.double(), samples, labels)
        right[some].index_add_(1, labels, hit)
        lost[some].index_add_(1, labels, each)

    _meet_all(meet, model, weights, x, y)
    total = torch.bincount(y, minlength=classes).cpu().numpy()
    present, counts = total > 0, np.maximum(total, 1)
    found = [figure.cpu().numpy() for figure in (right, lost)]
    overall = [figure.sum(axis=1, keepdims=True) / total.sum() for figure in found]
    accuracy, loss = (np.where(present, part / counts, all_) for part, all_ in zip(found, overall, strict=True))
    return accuracy, loss


def utilities(model: FlatModel, weights: Tensor, x: Tensor, y: Tensor) -> FloatColumn:
    """Accuracy [M] of many models, weights [M, P], on the same samples x [n, *shape] with labels y [n]."""
    right = torch.zeros(len(weights), dtype=torch.int64, device=weights.device)

    def meet(some: slice, samples: Tensor, labels: Tensor) -> None:
        right[some] += hits(model, weights[some], samples, labels)

    _meet_all(meet, model, weights, x, y)
    return right.cpu().numpy() / len(y)


def hits(model: FlatModel, weights: Tensor, samples: Tensor, labels: Tensor) -> Tensor:
    """How many [M] of one block of samples each model, weights [M, P], gets right."""
    return sample_hits(model.answers, _logits(model, weights, samples), samples, labels).sum(dim=1)


def losses(model: FlatModel, weights: Tensor, x: Tensor, y: Tensor) -> FloatColumn:
    """Mean cross-entropy [M] in nats of many models, weights [M, P], on samples x [n, *shape] with labels y [n]."""
    total = torch.zeros(len(weights), dtype=torch.float64, device=weights.device)

    def meet(some: slice, samples: Tensor, labels: Tensor) -> None:
        logits = _logits(model, weights[some], samples).double()
        total[some] += sample_losses(model.answers, logits, samples, labels).sum(dim=1)

    _meet_all(meet, model, weights, x, y)
    mean: FloatColumn = total.cpu().numpy() / len(y)
    return mean


def _meet_all(
    meet: Callable[[slice, Tensor, Tensor], None], model: FlatModel, weights: Tensor, x: Tensor, y: Tensor
) -> None:
    """Have all models meet all samples, in smaller portions where memory runs out."""
    with torch.no_grad():
        for some, samples, labels in _meetings(model, weights, x, y):
            in_parts(meet, some, samples, labels)


def _meetings(model: FlatModel, weights: Tensor, x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Which models meet which samples and labels in one call."""
    numbers = math.prod(model.shape)
    if model.answers is not None:
        at_once, size = 1, block_size(model)
    elif _one_by_one(model, weights):
        at_once, size = 1, min(SAMPLES_AT_ONCE, max(16, NUMBERS_IN_CACHE // numbers))
    else:
        at_once, size = max(1, NUMBERS_AT_ONCE // (SAMPLES_AT_ONCE * numbers)), SAMPLES_AT_ONCE
    for begin in range(0, len(weights), at_once):
        for samples, labels in blocks(x, y, size):
            yield slice(begin, min(begin + at_once, len(weights))), samples, labels


def _one_by_one(model: FlatModel, weights: Tensor) -> bool:
    """On a CPU batches of convolutions are slower than single ones whose activations fit the cache (measured)."""
    return model.linear_layers is None and weights.device.type == "cpu"


def _logits(model: FlatModel, weights: Tensor, samples: Tensor) -> Tensor:
    """Logits [M, S, C] of models, weights [M, P], on the same samples [S, *shape]."""
    samples = samples.to(weights.dtype)
    if len(weights) == 1 and _one_by_one(model, weights):
        return model.forward(model.unflatten(weights[0]), samples).unsqueeze(0)
    return model.logits(weights, samples)
