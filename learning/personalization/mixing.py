"""Collaboration weights, on whatever device and in whatever type, applied to models."""

from __future__ import annotations

from torch import Tensor


def mix(weights: Tensor, models: Tensor) -> Tensor:
    """New models [K, P]: row k is the sum over n of weights[k, n] * models[n]; weights [K, N], models [N, P]."""
    return weights.to(models) @ models


def mix_changes(weights: Tensor, own: Tensor, changes: Tensor) -> Tensor:
    """Models [K, P] moved by a mix of changes: own[k] + sum over n of weights[k, n] * changes[n] ([N, P])."""
    return own + weights.to(own) @ changes
