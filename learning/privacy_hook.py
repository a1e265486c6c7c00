"""What is done to a finished update before it leaves its owner: clipping to a norm, then noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from learning.columns import FloatColumn, IntColumn
from learning.privacy.mechanisms import NoiseLaw
from learning.streams import Streams


@dataclass(frozen=True)
class ClipAndNoise:
    """The same clipping norm for everybody, and the same noise unless each owner has its own.

    ``clip``: largest norm of an update, above 0, None for no limit: L2 for Gaussian noise, L1 for Laplace;
    ``noise_multiplier``: standard deviation of the noise on each weight, in clipping norms; ``law``: its distribution.
    Raises ``ValueError`` for noise without a clipping norm.
    """

    clip: float | None = None
    noise_multiplier: float = 0.0
    law: NoiseLaw = NoiseLaw.GAUSSIAN

    def __post_init__(self) -> None:
        if self.clip is not None and not (np.isfinite(self.clip) and self.clip > 0):
            raise ValueError(f"clip must be a number above 0, got {self.clip}")
        if not (np.isfinite(self.noise_multiplier) and self.noise_multiplier >= 0):
            raise ValueError(f"noise_multiplier must be a number of at least 0, got {self.noise_multiplier}")
        if self.clip is None and self.noise_multiplier > 0:
            raise ValueError("noise_multiplier is in units of clip, so clip must be given")

    def columns(self, count: int, noise_std: FloatColumn | None = None) -> dict[str, Any]:
        """``clip``, ``noise`` and ``law`` of ``LocalTerms`` for so many owners.

        ``noise_std`` [count]: each owner's own noise, in units of weights, in place of the common one. Raises
        ``ValueError`` if there is no clipping norm, for then no noise makes anything private.
        """
        if self.clip is None:
            if noise_std is not None:
                raise ValueError("owners add noise of their own, so clip must be given")
            return {"clip": None, "noise": None, "law": self.law}
        if noise_std is None and self.noise_multiplier > 0:
            noise_std = np.full(count, self.noise_multiplier * self.clip)
        return {"clip": np.full(count, float(self.clip)), "noise": noise_std, "law": self.law}


def clipping_factor(updates: Tensor, clip: FloatColumn, norm: int) -> Tensor:
    """By what updates [K, P] are multiplied to have a norm of this order of at most ``clip`` [K]: [K], float64.

    1 for those that have, the zero update among them; NaN for updates that are not finite.
    """
    size = torch.linalg.vector_norm(updates, ord=norm, dim=1, dtype=torch.float64)
    factor: Tensor = torch.from_numpy(clip).to(size) / size
    return factor.clamp(max=1)


def privatise(
    start: Tensor,
    trained: Tensor,
    owners: IntColumn,
    counter: int,
    clip: FloatColumn | None,
    noise: FloatColumn | None,
    streams: Streams,
    law: NoiseLaw = NoiseLaw.GAUSSIAN,
) -> Tensor:
    """Weights [K, P] whose updates from ``start`` [K, P] are clipped and noised, in this order.

    The update d = trained - start becomes d * min(1, clip_k / ||d||) + noise_k * n, with n independent numbers of
    variance 1: for normal n and the L2 norm the Gaussian mechanism on a clipped client update (McMahan et al. 2018,
    "Learning differentially private recurrent language models", section 2), with noise at the owner; for Laplace the
    norm is L1. ``clip`` and ``noise`` are [K], in units of the weights; None: not done. The noise is drawn by (owner,
    counter), in float64, whatever the device. Owners whose norm is within ``clip`` and without noise keep their bits.
    Updates that are not finite stay so. Nothing given is changed; without clipping and noise ``trained`` itself comes
    back.
    """
    if clip is not None:
        update = trained - start
        factor = clipping_factor(update, clip, law.norm).to(update.dtype).unsqueeze(1)
        trained = torch.where(factor < 1, start + update * factor, trained)
    if noise is not None and np.any(noise):
        trained = trained.clone()
        for row in np.flatnonzero(noise):
            drawn = law.draw(streams.generator("update noise", int(owners[row]), counter), trained.shape[1])
            trained[row] += torch.from_numpy(drawn * noise[row]).to(trained)
    return trained
