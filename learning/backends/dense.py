"""SGD steps of linear layers with ReLU between them, all owners at once, with a backward pass written by hand.

A step is bound by memory traffic, not arithmetic, so the gradient of a weight is never stored: one batched
multiply-add of output errors and inputs with factor -rate goes straight into the weights (or their velocity).
"""

from __future__ import annotations

import torch
from torch import Tensor

from learning.backends.descent import Descent


class DenseStack:
    """The last layers of K models: weights and biases, in turn, are the parameters from ``first`` on of a descent."""

    def __init__(self, descent: Descent, first: int = 0) -> None:
        self._descent = descent
        self._first = first
        self._weights, self._biases = descent.weights[first::2], descent.weights[first + 1 :: 2]
        last = self._biases[-1]
        self._targets = torch.eye(last.shape[1], dtype=last.dtype, device=last.device)
        # Where owners have rates of their own, their errors carry them into every product.
        self._own_rates = None if isinstance(descent.rate, float) else descent.rate
        self._rate = descent.rate if isinstance(descent.rate, float) else 1.0

    def step(self, features: Tensor, labels: Tensor, share: Tensor) -> Tensor | None:
        """One step of the first A owners on features [A, B, F], labels [A * B] and shares of the batch mean [A, B].

        Returns the gradient of the sum of the owners' losses by the features where these require one, else None.
        """
        active = len(features)
        inputs = [features.detach()]
        for weight, bias in zip(self._weights[:-1], self._biases[:-1], strict=True):
            inputs.append(_affine(weight[:active], bias[:active], inputs[-1]).relu_())
        error = _affine(self._weights[-1][:active], self._biases[-1][:active], inputs[-1]).softmax(dim=-1)
        error -= self._targets.index_select(0, labels).view_as(error)
        error *= share.unsqueeze(-1)

        lower: Tensor | None = None
        for depth in reversed(range(len(inputs))):
            # The lower layer's error needs the upper weights as they were before the step.
            lower = torch.bmm(error, self._weights[depth][:active]) if depth > 0 or features.requires_grad else None
            self._descend(depth, error, inputs[depth])
            if depth > 0 and lower is not None:
                error = _through_relu(lower, inputs[depth])
        return lower

    def _descend(self, depth: int, error: Tensor, inputs: Tensor) -> None:
        """Move weights and bias of a layer along the gradients error^T inputs and the sum of the errors."""
        active = len(inputs)
        if self._own_rates is not None:
            error = error * self._own_rates[:active].view(-1, 1, 1)
        which = self._first + 2 * depth
        target, beta = self._descent.target(which, active)
        target.baddbmm_(error.mT, inputs, beta=beta, alpha=-self._rate)
        self._descent.settle(which, active)
        target, beta = self._descent.target(which + 1, active)
        target.mul_(beta).sub_(error.sum(dim=1), alpha=self._rate)
        self._descent.settle(which + 1, active)


def _affine(weight: Tensor, bias: Tensor, inputs: Tensor) -> Tensor:
    """[K, B, outputs] from weights [K, outputs, inputs], biases [K, outputs] and inputs [K, B, inputs]."""
    return torch.baddbmm(bias.unsqueeze(1), inputs, weight.mT)


def _through_relu(error: Tensor, outputs: Tensor) -> Tensor:
    """The error before a rectifier with these outputs: 0 where the output is 0."""
    passed: Tensor = torch.ops.aten.threshold_backward(error, outputs, 0)
    return passed
