"""What is done to a finished update before it leaves its owner: clipping to a norm, then Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from learning.columns import FloatColumn, IntColumn
from learning.streams import Streams


@dataclass(frozen=True)
class ClipAndNoise:
    """The same clipping norm and noise for everybody.

    ``clip``: largest L2 norm of an update, above 0, None for no limit; ``noise_multiplier``: standard deviation of the
    Gaussian noise on each weight, in clipping norms. Raises ``ValueError`` for noise without a clipping norm.
    """

    clip: float | None = None
    noise_multiplier: float = 0.0

    def __post_init__(self) -> None:
        if self.clip is not None and not (np.isfinite(self.clip) and self.clip > 0):
            raise ValueError(f"clip must be a number above 0, got {self.clip}")
        if not (np.isfinite(self.noise_multiplier) and self.noise_multiplier >= 0):
            raise ValueError(f"noise_multiplier must be a number of at least 0, got {self.noise_multiplier}")
        if self.clip is None and self.noise_multiplier > 0:
            raise ValueError("noise_multiplier is in units of clip, so clip must be given")

    def columns(self, count: int) -> dict[str, Any]:
        """``clip`` and ``noise`` of ``LocalTerms`` for so many owners."""
        if self.clip is None:
            return {"clip": None, "noise": None}
        noise = np.full(count, self.noise_multiplier * self.clip) if self.noise_multiplier > 0 else None
        return {"clip": np.full(count, float(self.clip)), "noise": noise}


def privatise(
    start: Tensor,
    trained: Tensor,
    owners: IntColumn,
    counter: int,
    clip: FloatColumn | None,
    noise: FloatColumn | None,
    streams: Streams,
) -> Tensor:
    """Weights [K, P] whose updates from ``start`` [K, P] are clipped and noised, in this order.

    The update d = trained - start becomes d * min(1, clip_k / ||d||_2) + N(0, noise_k^2 I): the Gaussian mechanism on
    a clipped client update (McMahan et al. 2018, "Learning differentially private recurrent language models",
    section 2), with noise at the owner. ``clip`` and ``noise`` are [K], in units of the weights; None: not done. The
    noise is drawn by (owner, counter), in float64, whatever the device. Owners whose norm is within ``clip`` and
    without noise keep their bits. Updates that are not finite stay so. Nothing given is changed; without clipping and
    noise ``trained`` itself comes back.
    """
    if clip is not None:
        update = trained - start
        norm = torch.linalg.vector_norm(update, dim=1, dtype=torch.float64)
        scale = (torch.from_numpy(clip).to(norm) / norm).to(update.dtype).unsqueeze(1)
        trained = torch.where(scale < 1, start + update * scale, trained)
    if noise is not None and np.any(noise):
        trained = trained.clone()
        for row in np.flatnonzero(noise):
            normal = streams.generator("update noise", int(owners[row]), counter).standard_normal(trained.shape[1])
            trained[row] += torch.from_numpy(normal * noise[row]).to(trained)
    return trained
