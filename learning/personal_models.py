"""The models of owners that each have their own, and all else that a method remembers of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from learning.best_models import BestModels
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.owner_pairs import OwnerPairs
from learning.owner_rows import OwnerRows
from learning.personalization.method import Memory, PersonalMethod


class PersonalModels:
    """Rows [P] by owner: what each starts from, uses, is pulled to, and its best. Memory: two to four models an owner.

    Everything of an owner that nothing was remembered of is the ``initial`` model [P], which never changes.

    Attributes:
        method_memory: what the method remembers.
    """

    def __init__(self, method: PersonalMethod, initial: Tensor, uploads: OwnerRows | None) -> None:
        self._method = method
        self._initial = initial
        self._uploads = uploads
        self._start, self._centre = self.empty(), self.empty()
        self._used = self.empty() if method.apart else self._start
        self._best = BestModels(len(initial), initial.device)
        self.method_memory = Memory()

    def empty(self) -> OwnerRows:
        """Rows of nobody."""
        return OwnerRows(len(self._initial), self._initial.dtype, self._initial.device)

    def start(self, owners: IntColumn) -> Tensor:
        """The models [K, P] that the owners train next."""
        return self._rows(self._start, owners)[0]

    def used(self, owners: IntColumn) -> Tensor:
        """The models [K, P] that the owners use, by which the method is judged."""
        return self._rows(self._used, owners)[0]

    def centre(self, owners: IntColumn) -> tuple[Tensor, BoolColumn]:
        """What the owners are pulled to [K, P], and who has been given such a thing [K]."""
        return self._rows(self._centre, owners)

    def renew(self, owners: IntColumn, start: Tensor, used: Tensor, centre: Tensor) -> None:
        """Let owners go on from new models [K, P] each; of these are kept those that the method has."""
        self._start.remember(owners, start)
        if self._method.apart:
            self._used.remember(owners, used)
        if self._method.centred:
            self._centre.remember(owners, centre)

    # The best so far

    def keep_best(self, owners: IntColumn, accuracy: FloatColumn) -> None:
        """Remember the model that each owner uses now if it is its best so far, going by ``accuracy`` [K]."""
        self._best.keep(owners, self.used(owners), accuracy)

    def best_accuracy(self, owners: IntColumn) -> FloatColumn:
        """The accuracy of the best model of each owner so far [K], NaN while it has none."""
        return self._best.accuracy(owners)

    def restore_best(self, owners: IntColumn) -> None:
        """Let owners go on from their best models; those that have none from what they have."""
        best, known = self._best.recall(owners)
        # A centre that is shared is nobody's own.
        centre = self.centre(owners[known])[0] if self._method.shares_centre else best
        self.renew(owners[known], best, best, centre)

    # Everything

    def retain(self, owners: IntColumn) -> None:
        """Forget everything of everybody but ``owners``."""
        for kept in self._kept().values():
            kept.retain(owners)

    def state(self) -> dict[str, Tensor]:
        """Copies on the CPU of all that is remembered."""
        parts = {}
        for name, kept in self._kept().items():
            parts[f"{name}_owners"], parts[f"{name}_rows"] = kept.state()
        return parts

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave. Raises ``ValueError`` if it belongs to another model or kind of method."""
        kept = self._kept()
        if {name.rsplit("_", 1)[0] for name in state} != kept.keys():
            raise ValueError("the state is of another method, or of a training that keeps other uploads")
        size = state["start_rows"].shape[1]
        if size != len(self._initial):
            raise ValueError(f"the state has {size} weights, the model {len(self._initial)}")
        for name, rows in kept.items():
            rows.load_state(state[f"{name}_owners"], state[f"{name}_rows"])

    def _kept(self) -> dict[str, OwnerRows | OwnerPairs]:
        """What is remembered of owners, by name."""
        kept: dict[str, OwnerRows | OwnerPairs] = {
            "start": self._start,
            "centre": self._centre,
            "best": self._best.models,
            "best_accuracy": self._best.accuracies,
            "cluster": self.method_memory.clusters,
            "affinity": self.method_memory.affinity,
        }
        if self._method.apart:
            kept["used"] = self._used
        if self._uploads is not None:
            kept["upload"] = self._uploads
        return kept

    def _rows(self, kept: OwnerRows, owners: IntColumn) -> tuple[Tensor, BoolColumn]:
        rows = self._initial.repeat(len(owners), 1)
        found, known = kept.recall(owners)
        rows[torch.from_numpy(known).to(rows.device)] = found
        return rows, known
