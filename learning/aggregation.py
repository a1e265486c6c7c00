"""From uploads to the next global model: weighted means of uploads or of their changes.

Robust alternatives to the mean are in ``robust``; what the server does with the aggregate (momentum, Adam) is in
``server``. Each takes what the other gives, so they combine freely.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from learning.columns import BoolColumn, FloatColumn, IntColumn


def finite(uploads: Tensor) -> BoolColumn:
    """Which uploads [K, P] hold neither NaN nor infinite weights."""
    good = torch.isfinite(uploads.sum(dim=1))
    # A finite sum proves a row; one that is not may be nothing worse than large numbers.
    doubtful = ~good
    if doubtful.any():
        good[doubtful] = torch.isfinite(uploads[doubtful]).all(dim=1)
    return np.asarray(good.cpu().numpy())


def normalised(weights: FloatColumn) -> FloatColumn:
    """Weights [K] scaled to sum 1. Raises ``ValueError`` if one is negative or not a number, or all are zero."""
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("aggregation weights must be numbers of at least 0")
    total = float(weights.sum())
    if not total > 0:
        raise ValueError("aggregation weights must not all be zero")
    return np.asarray(weights / total)


def fedavg(uploads: Tensor, weights: FloatColumn) -> Tensor:
    """Weighted mean [P] of uploads [K, P] (FedAvg, McMahan et al. 2017)."""
    return column_like(uploads, normalised(weights)) @ uploads


def step_normalised(
    uploads: Tensor,
    bases: Tensor,
    weights: FloatColumn,
    steps: IntColumn,
    *,
    momentum: float = 0.0,
    shrink: float = 0.0,
) -> Tensor:
    """Uploads [K, P] whose changes are scaled as if all had made equally many local steps (FedNova, Wang et al. 2020).

    base_k + (sum_j p_j tau_j) / tau_k * (upload_k - base_k) with p the normalised ``weights`` [K] and tau the
    ``effective_steps`` of ``steps`` [K]: owners that make more steps no longer pull the model towards their own
    optimum. The weighted mean of the result is FedNova's next model. ``bases`` is [K, P]; one base [1, P] will do.
    Raises ``ValueError`` for steps that are not above 0: an owner that made none has no direction; leave it out.
    """
    if (steps <= 0).any():
        raise ValueError("FedNova needs the local steps of every upload, as numbers above 0")
    effective = effective_steps(steps, momentum=momentum, shrink=shrink)
    factors = float(normalised(weights) @ effective) / effective
    return bases + column_like(uploads, factors).unsqueeze(1) * (uploads - bases)


def effective_steps(steps: IntColumn, *, momentum: float = 0.0, shrink: float = 0.0) -> FloatColumn:
    """FedNova's tau [K]: the sum of the factors with which the gradients of ``steps`` [K] steps enter an update.

    The steps themselves for plain SGD. ``momentum`` is that of the local SGD, ``shrink`` its learning rate times the
    sum of the proximal mu and the weight decay (momentum and mu are cases of Wang et al. 2020). The local recursion on
    gradients of 1 is linear, so so many steps of it are a power of its matrix, and both may be at work at once.
    Raises ``ValueError`` for negative steps, and for a momentum or shrink outside [0, 1).
    """
    if (steps < 0).any():
        raise ValueError("local steps cannot be negative")
    if not (0 <= momentum < 1 and 0 <= shrink < 1):
        raise ValueError(f"momentum and shrink must be in [0, 1), got {momentum} and {shrink}")
    if momentum == shrink == 0:
        return steps.astype(np.float64)
    # Of (way gone, speed, 1): speed <- momentum * speed + 1 - shrink * way, way <- way + speed.
    step = np.array([[1 - shrink, momentum, 1.0], [-shrink, momentum, 1.0], [0.0, 0.0, 1.0]])
    distinct, place = np.unique(steps, return_inverse=True)
    reached = np.array([np.linalg.matrix_power(step, int(count))[0, 2] for count in distinct])
    return np.asarray(reached[place])


def buffered(current: Tensor, uploads: Tensor, bases: Tensor, weights: FloatColumn, discount: FloatColumn) -> Tensor:
    """Next global model [P] of the asynchronous, buffered mode (FedBuff, Nguyen et al. 2022).

    current + sum_k a_k s_k (upload_k - base_k) / sum_k a_k. ``uploads`` and the models they started from, ``bases``,
    are [K, P]; ``discount`` [K] are staleness factors, such as ``STALENESS["polynomial"](0.5)(ages)``.
    """
    return current + column_like(uploads, normalised(weights) * discount) @ (uploads - bases)


def fedasync(current: Tensor, upload: Tensor, mixing: float, discount: float) -> Tensor:
    """Next global model [P] after one asynchronous arrival [P] (FedAsync, Xie et al. 2019, algorithm 1).

    (1 - a) current + a upload with a = ``mixing`` * ``discount``, the latter a staleness factor.
    Raises ``ValueError`` unless a is in [0, 1].
    """
    share = mixing * discount
    if not 0 <= share <= 1:
        raise ValueError(f"mixing times discount must be in [0, 1], got {share}")
    return torch.lerp(current, upload, share)


def column_like(like: Tensor, column: FloatColumn) -> Tensor:
    """A column as a tensor on the device and in the type of ``like``."""
    return torch.from_numpy(column).to(device=like.device, dtype=like.dtype)
