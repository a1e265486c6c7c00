"""What owners train with, whatever becomes of their models: data, plan, random numbers, device; and the test set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from learning.cohort_work import CohortWork
from learning.data import Dataset
from learning.evaluation import Evaluation, evaluate
from learning.local_terms import PLAIN, LocalTerms
from learning.models import FlatModel
from learning.owner_rows import OwnerRows
from learning.privacy_hook import ClipAndNoise
from learning.shards import Shards
from learning.streams import Streams
from learning.training import Choice, LocalTraining, TrainingReport, choose, train_cohort
from learning.uploads import works


@dataclass(eq=False)
class Workshop:
    """Shared by the trainings of one global model and of personal ones.

    Attributes:
        choice: back-end and owners trained at once, for the whole run (None: by the static rule).
        terms: momentum and weight decay of local training.
        privacy: what happens to each trained update before it leaves its owner.
        copying: whether uploads are kept, for owners that send their own or their peers' again.
        initial: the model [P] that everybody starts from.
        train: what trains a cohort, here or elsewhere, with the arguments and the result of ``train_cohort``.
        memory: last uploads by owner, None where none are kept.
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

    def evaluate(self, weights: Tensor) -> Evaluation:
        """One model [P] on the test set."""
        return evaluate(self.model, weights, self.x_test, self.y_test, self.classes)

    def trained(self, base: Tensor, work: CohortWork, counter: int, terms: LocalTerms) -> Tensor:
        """Base [K, P], trained in one call where an owner works, elsewhere as it is.

        Columns in ``terms`` are of those that work.
        """
        rows = np.flatnonzero(works(work.upload))
        if len(rows) == 0:
            return base
        places = torch.from_numpy(rows).to(base.device)
        everybody = len(rows) == len(work)
        fresh = self.train(
            self.model,
            base if everybody else base[places],
            self.shards,
            work.shard[rows],
            work.samples[rows],
            work.owner[rows],
            counter,
            self.plan,
            self.streams,
            self.chosen.backend,
            chunk=self.chosen.chunk,
            terms=terms,
            report=self.report,
        )
        if everybody:
            return fresh
        result = base.clone()
        result[places] = fresh
        return result
