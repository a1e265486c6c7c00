"""What distinguishes one owner's local training from another's: rates, steps, centres, drift, clipping and noise.

With g the gradient of the mean cross-entropy of a batch, every training back-end performs, for owner k,

    v <- momentum * v + g + weight_decay * w + mu * (w - base_k) + pull_k * (w - centre_k) + drift_k
    w <- w - rate_k * v

(v = 0 at first; mu is ``LocalTraining.proximal``), which is PyTorch's SGD on a loss with two proximal terms and one
linear term. The methods of the literature are choices of these columns:

- FedProx (Li et al. 2020): ``LocalTraining.proximal``, or centre = base.
- Ditto (Li et al. 2021, algorithm 1): start from the personal model, centre = the global model, pull = lambda.
- SCAFFOLD (Karimireddy et al. 2020, eq. 3): drift = c - c_i, and ``scaffold_controls`` afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from learning.columns import FloatColumn, IntColumn
from learning.privacy.mechanisms import NoiseLaw


@dataclass(frozen=True, eq=False)
class LocalTerms:
    """Per-owner terms of a cohort of K owners and P weights; every default means "as the plan says".

    Attributes:
        rate: [K], above 0, learning rates in place of the plan's.
        steps: [K], at least 0, numbers of SGD steps in place of the plan's epochs; the data is passed as often as
            it takes. An owner without samples makes none.
        centre: [K, P] or [P], where the proximal term pulls to; needs ``pull``.
        pull: [K], at least 0, weight of the proximal term pull/2 * ||w - centre||^2.
        drift: [K, P] or [P], added to every gradient.
        momentum: in [0, 1), of PyTorch's SGD without dampening.
        weight_decay: at least 0.
        clip: [K], above 0: the finished update is scaled down to this norm, L2 or as ``law`` says.
        noise: [K], at least 0: standard deviation of the noise on each weight of the finished update.
        law: the distribution of the noise.

    Raises ``ValueError`` for numbers out of range and for a centre without a pull (or a pull without a centre).
    """

    rate: FloatColumn | None = None
    steps: IntColumn | None = None
    centre: Tensor | None = None
    pull: FloatColumn | None = None
    drift: Tensor | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip: FloatColumn | None = None
    noise: FloatColumn | None = None
    law: NoiseLaw = NoiseLaw.GAUSSIAN

    def __post_init__(self) -> None:
        if (self.centre is None) != (self.pull is None):
            raise ValueError("a proximal term needs both centre and pull")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        if not (np.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be a number of at least 0, got {self.weight_decay}")
        for name in ("rate", "clip"):
            column = getattr(self, name)
            # An infinite clipping norm clips nobody; an infinite rate is an error.
            if column is not None and not ((column > 0) & ((column < np.inf) | (name == "clip"))).all():
                raise ValueError(f"{name} must be above 0 for every owner")
        for name in ("steps", "pull", "noise"):
            column = getattr(self, name)
            if column is not None and not ((column >= 0) & (column < np.inf)).all():
                raise ValueError(f"{name} must be at least 0 for every owner")

    def check(self, count: int, size: int) -> None:
        """Raise ``ValueError`` unless the columns fit ``count`` owners and ``size`` weights."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Tensor):
                if value.shape != (count, size) and value.shape != (size,):
                    raise ValueError(f"{each.name} must be [{size}] or [{count}, {size}], got {list(value.shape)}")
            elif isinstance(value, np.ndarray) and value.shape != (count,):
                raise ValueError(f"{each.name} must have one entry for each of {count} owners, got {value.shape}")

    def take(self, rows: IntColumn) -> LocalTerms:
        """The terms of some of the owners, in the order of ``rows``."""
        taken: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, np.ndarray):
                value = value[rows]
            elif isinstance(value, Tensor) and value.ndim == 2:
                value = value.index_select(0, torch.from_numpy(rows).to(value.device))
            taken[each.name] = value
        return LocalTerms(**taken)


PLAIN = LocalTerms()
"""No terms: every owner trains by the plan alone."""


def scaffold_controls(
    own: Tensor, server: Tensor, base: Tensor, trained: Tensor, rate: FloatColumn, steps: IntColumn
) -> Tensor:
    """New control variates c_i+ [K, P] of SCAFFOLD's option II (Karimireddy et al. 2020, algorithm 1, eq. 4).

    c_i+ = c_i - c + (x - y_i) / (steps_i * rate_i), for own c_i [K, P], server c [P], base x ([P] or [K, P]) and
    trained y_i [K, P] after so many steps [K] at such rates [K]. Without momentum, decay, proximal terms and clipping,
    x - y_i is the sum of the corrected gradients, so c_i+ is the mean uncorrected gradient of the owner. An owner
    without steps keeps its c_i.
    """
    moved = torch.from_numpy(np.asarray(steps) > 0).to(own.device)
    length = torch.from_numpy(np.maximum(steps, 1) * rate).to(device=own.device, dtype=own.dtype)
    return torch.where(moved[:, None], own - server + (base - trained) / length[:, None], own)
