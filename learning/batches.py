"""Which samples each owner meets at each step of its local training: an index matrix instead of a data loader.

A draw is a function of (owner, counter, epoch, position) only. So an owner's batches do not depend on who else
trains, in which order, or on how a cohort is cut into chunks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from learning.columns import IntColumn
from learning.streams import Streams


@dataclass(frozen=True)
class LocalTraining:
    """What an owner does with its data: plain mini-batch SGD on the mean cross-entropy of a batch.

    ``proximal`` is the mu of FedProx (Li et al. 2020): the loss gains mu/2 * ||w - base||^2.
    """

    epochs: int = 1
    batch_size: int = 10
    learning_rate: float = 0.1
    proximal: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError(f"epochs and batch_size must be at least 1, got {self.epochs} and {self.batch_size}")
        if not (np.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate must be a number above 0, got {self.learning_rate}")
        if not (np.isfinite(self.proximal) and self.proximal >= 0):
            raise ValueError(f"proximal must be a number of at least 0, got {self.proximal}")

    def steps(self, samples: IntColumn) -> IntColumn:
        """SGD steps of owners that train on so many samples; the last batch of an epoch may be smaller."""
        return self.epochs * -(-samples // self.batch_size)


@dataclass(frozen=True, eq=False)
class BatchTable:
    """The batches of K owners, sorted by their number of steps, longest first.

    At step s the first ``active[s]`` owners train: a prefix, so no owner pads another one's time. Their batches are
    the rows ``spans[s]`` of ``index`` [T, B] (row numbers into the flat data, 0 where there is no sample) and of
    ``counts`` [T] (samples in the batch). T is the number of all steps of all owners.
    """

    index: IntColumn
    counts: IntColumn
    active: list[int]
    spans: list[slice]

    def share(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Weight of each sample in its batch's mean [T, B]: 1 / count, 0 where there is no sample."""
        present = np.arange(self.index.shape[1]) < self.counts[:, None]
        return torch.from_numpy(present / self.counts[:, None]).to(device=device, dtype=dtype)


def draw_batches(
    offsets: IntColumn, samples: IntColumn, owners: IntColumn, counter: int, plan: LocalTraining, streams: Streams
) -> BatchTable:
    """The batches of owners [K] that train on the rows ``offsets : offsets + samples`` of the flat data.

    Every epoch passes once through the owner's samples in a new order. ``samples`` must be in descending order.
    """
    if (np.diff(samples) > 0).any():
        raise ValueError("draw_batches needs its owners sorted by samples, most first")
    steps = plan.steps(samples)
    # Owners with more than s steps, for every s: the steps are in descending order.
    active = np.searchsorted(-steps, -np.arange(int(steps.max(initial=0))), side="left")
    starts = np.cumsum(active) - active
    index = np.zeros((int(active.sum()), plan.batch_size), dtype=np.int64)
    counts = np.zeros(len(index), dtype=np.int64)

    # One entry per (owner, epoch, position), in this order; ``segment`` numbers the pairs (owner, epoch).
    lengths = np.repeat(samples, plan.epochs)
    segment = np.repeat(np.arange(len(lengths)), lengths)
    position = np.arange(len(segment)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    row, epoch = segment // plan.epochs, segment % plan.epochs
    key = streams.uniform("batch order", owners[row], counter, epoch * samples[row] + position)
    shuffled = position[np.lexsort((key, segment))]

    step = epoch * (steps[row] // plan.epochs) + position // plan.batch_size
    batch = starts[step] + row
    index[batch, position % plan.batch_size] = offsets[row] + shuffled
    np.add.at(counts, batch, 1)
    spans = [slice(int(start), int(start + number)) for start, number in zip(starts, active, strict=True)]
    return BatchTable(index, counts, [int(number) for number in active], spans)
