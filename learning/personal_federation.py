"""The state of a federated training in which every owner has a model of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning import aggregation, forging
from learning.cohort_work import CohortWork, refuse_poison
from learning.columns import FloatColumn, IntColumn
from learning.data import Dataset
from learning.evaluation import evaluate_each, losses
from learning.inspection import Inspected, inspect
from learning.local_terms import PLAIN, LocalTerms
from learning.models import FlatModel
from learning.personal_models import PersonalModels
from learning.personalization.anchors import Anchor
from learning.personalization.method import Meeting, PersonalMethod
from learning.privacy_hook import ClipAndNoise, privatise
from learning.shards import Shards
from learning.streams import Streams
from learning.training import Choice, LocalTraining
from learning.uploads import works
from learning.workshop import Workshop

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Wanted:
    """The collaboration ``weights`` [K, K] found last, and what they were found for: they are wanted twice a round."""

    uploads: Tensor
    owner: IntColumn
    size: FloatColumn
    counter: int
    weights: Matrix

    def of(self, uploads: Tensor, meeting: Meeting) -> bool:
        """Whether they are those of this meeting over the very same uploads."""
        return (
            self.uploads is uploads
            and self.counter == meeting.counter
            and np.array_equal(self.owner, meeting.owner)
            and np.array_equal(self.size, meeting.weights)
        )


class PersonalFederation:
    """Personal models and everything that is done with them.

    A round is ``uploads`` (all owners train, in one call), ``distances`` and ``collaboration`` for the market to go by,
    ``exchange`` once it has settled, and ``evaluate``. Who was never in an exchange has the initial model, which never
    changes. All random draws are functions of (owner, counter), so what is in ``state`` is all there is to resume
    between rounds.

    Args:
        choice: back-end and owners trained at once, for the whole run (None: by the static rule).
        terms: momentum and weight decay of local training.
        privacy: what happens to each trained update before it leaves its owner, who goes on without it.
        copying: whether uploads are kept to be sent again (``learning.uploads.recalls``); if not, they cannot be.

    Raises ``ValueError`` for a plan with a proximal term: that is what the method decides.
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
        method: PersonalMethod,
        copying: bool = True,
    ) -> None:
        if plan.proximal > 0:
            raise ValueError(f"the method decides the proximal term, but the plan has proximal {plan.proximal:g} too")
        self._workshop = Workshop(model, dataset, shards, plan, streams, device, choice, terms, privacy, copying)
        self.choice, self.report = self._workshop.chosen, self._workshop.report
        self.model = model
        self.shards = shards
        self.plan = plan
        self.method = method
        self.version = 0
        self._terms = terms
        self._streams = streams
        self._device = device
        self._models = PersonalModels(method, self._workshop.initial, self._workshop.memory)
        self._fresh = self._models.empty()
        self._wanted: _Wanted | None = None

    @property
    def workshop(self) -> Workshop:
        """What everybody trains with: data, plan, the initial model, the test set."""
        return self._workshop

    def train_with(self, train: Callable[..., Tensor]) -> None:
        """Let cohorts be trained by something with the arguments and the result of ``train_cohort``."""
        self._workshop.train = train

    def train_as(self, plan: LocalTraining, terms: LocalTerms) -> None:
        """Train by another plan and terms from now on."""
        self.plan = self._workshop.plan = plan
        self._terms = self._workshop.terms = terms

    # What the engine of a global model asks for

    def hold(self, version: int) -> None:
        """Nothing: owners start from their own models, which are kept anyway."""

    def release(self, version: int) -> None:
        """Nothing, as ``hold``."""

    def retain(self, owners: IntColumn) -> None:
        """Forget everything of everybody but ``owners``."""
        self._models.retain(owners)
        self._workshop.retain(owners)

    finite = staticmethod(aggregation.finite)

    def trainable(self, shards: IntColumn) -> IntColumn:
        """Samples [K] of each of these shards that are ever trained on: all but what the method holds back."""
        sizes = self.shards.sizes[shards]
        return np.asarray(sizes - self.method.held_out(sizes))

    # A round

    def uploads(self, work: CohortWork, counter: int, reference_norm: float) -> Tensor:
        """What the cohort sends [K, P]: trained where ``work`` says so, forged elsewhere (``learning.forging``).

        Every owner trains its own model, all in one call; one more where the method has owners train a copy of the
        centre for the others. ``counter`` (the round) keys all draws. ``reference_norm`` is the published typical norm
        of an update, NaN while there is none. ``work.base_version`` has no meaning here. Raises ``ValueError`` for
        copies of earlier uploads where none are kept.
        """
        start, (centre, met) = self._models.start(work.owner), self._models.centre(work.owner)
        work = dataclasses.replace(work, samples=np.minimum(work.samples, self.trainable(work.shard)))
        own = self._trained(start, work, counter, self.method.anchor(start, centre, met))
        base, trained = start, own
        if self.method.shares_centre:
            base = centre
            trained = self._trained(centre, work, counter, None)
        busy = np.flatnonzero(works(work.upload))
        self._wanted = None
        self._fresh = self._models.empty()
        self._fresh.remember(work.owner[busy], own[self._places(busy)])
        columns = self._workshop.clipping.columns(len(work), work.noise_std)
        clip, noise, law = columns["clip"], columns["noise"], columns["law"]
        shown = privatise(base, trained, work.owner, counter, clip, noise, self._streams, law)
        sources = forging.Sources(base, shown, self._workshop.initial, None, self._workshop.memory)
        return forging.sent(sources, work, counter, reference_norm, self._streams)

    def norms(self, uploads: Tensor, work: CohortWork) -> FloatColumn:
        """L2 norm [K] of each upload minus the model it started from; NaN or infinite where the upload is.

        To be asked before the exchange, which gives the owners other models to start from.
        """
        base = self._bases(work)
        return np.asarray(torch.linalg.vector_norm(uploads - base, dim=1, dtype=torch.float64).cpu().numpy())

    def signals(self, uploads: Tensor, work: CohortWork, wanted: Collection[str]) -> dict[str, FloatColumn]:
        """What training shows of uploads [K, P] before the exchange (``learning.inspection``); test set: held out.

        They are compared with the last uploads that are kept and with the models that the owners started from; copies
        as seen from the mean of the latter.
        """
        bases, shop = self._bases(work), self._workshop
        known = [torch.unique(bases, dim=0)]
        if shop.memory is not None:
            known.append(shop.memory.rows)
        given = Inspected(
            *(self.model, uploads, bases, work.shard, self.shards),
            centre=bases.mean(dim=0),
            known=torch.cat(known),
            x_test=shop.x_test,
            y_test=shop.y_test,
        )
        return inspect(given, wanted)

    def _bases(self, work: CohortWork) -> Tensor:
        """The models [K, P] that the owners started from."""
        return self._models.centre(work.owner)[0] if self.method.shares_centre else self._models.start(work.owner)

    def distances(self, uploads: Tensor, work: CohortWork) -> Matrix:
        """How unlike uploads [K, P] are, by the method's distance: [K, K] with a zero diagonal."""
        return np.asarray(self.method.distances(uploads, self._workshop.initial).cpu().numpy())

    def collaboration(self, uploads: Tensor, work: CohortWork, weights: FloatColumn, counter: int) -> Matrix:
        """What the method by itself would have row k take from column n: [K, K], rows of sum 1 or 0.

        ``weights`` [K] is how much data the owners say they have; who has none takes and gives nothing. All zeros for
        ``local`` and where a market decides. Nothing is changed. Raises ``ValueError`` as ``exchange`` does.
        """
        refuse_poison(uploads, work)
        found = np.zeros((len(work), len(work)))
        rows = np.flatnonzero(weights > 0)
        if len(rows):
            meeting = self._meeting(uploads, work, weights, rows, counter)
            wanted = self.method.collaboration(meeting, self._models.method_memory).cpu().numpy()
            self._wanted = _Wanted(uploads, meeting.owner, meeting.weights, counter, wanted)
            found[np.ix_(rows, rows)] = wanted
        return found

    def exchange(
        self, uploads: Tensor, work: CohortWork, weights: FloatColumn, allowed: NDArray[np.bool_], counter: int
    ) -> None:
        """After the market: row k takes from the columns that ``allowed`` [K, K] has for it, and everybody goes on.

        Where a market decides, these are the bought models. Elsewhere it is what is left of the collaboration weights,
        scaled to sum 1 with the owner's own; who is left with nothing of others goes on with its own model. Owners
        outside the cohort keep what they have; so does, of its own model, one whose training diverged. ``counter`` and
        ``uploads`` are those of the last call of ``uploads``, maybe without some rows. Raises ``ValueError``, and
        changes nothing, if an upload is not finite or an owner's training is not known.
        """
        refuse_poison(uploads, work)
        own = self._own(work)
        start, tested = own.clone(), own.clone()
        centre = self._models.centre(work.owner)[0] if self.method.shares_centre else own.clone()
        rows = np.flatnonzero(weights > 0)
        if len(rows):
            meeting = self._meeting(uploads, work, weights, rows, counter)
            taken = self._taken(meeting, uploads, allowed[np.ix_(rows, rows)])
            outcome = self.method.exchange(meeting, taken, self._models.method_memory)
            places = self._places(rows)
            for result, found in ((start, outcome.start), (tested, outcome.tested), (centre, outcome.centre)):
                if found is not None:
                    # What overflows reaches nobody.
                    good = torch.isfinite(found).all(dim=1, keepdim=True)
                    result[places] = torch.where(good, found, result[places])
        self._models.renew(work.owner, start, tested, centre)
        if self._workshop.memory is not None:
            self._workshop.memory.remember(work.owner, uploads)
        self._fresh = self._models.empty()
        self._wanted = None
        self.version += 1

    # Measurement

    def evaluate(self, owners: IntColumn) -> tuple[Matrix, Matrix]:
        """Accuracies in [0, 1] and losses in nats [K, C] by true class, of the models that the owners use."""
        shop = self._workshop
        return evaluate_each(self.model, self._models.used(owners), shop.x_test, shop.y_test, shop.classes)

    def backdoor_success(self, owners: IntColumn) -> float:
        """The mean over ``owners`` of how often their models take test samples with the trigger for the target."""
        found = self._workshop.poisoner.success(self.model, self._models.used(owners))
        return float(found.mean()) if len(found) else float("nan")

    def owner_mean(self, by_class: FloatColumn, shard_rows: IntColumn) -> FloatColumn:
        """What figures per class ([K, C], or [C] for all) come to [K] on data with the true label mix of each shard."""
        return self.shards.owner_mean(by_class, shard_rows)

    def keep_best(self, owners: IntColumn, accuracy: FloatColumn) -> None:
        """Remember the model that each owner uses now if it is its best so far, going by ``accuracy`` [K]."""
        self._models.keep_best(owners, accuracy)

    def best_accuracy(self, owners: IntColumn) -> FloatColumn:
        """The accuracy of the best model of each owner so far [K], NaN while it has none."""
        return self._models.best_accuracy(owners)

    def restore_best(self, owners: IntColumn) -> None:
        """Make the best model of each owner that has one its own: it starts from it, uses it, and is pulled to it.

        Where a copy of the centre is shared, that is nobody's own and stays.
        """
        self._models.restore_best(owners)
        self._wanted = None

    # Resumption

    def state(self) -> dict[str, Tensor]:
        """Copies on the CPU of all that changes."""
        return {"version": torch.tensor(self.version), **self._models.state()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave. Raises ``ValueError`` if it belongs to another model or kind of method."""
        self._models.load_state({name: part for name, part in state.items() if name != "version"})
        self.version = int(state["version"])
        self._wanted = None

    # Parts of a round

    def _trained(self, base: Tensor, work: CohortWork, counter: int, anchor: Anchor | None) -> Tensor:
        terms = self._terms
        if anchor is not None and anchor.pull.any():
            rows = np.flatnonzero(works(work.upload))
            centre = anchor.centre[self._places(rows)]
            terms = dataclasses.replace(terms, centre=centre, pull=anchor.pull[rows])
        return self._workshop.trained(base, work, counter, terms)

    def _meeting(
        self, uploads: Tensor, work: CohortWork, weights: FloatColumn, rows: IntColumn, counter: int
    ) -> Meeting:
        """The cohort without the owners that have no weight."""
        some, places = work.take(rows), self._places(rows)
        return Meeting(
            start=self._models.start(some.owner),
            own=self._own(some),
            sent=uploads[places],
            initial=self._workshop.initial,
            owner=some.owner,
            weights=weights[rows],
            counter=counter,
            streams=self._streams,
            validation_loss=lambda models, place: self._validation_loss(models, int(some.shard[place])),
        )

    def _validation_loss(self, models: Tensor, shard: int) -> FloatColumn:
        end = int(self.shards.offsets[shard + 1])
        kept_back = int(self.method.held_out(self.shards.sizes[[shard]])[0])
        held = slice(end - max(kept_back, 1), end)
        return losses(self.model, models, self.shards.x[held], self.shards.y[held])

    def _taken(self, meeting: Meeting, uploads: Tensor, allowed: NDArray[np.bool_]) -> Matrix:
        """What each owner takes from each [K, K]."""
        own = np.eye(len(allowed), dtype=np.bool_)
        if self.method.market:
            return (allowed & ~own).astype(np.float64)
        if self._wanted is not None and self._wanted.of(uploads, meeting):
            weights = self._wanted.weights
        else:
            weights = self.method.collaboration(meeting, self._models.method_memory).cpu().numpy()
        kept = np.where(allowed | own, weights, 0.0)
        total = kept.sum(axis=1, keepdims=True)
        return np.asarray(np.divide(kept, total, out=np.zeros_like(kept), where=total > 0))

    def _own(self, work: CohortWork) -> Tensor:
        """What each owner has after its training [K, P]: the last that is finite."""
        own, busy = self._models.start(work.owner), np.flatnonzero(works(work.upload))
        fresh, known = self._fresh.recall(work.owner[busy])
        if not known.all():
            raise ValueError(f"no training is known of the owners {work.owner[busy][~known].tolist()}")
        good = aggregation.finite(fresh)
        own[self._places(busy[good])] = fresh[self._places(np.flatnonzero(good))]
        return own

    def _places(self, rows: IntColumn) -> Tensor:
        return torch.from_numpy(rows).to(self._device)
