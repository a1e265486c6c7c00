"""Real federated training with the noise of what each owner sold: what accuracy a privacy loss leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from learning.columns import FloatColumn
from learning.privacy.accounting import ORDERS, epsilon_of_rdp, gaussian_rdp
from learning.privacy.terms import PrivacyTerms
from scenarios.reproduce.study import Options

if TYPE_CHECKING:
    from learning.data import Dataset

OWNERS = 100
"""Ten owners as in the paper leave nothing to be learnt at any epsilon of its types, whatever the rule."""
REPETITIONS = 5
EPOCHS = 5
ALPHA = 0.5
"""Of the Dirichlet partition, as in the paper."""
TERMS = PrivacyTerms(clip_norm=0.3)
LARGE_SETS = ("mnist", "cifar10")
"""Played beside the chosen data set unless everything shall be quick."""


@dataclass(frozen=True)
class Setting:
    """What is trained: softmax regression, whose few weights bear more noise than those of a network."""

    dataset: str
    owners: int
    rounds: int
    train: int | None
    test: int | None

    @property
    def short(self) -> bool:
        """Whether there is no time for every rule."""
        return self.train is not None or self.rounds < 40

    def says(self) -> str:
        """A few words for the reader."""
        some = f" (first {self.train:,} samples)" if self.train else ""
        return f"{self.dataset}{some}: {self.owners} owners, {self.rounds} rounds"


def settings(options: Options) -> tuple[list[Setting], list[str]]:
    """The chosen data set and, unless quick, the large ones; and a warning for each that is not to be had."""
    from learning.data import BadData, load_dataset

    found, warnings = [], []
    names = [options.dataset] if options.quick else dict.fromkeys([options.dataset, *LARGE_SETS])
    for name in names:
        try:
            data = load_dataset(name)
        except BadData as problem:
            if name == options.dataset:
                raise
            warnings.append(f"not played: {problem}")
            continue
        found.append(setting(name, data, quick=options.quick))
    return found, warnings


def setting(name: str, data: Dataset, *, quick: bool) -> Setting:
    """How long a data set is trained on: the larger the model, the shorter."""
    weights = int(np.prod(data.shape)) * data.classes
    if weights <= 1_000:
        return Setting(name, OWNERS, 25 if quick else 40, None, None)
    if weights <= 10_000:
        return Setting(name, OWNERS, 10 if quick else 25, 4_000, 2_000)
    return Setting(name, OWNERS, 5 if quick else 12, 2_000, 2_000)


class Bench:
    """One data set dealt to the same owners in the same way, trained on with any noise.

    Epsilon is that of one release, Gaussian by ``TERMS``; an owner with epsilon 0 does not take part.
    """

    def __init__(self, where: Setting, seed: int) -> None:
        import torch

        from learning.data import load_dataset
        from learning.models import FlatModel
        from learning.partition import PARTITIONS
        from learning.shards import Shards
        from learning.streams import Streams

        self.where, self.streams, self.device = where, Streams(seed), torch.device("cpu")
        self.dataset = load_dataset(where.dataset).first(where.train, where.test)
        self.model = FlatModel.for_dataset("softmax", self.dataset)
        dealt = PARTITIONS["dirichlet"](self.dataset.y_train, where.owners, self.streams, alpha=ALPHA)
        self.shards = Shards.build(
            self.dataset, dealt, np.ones(where.owners), max_label_noise=0.0, max_feature_noise=0.0,
            streams=self.streams, device=self.device,
        )  # fmt: skip

    def accuracy(self, epsilon: FloatColumn | None) -> float:
        """Percent on the test set after all rounds, with privacy losses [N] per round; None: neither clip nor noise.

        Uploads count by epsilon squared, which leaves least noise; by data size without privacy.
        """
        from learning.cohort_work import CohortWork
        from learning.federation import Federation
        from learning.privacy.aggregation_weights import AGGREGATION_WEIGHTS
        from learning.privacy_hook import ClipAndNoise
        from learning.training import LocalTraining
        from learning.uploads import Upload

        everybody = np.arange(self.where.owners)
        sells = everybody if epsilon is None else np.flatnonzero(epsilon > 0.0)
        trained = Federation(
            model=self.model, dataset=self.dataset, shards=self.shards,
            plan=LocalTraining(learning_rate=0.1, epochs=EPOCHS, batch_size=20), streams=self.streams,
            device=self.device, privacy=ClipAndNoise(clip=None if epsilon is None else TERMS.clip_norm),
        )  # fmt: skip
        if len(sells) == 0:
            return 100.0 * trained.evaluate().accuracy
        sizes = self.shards.sizes[sells].astype(np.float64)
        weights = sizes if epsilon is None else AGGREGATION_WEIGHTS["epsilon_squared"](epsilon[sells], sizes)
        for number in range(self.where.rounds):
            work = CohortWork(
                owner=sells, shard=sells, samples=self.shards.sizes[sells],
                base_version=np.full(len(sells), trained.version), upload=np.full(len(sells), Upload.TRAINED, np.int8),
                scale=np.ones(len(sells)), peer=np.full(len(sells), -1),
                noise_std=None if epsilon is None else TERMS.noise_std(epsilon[sells]),
            )  # fmt: skip
            trained.hold(trained.version)
            uploads = trained.uploads(work, number, 1.0)
            trained.aggregate(uploads, work, weights)
            trained.release(number)
        return 100.0 * trained.evaluate().accuracy


def benches(where: Setting) -> Sequence[Bench]:
    """Independent repetitions: other shards, first weights and noise."""
    return [Bench(where, seed) for seed in range(1, REPETITIONS + 1)]


def spent(epsilon: float, rounds: int) -> float:
    """The epsilon of so many releases of one owner at the same delta, by Renyi accounting."""
    multiplier = TERMS.noise_std(np.array([epsilon])) / TERMS.sensitivity
    curve = rounds * gaussian_rdp(multiplier, ORDERS)
    return float(epsilon_of_rdp(curve, TERMS.delta, ORDERS)[0])
