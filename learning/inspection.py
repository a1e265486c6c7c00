"""What training shows of each upload, for an auditor: norm and direction, drops of the loss, copies.

All of it is measured on what was really sent; who sent it, and whether it was trained, is of no influence.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from learning import evaluation
from learning.columns import FloatColumn, IntColumn
from learning.inspection_names import ALIGNMENT, DUPLICATES, HELD_OUT_GAIN, LOSS_DROP, SIMILARITY, UPDATE_NORM
from learning.loss_drop_quality import own_losses
from learning.models import FlatModel
from learning.shards import Shards

_AT_ONCE = 2**22
"""Numbers of a block of changes that meets all references in one product; bounds memory."""


@dataclass(frozen=True, eq=False)
class Inspected:
    """The uploads of a cohort [K, P] and what they are held against.

    Attributes:
        base: [K, P], the models that the owners received.
        shard: [K], whose data each owner holds.
        centre: [P], the current global model: changes are compared as seen from it.
        known: [M, P], uploads of earlier rounds and models that anybody could send again.
        x_test, y_test: the held-out samples.
    """

    model: FlatModel
    uploads: Tensor
    base: Tensor
    shard: IntColumn
    shards: Shards
    centre: Tensor
    known: Tensor
    x_test: Tensor
    y_test: Tensor


def inspect(given: Inspected, wanted: Collection[str]) -> dict[str, FloatColumn]:
    """The wanted signals [K] by name (``learning.inspection_names``); each needs only what it is made of."""
    return {name: measure(given) for name, measure in _MEASURES.items() if name in wanted}


def norms(given: Inspected) -> FloatColumn:
    """L2 norm of each change."""
    change = given.uploads - given.base
    return np.asarray(torch.linalg.vector_norm(change, dim=1, dtype=torch.float64).cpu().numpy())


def alignment(given: Inspected) -> FloatColumn:
    """Cosine of each change with the sum of all the others' unit vectors; 0 without a change, NaN without others."""
    unit = _directions(given.uploads - given.base)
    others = unit.sum(dim=0) - unit
    length = torch.linalg.vector_norm(others, dim=1)
    cosine = (unit * others).sum(dim=1) / torch.where(length > 0, length, 1.0)
    cosine[length == 0] = torch.nan
    return np.asarray(cosine.clamp(-1.0, 1.0).cpu().numpy())


def own_loss_drop(given: Inspected) -> FloatColumn:
    """Loss on the owner's own data of the model received less that of the upload, in nats; NaN without data."""
    samples = given.shards.sizes[given.shard]
    before, after = (
        own_losses(given.model, weights, given.shards, given.shard, samples) for weights in (given.base, given.uploads)
    )
    return np.asarray(before - after)


def held_out_gain(given: Inspected) -> FloatColumn:
    """The same on the held-out samples."""
    models, row = torch.unique(given.base, dim=0, return_inverse=True)
    before = evaluation.losses(given.model, models, given.x_test, given.y_test)[row.cpu().numpy()]
    return np.asarray(before - evaluation.losses(given.model, given.uploads, given.x_test, given.y_test))


def duplicates(given: Inspected) -> FloatColumn:
    """How many other uploads and known rows each upload equals, bit for bit."""
    sent, known = _digests(given.uploads), Counter(_digests(given.known))
    cohort = Counter(sent)
    return np.array([cohort[digest] - 1 + known[digest] for digest in sent], dtype=np.float64)


def similarity(given: Inspected) -> FloatColumn:
    """The largest cosine of each change, as seen from the centre, with that of any other upload or known row.

    0 where there is no change, and -1 where there is nothing to compare with.
    """
    own = _directions(given.uploads - given.centre)
    references = torch.cat([own, _directions(given.known - given.centre)])
    found = np.full(len(own), -1.0)
    block = max(1, _AT_ONCE // max(1, own.shape[1], len(references)))
    for begin in range(0, len(own), block):
        cosine = own[begin : begin + block] @ references.T
        rows = torch.arange(len(cosine), device=cosine.device)
        cosine[rows, begin + rows] = -1.0  # not with itself
        found[begin : begin + block] = cosine.max(dim=1).values.clamp(-1.0, 1.0).cpu().numpy()
    return found


def _directions(change: Tensor) -> Tensor:
    """Rows as unit vectors in double precision; zero rows stay zero."""
    change = change.double()
    length = torch.linalg.vector_norm(change, dim=1, keepdim=True)
    return change / torch.where(length > 0, length, 1.0)


def _digests(rows: Tensor) -> list[bytes]:
    """A fingerprint of the bits of each row."""
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows.contiguous().cpu().numpy()]


_MEASURES: dict[str, Callable[[Inspected], FloatColumn]] = {
    UPDATE_NORM: norms,
    ALIGNMENT: alignment,
    LOSS_DROP: own_loss_drop,
    HELD_OUT_GAIN: held_out_gain,
    DUPLICATES: duplicates,
    SIMILARITY: similarity,
}
