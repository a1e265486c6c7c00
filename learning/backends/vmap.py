"""Any module, all owners at once: the per-owner gradient function, mapped over stacked parameters."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import grad, vmap

from learning.backends.descent import Descent
from learning.batches import BatchTable, LocalTraining
from learning.local_terms import LocalTerms
from learning.models import FlatModel
from learning.objective import sample_losses


def fits(model: FlatModel) -> bool:
    """Whether every operation of the model can be mapped over owners (recurrent layers and attention cannot)."""
    return model.maps


def batch_loss(
    model: FlatModel, names: list[str], weights: list[Tensor], x: Tensor, y: Tensor, share: Tensor
) -> Tensor:
    """Mean loss of one owner's batch x [B, *shape], y [B], with weights 1 / count or 0 in ``share`` [B]."""
    logits = model.forward(dict(zip(names, weights, strict=True)), x)
    return (sample_losses(model.answers, logits, x, y) * share).sum()


def train_vmap(
    model: FlatModel,
    start: Tensor,
    x: Tensor,
    y: Tensor,
    batches: BatchTable,
    plan: LocalTraining,
    terms: LocalTerms,
    trained: Tensor,
) -> None:
    """Train a chunk with ``torch.func``. Convolutions may change their last bits with the size of the chunk.

    Raises ``ValueError`` for a model that cannot be mapped.
    """
    if not fits(model):
        raise ValueError(f"the back-end 'vmap' cannot train the model '{model.name}': it has layers that do not map")
    names = list(model.unflatten(start[:0]))
    descent = Descent(start, model, plan, terms, trained)
    index = torch.from_numpy(batches.index).to(x.device)
    share = batches.share(start.dtype, x.device)

    def loss(weights: list[Tensor], samples: Tensor, labels: Tensor, parts: Tensor) -> Tensor:
        return batch_loss(model, names, weights, samples, labels, parts)

    gradients = vmap(grad(loss))
    for span, active in zip(batches.spans, batches.active, strict=True):
        rows = index[span]
        now = [part[:active] for part in descent.weights]
        descent.step(active, gradients(now, x[rows].to(start.dtype), y[rows], share[span]))
