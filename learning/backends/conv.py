"""Stacks of convolutions and linear layers, all owners at once: K convolutions are one with K times the groups.

Each layer of an ``nn.Sequential`` has a twin that computes with the stacked weights of A owners. Images travel as
[B, A * channels, height, width], one group of channels per owner, on a CPU with the channels last in memory: pooling
and grouped convolution then run along the channels of many owners at once, 2 to 10 times faster (measured). After
``Flatten`` the rows [A, B, features] meet the fused linear layers of ``learning.backends.dense``. The gradient of the
rest is PyTorch's, of the sum over owners of their mean losses: no owner's loss depends on another's weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, group_norm

from learning.backends.dense import DenseStack
from learning.backends.descent import Descent
from learning.batches import BatchTable, LocalTraining
from learning.local_terms import PLAIN, LocalTerms
from learning.models import FlatModel

ELEMENTWISE = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Identity)
POOLING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d)

_bodies: WeakKeyDictionary[FlatModel, list[nn.Module] | None] = WeakKeyDictionary()


def fits(model: FlatModel) -> bool:
    """Whether the model is a stack of convolutions that this back-end has twins for, then of linear layers and ReLU."""
    return _body(model) is not None


def train_conv(
    model: FlatModel,
    start: Tensor,
    x: Tensor,
    y: Tensor,
    batches: BatchTable,
    plan: LocalTraining,
    terms: LocalTerms = PLAIN,
) -> Tensor:
    """Train a chunk by grouped convolution. The last bits depend on the size of the chunk.

    Raises ``ValueError`` for a model that is no such stack.
    """
    body = _body(model)
    if body is None:
        raise ValueError(f"the back-end 'conv' cannot train the model '{model.name}': it is no stack of convolutions")
    descent = Descent(start, model, plan, terms)
    below = sum(len(list(layer.parameters())) for layer in body)
    dense = DenseStack(descent, below)
    index = torch.from_numpy(batches.index).to(x.device)
    share = batches.share(start.dtype, x.device)
    layout = torch.channels_last if x.device.type == "cpu" else torch.contiguous_format
    for span, active in zip(batches.spans, batches.active, strict=True):
        rows = index[span]
        images = x.index_select(0, rows.T.reshape(-1)).to(start.dtype).view(-1, active * x.shape[1], *x.shape[2:])
        now = [part[:active].detach().requires_grad_() for part in descent.weights[:below]]
        with torch.enable_grad():
            features = grouped_features(body, now, images.contiguous(memory_format=layout))
        error = dense.step(features, y.index_select(0, rows.view(-1)), share[span])
        descent.step(active, torch.autograd.grad(features, now, error))
    return descent.flat()


def grouped_features(layers: Sequence[nn.Module], weights: Sequence[Tensor], images: Tensor) -> Tensor:
    """Features [A, B, F] that the layers below the linear ones make of images [B, A * channels, height, width].

    ``weights`` are the parameters of the layers in order, each [A, *shape].
    """
    owners = len(weights[0])
    left = iter(weights)
    hidden = images
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            kernel = next(left).flatten(0, 1)
            bias = None if layer.bias is None else next(left).flatten()
            groups = owners * layer.groups
            hidden = conv2d(hidden, kernel, bias, layer.stride, layer.padding, layer.dilation, groups)
        elif isinstance(layer, nn.GroupNorm):
            scale, shift = (next(left).flatten(), next(left).flatten()) if layer.affine else (None, None)
            hidden = group_norm(hidden, owners * layer.num_groups, scale, shift, layer.eps)
        else:
            hidden = layer(hidden)
    return hidden.reshape(len(hidden), owners, -1).transpose(0, 1)


def _body(model: FlatModel) -> list[nn.Module] | None:
    """The layers before ``Flatten``, without their weights, if the model fits, else None. Found once per model."""
    if model not in _bodies:
        _bodies[model] = _known(model.build().to("meta"), len(model.shape))
    return _bodies[model]


def _known(module: nn.Module, axes: int) -> list[nn.Module] | None:
    layers = _sequence(module)
    # A layer that appears twice shares its weights, which this back-end would train apart.
    tied = sum(len(list(layer.parameters())) for layer in layers) != len(list(module.parameters()))
    # Exact types: a subclass may compute something else.
    kinds = [type(layer) for layer in layers]
    if axes != 3 or tied or nn.Conv2d not in kinds or nn.Flatten not in kinds:
        return None
    cut = kinds.index(nn.Flatten)
    body, tail = layers[:cut], layers[cut + 1 :]
    tail_kinds = [nn.Linear if place % 2 == 0 else nn.ReLU for place in range(len(tail))]
    if (
        not set(kinds[:cut]) <= {nn.Conv2d, nn.GroupNorm, *POOLING, *ELEMENTWISE}
        or any(isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros" for layer in body)
        or any(isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) != (1, -1) for layer in layers)
        or len(tail) % 2 == 0
        or kinds[cut + 1 :] != tail_kinds
        or any(isinstance(layer, nn.Linear) and layer.bias is None for layer in tail)
    ):
        return None
    return body


def _sequence(module: nn.Module) -> list[nn.Module]:
    """The layers of nested ``nn.Sequential`` in order."""
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        return [layer for child in module for layer in _sequence(child)]
    return [module]
