"""How alike the rows of a matrix of models are: all pairs in one matrix product.

Products are summed in float64 whatever the type of the rows. So the distance of two near rows is not lost in the
rounding of their norms, and a row of huge numbers spoils no pair that it is not part of.

Rows are taken some columns at a time, and fewer where memory runs out: of the sums only the last bits may differ then
(``ROUNDING``). So nothing is as large as the rows themselves, not even what they have moved.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from learning.memory import each_part

NUMBERS_AT_ONCE = 2**23
"""Numbers that are converted to float64 at a time; bounds memory (64 MiB per matrix). Part of the last bits."""

ROUNDING = 1e-13
"""Relative error that a sum of squares may have; what is left of a difference below it is noise."""


def products(rows: Tensor, others: Tensor | None = None, origin: Tensor | None = None) -> Tensor:
    """Inner products [K, N], float64, of rows [K, P] with others [N, P] (None: with each other, then symmetric).

    Both are seen from an ``origin`` [P] (None: zero): what they have moved from there, in their own type.
    """
    partners = rows if others is None else others
    total = torch.zeros(len(rows), len(partners), dtype=torch.float64, device=rows.device)

    def seen(models: Tensor, part: slice) -> Tensor:
        some = models[:, part]
        return (some if origin is None else some - origin[part]).double()

    def add(part: slice) -> None:
        left = seen(rows, part)
        right = left if others is None else seen(others, part)
        total.add_(left @ right.mT)

    _over_columns(add, rows, max(len(rows), len(partners)))
    return (total + total.mT) / 2 if others is None else total


def squared_norms(rows: Tensor) -> Tensor:
    """Squared L2 norms [K], float64, of rows [K, P]."""
    total = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)

    def add(part: slice) -> None:
        total.add_(rows[:, part].double().square().sum(dim=1))

    _over_columns(add, rows, len(rows))
    return total


def cosines(rows: Tensor, origin: Tensor | None = None) -> Tensor:
    """Cosines [K, K], float64, of rows [K, P], seen from an ``origin`` [P] (None: zero).

    1 with itself, 0 between a row that is at the origin and any other.
    """
    product = products(rows, origin=origin)
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


def _over_columns(add: Callable[[slice], None], rows: Tensor, height: int) -> None:
    """Have ``add`` meet all columns of rows [K, P], as many at a time as a matrix of this height may have."""
    width = max(1, NUMBERS_AT_ONCE // max(1, height))
    for begin in range(0, rows.shape[1], width):
        part = slice(begin, min(begin + width, rows.shape[1]))
        each_part(add, part, rows.device, "numbers of each model that models are compared by")
