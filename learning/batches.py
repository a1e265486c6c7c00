"""Which samples each owner meets at each step of its local training: an index matrix instead of a data loader.

A draw is a function of (owner, counter, epoch, position) only. So an owner's batches do not depend on who else
trains, in which order, or on how a cohort is cut into chunks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from learning.columns import FloatColumn, IntColumn
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
    ``counts`` [T] (samples in the batch). T is the number of all steps of all owners; ``owners`` [K] are their ids.
    """

    index: IntColumn
    counts: IntColumn
    owners: IntColumn
    active: list[int]
    spans: list[slice]

    def share(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Weight of each sample in its batch's mean [T, B]: 1 / count, 0 where there is no sample."""
        present = np.arange(self.index.shape[1]) < self.counts[:, None]
        return torch.from_numpy(present / self.counts[:, None]).to(device=device, dtype=dtype)

    def part(self, begin: int, end: int) -> BatchTable:
        """The table of the owners ``begin`` to ``end`` alone, as if only their batches had been drawn."""
        if begin == 0 and end >= len(self.owners):
            return self
        taken = np.clip(np.array(self.active, dtype=np.int64), begin, end) - begin
        taken = taken[taken > 0]
        first = np.array([span.start for span in self.spans[: len(taken)]], dtype=np.int64) + begin
        ends = np.cumsum(taken)
        places = np.arange(int(taken.sum())) + np.repeat(first - (ends - taken), taken)
        return BatchTable(self.index[places], self.counts[places], self.owners[begin:end], *_steps(taken))


def draw_batches(
    offsets: IntColumn,
    samples: IntColumn,
    owners: IntColumn,
    counter: int,
    plan: LocalTraining,
    streams: Streams,
    steps: IntColumn | None = None,
) -> BatchTable:
    """The batches of owners [K] that train on the rows ``offsets : offsets + samples`` of the flat data.

    Every epoch passes once through the owner's samples in a new order. ``steps`` [K] (default: the plan's epochs)
    says how many batches an owner meets; its last epoch may break off, and an owner without samples meets none. A
    longer training begins with the batches of a shorter one.
    Raises ``ValueError`` unless the owners are sorted by their number of steps, most first.
    """
    wanted = plan.steps(samples) if steps is None else np.where(samples > 0, steps, 0)
    if (np.diff(samples if steps is None else wanted) > 0).any():
        raise ValueError(
            f"draw_batches needs its owners sorted by {'samples' if steps is None else 'steps'}, most first"
        )
    # Owners with more than s steps, for every s: the steps are in descending order.
    active = np.searchsorted(-wanted, -np.arange(int(wanted.max(initial=0))), side="left")
    starts = np.cumsum(active) - active

    # One segment per (owner, epoch), one entry per (owner, epoch, position), in this order.
    per_epoch = -(-samples // plan.batch_size)
    epochs = -(-wanted // np.maximum(per_epoch, 1))
    owner = np.repeat(np.arange(len(samples)), epochs)
    epoch = np.arange(len(owner)) - np.repeat(np.cumsum(epochs) - epochs, epochs)
    lengths = samples[owner]
    first = np.cumsum(lengths) - lengths
    entries = int(lengths.sum())
    position = np.arange(entries) - np.repeat(first, lengths)
    row = np.repeat(owner, lengths)
    # The item of a draw is its place in the owner's sequence of epochs: epoch * samples + position.
    key = streams.uniform("batch order", owners[row], counter, np.repeat(epoch * lengths, lengths) + position)
    # Sorted by key within each segment, the entry at ``position`` is the sample that is met there.
    met = np.repeat(offsets[owner] - first, lengths) + _sorted_within(key, lengths)

    step = np.repeat(epoch * per_epoch[owner], lengths) + position // plan.batch_size
    if steps is not None:
        kept = step < wanted[row]
        row, step, position, met = row[kept], step[kept], position[kept], met[kept]
    batch = starts[step] + row
    index = np.zeros((int(active.sum()), plan.batch_size), dtype=np.int64)
    index[batch, position % plan.batch_size] = met
    counts = np.bincount(batch, minlength=len(index))
    return BatchTable(index, counts, owners, *_steps(active))


def _steps(active: IntColumn) -> tuple[list[int], list[slice]]:
    """The owners that train at each step, as a list, and the rows of their batches."""
    ends = np.cumsum(active).tolist()
    numbers = active.tolist()
    return numbers, [slice(end - number, end) for end, number in zip(ends, numbers, strict=True)]


def _sorted_within(key: FloatColumn, lengths: IntColumn) -> IntColumn:
    """The order [n] that sorts ``key`` [n] within consecutive segments of these lengths; stable."""
    if len(lengths) and (lengths == lengths[0]).all():
        order = np.argsort(key.reshape(len(lengths), -1), axis=1, kind="stable")
        return np.asarray((order + np.arange(len(lengths))[:, None] * lengths[0]).ravel())
    return np.lexsort((key, np.repeat(np.arange(len(lengths)), lengths)))
