"""Stacks of convolutions and linear layers, all owners at once: K convolutions are one with K times the groups.

Each layer of an ``nn.Sequential`` has a twin that computes with the stacked weights of A owners. Images travel as
[B, A * channels, height, width], one group of channels per owner, on a CPU with the channels last in memory: pooling
and grouped convolution then run along the channels of many owners at once, 2 to 10 times faster (measured). After
``Flatten`` the rows [A, B, features] meet the fused linear layers of ``learning.backends.dense``. The gradient of the
rest is PyTorch's, of the sum over owners of their mean losses: no owner's loss depends on another's weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, group_norm

from learning.backends.dense import DenseStack
from learning.backends.descent import Descent
from learning.batches import BatchTable, LocalTraining
from learning.local_terms import LocalTerms
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
    terms: LocalTerms,
    trained: Tensor,
) -> None:
    """Train a chunk by grouped convolution. The last bits depend on the size of the chunk.

    Raises ``ValueError`` for a model that is no such stack.
    """
    train_stack(model, start, x, y, batches, plan, terms, trained, nullcontext())


def train_stack(
    model: FlatModel,
    start: Tensor,
    x: Tensor,
    y: Tensor,
    batches: BatchTable,
    plan: LocalTraining,
    terms: LocalTerms,
    trained: Tensor,
    products: AbstractContextManager[object],
) -> None:
    """The same with ``products`` entered around what is below ``Flatten``."""
    body = _body(model)
    if body is None:
        raise ValueError(f"the back-end 'conv' cannot train the model '{model.name}': it is no stack of convolutions")
    descent = Descent(start, model, plan, terms, trained)
    below = sum(len(list(layer.parameters())) for layer in body)
    dense = DenseStack(descent, below)
    index = torch.from_numpy(batches.index).to(x.device)
    share = batches.share(start.dtype, x.device)
    dense_format = torch.contiguous_format
    layout = torch.channels_last if x.device.type == "cpu" else torch.contiguous_format
    for span, active in zip(batches.spans, batches.active, strict=True):
        rows = index[span]
        images = x.index_select(0, rows.T.reshape(-1)).to(start.dtype).view(-1, active * x.shape[1], *x.shape[2:])
        # Copies: autograd would take the fused step of the layers above, in the same rows, for a change of these.
        now = [part[:active].clone(memory_format=dense_format).requires_grad_() for part in descent.weights[:below]]
        with torch.enable_grad(), products:
            maps = grouped_maps(body, now, images.contiguous(memory_format=layout))
        # [B, A * channels, height, width] as the rows [A, B, features] that Flatten makes, and back.
        features = maps.detach().view(len(maps), active, -1, *maps.shape[2:]).transpose(0, 1).flatten(2)
        features = features.to(start.dtype, memory_format=dense_format)
        error = dense.step(features, y.index_select(0, rows.view(-1)), share[span], errors_below=True)
        assert error is not None
        error = error.transpose(0, 1).reshape(maps.shape).to(maps.dtype).contiguous(memory_format=layout)
        descent.step(active, torch.autograd.grad(maps, now, error))


def grouped_maps(layers: Sequence[nn.Module], weights: Sequence[Tensor], images: Tensor) -> Tensor:
    """What the layers below ``Flatten`` make of images [B, A * channels, height, width]; its axes mean the same.

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
    return hidden


def _body(model: FlatModel) -> list[nn.Module] | None:
    """The layers before ``Flatten``, without their weights, if the model fits, else None. Found once per model."""
    if model not in _bodies:
        _bodies[model] = _known(model.build().to("meta")) if len(model.shape) == 3 else None
    return _bodies[model]


def _known(module: nn.Module) -> list[nn.Module] | None:
    layers = _sequence(module)
    # A layer that appears twice shares its weights, which this back-end would train apart.
    tied = sum(len(list(layer.parameters())) for layer in layers) != len(list(module.parameters()))
    # Exact types: a subclass may compute something else.
    kinds = [type(layer) for layer in layers]
    if tied or nn.Conv2d not in kinds or nn.Flatten not in kinds:
        return None
    cut = kinds.index(nn.Flatten)
    body, tail = _pooled_early(layers[:cut]), layers[cut + 1 :]
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


def _pooled_early(layers: list[nn.Module]) -> list[nn.Module]:
    """The layers with each max-pooling before the ReLU that it follows: the same numbers from fewer of them."""
    order = list(layers)
    for place in range(1, len(order)):
        if type(order[place - 1]) is nn.ReLU and type(order[place]) is nn.MaxPool2d:
            order[place - 1 : place + 1] = order[place], order[place - 1]
    return order


def _sequence(module: nn.Module) -> list[nn.Module]:
    """The layers of nested ``nn.Sequential`` in order."""
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        return [layer for child in module for layer in _sequence(child)]
    return [module]
