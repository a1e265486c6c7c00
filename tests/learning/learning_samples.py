"""A small data set with three classes and clean shards of it, for the tests of the learning floor."""

import numpy as np
import torch

from learning.data import Dataset
from learning.partition import PARTITIONS
from learning.shards import Shards
from learning.streams import Streams

CPU = torch.device("cpu")


def blobs(shape: tuple[int, ...] = (5,), classes: int = 3, train: int = 300, test: int = 90) -> Dataset:
    """Gaussian clouds, one per class, far enough apart to be learnt and near enough to be confused."""
    chance = np.random.default_rng(3)
    centres = chance.normal(size=(classes, *shape))

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % classes
        return (centres[labels] + chance.normal(size=(count, *shape))).astype(np.float32), labels.astype(np.int64)

    return Dataset("blobs", *draw(train), *draw(test), classes)


def clean_shards(dataset: Dataset, count: int, streams: Streams, partition: str = "quantity_skew") -> Shards:
    """Shards of different sizes without noise."""
    indices = PARTITIONS[partition](dataset.y_train, count, streams)
    return Shards.build(
        dataset, indices, np.ones(count), max_label_noise=0.0, max_feature_noise=0.0, streams=streams, device=CPU
    )
