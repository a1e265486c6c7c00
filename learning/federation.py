"""The state of one federated training: global versions, uploads of a cohort, aggregation, tests, resumption."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping

import numpy as np
import torch
from torch import Tensor

from learning import aggregation, forging
from learning.cohort_work import CohortWork, refuse_poison
from learning.columns import FloatColumn, IntColumn
from learning.contribution import Contribution, Draws, Effort, Method, RoundGame
from learning.contribution.sampling import ALL
from learning.data import Dataset
from learning.evaluation import Evaluation
from learning.generation.workbench import Workbench
from learning.inspection import Inspected, inspect
from learning.local_terms import PLAIN, LocalTerms
from learning.loss_drop_quality import loss_drop_quality
from learning.model_versions import ModelVersions
from learning.models import FlatModel
from learning.owner_rows import OwnerRows
from learning.privacy_hook import ClipAndNoise
from learning.server import Server
from learning.server_rules import ServerRules
from learning.shards import Shards
from learning.streams import Streams
from learning.training import Choice, LocalTraining
from learning.uploads import Upload, works
from learning.workshop import Workshop

__all__ = ["CohortWork", "Federation"]


class Federation:
    """Global model versions and everything that is done with them. Version 0 is the initial model.

    All random draws are functions of (owner, counter), so the numbers in ``state`` are all there is to resume.

    Args:
        choice: back-end and owners trained at once, for the whole run (None: by the static rule).
        terms: momentum and weight decay of local training.
        privacy: what happens to each trained update before it leaves its owner.
        copying: whether owners may copy each other's uploads; if not, no upload is kept.
        workbench: what owners generate synthetic samples with, None where nobody does.

    Raises ``ValueError`` for rules that have no meaning together or for such owners.
    """

    def __init__(
        self,
        *,
        model: FlatModel,
        dataset: Dataset,
        shards: Shards,
        plan: LocalTraining,
        streams: Streams,
        device: torch.device,
        choice: Choice | None = None,
        terms: LocalTerms = PLAIN,
        privacy: ClipAndNoise | None = None,
        rules: ServerRules | None = None,
        copying: bool = True,
        workbench: Workbench | None = None,
    ) -> None:
        self.rules = rules or ServerRules()
        self._privacy = privacy or ClipAndNoise()
        self.rules.check(plan, terms, self._privacy)
        self.plan = self.rules.algorithm.plan(plan)
        self._workshop = Workshop(
            model, dataset, shards, self.plan, streams, device, choice, terms, self._privacy, copying, workbench
        )
        self.choice, self.report = self._workshop.chosen, self._workshop.report
        self.model = model
        self.shards = shards
        self._terms = terms
        self._streams = streams
        self._device = device
        self._versions = ModelVersions(self._workshop.initial)
        self._server = Server(self.rules.optimizer, self._workshop.initial)
        self._memory = self._workshop.memory
        self._controls = OwnerRows(model.size, torch.float32, device)

    @property
    def workbench(self) -> Workbench | None:
        """What owners generate synthetic samples with, None where nobody does."""
        return self._workshop.workbench

    @property
    def workshop(self) -> Workshop:
        """What everybody trains with: data, plan, the initial model, the test set."""
        return self._workshop

    def train_with(self, train: Callable[..., Tensor]) -> None:
        """Let cohorts be trained by something with the arguments and the result of ``train_cohort``."""
        self._workshop.train = train

    def train_as(self, plan: LocalTraining, terms: LocalTerms) -> None:
        """Train by another plan and terms from now on. Raises ``ValueError`` where the rules have no use for them."""
        self.rules.check(plan, terms, self._privacy)
        self.plan = self._workshop.plan = self.rules.algorithm.plan(plan)
        self._terms = self._workshop.terms = terms

    # Versions

    @property
    def version(self) -> int:
        """Number of the current global model."""
        return self._versions.current

    @property
    def weights(self) -> Tensor:
        """The current global model [P]. Read only."""
        return self._versions.at(self.version)

    def hold(self, version: int, times: int = 1) -> None:
        """Keep a version until it is released as often as it was held. Raises ``ValueError`` if it is gone."""
        self._versions.hold(version, times)

    def release(self, version: int, times: int = 1) -> None:
        """Give up so many holds. Raises ``ValueError`` if there are fewer."""
        self._versions.release(version, times)

    def retain(self, owners: IntColumn) -> None:
        """Forget what is remembered of everybody but ``owners``: last uploads and the algorithm's rows."""
        self._workshop.retain(owners)
        self._controls.retain(owners)

    # Uploads

    def uploads(self, work: CohortWork, counter: int, reference_norm: float) -> Tensor:
        """What the cohort sends [K, P]: trained where ``work`` says so, forged elsewhere.

        ``counter`` (the round) keys all draws. ``reference_norm`` is the published typical norm of an update, NaN
        while there is none. Raises ``ValueError`` for peer copies where no uploads are kept.
        """

        def make(base: Tensor, members: IntColumn) -> Tensor:
            part = work.take(members)
            terms = self._terms_of(part, np.flatnonzero(works(part.upload)))
            trained = self._workshop.trained(base, part, counter, terms)
            replayed = forging.replay(base, self.weights, self._versions.previous())
            sources = forging.Sources(base, trained, base, replayed, self._memory)
            return forging.sent(sources, part, counter, reference_norm, self._streams)

        return self.rules.algorithm.uploads(self._bases(work), make, self._accuracy)

    def _accuracy(self, weights: Tensor) -> float:
        return self._workshop.evaluate(weights).accuracy

    def _terms_of(self, work: CohortWork, rows: IntColumn) -> LocalTerms:
        """The terms of those members that train now, with the algorithm's drift and with privacy."""
        drift = self.rules.algorithm.drift(work.owner[rows], self._controls)
        columns = self._privacy.columns(len(rows), None if work.noise_std is None else work.noise_std[rows])
        if drift is None and columns["clip"] is None:
            return self._terms
        return dataclasses.replace(self._terms, drift=drift, **columns)

    def norms(self, uploads: Tensor, work: CohortWork) -> FloatColumn:
        """L2 norm [K] of each upload minus the model it started from; NaN or infinite where the upload is."""
        change = uploads - self._bases(work)
        return np.asarray(torch.linalg.vector_norm(change, dim=1, dtype=torch.float64).cpu().numpy())

    finite = staticmethod(aggregation.finite)

    # Aggregation

    def aggregate(self, uploads: Tensor, work: CohortWork, weights: FloatColumn) -> None:
        """Make the next version of uploads [K, P] that started from the current one, and remember what was sent.

        ``weights`` [K] are the samples that the owners say they trained on. The algorithm prepares the uploads, the
        rule makes one model of them, the server's optimizer takes the step to it. If nothing has weight, or fewer
        came than the rule needs, the next version equals the current one. Raises ``ValueError``, and changes nothing,
        if an upload is not finite, or (``Overflow``) the aggregate is not.
        """
        refuse_poison(uploads, work)
        rule, base = self.rules.aggregation, self.weights.unsqueeze(0)
        if not np.any(weights) or len(uploads) < rule.least:
            self._advance(self.weights, uploads, work)
            return
        merged = rule(self._prepared(uploads, base, weights), weights, self.weights)
        self._advance(self._server.step(self.weights, merged), uploads, work)
        self._learn(uploads, base, work)

    def aggregate_buffered(self, uploads: Tensor, work: CohortWork, weights: FloatColumn) -> None:
        """Make the next version of uploads that started from several (asynchronous mode); otherwise as ``aggregate``.

        Raises ``ValueError`` for rules that have no asynchronous mode, too.
        """
        self.rules.check_asynchronous()
        refuse_poison(uploads, work)
        if not np.any(weights) or len(uploads) < self.rules.aggregation.least:
            self._advance(self.weights, uploads, work)
            return
        bases = self._bases(work)
        discount = self.rules.staleness(self.version - work.base_version)
        prepared = self._prepared(uploads, bases, weights)
        merged = self.rules.merging(self.weights, prepared, bases, weights, discount, self.rules.aggregation)
        self._advance(self._server.step(self.weights, merged), uploads, work)

    def _prepared(self, uploads: Tensor, bases: Tensor, weights: FloatColumn) -> Tensor:
        return self.rules.algorithm.prepared(uploads, bases, weights, self.plan, self._terms)

    def _learn(self, uploads: Tensor, bases: Tensor, work: CohortWork) -> None:
        rows = np.flatnonzero(work.upload == Upload.TRAINED)
        trained = uploads[torch.from_numpy(rows).to(self._device)]
        self.rules.algorithm.learn(trained, bases, work.owner[rows], work.trained_on[rows], self.plan, self._controls)

    def _advance(self, weights: Tensor, uploads: Tensor, work: CohortWork) -> None:
        self._versions.add(weights)
        if self._memory is not None:
            self._memory.remember(work.owner, uploads)

    # Measurement

    def evaluate(self) -> Evaluation:
        """The current model on the test set."""
        return self._workshop.evaluate(self.weights)

    def backdoor_success(self) -> float:
        """How often the current model takes test samples with the trigger for the target (``learning.poisoning``)."""
        return float(self._workshop.poisoner.success(self.model, self.weights.unsqueeze(0))[0])

    def owner_mean(self, by_class: FloatColumn, shard_rows: IntColumn) -> FloatColumn:
        """What figures per class [C] (accuracy, loss) come to [K] on data with the true label mix of each shard."""
        return self.shards.owner_mean(by_class, shard_rows)

    def data_quality(self, work: CohortWork, counter: int) -> FloatColumn:
        """Raw quality [K] of the data that each owner trains on, nats per sample (``learning.loss_drop_quality``).

        Throw-away copies of the current model are trained; 0 where ``work`` says that nothing was trained.
        """
        samples = np.where(works(work.upload), work.samples, 0)
        shards, rows = self._workshop.data(work)
        return loss_drop_quality(
            self.model,
            self.weights,
            shards,
            rows,
            samples,
            work.owner,
            counter,
            self.plan,
            self._streams,
            choice=self.choice,
            terms=self._terms,
        )

    def contribution(
        self,
        uploads: Tensor,
        work: CohortWork,
        weights: FloatColumn,
        method: Method,
        *,
        counter: int,
        effort: Effort = ALL,
        worth: str = "accuracy",
        samples: int | None = None,
    ) -> Contribution:
        """What each upload [K, P] adds to the current model, on the first ``samples`` of the test set (None: all).

        ``worth`` is the accuracy or the negative_loss of a coalition's model. An upload that started from an older
        model plays with its discounted change, as FedBuff merges it. Raises ``ValueError`` if the method cannot value
        so many uploads, or not within the effort.
        """
        x, y = self._workshop.x_test[:samples], self._workshop.y_test[:samples]
        game = RoundGame(self.model, self.weights, self._renewed(uploads, work), weights, x, y, worth=worth)
        found = method.measure(game, Draws(self._streams, counter), effort)
        if found.ended == "budget spent" and not np.isfinite(found.standard_error).all():
            raise ValueError(
                f"{effort.max_evaluations} evaluations are too few to value {len(uploads)} uploads with any certainty"
            )
        return found

    def signals(self, uploads: Tensor, work: CohortWork, wanted: Collection[str]) -> dict[str, FloatColumn]:
        """What training shows of uploads [K, P] before they are merged (``learning.inspection``); test set: held out.

        They are compared with the last uploads that are kept, with the models that the owners received, and with
        the current one moved by its last change.
        """
        bases, previous = self._bases(work), self._versions.previous()
        known = [torch.unique(bases, dim=0), forging.replay(self.weights, self.weights, previous).unsqueeze(0)]
        if previous is None:
            known.pop()  # the model itself, which is there already
        if self._memory is not None:
            known.append(self._memory.rows)
        x, y = self._workshop.x_test, self._workshop.y_test
        given = Inspected(self.model, uploads, bases, work.shard, self.shards, self.weights, torch.cat(known), x, y)
        return inspect(given, wanted)

    def _renewed(self, uploads: Tensor, work: CohortWork) -> Tensor:
        """Uploads [K, P] as if they had started from the current model: it, plus what each changed, by its age."""
        age = self.version - work.base_version
        if not age.any():
            return uploads
        discount = aggregation.column_like(uploads, self.rules.staleness(age)).unsqueeze(1)
        return self.weights + discount * (uploads - self._bases(work))

    # Resumption

    def state(self) -> dict[str, Tensor]:
        """Copies on the CPU of all that changes: versions and how often they are held, moments, rows of owners."""
        parts = self._versions.state()
        parts |= {f"server_{name}": moment for name, moment in self._server.state().items()}
        for name, kept in self._kept().items():
            parts[f"{name}_owners"], parts[f"{name}_rows"] = kept.state()
        return parts

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave. Raises ``ValueError`` if it belongs to another model or server."""
        moments = {name.removeprefix("server_"): part for name, part in state.items() if name.startswith("server_")}
        self._versions.load_state(state)
        self._server.load_state(moments)
        for name, kept in self._kept().items():
            kept.load_state(state[f"{name}_owners"], state[f"{name}_rows"])

    def _kept(self) -> dict[str, OwnerRows]:
        """What is remembered of owners, by name."""
        kept = {"control": self._controls}
        return kept if self._memory is None else {"upload": self._memory, **kept}

    def _bases(self, work: CohortWork) -> Tensor:
        """The models [K, P] that the owners received."""
        return self._versions.rows(work.base_version)
