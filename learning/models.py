"""Model families, and a module seen as one flat weight vector so that many owners' models are rows of a matrix."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from learning.registry import Registry
from learning.streams import Streams

MODELS: Registry[Callable[[tuple[int, ...], int], nn.Module]] = Registry("model")

HIDDEN = 64


@MODELS.register("softmax")
def softmax(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Softmax (multinomial logistic) regression."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes))


@MODELS.register("mlp")
def mlp(shape: tuple[int, ...], classes: int) -> nn.Module:
    """One hidden layer of 64 rectified units."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))


@MODELS.register("cnn")
def cnn(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Two convolutions with max-pooling and a hidden layer of 84, after LeNet-5 (LeCun et al. 1998).

    The convolutions are padded, so images from 8 x 8 on will do. Raises ``ValueError`` for anything else.
    """
    if len(shape) != 3 or min(shape[1:]) < 8:
        raise ValueError(f"the model 'cnn' needs images of at least 8 x 8, the samples have shape {shape}")
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 6, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * (height // 4) * (width // 4), 84),
        nn.ReLU(),
        nn.Linear(84, classes),
    )


class LinearLayer(NamedTuple):
    """Where a linear layer sits in the flat vector: weight [outputs, inputs], row by row, then bias [outputs]."""

    weight: slice
    bias: slice
    inputs: int
    outputs: int


class FlatModel:
    """A registered model for samples of ``shape``, its P weights in the order of ``module.parameters()``.

    Attributes:
        size: P, the number of weights.
        linear_layers: the layers if the model is linear layers with ReLU between them, else None.

    Raises ``UnknownName``, ``ValueError`` if the model does not fit the shape or keeps buffers (running statistics
    cannot be averaged as weights).
    """

    def __init__(self, name: str, shape: tuple[int, ...], classes: int) -> None:
        self.name = name
        self.shape = tuple(shape)
        self.classes = classes
        self._builder = MODELS[name]
        with torch.device("meta"):  # the structure only: no memory, no random numbers
            self._module = self._builder(self.shape, classes)
        if next(self._module.buffers(), None) is not None:
            raise ValueError(f"the model '{name}' keeps buffers (batch statistics), which federated averaging loses")
        self._places: dict[str, tuple[slice, torch.Size]] = {}
        start = 0
        for parameter_name, parameter in self._module.named_parameters():
            self._places[parameter_name] = (slice(start, start + parameter.numel()), parameter.shape)
            start += parameter.numel()
        self.size = start
        self.linear_layers = self._find_linear_layers()

    def initial(self, streams: Streams) -> Tensor:
        """Fresh weights [P], float32 on the CPU: PyTorch's own initialisation from a keyed seed."""
        seed = int(streams.integers("initial weights", 0, 2**52))
        parameters = self.build(seed).parameters()
        return torch.cat([parameter.detach().reshape(-1) for parameter in parameters])

    def build(self, seed: int = 0) -> nn.Module:
        """An ordinary module of this family. The state of the global generators is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return self._builder(self.shape, self.classes)

    def unflatten(self, weights: Tensor) -> dict[str, Tensor]:
        """Views of weights [..., P] by parameter name, each [..., *parameter shape]."""
        if weights.shape[-1] != self.size:
            raise ValueError(f"the model '{self.name}' has {self.size} weights, got {weights.shape[-1]}")
        return {
            name: weights[..., place].view(*weights.shape[:-1], *shape) for name, (place, shape) in self._places.items()
        }

    def forward(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        """Logits [B, C] of one model for samples x [B, *shape]."""
        logits: Tensor = functional_call(self._module, parameters, (x,))
        return logits

    def logits(self, weights: Tensor, x: Tensor) -> Tensor:
        """Logits [K, B, C] of the models weights [K, P].

        x is [K, B, *shape] (samples of its own for each model) or [B, *shape] (the same for all).
        """
        shared = x.ndim == len(self.shape) + 1
        if self.linear_layers is None:
            apply = vmap(self.forward, in_dims=(0, None if shared else 0))
            batched: Tensor = apply(self.unflatten(weights), x)
            return batched
        hidden = x.reshape(*x.shape[: x.ndim - len(self.shape)], -1)
        if shared:
            hidden = hidden.expand(len(weights), *hidden.shape)
        for depth, layer in enumerate(self.linear_layers):
            if depth > 0:
                hidden = hidden.relu_()
            weight = weights[:, layer.weight].view(-1, layer.outputs, layer.inputs)
            hidden = torch.baddbmm(weights[:, layer.bias].unsqueeze(1), hidden, weight.mT)
        return hidden

    def _find_linear_layers(self) -> list[LinearLayer] | None:
        if not isinstance(self._module, nn.Sequential):
            return None
        children = list(self._module.named_children())
        if isinstance(children[0][1], nn.Flatten):
            children = children[1:]
        layers: list[LinearLayer] = []
        for position, (name, child) in enumerate(children):
            if position % 2 == 1:
                if not isinstance(child, nn.ReLU):
                    return None
            elif isinstance(child, nn.Linear) and child.bias is not None:
                places = self._places[f"{name}.weight"][0], self._places[f"{name}.bias"][0]
                layers.append(LinearLayer(*places, child.in_features, child.out_features))
            else:
                return None
        return layers if len(children) % 2 == 1 else None
