"""A module seen as one flat weight vector, so that many owners' models are rows of a matrix."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from learning.data import Dataset
from learning.data.answers import Answers
from learning.models.families import MODELS
from learning.models.own import check_module, own_family
from learning.streams import Streams

KNOWN_TO_MAP = frozenset({nn.Sequential, nn.Flatten, nn.Linear, nn.ReLU, nn.Conv2d, nn.MaxPool2d})


class LinearLayer(NamedTuple):
    """Where a linear layer sits in the flat vector: weight [outputs, inputs], row by row, then bias [outputs]."""

    weight: slice
    bias: slice
    inputs: int
    outputs: int


class FlatModel:
    """A registered model for samples of ``shape``, its P weights in the order of ``module.parameters()``.

    ``name`` is that of a family, or the path ``package.module:Class`` of a user's own module. ``frozen_seed`` decides
    the weights that are never trained, for models that have such; all owners share them, and they are no part of P.
    ``answers`` are what a language model has to say (None: there is nothing but labels), ``parameters`` the family's.

    Attributes:
        size: P, the number of weights.
        linear_layers: the layers if the model is linear layers with ReLU between them, else None.
        vocabulary: how many token ids the model reads, None if it reads numbers.
        answers: what the model has to say, None if it gives logits of classes.

    Raises ``UnknownName``, ``ValueError`` if the model does not fit the shape, keeps buffers (running statistics
    cannot be averaged as weights) or, being a user's own, cannot be used (see ``learning.models.own``).
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        classes: int,
        *,
        frozen_seed: int = 0,
        answers: Answers | None = None,
        parameters: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.name = name
        self.shape = tuple(shape)
        self.classes = classes
        own = ":" in name
        self._builder = partial(own_family(name) if own else MODELS[name], **parameters)
        self.answers: Answers | None = None
        if "answers" in inspect.signature(self._builder).parameters:
            if answers is None:
                raise ValueError(f"the model '{name}' answers in words, the data set has labels only")
            self.answers, self._builder = answers, partial(self._builder, answers=answers)
        self._frozen: dict[str, Tensor] = {}
        self._frozen_there: dict[str, Tensor] = {}
        # Only the structure is needed, the weights are passed in; but a user's class may hold tensors of other kinds.
        self._module = self._seeded(0) if own else self._seeded(0).to("meta")
        named: frozenset[str] = getattr(self._module, "frozen", frozenset())
        if any(buffer not in named for buffer, _ in self._module.named_buffers()):
            raise ValueError(f"the model '{name}' keeps buffers (batch statistics), which federated averaging loses")
        if named:
            keyed = int(Streams(frozen_seed).integers("frozen weights", 0, 2**52))
            self._frozen = dict(self._seeded(keyed).named_buffers())
        if own:
            check_module(name, self._module, self.shape, classes)
        self._places: dict[str, tuple[slice, torch.Size]] = {}
        start = 0
        for parameter_name, parameter in self._module.named_parameters():
            self._places[parameter_name] = (slice(start, start + parameter.numel()), parameter.shape)
            start += parameter.numel()
        self.size = start
        self.vocabulary: int | None = getattr(self._module, "vocabulary", None)
        self.linear_layers = self._find_linear_layers()

    @classmethod
    def for_dataset(
        cls,
        name: str,
        dataset: Dataset,
        *,
        frozen_seed: int = 0,
        parameters: Mapping[str, Any] = MappingProxyType({}),
    ) -> FlatModel:
        """The model for the samples of a data set.

        Raises as the constructor does, and ``ValueError`` if one speaks in token ids and the other in numbers, or one
        in words and the other in labels.
        """
        said = dataset.answers
        model = cls(name, dataset.shape, dataset.classes, frozen_seed=frozen_seed, answers=said, parameters=parameters)
        if said is not None and model.answers is None:
            raise ValueError(f"the model '{name}' gives labels, the data set '{dataset.name}' asks for words")
        held = dataset.vocabulary
        if held is None and model.vocabulary is not None:
            raise ValueError(f"the model '{name}' reads token ids, the data set '{dataset.name}' holds numbers")
        if held is not None and model.vocabulary is None and ":" not in name:
            raise ValueError(f"the model '{name}' reads numbers, the data set '{dataset.name}' holds token ids")
        if held is not None and model.vocabulary is not None and held > model.vocabulary:
            least = f"the data set '{dataset.name}' has {held}"
            raise ValueError(f"the model '{name}' knows {model.vocabulary} token ids, {least}")
        return model

    def initial(self, streams: Streams) -> Tensor:
        """Fresh weights [P], float32 on the CPU: PyTorch's own initialisation from a keyed seed."""
        return self._flat(self.build(int(streams.integers("initial weights", 0, 2**52))))

    def build(self, seed: int = 0) -> nn.Module:
        """An ordinary module of this family. The state of the global generators is left as it was."""
        module = self._seeded(seed)
        if self._frozen:
            module.load_state_dict(self._frozen, strict=False)
        return module

    def unflatten(self, weights: Tensor) -> dict[str, Tensor]:
        """Views of weights [..., P] by parameter name, each [..., *parameter shape]."""
        if weights.shape[-1] != self.size:
            raise ValueError(f"the model '{self.name}' has {self.size} weights, got {weights.shape[-1]}")
        return {
            name: weights[..., place].view(*weights.shape[:-1], *shape) for name, (place, shape) in self._places.items()
        }

    def forward(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        """Logits [B, C] of one model for samples x [B, *shape]."""
        if self._frozen:
            parameters = parameters | self._frozen_like(next(iter(parameters.values())))
        logits: Tensor = functional_call(self._module, parameters, (x,))
        return logits

    def logits(self, weights: Tensor, x: Tensor) -> Tensor:
        """Logits [K, B, C] of the models weights [K, P]; of language models [K, B, R, V].

        x is [K, B, *shape] (samples of its own for each model) or [B, *shape] (the same for all). Models that cannot
        be mapped (``maps``) compute one after another.
        """
        shared = x.ndim == len(self.shape) + 1
        if self.linear_layers is None:
            if len(weights) == 0:
                each = (self.classes,) if self.answers is None else (self.answers.length, self.vocabulary or 0)
                return weights.new_empty(0, x.shape[-len(self.shape) - 1], *each)
            if not self.maps:
                pairs = zip(weights, [x] * len(weights) if shared else x, strict=True)
                return torch.stack([self.forward(self.unflatten(row), samples) for row, samples in pairs])
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

    @cached_property
    def maps(self) -> bool:
        """Whether ``torch.func.vmap`` trains this model, and without PyTorch's hidden loop over owners.

        If it is False, train with the loop. Found by trial, once, unless the layers are known.
        """
        if getattr(self._module, "alone", False):
            return False
        # The first trial of a process costs seconds: PyTorch then imports its compiler.
        return {type(part) for part in self._module.modules()} <= KNOWN_TO_MAP or self.try_to_map()

    def try_to_map(self) -> bool:
        """The trial behind ``maps``: a gradient of two models on two samples of zeros, on the CPU."""
        parameters = self.unflatten(self._flat(self.build()).expand(2, -1))
        samples = torch.zeros(2, 2, *self.shape)
        gradient = vmap(grad(lambda one, x: self.forward(one, x).square().sum()))
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            try:
                gradient(parameters, samples)
            except Exception:  # whatever the module does that cannot be mapped, the loop can do it
                return False
        return not any("batching rule" in str(warning.message) for warning in heard)

    def _seeded(self, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return self._builder(self.shape, self.classes)

    @staticmethod
    def _flat(module: nn.Module) -> Tensor:
        return torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()])

    def _frozen_like(self, weights: Tensor) -> dict[str, Tensor]:
        """The frozen weights in the type and on the device of ``weights``; kept there for the next call."""
        first = next(iter(self._frozen_there.values()), None)
        if first is None or (first.dtype, first.device) != (weights.dtype, weights.device):
            there = weights.device, weights.dtype
            self._frozen_there = {name: value.to(*there) for name, value in self._frozen.items()}
        return self._frozen_there

    def _find_linear_layers(self) -> list[LinearLayer] | None:
        if not isinstance(self._module, nn.Sequential) or type(self._module).forward is not nn.Sequential.forward:
            return None
        children = list(self._module._modules.items())
        if isinstance(children[0][1], nn.Flatten):
            children = children[1:]
        layers: list[LinearLayer] = []
        for position, (name, child) in enumerate(children):
            if position % 2 == 1:
                if not isinstance(child, nn.ReLU):
                    return None
            # A layer that is used twice has only one place.
            elif isinstance(child, nn.Linear) and {f"{name}.weight", f"{name}.bias"} <= self._places.keys():
                places = self._places[f"{name}.weight"][0], self._places[f"{name}.bias"][0]
                layers.append(LinearLayer(*places, child.in_features, child.out_features))
            else:
                return None
        return layers if len(children) % 2 == 1 else None
