"""The owners' private data, corrupted to their true quality, as one flat tensor on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.columns import FloatColumn, IntColumn
from learning.corruption import add_noise, copied_from, flip_labels, noise_level, replace_tokens, usable_samples
from learning.data import Dataset
from learning.splitting import Split, in_order, pieces_of, sizes_of
from learning.streams import Streams

FloatArray = NDArray[np.float32]


class Shards:
    """S shards, one after another. The samples of shard s are the rows ``offsets[s]:offsets[s + 1]``.

    Attributes:
        x: float32 [N, *shape] on the device.
        y: int64 [N] on the device, labels as the owner has them (some may be wrong).
        offsets: [S + 1].
        sizes: [S], samples that the owner can use.
        class_mix: [S, C], shares of the true labels.
        quality: [S], the true quality in [0, 1].
        label_noise: [S], share of labels that are really wrong.
        feature_noise: [S], what was added to the features, as root mean square in units of each feature's deviation
            over the whole training set; for token ids the share that was replaced.
        class_loss: [S], share of the classes dealt to the shard that the owner cannot use.
        duplicates: [S], share of samples that are copies of others.
        dealt: how many of these, the first ones, were dealt; those behind them are parts of these (``Split``).
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        sizes: IntColumn,
        class_mix: FloatColumn,
        quality: FloatColumn,
        wrong: FloatColumn,
        *,
        feature_noise: FloatColumn | None = None,
        class_loss: FloatColumn | None = None,
        duplicates: FloatColumn | None = None,
        dealt: int | None = None,
    ) -> None:
        none = np.zeros(len(sizes))
        self.x = x
        self.y = y
        self.sizes = sizes
        self.offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.class_mix = class_mix
        self.quality = quality
        self.label_noise = wrong
        self.feature_noise = none if feature_noise is None else feature_noise
        self.class_loss = none if class_loss is None else class_loss
        self.duplicates = none if duplicates is None else duplicates
        self.dealt = len(sizes) if dealt is None else dealt

    def __len__(self) -> int:
        return len(self.sizes)

    def owner_mean(self, by_class: FloatColumn, rows: IntColumn) -> FloatColumn:
        """What figures per class (accuracy, loss) come to [K] on data with the true label mix of shards ``rows`` [K].

        ``by_class`` is [C], the same for all, or [K, C].
        """
        mix = self.class_mix[rows]
        with np.errstate(invalid="ignore"):  # an infinite loss of a class that an owner has none of gives NaN
            return np.asarray(mix @ by_class if by_class.ndim == 1 else (mix * by_class).sum(axis=1))

    @classmethod
    def build(
        cls,
        dataset: Dataset,
        indices: Sequence[IntColumn],
        quality: FloatColumn,
        *,
        max_label_noise: float,
        max_feature_noise: float,
        max_class_loss: float = 0.0,
        max_duplicates: float = 0.0,
        split: Sequence[Split] = (),
        streams: Streams,
        device: torch.device,
    ) -> Shards:
        """Shards of the training samples ``indices[s]``, in a fixed random order, with the faults of their quality.

        A shard of quality q suffers (1 - q) times each of the four: ``max_class_loss``, the share of its classes that
        it loses with all their samples (``usable_samples``); ``max_label_noise``, the rate of wrong labels;
        ``max_feature_noise``, the deviation of Gaussian noise in units of each feature's deviation over the whole
        training set (for token ids: the share of replaced ones, at most 1, of prompts only); ``max_duplicates``, the
        share of samples that are copies of others, noise and label included. Order and faults are drawn per shard
        number, so a shard does not depend on the others. Behind the dealt shards come the parts of those to be
        ``split``, with the same samples and faults. Raises ``ValueError`` for an empty shard or part and
        for values out of range.
        """
        quality = np.asarray(quality, dtype=np.float64)
        rates = {"max_label_noise": max_label_noise, "max_class_loss": max_class_loss, "max_duplicates": max_duplicates}
        _check(indices, quality, rates, max_feature_noise)
        pieces, parents = pieces_of(split, len(indices))
        dealt = indices
        if max_class_loss > 0:
            indices = usable_samples(dealt, dataset.y_train, quality, max_class_loss, streams)
        spread = dataset.x_train.std(axis=0, dtype=np.float64)
        sizes = sizes_of(indices, split)
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        x = np.empty((int(offsets[-1]), *dataset.shape), dtype=np.float32)
        y = np.empty(int(offsets[-1]), dtype=np.int64)
        class_mix = np.zeros((len(sizes), dataset.classes))
        wrong, noise, lost, copies = np.zeros((4, len(sizes)))
        for shard, part in enumerate(indices):
            rows = in_order(part, shard, streams)
            loss = 1.0 - float(quality[shard])
            truth, copied = dataset.y_train[rows], np.zeros(len(rows), dtype=np.bool_)
            chance = streams.generator("label noise", shard)
            if dataset.answers is None:
                labels = flip_labels(truth, loss * max_label_noise, dataset.classes, chance)
                samples = dataset.x_train[rows]
                false = labels != truth
            else:
                source = dataset.answers.wrong(dataset.y_train, rows, loss * max_label_noise, chance)
                samples, labels = dataset.with_answers_of(rows, source), dataset.y_train[source]
                false = (samples != dataset.x_train[rows]).any(axis=1)
            if loss * max_feature_noise > 0:
                samples, noise[shard] = _noisy(samples, loss * max_feature_noise, spread, dataset, streams, shard)
            if loss * max_duplicates > 0:
                source = copied_from(len(rows), loss * max_duplicates, streams.generator("duplicates", shard))
                samples, labels, truth, false = samples[source], labels[source], truth[source], false[source]
                copied = source != np.arange(len(source))
            lost[shard] = 1.0 - len(np.unique(dataset.y_train[part])) / len(np.unique(dataset.y_train[dealt[shard]]))
            for row, own in ((shard, slice(None)), *pieces.get(shard, ())):
                place = slice(int(offsets[row]), int(offsets[row + 1]))
                x[place], y[place] = samples[own], labels[own]
                class_mix[row] = np.bincount(truth[own], minlength=dataset.classes) / sizes[row]
                wrong[row], copies[row] = np.mean(false[own]), np.mean(copied[own])
                lost[row], noise[row] = lost[shard], noise[shard]
        on_device = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
        return cls(
            *on_device,
            sizes,
            class_mix,
            quality[parents],
            wrong,
            feature_noise=noise,
            class_loss=lost,
            duplicates=copies,
            dealt=len(indices),
        )


def _noisy(
    samples: FloatArray,
    amount: float,
    spread: NDArray[np.float64],
    dataset: Dataset,
    streams: Streams,
    shard: int,
) -> tuple[FloatArray, float]:
    """Samples [n, *shape] with feature noise, and how much there really is of it."""
    chance = streams.generator("feature noise", shard)
    if dataset.vocabulary is not None:
        replaced = replace_tokens(samples, min(amount, 1.0), dataset.vocabulary, chance)
        if dataset.answers is not None:
            replaced = np.where(dataset.prompt_tokens(samples), replaced, samples)
        return replaced, float(np.mean(replaced != samples))
    noisy = add_noise(samples, (amount * spread).astype(np.float32), chance)
    return noisy, noise_level(noisy, samples, spread)


def _check(
    indices: Sequence[IntColumn], quality: FloatColumn, rates: Mapping[str, float], max_feature_noise: float
) -> None:
    if len(indices) == 0 or len(quality) != len(indices):
        raise ValueError(f"{len(indices)} shards need as many qualities (at least one), got {len(quality)}")
    if any(len(part) == 0 for part in indices):
        raise ValueError("a shard must hold at least one sample")
    if not ((quality >= 0) & (quality <= 1)).all():
        raise ValueError("quality must be in [0, 1]")
    for name, rate in rates.items():
        if not 0 <= rate <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {rate}")
    if not (np.isfinite(max_feature_noise) and max_feature_noise >= 0):
        raise ValueError(f"max_feature_noise must be a number of at least 0, got {max_feature_noise}")
