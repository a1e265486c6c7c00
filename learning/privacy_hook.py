"""What is done to a finished update before it leaves its owner: clipping to a norm, then Gaussian noise."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from learning.columns import FloatColumn, IntColumn
from learning.streams import Streams


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
