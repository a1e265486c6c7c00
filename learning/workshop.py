"""What owners train with, whatever becomes of their models: data, plan, random numbers, device; and the test set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from learning.cohort_work import CohortWork
from learning.columns import IntColumn
from learning.data import Dataset
from learning.evaluation import Evaluation, evaluate
from learning.generation.augmentation import with_synthetic
from learning.generation.workbench import Workbench
from learning.local_terms import PLAIN, LocalTerms
from learning.models import FlatModel
from learning.owner_rows import OwnerRows
from learning.poisoning import Poisoner
from learning.privacy_hook import ClipAndNoise
from learning.shards import Shards
from learning.streams import Streams
from learning.training import Choice, LocalTraining, TrainingReport, choose, train_cohort
from learning.uploads import poisons, works


@dataclass(eq=False)
class Workshop:
    """Shared by the trainings of one global model and of personal ones.

    Attributes:
        choice: back-end and owners trained at once, for the whole run (None: by the static rule).
        terms: momentum and weight decay of local training.
        privacy: what happens to each trained update before it leaves its owner.
        copying: whether uploads are kept, for owners that send their own or their peers' again.
        workbench: what owners generate synthetic samples with, None where nobody does.
        initial: the model [P] that everybody starts from.
        train: what trains a cohort, here or elsewhere, with the arguments and the result of ``train_cohort``.
        memory: last uploads by owner, None where none are kept.
        poisoner: what attackers falsify their data with; made when it is needed first.
    """

    model: FlatModel
    dataset: Dataset
    shards: Shards
    plan: LocalTraining
    streams: Streams
    device: torch.device
    choice: Choice | None = None
    terms: LocalTerms = PLAIN
    privacy: ClipAndNoise | None = None
    copying: bool = True
    workbench: Workbench | None = None
    report: TrainingReport = field(default_factory=TrainingReport)
    train: Callable[..., Tensor] = train_cohort

    def __post_init__(self) -> None:
        self.chosen = self.choice or choose(self.model, self.device)
        self.clipping = self.privacy or ClipAndNoise()
        self.classes = self.dataset.classes
        self.x_test = torch.from_numpy(self.dataset.x_test).to(self.device)
        self.y_test = torch.from_numpy(self.dataset.y_test).to(self.device)
        self.initial = self.model.initial(self.streams).to(self.device)
        self.memory = OwnerRows(self.model.size, torch.float32, self.device) if self.copying else None
        self._poisoner: Poisoner | None = None

    @property
    def poisoner(self) -> Poisoner:
        """What attackers falsify their data with. Raises ``ValueError`` for data that cannot be falsified."""
        if self._poisoner is None:
            self._poisoner = Poisoner(self.dataset, self.shards, self.streams)
        return self._poisoner

    def retain(self, owners: IntColumn) -> None:
        """Forget what is kept of everybody but ``owners``."""
        for kept in (self.memory, self.workbench, self._poisoner):
            if kept is not None:
                kept.retain(owners)

    def evaluate(self, weights: Tensor) -> Evaluation:
        """One model [P] on the test set."""
        return evaluate(self.model, weights, self.x_test, self.y_test, self.classes)

    @property
    def _chunk(self) -> int:
        """Owners trained at once: as chosen, or as many as fitted when memory ran out last."""
        return min(self.chosen.chunk, self.report.chunk) if self.report.halvings else self.chosen.chunk

    def trained(self, base: Tensor, work: CohortWork, counter: int, terms: LocalTerms) -> Tensor:
        """Base [K, P], trained in one call where an owner works, elsewhere as it is.

        Columns in ``terms`` are of those that work. Raises ``ValueError`` for synthetic samples without a workbench.
        """
        rows = np.flatnonzero(works(work.upload))
        if len(rows) == 0:
            return base
        places = torch.from_numpy(rows).to(base.device)
        everybody = len(rows) == len(work)
        shards, shard, samples = self._augmented(work.take(rows), counter)
        fresh = self.train(
            self.model,
            base if everybody else base[places],
            shards,
            shard,
            samples,
            work.owner[rows],
            counter,
            self.plan,
            self.streams,
            self.chosen.backend,
            chunk=self._chunk,
            terms=terms,
            report=self.report,
        )
        if everybody:
            return fresh
        result = base.clone()
        result[places] = fresh
        return result

    def data(self, work: CohortWork) -> tuple[Shards, IntColumn]:
        """Shards, and which row of them each owner trains on: its own, or what an attacker has made of it."""
        if not poisons(work.upload).any():
            return self.shards, work.shard
        return self.poisoner.data(work)

    def _augmented(self, work: CohortWork, counter: int) -> tuple[Shards, IntColumn, IntColumn]:
        """Shards, which row of them each owner trains on, and how many of its samples."""
        shards, shard = self.data(work)
        if work.synthetic is None or not work.synthetic.any():
            return shards, shard, work.samples
        if self.workbench is None:
            raise ValueError("synthetic samples need a workbench to be made with")
        added = self.workbench.made(work.owner, work.shard, work.samples, work.synthetic, counter)
        mixed = with_synthetic(shards, shard, work.samples, added)
        return mixed, np.arange(len(work)), mixed.sizes
