"""FedFomo: each owner weighs other models by what they gain on its own validation samples (Zhang et al. 2021).

"Personalized federated learning with first order model optimization", ICLR 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.columns import FloatColumn, IntColumn
from learning.pairwise import squared_distances
from learning.personalization.method import PERSONALIZATION, Meeting, Memory, Outcome, PersonalMethod
from learning.streams import Streams


@PERSONALIZATION.register("fedfomo")
@dataclass(frozen=True, kw_only=True)
class FedFomo(PersonalMethod):
    """Every owner tries some others' models and moves to those that help it on samples kept back (Zhang et al. 2021).

    Attributes:
        models: how many models of others an owner gets per round at most (the paper's M).
        explore: probability, 0 to 1, that they are random ones instead of those it liked best so far.
        validation_share: share of a shard, above 0 and below 1, that its owner keeps back: the last samples, at least
            one. They are never trained on, except by an owner that has a single sample.

    An owner uses what it has trained. Where nothing helps, its training included, it goes on from where it started.
    """

    models: int = 6
    explore: float = 0.1
    validation_share: float = 0.1

    apart: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.models < 0:
            raise ValueError(f"models must be at least 0, got {self.models}")
        if not 0 <= self.explore <= 1:
            raise ValueError(f"explore must be in [0, 1], got {self.explore}")
        if not 0 < self.validation_share < 1:
            raise ValueError(f"validation_share must be above 0 and below 1, got {self.validation_share}")

    def held_out(self, sizes: IntColumn) -> IntColumn:
        wanted = np.maximum(np.rint(self.validation_share * sizes).astype(np.int64), 1)
        return np.asarray(np.minimum(wanted, np.maximum(sizes - 1, 0)))

    def collaboration(self, meeting: Meeting, memory: Memory) -> Tensor:
        count = len(meeting.owner)
        liked = memory.affinity.recall(meeting.owner)
        offered = offered_to(liked, self.models, self.explore, meeting.streams, meeting.counter, owners=meeting.owner)
        before, after = np.empty(count), np.full((count, 2 * count), np.nan)
        for place in range(count):
            others = np.flatnonzero(offered[place])
            some = torch.from_numpy(others).to(meeting.sent.device)
            tried = torch.cat([meeting.start[place : place + 1], meeting.own[place : place + 1], meeting.sent[some]])
            before[place], after[place, count + place], *rest = meeting.validation_loss(tried, place)
            after[place, others] = rest
        # One's own new model comes from home, whatever one has sent.
        weights = first_order_weights(meeting.start, torch.cat([meeting.sent, meeting.own]), before, after)
        return weights[:, :count] + torch.diag(weights[:, count:].diagonal())

    def exchange(self, meeting: Meeting, taken: NDArray[np.float64], memory: Memory) -> Outcome:
        weights = torch.from_numpy(taken).to(meeting.own)
        trust = weights.diagonal().unsqueeze(1)
        others = weights.clone().fill_diagonal_(0.0)
        moved = first_order_mix(others, meeting.start, meeting.sent)
        liked = memory.affinity.recall(meeting.owner) + others.double().cpu().numpy()
        memory.affinity.remember(meeting.owner, liked)
        return Outcome(moved + trust * (meeting.own - meeting.start), meeting.own)


def first_order_weights(own: Tensor, offered: Tensor, own_loss: FloatColumn, offered_loss: FloatColumn) -> Tensor:
    """Weights [K, N], float64, of the changes offered[n] - own[k]: apply with ``first_order_mix``.

    w_kn is the fall of owner k's validation loss from its model to model n, by the distance of the two;
    negative ones are cut to 0 and rows scaled to sum 1 (a row where nothing helps is all 0). ``own`` [K, P] are the
    owners' models before the round, ``offered`` [N, P] those they can get, its new one included; ``own_loss`` [K] and
    ``offered_loss`` [K, N] their losses on owner k's samples, NaN where k does not get n. Raises ``ValueError`` for
    losses of other shapes.
    """
    shape = len(own), len(offered)
    if own_loss.shape != shape[:1] or offered_loss.shape != shape:
        raise ValueError(f"losses must be [{shape[0]}] and {list(shape)}, got {own_loss.shape}, {offered_loss.shape}")
    fall = np.nan_to_num(own_loss[:, None] - offered_loss, nan=0.0, posinf=0.0, neginf=0.0)
    gain = torch.from_numpy(np.maximum(fall, 0.0)).to(own.device)
    distance = squared_distances(own, offered).sqrt_()
    weights = torch.where(distance > 0, gain / distance, 0.0)
    total = weights.sum(dim=1, keepdim=True)
    return torch.where(total > 0, weights / total, 0.0)


def first_order_mix(weights: Tensor, own: Tensor, offered: Tensor) -> Tensor:
    """New models [K, P]: own[k] + sum over n of weights[k, n] (offered[n] - own[k])."""
    some = weights.to(own)
    return torch.addcmul(own + some @ offered, own, some.sum(dim=1, keepdim=True), value=-1)


def offered_to(
    affinity: FloatColumn,
    models: int,
    explore: float,
    streams: Streams,
    counter: int,
    *,
    owners: IntColumn | None = None,
) -> NDArray[np.bool_]:
    """Which models [K, K] each owner gets in round ``counter``: at most ``models`` (the paper's M), never its own.

    Those with the highest ``affinity`` [K, K], the sum of the weights of earlier rounds; with
    probability ``explore`` an owner gets random ones instead. Equal affinities are drawn, by ``owners`` [K] (None: by
    their places).
    """
    count = len(affinity)
    if models < 0 or not 0 <= explore <= 1:
        raise ValueError(f"models must be at least 0 and explore in [0, 1], got {models} and {explore}")
    everyone = np.arange(count) if owners is None else owners
    chance = streams.uniform("fedfomo models", everyone[:, None], counter, everyone)
    explores = streams.uniform("fedfomo exploration", everyone, counter) < explore
    liked = np.where(explores[:, None], 0.0, affinity)
    own = np.eye(count, dtype=np.bool_)
    ranked = np.lexsort((chance, -liked, own), axis=-1)
    offered = np.zeros((count, count), dtype=np.bool_)
    np.put_along_axis(offered, ranked[:, : min(models, count - 1)], True, axis=1)
    return offered
