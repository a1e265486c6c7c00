"""How far labels stay from the global mix when synthetic data is added: the residual earth mover's distance.

The distance of label mixes is the L1 form, in [0, 2], as ``learning.heterogeneity.emd`` measures it. With D real and g
synthetic samples and the stretch rho = (D + g) / D of an organisation's data,

- ``global``: labels of synthetic data follow the global law, and EMD(rho) = E / rho, exactly;
- ``fill``: only classes that are short of their global share are generated, and
  EMD(rho) = 2 * sum over classes of max(0, q_c / rho - q_g,c), which is never above the former.

Both are sums of terms max(0, share / rho - allowed).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learning.columns import FloatColumn, IntColumn

FloatMatrix = NDArray[np.float64]


class Stretches(NamedTuple):
    """Pieces of rho on which EMD(rho) = steepness / rho - constant; both are [N, K + 1].

    Piece k reaches up to ``until[:, k]``, ascending, of which the last is infinite; ``steepness`` falls along the
    pieces. So -rho^2 dEMD / drho is the steepness of the piece that rho is in.
    """

    steepness: FloatMatrix
    until: FloatMatrix


@dataclass(frozen=True)
class ResidualEmd:
    """N organisations' EMD as a function of rho: the sum of max(0, share / rho - allowed) over K terms.

    ``share`` and ``allowed`` are [N, K], at least 0. Made by ``towards_global`` and ``filling``.
    """

    share: FloatMatrix
    allowed: FloatMatrix

    def __len__(self) -> int:
        return len(self.share)

    def at(self, stretch: FloatColumn) -> FloatColumn:
        """EMD for stretches rho >= 1 of shape [..., N], in that shape."""
        if self.share.shape[1] == 1:
            return np.maximum(0.0, self.share[:, 0] / stretch - self.allowed[:, 0])
        return np.asarray(np.maximum(0.0, self.share / stretch[..., None] - self.allowed).sum(axis=-1))

    @cached_property
    def before(self) -> FloatColumn:
        """EMD of the real data alone, [N]."""
        return self.at(np.ones(len(self)))

    @cached_property
    def stretches(self) -> Stretches:
        """The pieces on which EMD is a hyperbola."""
        with np.errstate(divide="ignore", invalid="ignore"):
            until = np.where(self.allowed > 0.0, self.share / self.allowed, np.where(self.share > 0.0, np.inf, 0.0))
        order = np.argsort(until, axis=1, kind="stable")
        until = np.take_along_axis(until, order, axis=1)
        steepness = np.take_along_axis(self.share, order, axis=1)[:, ::-1].cumsum(axis=1)[:, ::-1]
        if not np.isinf(until[:, -1:]).all():
            until = np.concatenate((until, np.full((len(until), 1), np.inf)), axis=1)
            steepness = np.concatenate((steepness, np.zeros((len(until), 1))), axis=1)
        return Stretches(steepness, until)

    def steepness(self, stretch: FloatColumn) -> FloatColumn:
        """-rho^2 dEMD / drho at stretches [N], from the right at a kink."""
        excess = self.share > self.allowed * stretch[:, None]
        return np.asarray((self.share * excess).sum(axis=1))

    def among(self, present: IntColumn) -> ResidualEmd:
        """The same for the organisations at these places."""
        return ResidualEmd(self.share[present], self.allowed[present])


def towards_global(emd: FloatColumn) -> ResidualEmd:
    """Synthetic labels follow the global law; ``emd`` [N] is that of the real data, in [0, 2]."""
    if emd.ndim != 1 or not ((emd >= 0.0) & (emd <= 2.0)).all():
        raise ValueError("earth mover's distances must be numbers from 0 to 2")
    return ResidualEmd(emd[:, None].astype(np.float64), np.zeros((len(emd), 1)))


def filling(label_distribution: FloatMatrix, global_label_distribution: FloatColumn) -> ResidualEmd:
    """Synthetic data fills up the classes that are missing; distributions [N, C] and [C] that sum to 1."""
    everything = np.vstack((label_distribution, global_label_distribution))
    if not ((everything >= 0.0).all() and np.allclose(everything.sum(axis=1), 1.0, rtol=0.0, atol=1e-9)):
        raise ValueError("label distributions must be numbers of at least 0 that sum to 1")
    allowed = np.broadcast_to(2.0 * global_label_distribution, label_distribution.shape)
    return ResidualEmd(2.0 * label_distribution, np.array(allowed))
