"""Data quality as real training shows it: how far an owner's own loss falls, per sample.

QD-RDFL ("Data Assetization via Resources-decoupled Federated Learning", arXiv 2501.14588) has every computing center
train a throw-away copy of the model on its owner's data for a few epochs and takes

    (mean training loss after the first epoch - mean training loss after the last) / samples

for the owner's raw quality. The authors' code averages the batch losses within an epoch, while the weights move; here
both losses are those of the finished epoch's weights on all of the data, which needs no back-end to report losses.
Clean data is learnt, noise is not, so the drop tells them apart; being per sample, it favours small owners.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from learning.batches import LocalTraining
from learning.columns import FloatColumn, IntColumn
from learning.evaluation import block_size, blocks
from learning.local_terms import PLAIN, LocalTerms
from learning.memory import in_parts
from learning.models import FlatModel
from learning.objective import sample_losses
from learning.shards import Shards
from learning.streams import Streams
from learning.training import Choice, choose, train_cohort


def own_losses(model: FlatModel, weights: Tensor, shards: Shards, rows: IntColumn, samples: IntColumn) -> FloatColumn:
    """Mean cross-entropy [K] in nats of weights [K, P], each on the first ``samples[k]`` of shard ``rows[k]``.

    NaN for an owner without samples.
    """
    found = np.full(len(rows), np.nan)
    with torch.no_grad():
        for place in np.flatnonzero(samples > 0).tolist():
            begin = int(shards.offsets[rows[place]])
            own = slice(begin, begin + int(samples[place]))
            parts: list[float] = []

            def meet(one: slice, x: Tensor, y: Tensor, parts: list[float] = parts) -> None:
                logits = model.logits(weights[one], x.to(weights.dtype))[0]
                if model.answers is None:
                    parts.append(float(cross_entropy(logits.double(), y, reduction="sum")))
                else:
                    parts.append(float(sample_losses(model.answers, logits.double(), x, y).sum()))

            for x, y in blocks(shards.x[own], shards.y[own], block_size(model)):
                in_parts(meet, slice(place, place + 1), x, y)
            found[place] = sum(parts) / samples[place]
    return found


def loss_drop_quality(
    model: FlatModel,
    base: Tensor,
    shards: Shards,
    rows: IntColumn,
    samples: IntColumn,
    owners: IntColumn,
    counter: int,
    plan: LocalTraining,
    streams: Streams,
    *,
    epochs: int = 5,
    choice: Choice | None = None,
    terms: LocalTerms = PLAIN,
) -> FloatColumn:
    """Raw qualities [K], in nats per sample: of throw-away copies of ``base`` [P] trained for ``epochs`` epochs.

    Arguments as in ``train_cohort``; ``choice`` is the back-end and the chunk (None: by the static rule). 0 for an
    owner without samples, as in the authors' code; not a number where the training diverges. The draws are those of
    the round's own training, which the copies do not disturb. Raises ``ValueError`` for fewer than 2 epochs.
    """
    if epochs < 2:
        raise ValueError(f"epochs must be at least 2 for a loss to drop between them, got {epochs}")
    best = choice or choose(model, base.device)
    losses = []
    for length in (1, epochs):
        longer = replace(plan, epochs=length)
        copies = train_cohort(
            model,
            base,
            shards,
            rows,
            samples,
            owners,
            counter,
            longer,
            streams,
            best.backend,
            chunk=best.chunk,
            terms=terms,
        )
        losses.append(own_losses(model, copies, shards, rows, samples))
    return np.where(samples > 0, (losses[0] - losses[1]) / np.maximum(samples, 1), 0.0)
