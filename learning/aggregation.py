"""From uploads to the next global model."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from learning.columns import BoolColumn, FloatColumn, IntColumn


def finite(uploads: Tensor) -> BoolColumn:
    """Which uploads [K, P] hold neither NaN nor infinite weights."""
    return np.asarray(torch.isfinite(uploads).all(dim=1).cpu().numpy())


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
    return _on(uploads, normalised(weights)) @ uploads


def buffered(
    current: Tensor,
    uploads: Tensor,
    bases: Tensor,
    weights: FloatColumn,
    staleness: IntColumn,
    exponent: float,
    server_rate: float = 1.0,
) -> Tensor:
    """Next global model [P] of the asynchronous, buffered mode (FedBuff, Nguyen et al. 2022).

    current + server_rate * sum_k a_k s(tau_k) (upload_k - base_k) / sum_k a_k, with the polynomial staleness factor
    s(tau) = (1 + tau)^-exponent of FedAsync (Xie et al. 2019). ``uploads`` and the models they started from,
    ``bases``, are [K, P]; ``staleness`` [K] counts global versions since the base.
    """
    if (staleness < 0).any():
        raise ValueError("staleness cannot be negative")
    factors = server_rate * normalised(weights) * (1.0 + staleness) ** -exponent
    return current + _on(uploads, factors) @ (uploads - bases)


def _on(like: Tensor, column: FloatColumn) -> Tensor:
    return torch.from_numpy(column).to(device=like.device, dtype=like.dtype)
