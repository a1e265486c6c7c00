"""The owners' private data, corrupted to their true quality, as one flat tensor on the device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from learning.columns import FloatColumn, IntColumn
from learning.corruption import add_noise, flip_labels
from learning.data import Dataset
from learning.streams import Streams


class Shards:
    """S shards, one after another. The samples of shard s are the rows ``offsets[s]:offsets[s + 1]``.

    Attributes:
        x: float32 [N, *shape] on the device.
        y: int64 [N] on the device, labels as the owner has them (some may be wrong).
        offsets: [S + 1].
        sizes: [S], samples.
        class_mix: [S, C], shares of the true labels.
        quality: [S], the true quality in [0, 1].
        label_noise: [S], share of labels that are really wrong.
    """

    def __init__(
        self, x: Tensor, y: Tensor, sizes: IntColumn, class_mix: FloatColumn, quality: FloatColumn, wrong: FloatColumn
    ) -> None:
        self.x = x
        self.y = y
        self.sizes = sizes
        self.offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.class_mix = class_mix
        self.quality = quality
        self.label_noise = wrong

    def __len__(self) -> int:
        return len(self.sizes)

    @classmethod
    def build(
        cls,
        dataset: Dataset,
        indices: Sequence[IntColumn],
        quality: FloatColumn,
        *,
        max_label_noise: float,
        max_feature_noise: float,
        streams: Streams,
        device: torch.device,
    ) -> Shards:
        """Shards of the training samples ``indices[s]``, in a fixed random order, with the noise of their quality.

        A shard of quality q has the label-noise rate (1 - q) * ``max_label_noise`` and feature noise of deviation
        (1 - q) * ``max_feature_noise``, in units of each feature's deviation over the whole training set. Order and
        noise are drawn per shard number, so a shard does not depend on the others.
        Raises ``ValueError`` for an empty shard and for values out of range.
        """
        quality = np.asarray(quality, dtype=np.float64)
        _check(indices, quality, max_label_noise, max_feature_noise)
        spread = dataset.x_train.std(axis=0, dtype=np.float64)
        sizes = np.array([len(part) for part in indices], dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        x = np.empty((int(offsets[-1]), *dataset.shape), dtype=np.float32)
        y = np.empty(int(offsets[-1]), dtype=np.int64)
        class_mix = np.zeros((len(indices), dataset.classes))
        wrong = np.zeros(len(indices))
        for shard, part in enumerate(indices):
            rows = streams.generator("shard order", shard).permutation(part)
            loss = 1.0 - float(quality[shard])
            truth = dataset.y_train[rows]
            chance = streams.generator("label noise", shard)
            labels = flip_labels(truth, loss * max_label_noise, dataset.classes, chance)
            samples = dataset.x_train[rows]
            if loss * max_feature_noise > 0:
                deviation = (loss * max_feature_noise * spread).astype(np.float32)
                samples = add_noise(samples, deviation, streams.generator("feature noise", shard))
            place = slice(int(offsets[shard]), int(offsets[shard + 1]))
            x[place], y[place] = samples, labels
            class_mix[shard] = np.bincount(truth, minlength=dataset.classes) / len(rows)
            wrong[shard] = np.mean(labels != truth)
        on_device = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
        return cls(*on_device, sizes, class_mix, quality.copy(), wrong)


def _check(
    indices: Sequence[IntColumn], quality: FloatColumn, max_label_noise: float, max_feature_noise: float
) -> None:
    if len(indices) == 0 or len(quality) != len(indices):
        raise ValueError(f"{len(indices)} shards need as many qualities (at least one), got {len(quality)}")
    if any(len(part) == 0 for part in indices):
        raise ValueError("a shard must hold at least one sample")
    if not ((quality >= 0) & (quality <= 1)).all():
        raise ValueError("quality must be in [0, 1]")
    if not 0 <= max_label_noise <= 1:
        raise ValueError(f"max_label_noise must be in [0, 1], got {max_label_noise}")
    if not (np.isfinite(max_feature_noise) and max_feature_noise >= 0):
        raise ValueError(f"max_feature_noise must be a number of at least 0, got {max_feature_noise}")
