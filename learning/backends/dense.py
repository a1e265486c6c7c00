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
        last = descent.weights[-1]
        self._targets = torch.eye(last.shape[1], dtype=last.dtype, device=last.device)
        # Where owners have rates of their own, their errors carry them into every product.
        self._own_rates = None if isinstance(descent.rate, float) else descent.rate
        self._rate = descent.rate if isinstance(descent.rate, float) else 1.0
        self._active = -1
        self._layers: list[tuple[Tensor, Tensor, Tensor]] = []

    def step(self, features: Tensor, labels: Tensor, share: Tensor, *, errors_below: bool = False) -> Tensor | None:
        """One step of the first A owners on features [A, B, F], labels [A * B] and shares of the batch mean [A, B].

        Returns the gradient [A, B, F] of the sum of the owners' losses by the features if ``errors_below``, else None.
        """
        layers = self._first_owners(len(features))
        inputs = [features]
        for _, transposed, bias in layers[:-1]:
            inputs.append(torch.baddbmm(bias, inputs[-1], transposed).relu_())
        _, transposed, bias = layers[-1]
        error = torch.baddbmm(bias, inputs[-1], transposed).softmax(dim=-1)
        error -= self._targets.index_select(0, labels).view_as(error)
        error *= share.unsqueeze(-1)

        lower: Tensor | None = None
        for depth in reversed(range(len(inputs))):
            # The lower layer's error needs the upper weights as they were before the step.
            lower = torch.bmm(error, layers[depth][0]) if depth > 0 or errors_below else None
            self._descend(depth, error, inputs[depth])
            if depth > 0 and lower is not None:
                error = _through_relu(lower, inputs[depth])
        return lower

    def _first_owners(self, active: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Weight [A, outputs, inputs], the same transposed, and bias [A, 1, outputs] of each layer; kept for A."""
        if active != self._active:
            parts = [part[:active] for part in self._descent.weights[self._first :]]
            pairs = zip(parts[::2], parts[1::2], strict=True)
            self._layers = [(weight, weight.mT, bias.unsqueeze(1)) for weight, bias in pairs]
            self._active = active
        return self._layers

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
        if beta != 1:
            target.mul_(beta)
        target.sub_(error.sum(dim=1), alpha=self._rate)
        self._descent.settle(which + 1, active)


def _through_relu(error: Tensor, outputs: Tensor) -> Tensor:
    """The error before a rectifier with these outputs: 0 where the output is 0."""
    passed: Tensor = torch.ops.aten.threshold_backward(error, outputs, 0)
    return passed
