"""A generator for classes that an organisation never saw: one that was trained on data everybody may use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from learning.columns import BoolColumn, IntColumn
from learning.generation.generator import Fitted, check_labels
from learning.streams import Streams

APART = 2**31
"""Added to the counter of the shared generator's draws, so that they are not those of the own one."""


@dataclass(frozen=True, eq=False)
class Complemented:
    """An organisation's own generator, complemented by a shared one for the classes that it does not know.

    The shared one is fitted like any other, on pooled public data. Both are ``Fitted`` to the same classes.
    """

    own: Fitted
    shared: Fitted

    def __post_init__(self) -> None:
        if self.own.known.shape != self.shared.known.shape:
            raise ValueError(
                f"generators of {len(self.own.known)} and {len(self.shared.known)} classes cannot complement each other"
            )

    @property
    def known(self) -> BoolColumn:
        """Classes that either of them can make."""
        return np.asarray(self.own.known | self.shared.known)

    def sample(self, labels: IntColumn, owner: int, counter: int, streams: Streams) -> Tensor:
        """See ``Fitted.sample``."""
        check_labels(labels, self.known)
        by_own = self.own.known[labels]
        if by_own.all():
            return self.own.sample(labels, owner, counter, streams)
        if not by_own.any():
            return self.shared.sample(labels, owner, counter + APART, streams)
        parts = [
            (by_own, self.own.sample(labels[by_own], owner, counter, streams)),
            (~by_own, self.shared.sample(labels[~by_own], owner, counter + APART, streams)),
        ]
        made = torch.empty((len(labels), *parts[0][1].shape[1:]), dtype=torch.float32, device=parts[0][1].device)
        for rows, samples in parts:
            made[torch.from_numpy(np.flatnonzero(rows)).to(made.device)] = samples.to(made.device)
        return made
