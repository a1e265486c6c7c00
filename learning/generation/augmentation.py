"""Owners' real samples with synthetic ones added, as data to train on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from learning.columns import IntColumn
from learning.shards import Shards


class Synthetic(NamedTuple):
    """Generated samples x [g, *shape], float32, and their labels y [g], int64, on one device."""

    x: Tensor
    y: Tensor


def with_synthetic(shards: Shards, rows: IntColumn, samples: IntColumn, added: Sequence[Synthetic | None]) -> Shards:
    """New shards [K]: the first ``samples[k]`` samples of shard ``rows[k]``, then what is added (None: nothing).

    ``train_cohort`` can train on them as on any; its batches mix both. ``class_mix`` counts synthetic labels, too; of
    a shard left without samples it is the real one. Qualities and faults are those of the real data. Raises
    ``ValueError`` for columns that do not fit.
    """
    if not len(rows) == len(samples) == len(added):
        raise ValueError(f"columns differ in length: {len(rows)} rows, {len(samples)} samples, {len(added)} added")
    if ((samples < 0) | (samples > shards.sizes[rows])).any():
        raise ValueError("an owner can train on 0 up to all samples of its shard")
    sizes, classes = samples.copy(), shards.class_mix.shape[1]
    class_mix = shards.class_mix[rows].copy()
    xs, ys = [], []
    for place, (row, count, new) in enumerate(zip(rows.tolist(), samples.tolist(), added, strict=True)):
        begin = int(shards.offsets[row])
        xs.append(shards.x[begin : begin + count])
        ys.append(shards.y[begin : begin + count])
        if new is None or len(new.y) == 0:
            continue
        if new.x.shape != (len(new.y), *shards.x.shape[1:]):
            raise ValueError(f"synthetic samples {list(new.x.shape)} do not fit {list(shards.x.shape[1:])}")
        xs.append(new.x)
        ys.append(new.y)
        sizes[place] += len(new.y)
        labels = torch.bincount(new.y, minlength=classes).cpu().numpy()
        class_mix[place] = (count * class_mix[place] + labels) / sizes[place]
    return Shards(
        torch.cat(xs) if xs else shards.x[:0],
        torch.cat(ys) if ys else shards.y[:0],
        sizes,
        class_mix,
        shards.quality[rows],
        shards.label_noise[rows],
        feature_noise=shards.feature_noise[rows],
        class_loss=shards.class_loss[rows],
        duplicates=np.asarray(shards.duplicates[rows]),
    )
