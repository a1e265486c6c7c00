"""Local training of a whole cohort in one call."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from learning.backends import BACKENDS
from learning.batches import LocalTraining, draw_batches
from learning.columns import IntColumn
from learning.models import FlatModel
from learning.shards import Shards
from learning.streams import Streams

__all__ = ["LocalTraining", "choose_backend", "chunk_size", "train_cohort"]

WIDE_MODEL = 300_000
"""Weights from which on mapping convolutions over owners is slower than a loop on a CPU (measured)."""


def choose_backend(model: FlatModel, device: torch.device) -> str:
    """The back-end that ``auto`` stands for. It depends on nothing else, because kernels differ in the last bits."""
    if model.linear_layers is not None:
        return "linear"
    return "loop" if device.type == "cpu" and model.size >= WIDE_MODEL else "vmap"


def chunk_size(model: FlatModel, device: torch.device) -> int:
    """Owners trained together: on a CPU what fits the cache (2 MiB of weights), on a GPU what keeps it busy."""
    kilobytes, least, most = (2**11, 10, 512) if device.type == "cpu" else (2**20, 32, 4096)
    return int(np.clip(kilobytes * 1024 // (4 * model.size), least, most))


def train_cohort(
    model: FlatModel,
    base: Tensor,
    shards: Shards,
    rows: IntColumn,
    samples: IntColumn,
    owners: IntColumn,
    counter: int,
    plan: LocalTraining,
    streams: Streams,
    backend: str = "auto",
) -> Tensor:
    """New weights [K, P] of K owners, in the order given.

    Owner ``owners[k]`` starts from ``base`` ([P] for all, or [K, P]), trains on the first ``samples[k]`` samples of
    shard ``rows[k]`` (none: it returns its base) and draws its batches by (owner, counter). Computes in the type of
    ``base``, which is neither changed nor aliased. Raises ``ValueError`` for columns that do not fit.
    """
    count = len(rows)
    if base.shape != (model.size,) and base.shape != (count, model.size):
        raise ValueError(f"base must be [{model.size}] or [{count}, {model.size}], got {list(base.shape)}")
    if not len(samples) == len(owners) == count:
        raise ValueError(f"columns differ in length: {count} rows, {len(samples)} samples, {len(owners)} owners")
    if ((samples < 0) | (samples > shards.sizes[rows])).any():
        raise ValueError("an owner can train on 0 up to all samples of its shard")
    train = BACKENDS[choose_backend(model, base.device) if backend == "auto" else backend]
    start = base.expand(count, -1)
    trained = torch.empty(count, model.size, dtype=base.dtype, device=base.device)
    longest_first = np.argsort(-samples, kind="stable")
    size = chunk_size(model, base.device)
    for begin in range(0, count, size):
        chunk = longest_first[begin : begin + size]
        places = torch.from_numpy(chunk).to(base.device)
        batches = draw_batches(shards.offsets[rows[chunk]], samples[chunk], owners[chunk], counter, plan, streams)
        trained[places] = train(model, start[places], shards.x, shards.y, batches, plan)
    return trained
