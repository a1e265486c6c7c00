"""Any module, all owners at once: the per-owner gradient function, mapped over stacked parameters."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import grad, vmap
from torch.nn.functional import cross_entropy

from learning.batches import BatchTable, LocalTraining
from learning.models import FlatModel


def train_vmap(
    model: FlatModel, start: Tensor, x: Tensor, y: Tensor, batches: BatchTable, plan: LocalTraining
) -> Tensor:
    """Train a chunk with ``torch.func``. Convolutions may change their last bits with the size of the chunk."""
    dense = torch.contiguous_format
    anchors = {name: part.clone(memory_format=dense) for name, part in model.unflatten(start).items()}
    weights = {name: part.clone() for name, part in anchors.items()}
    index = torch.from_numpy(batches.index).to(x.device)
    share = batches.share(start.dtype, x.device)

    def loss(parameters: dict[str, Tensor], samples: Tensor, labels: Tensor, parts: Tensor) -> Tensor:
        return (cross_entropy(model.forward(parameters, samples), labels, reduction="none") * parts).sum()

    gradients = vmap(grad(loss))
    pull = plan.learning_rate * plan.proximal
    for span, active in zip(batches.spans, batches.active, strict=True):
        rows = index[span]
        now = {name: part[:active] for name, part in weights.items()}
        slopes = gradients(now, x[rows].to(start.dtype), y[rows], share[span])
        for name, part in now.items():
            if pull:
                part.lerp_(anchors[name][:active], pull)
            part.sub_(slopes[name], alpha=plan.learning_rate)

    return torch.cat([part.reshape(len(start), part[0].numel()) for part in weights.values()], dim=1)
