"""Stacks of linear layers with ReLU between them, all owners at once, with a backward pass written by hand.

A step is bound by memory traffic, not arithmetic, so the gradient of a weight is never stored: one batched
multiply-add of output errors and inputs with factor -rate goes straight into the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from learning.batches import BatchTable, LocalTraining
from learning.models import FlatModel


def train_linear(
    model: FlatModel, start: Tensor, x: Tensor, y: Tensor, batches: BatchTable, plan: LocalTraining
) -> Tensor:
    """Train a chunk by fused in-place SGD. Raises ``ValueError`` if the model is not a stack of linear layers."""
    layers = model.linear_layers
    if layers is None:
        raise ValueError(f"the back-end 'linear' cannot train the model '{model.name}': it has other layers")
    count, rate, pull = len(start), plan.learning_rate, plan.learning_rate * plan.proximal
    # Tensors of their own per layer: the fast batched product writes only into contiguous memory.
    dense = torch.contiguous_format
    weights = [start[:, at.weight].reshape(-1, at.outputs, at.inputs).clone(memory_format=dense) for at in layers]
    biases = [start[:, at.bias].clone(memory_format=dense) for at in layers]
    anchors = [(weight.clone(), bias.clone()) for weight, bias in zip(weights, biases, strict=True)] if pull else []

    features = x.reshape(len(x), -1)
    index = torch.from_numpy(batches.index).to(x.device)
    share = batches.share(start.dtype, x.device)
    targets = torch.eye(model.classes, dtype=start.dtype, device=x.device)

    for span, active in zip(batches.spans, batches.active, strict=True):
        rows = index[span].view(-1)
        batch = features.index_select(0, rows).to(start.dtype).view(active, -1, features.shape[1])
        inputs = [batch]
        for depth in range(len(layers) - 1):
            inputs.append(_affine(weights[depth][:active], biases[depth][:active], inputs[-1]).relu_())
        error = _affine(weights[-1][:active], biases[-1][:active], inputs[-1]).softmax(dim=-1)
        error -= targets.index_select(0, y.index_select(0, rows)).view_as(error)
        error *= share[span].unsqueeze(-1)

        for depth in reversed(range(len(layers))):
            weight, bias = weights[depth][:active], biases[depth][:active]
            # The lower layer's error needs the upper weights as they were before the step.
            lower = torch.bmm(error, weight).masked_fill_(inputs[depth] == 0, 0) if depth > 0 else error
            weight.baddbmm_(error.mT, inputs[depth], beta=1 - pull, alpha=-rate)
            bias.mul_(1 - pull).sub_(error.sum(dim=1), alpha=rate)
            if anchors:
                weight.add_(anchors[depth][0][:active], alpha=pull)
                bias.add_(anchors[depth][1][:active], alpha=pull)
            error = lower

    trained = torch.empty(count, model.size, dtype=start.dtype, device=start.device)
    for at, weight, bias in zip(layers, weights, biases, strict=True):
        trained[:, at.weight] = weight.view(count, at.outputs * at.inputs)
        trained[:, at.bias] = bias
    return trained


def _affine(weight: Tensor, bias: Tensor, inputs: Tensor) -> Tensor:
    """[K, B, outputs] from weights [K, outputs, inputs], biases [K, outputs] and inputs [K, B, inputs]."""
    return torch.baddbmm(bias.unsqueeze(1), inputs, weight.mT)
