"""One owner after another with an ordinary module, autograd and PyTorch's optimizer: the oracle of the others."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from learning.batches import BatchTable, LocalTraining
from learning.models import FlatModel


def train_loop(
    model: FlatModel, start: Tensor, x: Tensor, y: Tensor, batches: BatchTable, plan: LocalTraining
) -> Tensor:
    """Train each owner by itself; also the fastest way for wide convolutions on a CPU."""
    trained = start.clone(memory_format=torch.contiguous_format)
    module = model.build().to(device=start.device, dtype=start.dtype)
    optimizer = torch.optim.SGD(module.parameters(), lr=plan.learning_rate)
    for owner in range(len(start)):
        anchor = start[owner]
        # A copy: the parameters become views of the vector, and the start must stay as it is.
        vector_to_parameters(anchor.clone(), module.parameters())
        for span, active in zip(batches.spans, batches.active, strict=True):
            if owner >= active:
                break
            batch = span.start + owner
            rows = torch.from_numpy(batches.index[batch, : batches.counts[batch]]).to(x.device)
            loss = cross_entropy(module(x[rows].to(start.dtype)), y[rows])
            if plan.proximal > 0:
                distance = parameters_to_vector(module.parameters()) - anchor
                loss = loss + plan.proximal / 2 * distance.square().sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        trained[owner] = parameters_to_vector(module.parameters()).detach()
    return trained
