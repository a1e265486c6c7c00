"""Uploads that are not what training made: of free riders, who do not train, and of attackers, who spoil it.

``sent`` makes the uploads of a whole cohort. Rows base [K, P] are the models that the owners received, or among
personal models those that they have themselves. Without what it needs (in the first round, say) a forgery is the base:

- GLOBAL_COPY: the base itself.
- REPLAY: of a global model the base moved by its last change; of personal models the owner's last upload again.
  SCALED_REPLAY: the same, but the move from the base is a multiple of it.
- NOISE: the base plus a Gaussian vector.
- PEER_COPY: the last upload of another owner. NOISY_COPY: that plus a Gaussian vector, so that the two differ.
- OWN_LAST: the owner's last upload plus a Gaussian vector, so that it seems to have moved; the stealthy free rider.
- SHUFFLE: trained weights in a drawn order.
- SIGN_FLIP: trained weights with their change turned around: from the base, or of personal models from the initial one.
- BOOST: trained weights whose change, counted likewise, is multiplied. NOISY: trained weights plus a Gaussian vector.
- LABEL_FLIP, BACKDOOR: weights trained on falsified data (``learning.poisoning``). REPLACEMENT: a boosted backdoor.
- SAME_VALUE: ones. RANDOM: standard normal numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from learning.aggregation import column_like
from learning.cohort_work import CohortWork
from learning.columns import FloatColumn, IntColumn
from learning.owner_rows import OwnerRows
from learning.streams import Streams
from learning.uploads import Upload


@dataclass(frozen=True, eq=False)
class Sources:
    """What the uploads of a cohort are made from.

    Attributes:
        base: [K, P], the models that the owners start from.
        trained: [K, P], what training made of them; read only where an owner works.
        origin: [K, P] or [P], from which a flipped change is counted.
        replayed: [K, P], what a replay sends; None: the last upload of each owner.
        memory: last uploads; None if none are kept.
    """

    base: Tensor
    trained: Tensor
    origin: Tensor
    replayed: Tensor | None
    memory: OwnerRows | None


def sent(sources: Sources, work: CohortWork, counter: int, reference_norm: float, streams: Streams) -> Tensor:
    """What the cohort sends [K, P], by ``work.upload``. ``counter`` (the round) keys all draws.

    ``reference_norm`` is the published typical norm of an update, NaN while there is none: then nobody adds noise.
    Raises ``ValueError`` for copies of earlier uploads where none are kept.
    """
    made = sources.base.clone()
    for kind in np.unique(work.upload):
        rows = np.flatnonzero(work.upload == kind)
        places = torch.from_numpy(rows).to(made.device)
        made[places] = _made(Upload(int(kind)), sources, work, rows, places, counter, reference_norm, streams)
    return made


def _made(
    kind: Upload,
    sources: Sources,
    work: CohortWork,
    rows: IntColumn,
    places: Tensor,
    counter: int,
    reference_norm: float,
    streams: Streams,
) -> Tensor:
    base, owners, norms = sources.base[places], work.owner[rows], work.scale[rows] * reference_norm
    match kind:
        case Upload.TRAINED | Upload.LABEL_FLIP | Upload.BACKDOOR:
            return sources.trained[places]
        case Upload.BOOST | Upload.REPLACEMENT:
            return boosted(sources.trained[places], _origin(sources, places), work.scale[rows])
        case Upload.NOISY:
            return noise(sources.trained[places], owners, norms, counter, streams)
        case Upload.SHUFFLE:
            return shuffled(sources.trained[places], owners, counter, streams)
        case Upload.SIGN_FLIP:
            return sign_flipped(sources.trained[places], _origin(sources, places))
        case Upload.GLOBAL_COPY:
            return base
        case Upload.REPLAY:
            return _replayed(sources, places, owners)
        case Upload.SCALED_REPLAY:
            return boosted(_replayed(sources, places, owners), base, work.scale[rows])
        case Upload.NOISE:
            return noise(base, owners, norms, counter, streams)
        case Upload.PEER_COPY:
            return peer_copy(base, work.peer[rows], _kept(sources))
        case Upload.NOISY_COPY:
            return noise(peer_copy(base, work.peer[rows], _kept(sources)), owners, norms, counter, streams)
        case Upload.OWN_LAST:
            return noise(peer_copy(base, owners, _kept(sources)), owners, norms, counter, streams)
        case Upload.SAME_VALUE:
            return torch.ones_like(base)
        case Upload.RANDOM:
            return random_weights(base, owners, counter, streams)


def _kept(sources: Sources) -> OwnerRows:
    if sources.memory is None:
        raise ValueError("no uploads are kept to be copied: a strategy that copies must not say that it trains")
    return sources.memory


def _origin(sources: Sources, places: Tensor) -> Tensor:
    return sources.origin if sources.origin.ndim == 1 else sources.origin[places]


def _replayed(sources: Sources, places: Tensor, owners: IntColumn) -> Tensor:
    if sources.replayed is not None:
        return sources.replayed[places]
    return peer_copy(sources.base[places], owners, _kept(sources))


def replay(base: Tensor, current: Tensor, previous: Tensor | None) -> Tensor:
    """The base moved by the last change of the global model: the delta-weights attack.

    Lin, Du and Liu 2019, "Free-riders in federated learning: attacks and defenses" (arXiv 1911.12560), section 4.
    ``current`` and ``previous`` are global models [P].
    """
    return base.clone() if previous is None else base + (current - previous)


def boosted(trained: Tensor, origin: Tensor, scale: FloatColumn) -> Tensor:
    """Weights [K, P] whose change from the origin ([P] or [K, P]) is multiplied by ``scale`` [K].

    Explicit boosting: Bhagoji, Chakraborty, Mittal and Calo 2019, "Analyzing federated learning through an adversarial
    lens", ICML. With a scale of (total weight / own weight) it is the model replacement of Bagdasaryan et al. 2020.
    """
    return origin + column_like(trained, scale).unsqueeze(1) * (trained - origin)


def noise(base: Tensor, owners: IntColumn, norms: FloatColumn, counter: int, streams: Streams) -> Tensor:
    """The base plus a Gaussian vector of L2 norm ``norms`` [K], drawn by (owner, counter); NaN norm: no noise."""
    forged = base.clone()
    for row, (owner, norm) in enumerate(zip(owners, norms, strict=True)):
        if not (np.isfinite(norm) and norm > 0):
            continue
        vector = streams.generator("noise upload", int(owner), counter).standard_normal(base.shape[1])
        vector *= norm / np.linalg.norm(vector)
        forged[row] += torch.from_numpy(vector).to(device=base.device, dtype=base.dtype)
    return forged


def peer_copy(base: Tensor, peers: IntColumn, memory: OwnerRows) -> Tensor:
    """The last upload of the owner ``peers[k]``, as it was sent; -1: no peer."""
    forged = base.clone()
    copies, known = memory.recall(peers)
    forged[torch.from_numpy(known).to(base.device)] = copies
    return forged


def shuffled(trained: Tensor, owners: IntColumn, counter: int, streams: Streams) -> Tensor:
    """Weights [K, P], each row in an order drawn by (owner, counter)."""
    size = trained.shape[1]
    orders = [streams.generator("shuffled upload", int(owner), counter).permutation(size) for owner in owners]
    return trained.gather(1, torch.from_numpy(np.stack(orders)).to(trained.device))


def sign_flipped(trained: Tensor, origin: Tensor) -> Tensor:
    """Weights [K, P] whose change from the origin ([P] or [K, P]) is turned around: origin - (trained - origin)."""
    return origin - (trained - origin)


def random_weights(base: Tensor, owners: IntColumn, counter: int, streams: Streams) -> Tensor:
    """Standard normal numbers of the shape of base [K, P], drawn by (owner, counter)."""
    forged = torch.empty_like(base)
    for row, owner in enumerate(owners):
        numbers = streams.generator("random upload", int(owner), counter).standard_normal(base.shape[1])
        forged[row] = torch.from_numpy(numbers).to(forged)
    return forged
