"""The state of one federated training: global versions, uploads of a cohort, aggregation, tests, resumption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning import aggregation, forging
from learning.columns import FloatColumn, IntColumn
from learning.contribution import Contribution, shapley
from learning.data import Dataset
from learning.evaluation import Evaluation, evaluate
from learning.local_terms import PLAIN, LocalTerms
from learning.models import FlatModel
from learning.robust import Mean, RobustRule
from learning.server import FedAvg, Server, ServerOptimizer
from learning.shards import Shards
from learning.streams import Streams
from learning.training import LocalTraining, TrainingReport, choose_backend, train_cohort
from learning.upload_memory import UploadMemory
from learning.uploads import Upload


@dataclass(frozen=True, eq=False)
class CohortWork:
    """What K owners do in a round; aligned columns [K].

    ``owner``: id; ``shard``: row of its data; ``samples``: how many of them it trains on; ``base_version``: the global
    version it received; ``upload``: kind of upload (``Upload``); ``scale``: noise norm as a multiple of the reference
    norm; ``peer``: owner whose last upload is copied, -1 for none.
    """

    owner: IntColumn
    shard: IntColumn
    samples: IntColumn
    base_version: IntColumn
    upload: NDArray[np.int8]
    scale: FloatColumn
    peer: IntColumn

    def __post_init__(self) -> None:
        lengths = {column.name: len(getattr(self, column.name)) for column in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns of a cohort's work differ in length: {lengths}")

    def __len__(self) -> int:
        return len(self.owner)


class Federation:
    """Global model versions and everything that is done with them. ``version`` 0 is the initial model.

    The current and the previous version are always kept, older ones as long as somebody holds them. All random draws
    are functions of (owner, counter), so the numbers in ``state`` are all there is to resume.
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
        backend: str = "auto",
        terms: LocalTerms = PLAIN,
        rule: RobustRule | None = None,
        optimizer: ServerOptimizer | None = None,
    ) -> None:
        self.backend = choose_backend(model, device) if backend == "auto" else backend
        self.report = TrainingReport()
        self._terms = terms
        self._rule = rule or Mean()
        self.model = model
        self.shards = shards
        self.plan = plan
        self.version = 0
        self._streams = streams
        self._device = device
        self._classes = dataset.classes
        self._x_test = torch.from_numpy(dataset.x_test).to(device)
        self._y_test = torch.from_numpy(dataset.y_test).to(device)
        self._versions: dict[int, Tensor] = {0: model.initial(streams).to(device)}
        self._holds: dict[int, int] = {}
        self._server = Server(optimizer or FedAvg(), self._versions[0])
        self._memory = UploadMemory(model.size, torch.float32, device)

    # Versions

    @property
    def weights(self) -> Tensor:
        """The current global model [P]. Read only."""
        return self._versions[self.version]

    def hold(self, version: int) -> None:
        """Keep a version until it is released as often as it was held. Raises ``ValueError`` if it is gone."""
        self._at(version)
        self._holds[version] = self._holds.get(version, 0) + 1

    def release(self, version: int) -> None:
        """Give up one hold. Raises ``ValueError`` if there is none."""
        if self._holds.get(version, 0) == 0:
            raise ValueError(f"global version {version} is released but was not held")
        self._holds[version] -= 1
        if self._holds[version] == 0:
            del self._holds[version]
        self._forget()

    # Uploads

    def uploads(self, work: CohortWork, counter: int, reference_norm: float) -> Tensor:
        """What the cohort sends [K, P]: trained where ``work`` says so, forged elsewhere.

        ``counter`` (the round) keys all draws. ``reference_norm`` is the published typical norm of an update, NaN
        while there is none.
        """
        base = self._bases(work)
        sent = base.clone()
        for kind in np.unique(work.upload):
            rows = np.flatnonzero(work.upload == kind)
            places = torch.from_numpy(rows).to(self._device)
            sent[places] = self._made(Upload(int(kind)), base[places], work, rows, counter, reference_norm)
        return sent

    def _made(
        self, kind: Upload, base: Tensor, work: CohortWork, rows: IntColumn, counter: int, reference_norm: float
    ) -> Tensor:
        owners = work.owner[rows]
        match kind:
            case Upload.TRAINED:
                data = work.shard[rows], work.samples[rows]
                return train_cohort(
                    self.model,
                    base,
                    self.shards,
                    *data,
                    owners,
                    counter,
                    self.plan,
                    self._streams,
                    self.backend,
                    terms=self._terms,
                    report=self.report,
                )
            case Upload.GLOBAL_COPY:
                return base
            case Upload.REPLAY:
                return forging.replay(base, self.weights, self._versions.get(self.version - 1))
            case Upload.NOISE:
                norms = work.scale[rows] * reference_norm
                return forging.noise(base, owners, norms, counter, self._streams)
            case Upload.PEER_COPY:
                return forging.peer_copy(base, work.peer[rows], self._memory)

    def norms(self, uploads: Tensor, work: CohortWork) -> FloatColumn:
        """L2 norm [K] of each upload minus the model it started from; NaN or infinite where the upload is."""
        change = uploads - self._bases(work)
        return np.asarray(torch.linalg.vector_norm(change, dim=1, dtype=torch.float64).cpu().numpy())

    finite = staticmethod(aggregation.finite)

    # Aggregation

    def aggregate(self, uploads: Tensor, work: CohortWork, weights: FloatColumn) -> None:
        """Make the next version (synchronous rounds) and remember what was sent.

        The rule (FedAvg unless another was given) makes one model of the uploads, the server's optimizer takes the
        step to it. If nothing has weight, or fewer came than the rule needs, the next version equals the current one.
        Raises ``ValueError``, and changes nothing, if an upload is not finite.
        """
        self._refuse_poison(uploads, work)
        if not np.any(weights) or len(uploads) < self._rule.least:
            self._advance(self.weights, uploads, work)
            return
        merged = self._rule(uploads, weights, self.weights)
        self._advance(self._server.step(self.weights, merged), uploads, work)

    def aggregate_buffered(self, uploads: Tensor, work: CohortWork, weights: FloatColumn, exponent: float) -> None:
        """Make the next version by FedBuff (asynchronous mode); otherwise as ``aggregate``."""
        self._refuse_poison(uploads, work)
        if not np.any(weights):
            self._advance(self.weights, uploads, work)
            return
        staleness = self.version - work.base_version
        merged = aggregation.buffered(self.weights, uploads, self._bases(work), weights, staleness, exponent)
        self._advance(self._server.step(self.weights, merged), uploads, work)

    def _refuse_poison(self, uploads: Tensor, work: CohortWork) -> None:
        good = aggregation.finite(uploads)
        if not good.all():
            raise ValueError(f"uploads with NaN or infinite weights, of owners {work.owner[~good].tolist()}")

    def _advance(self, weights: Tensor, uploads: Tensor, work: CohortWork) -> None:
        if not bool(torch.isfinite(weights).all()):
            raise ValueError("the aggregate of the uploads overflows")
        self.version += 1
        self._versions[self.version] = weights
        self._memory.remember(work.owner, uploads)
        self._forget()

    # Measurement

    def evaluate(self) -> Evaluation:
        """The current model on the test set."""
        return evaluate(self.model, self.weights, self._x_test, self._y_test, self._classes)

    def owner_mean(self, by_class: FloatColumn, shard_rows: IntColumn) -> FloatColumn:
        """What a figure per class [C] (accuracy, loss) comes to [K] on data with the true label mix of each shard."""
        return np.asarray(self.shards.class_mix[shard_rows] @ by_class)

    def contribution(
        self,
        uploads: Tensor,
        weights: FloatColumn,
        *,
        permutations: int,
        tolerance: float,
        counter: int,
        samples: int | None = None,
    ) -> Contribution:
        """Shapley values of uploads to the current model, on the first ``samples`` of the test set (None: all)."""
        x, y = self._x_test[:samples], self._y_test[:samples]
        return shapley(
            self.model,
            self.weights,
            uploads,
            weights,
            x,
            y,
            permutations=permutations,
            tolerance=tolerance,
            streams=self._streams,
            counter=counter,
        )

    # Resumption

    def state(self) -> dict[str, Tensor]:
        """Copies on the CPU of all that changes: versions and how often they are held, and the last uploads."""
        kept = list(self._versions)
        owners, rows = self._memory.state()
        return {
            "version": torch.tensor(self.version),
            "versions": torch.tensor(kept, dtype=torch.int64),
            "weights": torch.stack([self._versions[version] for version in kept]).cpu().clone(),
            "holds": torch.tensor([self._holds.get(version, 0) for version in kept], dtype=torch.int64),
            "upload_owners": owners,
            "upload_rows": rows,
            **{f"server_{name}": moment for name, moment in self._server.state().items()},
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave. Raises ``ValueError`` if it belongs to another model."""
        if state["weights"].shape[1] != self.model.size:
            raise ValueError(f"the state has {state['weights'].shape[1]} weights, the model {self.model.size}")
        kept = state["versions"].tolist()
        self.version = int(state["version"])
        self._versions = {
            version: row.to(self._device, copy=True) for version, row in zip(kept, state["weights"], strict=True)
        }
        holds = zip(kept, state["holds"].tolist(), strict=True)
        self._holds = {version: count for version, count in holds if count > 0}
        self._memory.load_state(state["upload_owners"], state["upload_rows"])
        moments = {name.removeprefix("server_"): part for name, part in state.items() if name.startswith("server_")}
        self._server.load_state(moments)

    def _at(self, version: int) -> Tensor:
        try:
            return self._versions[version]
        except KeyError:
            raise ValueError(f"global version {version} is not kept (the current one is {self.version})") from None

    def _bases(self, work: CohortWork) -> Tensor:
        """The models [K, P] that the owners received."""
        if len(work) == 0:
            return self.weights.new_empty(0, self.model.size)
        versions, rows = np.unique(work.base_version, return_inverse=True)
        stacked = torch.stack([self._at(int(version)) for version in versions])
        return stacked[torch.from_numpy(rows).to(self._device)]

    def _forget(self) -> None:
        for version in list(self._versions):
            if version < self.version - 1 and version not in self._holds:
                del self._versions[version]
