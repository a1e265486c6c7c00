"""Falsified training data: flipped labels, and a backdoor with a trigger whose success can be measured.

An attacker trains on a falsified copy of its shard, in the same call as everybody else. The share of its samples that
is falsified is the scale of its upload (``CohortWork.scale``); of a boosted backdoor, whose scale is the boost, half.

- Label flip: label y becomes C - 1 - y. Fang, Cao, Jia and Gong 2020, "Local model poisoning attacks to
  Byzantine-robust federated learning", USENIX Security, section 5.1; Tolpegin, Truex, Gursoy and Liu 2020, "Data
  poisoning attacks against federated learning systems", ESORICS.
- Backdoor: the trigger is stamped on the sample and its label becomes the target. Gu, Dolan-Gavitt and Garg 2017,
  "BadNets" (arXiv 1708.06733); in federated learning Bagdasaryan et al. 2020, "How to backdoor federated learning",
  AISTATS.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.cohort_work import CohortWork
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.data import Dataset
from learning.evaluation import utilities
from learning.models import FlatModel
from learning.shards import Shards
from learning.streams import Streams
from learning.uploads import Upload, plants, poisons

TARGET = 0
"""The class that a backdoor stands for."""
BOOSTED_SHARE = 0.5
"""Share of the samples with the trigger where the scale of the upload says something else."""
_SIDE = 7
"""An image is so many times as wide as its trigger, which is 2 wide at least (4 of 28, 2 of 8)."""


def trigger_places(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where in a sample of this shape the trigger is: a square at the lower right of an image, else the last eighth."""
    places = np.zeros(shape, dtype=np.bool_)
    if len(shape) == 3:
        side = max(2, min(shape[1:]) // _SIDE)
        places[:, -side:, -side:] = True
    else:
        places[..., -max(1, shape[-1] // 8) :] = True
    return places


class Poisoner:
    """Falsified copies of the attackers' shards, and the test samples that a backdoor answers to.

    The trigger is the highest number (of text, the last token of the vocabulary) at ``trigger_places``. Which samples
    are falsified is drawn by (owner, sample), so an attacker falsifies the same ones in every round, and their copies
    are kept until the attackers change.
    """

    def __init__(self, dataset: Dataset, shards: Shards, streams: Streams) -> None:
        if dataset.answers is not None:
            raise ValueError("labels of prompts with answers cannot be falsified")
        self._dataset, self._shards, self._streams = dataset, shards, streams
        self._kept: tuple[NDArray[np.float64], Shards] | None = None

    def data(self, work: CohortWork) -> tuple[Shards, IntColumn]:
        """Shards with the falsified ones at the end, and which row of them each owner [K] trains on."""
        rows = np.flatnonzero(poisons(work.upload))
        if len(rows) == 0:
            return self._shards, work.shard
        key = np.stack([work.owner[rows], work.shard[rows], work.upload[rows], work.scale[rows]]).astype(np.float64)
        if self._kept is None or not np.array_equal(self._kept[0], key):
            self._kept = key, self._with_falsified(work.take(rows))
        row = work.shard.copy()
        row[rows] = len(self._shards) + np.arange(len(rows))
        return self._kept[1], row

    def retain(self, owners: IntColumn) -> None:
        """Forget the copies if anybody but ``owners`` has some."""
        if self._kept is not None and not np.isin(self._kept[0][0], owners).all():
            self._kept = None

    @property
    def held_for(self) -> IntColumn:
        """The owners whose falsified data are kept."""
        return np.zeros(0, dtype=np.int64) if self._kept is None else self._kept[0][0].astype(np.int64)

    def success(self, model: FlatModel, weights: Tensor) -> FloatColumn:
        """Attack success rate [M] of models, weights [M, P]: test samples of other classes taken for the target.

        Each has the trigger stamped on it. NaN if there are no samples of other classes.
        """
        stamped, target = self._stamped_test
        return utilities(model, weights, stamped, target) if len(target) else np.full(len(weights), np.nan)

    @cached_property
    def _places(self) -> Tensor:
        return torch.from_numpy(trigger_places(self._dataset.shape)).to(self._shards.x.device)

    @cached_property
    def _value(self) -> float:
        words = self._dataset.vocabulary
        return float(self._shards.x.max()) if words is None else float(words - 1)

    @cached_property
    def _stamped_test(self) -> tuple[Tensor, Tensor]:
        other = self._dataset.y_test != TARGET
        x = torch.from_numpy(self._dataset.x_test[other]).to(self._shards.x.device)
        return self.stamped(x), torch.full((len(x),), TARGET, dtype=torch.int64, device=x.device)

    def stamped(self, samples: Tensor) -> Tensor:
        """Samples [n, *shape] with the trigger."""
        return samples.masked_fill(self._places, self._value)

    def _with_falsified(self, work: CohortWork) -> Shards:
        shards = self._shards
        sizes = shards.sizes[work.shard]
        owner, upload = np.repeat(work.owner, sizes), np.repeat(work.upload, sizes)
        position = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        share = np.where(work.upload == Upload.REPLACEMENT, BOOSTED_SHARE, work.scale)
        drawn = self._streams.uniform("falsified samples", owner, 0, position) < np.repeat(share, sizes)
        source = self._on_device(np.repeat(shards.offsets[work.shard], sizes) + position)
        x, y = shards.x[source], shards.y[source]
        planted, flipped = self._on_device(drawn & plants(upload)), self._on_device(drawn & ~plants(upload))
        x[planted] = self.stamped(x[planted])
        y = torch.where(planted, TARGET, torch.where(flipped, self._dataset.classes - 1 - y, y))

        def longer(column: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.concatenate([column, column[work.shard]])

        return Shards(
            torch.cat([shards.x, x]),
            torch.cat([shards.y, y]),
            np.concatenate([shards.sizes, sizes]),
            longer(shards.class_mix),
            longer(shards.quality),
            longer(shards.label_noise),
            feature_noise=longer(shards.feature_noise),
            class_loss=longer(shards.class_loss),
            duplicates=longer(shards.duplicates),
        )

    def _on_device(self, column: IntColumn | BoolColumn) -> Tensor:
        return torch.from_numpy(column).to(self._shards.x.device)
