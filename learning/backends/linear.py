"""Stacks of linear layers with ReLU between them, every step fused into the weights (``learning.backends.dense``)."""

from __future__ import annotations

import torch
from torch import Tensor

from learning.backends.dense import DenseStack
from learning.backends.descent import Descent
from learning.batches import BatchTable, LocalTraining
from learning.local_terms import LocalTerms
from learning.models import FlatModel


def fits(model: FlatModel) -> bool:
    """Whether the model is a stack of linear layers with ReLU between them."""
    return model.linear_layers is not None


def train_linear(
    model: FlatModel,
    start: Tensor,
    x: Tensor,
    y: Tensor,
    batches: BatchTable,
    plan: LocalTraining,
    terms: LocalTerms,
    trained: Tensor,
) -> None:
    """Train a chunk by fused in-place SGD. Raises ``ValueError`` if the model is not a stack of linear layers.

    The bits do not depend on the size of the chunk: every owner's products are computed for themselves.
    """
    if not fits(model):
        raise ValueError(f"the back-end 'linear' cannot train the model '{model.name}': it has other layers")
    descent = Descent(start, model, plan, terms, trained)
    stack = DenseStack(descent)
    features = x.reshape(len(x), -1)
    index = torch.from_numpy(batches.index).to(x.device)
    share = batches.share(start.dtype, x.device)
    for span in batches.spans:
        rows = index[span]
        batch = features.index_select(0, rows.view(-1)).to(start.dtype).view(*rows.shape, -1)
        stack.step(batch, y.index_select(0, rows.view(-1)), share[span])
