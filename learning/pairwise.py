"""How alike the rows of a matrix of models are: all pairs in one matrix product.

Products are summed in float64 whatever the type of the rows. So the distance of two near rows is not lost in the
rounding of their norms, and a row of huge numbers spoils no pair that it is not part of.
"""

from __future__ import annotations

import torch
from torch import Tensor

NUMBERS_AT_ONCE = 2**23
"""Numbers that are converted to float64 at a time; bounds memory (64 MiB per matrix). Part of the last bits."""

ROUNDING = 1e-13
"""Relative error that a sum of squares may have; what is left of a difference below it is noise."""


def products(rows: Tensor, others: Tensor | None = None) -> Tensor:
    """Inner products [K, N], float64, of rows [K, P] with others [N, P] (None: with each other, then symmetric)."""
    partners = rows if others is None else others
    total = torch.zeros(len(rows), len(partners), dtype=torch.float64, device=rows.device)
    width = _width(max(len(rows), len(partners)))
    for begin in range(0, rows.shape[1], width):
        left = rows[:, begin : begin + width].double()
        right = left if others is None else others[:, begin : begin + width].double()
        total += left @ right.mT
    return (total + total.mT) / 2 if others is None else total


def squared_norms(rows: Tensor) -> Tensor:
    """Squared L2 norms [K], float64, of rows [K, P]."""
    total = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
    width = _width(len(rows))
    for begin in range(0, rows.shape[1], width):
        total += rows[:, begin : begin + width].double().square().sum(dim=1)
    return total


def cosines(rows: Tensor) -> Tensor:
    """Cosines [K, K], float64, of rows [K, P]: 1 with itself, 0 between a zero row and any other."""
    product = products(rows)
    norm = product.diagonal().sqrt()
    inverse = torch.where(norm > 0, 1 / norm, 0.0)
    return (product * (inverse[:, None] * inverse)).clamp_(-1, 1).fill_diagonal_(1)


def squared_distances(rows: Tensor, others: Tensor | None = None) -> Tensor:
    """Squared L2 distances [K, N], float64, of rows [K, P] to others [N, P] (None: each other, 0 on the diagonal).

    Rows nearer than about 3e-7 of their norm are equal as far as this can tell: 0.
    """
    product = products(rows, others)
    if others is None:
        norms = product.diagonal()[:, None] + product.diagonal()
    else:
        norms = squared_norms(rows)[:, None] + squared_norms(others)
    distance = norms - 2 * product
    distance[distance < ROUNDING * norms] = 0
    return distance.fill_diagonal_(0) if others is None else distance


def _width(rows: int) -> int:
    return max(1, NUMBERS_AT_ONCE // max(1, rows))
