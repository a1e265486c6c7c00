"""What a method of personalised federated learning decides: how owners train, who takes what from whom, what is kept.

A method is frozen parameters. What it remembers of owners stands in a ``Memory``, so that a checkpoint is a copy of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.owner_pairs import OwnerPairs
from learning.owner_rows import OwnerRows
from learning.personalization.anchors import Anchor
from learning.personalization.dissimilarity import update_dissimilarity
from learning.personalization.mixing import mix
from learning.registry import Registry
from learning.streams import Streams


@dataclass(frozen=True, eq=False)
class Meeting:
    """What there is to go by when a cohort of K owners has sent its uploads.

    Attributes:
        start: [K, P], the models that the owners trained from.
        own: [K, P], what each has now: trained, or its start if it did not train.
        sent: [K, P], the uploads. The server knows no other models.
        initial: [P], the model that everybody began with.
        owner: [K], ids.
        weights: [K], above 0, how much data the owners say they have.
        counter: the round, which keys all draws.
        validation_loss: of models [M, P] on the samples that the owner at a place keeps for it: [M], nats.
    """

    start: Tensor
    own: Tensor
    sent: Tensor
    initial: Tensor
    owner: IntColumn
    weights: FloatColumn
    counter: int
    streams: Streams
    validation_loss: Callable[[Tensor, int], FloatColumn]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What K owners go on with, [K, P] each.

    Attributes:
        start: the models that they train next.
        tested: the models that they use, by which the method is judged; kept if the method has them ``apart``.
        centre: what their next training is pulled to; kept if the method is ``centred``.
    """

    start: Tensor
    tested: Tensor
    centre: Tensor | None = None


@dataclass(eq=False)
class Memory:
    """What methods remember of owners between rounds: CFL the cluster of each, FedFomo who liked whose models."""

    clusters: OwnerRows = field(default_factory=lambda: OwnerRows(1, torch.int64, torch.device("cpu")))
    affinity: OwnerPairs = field(default_factory=OwnerPairs)


class PersonalMethod:
    """Everybody learns alone; a method overrides what it does otherwise.

    Attributes:
        market: whether the graph is decided by a market. If not, it is by ``collaboration``.
        apart: whether owners use another model than they go on from.
        centred: whether owners are given something that their next training is pulled to.
        shares_centre: whether owners train and send a copy of the centre beside their own model, which stays at home.
    """

    market: ClassVar[bool] = False
    apart: ClassVar[bool] = False
    centred: ClassVar[bool] = False
    shares_centre: ClassVar[bool] = False

    def held_out(self, sizes: IntColumn) -> IntColumn:
        """How many samples [K] at the end of shards of these sizes [K] are kept from training."""
        return np.zeros(len(sizes), dtype=np.int64)

    def anchor(self, start: Tensor, centre: Tensor, met: BoolColumn) -> Anchor | None:
        """How owners train from their models [K, P]; None: without any pull.

        ``centre`` [K, P] is what they were given last, the initial model to those that have not ``met`` [K] anybody.
        """
        return None

    def distances(self, models: Tensor, initial: Tensor) -> Tensor:
        """How unlike models [K, P] are, [K, K], float64: 1 - cosine of what they moved from the initial one [P]."""
        return update_dissimilarity(models, initial)

    def collaboration(self, meeting: Meeting, memory: Memory) -> Tensor:
        """What row k takes from column n [K, K], float64: of at least 0, rows of sum 1 or 0."""
        return torch.zeros(len(meeting.owner), len(meeting.owner), dtype=torch.float64)

    def exchange(self, meeting: Meeting, taken: NDArray[np.float64], memory: Memory) -> Outcome:
        """What everybody goes on with. ``taken`` [K, K] is what is left of the collaboration, scaled to rows of sum 1.

        Where a market decides it is 1 for what was bought, else 0, without a diagonal. Remembers what there is to.
        """
        return Outcome(meeting.own, meeting.own)


def mixed(meeting: Meeting, taken: NDArray[np.float64]) -> Tensor:
    """What the server makes of the uploads [K, P]; who takes nothing from others goes on with what it has."""
    others = taken.copy()
    np.fill_diagonal(others, 0.0)
    alone = torch.from_numpy(~others.any(axis=1)).to(meeting.own.device)
    return torch.where(alone[:, None], meeting.own, mix(torch.from_numpy(taken).to(meeting.sent), meeting.sent))


def shares(weights: FloatColumn) -> Tensor:
    """Everybody takes from everybody in proportion to the data: [K, K], float64."""
    return torch.from_numpy(np.tile(weights / weights.sum(), (len(weights), 1)))


PERSONALIZATION: Registry[type[PersonalMethod]] = Registry("personalization method")
