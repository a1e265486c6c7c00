"""What training together achieves, as a fitted curve: more effective data, and labels closer to the global mix.

    S = sum of (D_j + e_j)         e = kappa g (1 - delta g / (D + g))
    P = - a S^-b - zeta * sum of w_i EMD_i          w_i = D_i / sum of D
    P_i = P + h_i                  h_i = - h EMD_i

P is common to all, in units of accuracy below what unlimited data of the global mix would reach; h_i is the part that
an organisation learns about its own mix. ``delta`` is the decline of a synthetic sample's worth with the synthetic
share of the data: a sample next to nothing synthetic is worth kappa, and all of them together kappa (1 - delta) once
the synthetic share goes to 1. P stays jointly concave for any delta in [0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from learning.columns import FloatColumn


@dataclass(frozen=True)
class LearningCurve:
    """``volume_scale`` a and ``volume_exponent`` b of the power law, ``emd_penalty`` zeta, ``personal_gain`` h.

    ``synthetic_quality`` is kappa, in (0, 1], ``quality_decay`` delta, in [0, 1]. A loss of 1 / sqrt(S G) with G
    rounds, as in other work on trading in federated learning, is a = G^-0.5 and b = 0.5. Raises ``ValueError``.
    """

    volume_scale: float
    volume_exponent: float
    emd_penalty: float
    synthetic_quality: float = 0.8
    quality_decay: float = 0.0
    personal_gain: float = 0.0

    def __post_init__(self) -> None:
        for name in ("volume_scale", "emd_penalty", "personal_gain", "quality_decay"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected a number of at least 0, got {getattr(self, name)}")
        if not 0.0 < self.volume_exponent < math.inf:
            raise ValueError(f"volume_exponent: expected a number above 0, got {self.volume_exponent}")
        if not 0.0 < self.synthetic_quality <= 1.0:
            raise ValueError(f"synthetic_quality: expected a number above 0 up to 1, got {self.synthetic_quality}")
        if self.quality_decay > 1.0:
            raise ValueError(f"quality_decay: expected a number from 0 to 1, got {self.quality_decay}")

    def worth(self, data_size: FloatColumn, synthetic_volume: FloatColumn) -> FloatColumn:
        """Real samples that the synthetic ones are worth, e, in the shape of ``synthetic_volume`` [..., N]."""
        plain = self.synthetic_quality * synthetic_volume
        if self.quality_decay == 0.0:
            return plain
        kept = (1.0 - self.quality_decay) * synthetic_volume
        return plain * ((data_size + kept) / (data_size + synthetic_volume))

    def marginal_worth(self, data_size: FloatColumn, synthetic_volume: FloatColumn) -> FloatColumn:
        """de / dg = kappa (1 - delta + delta D^2 / (D + g)^2), [N]."""
        real = data_size / (data_size + synthetic_volume)
        return self.synthetic_quality * (1.0 - self.quality_decay + self.quality_decay * real * real)

    def from_volume(self, effective_volume: float | FloatColumn) -> FloatColumn:
        """-a S^-b."""
        return np.asarray(-self.volume_scale * np.power(effective_volume, -self.volume_exponent))

    def marginal_volume(self, effective_volume: float | FloatColumn) -> FloatColumn:
        """Performance per effective sample, a b S^(-b - 1)."""
        scale = self.volume_scale * self.volume_exponent
        return np.asarray(scale * np.power(effective_volume, -self.volume_exponent - 1.0))

    def lost_volume(self, effective_volume: FloatColumn, lost: FloatColumn) -> FloatColumn:
        """-a S^-b + a (S - lost)^-b: what a part of the volume adds, with all digits even where it is a small part."""
        without = np.expm1(-self.volume_exponent * np.log1p(-lost / effective_volume))
        return np.asarray(-self.from_volume(effective_volume) * without)
