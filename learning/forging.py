"""Uploads of free riders: weights sent without training.

The plainest forgery, a copy of the global model, is the base itself. The others change rows base [K, P], the models
that the owners received, and leave a row as it is where they lack what they need (in the first round, say).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from learning.columns import FloatColumn, IntColumn
from learning.owner_rows import OwnerRows
from learning.streams import Streams


def replay(base: Tensor, current: Tensor, previous: Tensor | None) -> Tensor:
    """The base moved by the last change of the global model: the delta-weights attack.

    Lin, Du and Liu 2019, "Free-riders in federated learning: attacks and defenses" (arXiv 1911.12560), section 4.
    ``current`` and ``previous`` are global models [P].
    """
    return base.clone() if previous is None else base + (current - previous)


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
