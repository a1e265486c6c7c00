"""What buyers are offered: rows of a buyer and all the sellers it may choose from, on columns.

Every buyer decides for itself, so a market is a stack of rows, and any rows can be decided together: those of a whole
market, or the few that one seller's other report would change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.columns import FloatColumn
from market.ipfl.gain import collaboration_gain

FloatMatrix = NDArray[np.float64]
BoolMatrix = NDArray[np.bool_]


@dataclass(frozen=True)
class SharingTypes:
    """What owners are, or say that they are: columns [m].

    ``gain_scale`` K >= 0 (0 buys nothing), ``data_size`` N > 0 in samples, ``sharing_cost`` c >= 0 each time that
    another owner imports the model (infinite: never sells). Raises ``ValueError`` for anything else.
    """

    gain_scale: FloatColumn
    data_size: FloatColumn
    sharing_cost: FloatColumn

    def __post_init__(self) -> None:
        if not self.gain_scale.shape == self.data_size.shape == self.sharing_cost.shape == (len(self),):
            raise ValueError("gain scale, data size and sharing cost must be columns of one length")
        if not (np.isfinite(self.gain_scale).all() and (self.gain_scale >= 0).all()):
            raise ValueError("gain scales must be numbers of at least 0")
        if not (np.isfinite(self.data_size).all() and (self.data_size > 0).all()):
            raise ValueError("data sizes must be numbers above 0")
        if not (self.sharing_cost >= 0).all():
            raise ValueError("sharing costs must be at least 0")

    def __len__(self) -> int:
        return len(self.gain_scale)


@dataclass(frozen=True)
class Offers:
    """R buyers before M sellers each. ``gain_scale`` and ``held`` (own samples) are columns [R].

    ``size`` (samples behind a model), ``cost`` (the seller's report, may be infinite) and ``penalty`` (for the
    dissimilarity of the two models) are [R, M]; ``available`` [R, M] is False for the buyer itself and the absent.
    """

    gain_scale: FloatColumn
    held: FloatColumn
    size: FloatMatrix
    cost: FloatMatrix
    penalty: FloatMatrix
    available: BoolMatrix

    @property
    def price(self) -> FloatMatrix:
        """Effective reserve prices [R, M]: r_j = c_j + lambda (N_j / N_i) d_ij, Box 2."""
        return self.cost + self.penalty

    def acceptable(self) -> BoolMatrix:
        """Sellers [R, M] that are worth their price to a buyer that has bought nothing yet; others never are."""
        first = collaboration_gain(self.gain_scale[:, None], self.held[:, None], self.size)
        return self.available & (first > self.price)


def check_distances(model_distance: FloatMatrix, count: int) -> None:
    """Raise ``ValueError`` unless distances are [count, count] and, off the diagonal, numbers of at least 0."""
    if model_distance.shape != (count, count):
        raise ValueError(f"model distances must be [{count}, {count}], got {list(model_distance.shape)}")
    others = ~np.eye(count, dtype=np.bool_)
    if not (np.isfinite(model_distance[others]).all() and (model_distance[others] >= 0).all()):
        raise ValueError("model distances must be numbers of at least 0")


def offers_to(
    types: SharingTypes, model_distance: FloatMatrix, weight: float, buyers: NDArray[np.int64] | None = None
) -> Offers:
    """What the owners of a market offer to some of them (default: to all), one row per buyer.

    ``model_distance`` [m, m] is d, as ``check_distances`` wants it; its diagonal is never used. ``weight`` is lambda.
    The penalty is lambda (N_j / N_i) d(theta_i, theta_j), equation 6.
    """
    rows = np.arange(len(types)) if buyers is None else buyers
    shape = len(rows), len(types)
    held = types.data_size[rows]
    available = np.ones(shape, dtype=np.bool_)
    available[np.arange(len(rows)), rows] = False
    penalty = weight * (types.data_size / held[:, None]) * model_distance[rows]
    return Offers(
        gain_scale=types.gain_scale[rows],
        held=held,
        size=np.broadcast_to(types.data_size, shape),
        cost=np.broadcast_to(types.sharing_cost, shape),
        penalty=penalty,
        available=available,
    )
