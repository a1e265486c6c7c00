"""How good mixtures of models are, many mixtures at once.

A mixture is a convex combination of the rows of one matrix, so all weights of M mixtures are one matrix product. For
linear layers even more is linear: the first layer's outputs of a mixture are the same mixture of the rows' outputs,
which are computed once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from learning.columns import FloatColumn
from learning.evaluation import SAMPLES_AT_ONCE, blocks, hits, losses, utilities
from learning.models import FlatModel, LinearLayer
from learning.registry import Registry

NUMBERS_AT_ONCE = 2**26
"""Weights of mixtures that exist at a time."""

PIECE = 2**18
"""Numbers in one piece of first-layer outputs, and half of those in a piece of mixtures: for the processor's cache."""

PIECE_ON_DEVICE = 2**26
"""The same on a GPU, where large products are what counts."""

MIXTURES_AT_ONCE = 256
"""Mixtures made from the outputs while these pass through the cache once."""

CACHED = 2**28
"""Numbers of first-layer outputs that may be kept: 1 GiB in float32."""

CAUTION = 2.0
"""Rounding errors of logits are taken to stay below this many machine epsilons of their bound (see ``_Upper``).

The largest seen between the two ways, over 400,000 logits of a trained 784-64-10 network in float32, was 0.3.
"""


class Mixtures(Protocol):
    """Evaluates mixtures of rows [R, P]; ``mix`` [M, R] holds the shares, at least 0 and with sum 1 in each row."""

    def __init__(self, model: FlatModel, rows: Tensor, x: Tensor, y: Tensor) -> None: ...

    def accuracy(self, mix: FloatColumn) -> FloatColumn:
        """Accuracies [M] in [0, 1]."""

    def loss(self, mix: FloatColumn) -> FloatColumn:
        """Mean cross-entropies [M] in nats."""


MIXTURES: Registry[type[Mixtures]] = Registry("evaluation of mixtures")


def choose_mixtures(model: FlatModel, rows: Tensor, samples: int) -> str:
    """The faster way: mixing outputs of the first layer if that is cheaper than computing them, and fits the memory."""
    if not model.linear_layers:
        return "plain"
    first = model.linear_layers[0]
    fits = len(rows) * first.outputs * samples <= CACHED
    return "linear" if fits and len(rows) <= first.inputs else "plain"


@MIXTURES.register("plain")
class PlainMixtures:
    """Makes the weights of every mixture and passes all samples through it; any model will do."""

    def __init__(self, model: FlatModel, rows: Tensor, x: Tensor, y: Tensor) -> None:
        self._model, self._rows, self._x, self._y = model, rows, x, y

    def accuracy(self, mix: FloatColumn) -> FloatColumn:
        parts = [utilities(self._model, weights, self._x, self._y) for weights in self._weights(mix)]
        return _joined(parts)

    def loss(self, mix: FloatColumn) -> FloatColumn:
        return _joined([losses(self._model, weights, self._x, self._y) for weights in self._weights(mix)])

    def _weights(self, mix: FloatColumn) -> Iterator[Tensor]:
        at_once = max(1, NUMBERS_AT_ONCE // self._model.size)
        for begin in range(0, len(mix), at_once):
            yield torch.from_numpy(mix[begin : begin + at_once]).to(self._rows) @ self._rows


class _Block(NamedTuple):
    """A block of samples: first-layer outputs of all rows, [R, H * S] for S samples at a time; labels, input lengths.

    The pieces are small, so that they and their mixtures stay in the processor's cache.
    """

    outputs: list[Tensor]
    labels: Tensor
    lengths: Tensor


class _Upper(NamedTuple):
    """The layers above the first of M mixtures, weights [M, out, in] and biases [M, out, 1], and rounding bounds [M].

    A logit on a sample of length l is taken to be off by at most slope * l + offset.
    """

    layers: list[tuple[Tensor, Tensor]]
    slope: Tensor
    offset: Tensor


@MIXTURES.register("linear")
class LinearMixtures:
    """Mixes the first layer's outputs instead of its weights; for stacks of linear layers.

    Accuracies equal those of ``PlainMixtures``: where a logit leads or trails by no more than rounding could explain,
    the mixture is evaluated the plain way on that block of samples. Losses are equal up to rounding.
    Raises ``ValueError`` for a model that is no stack of linear layers.
    """

    def __init__(self, model: FlatModel, rows: Tensor, x: Tensor, y: Tensor) -> None:
        if not model.linear_layers:
            raise ValueError(f"the model '{model.name}' is no stack of linear layers, its outputs cannot be mixed")
        self._model, self._rows, self._x, self._y = model, rows, x, y
        self._first, *self._rest = model.linear_layers
        numbers, size = PIECE if rows.device.type == "cpu" else PIECE_ON_DEVICE, SAMPLES_AT_ONCE
        while size > 16 and len(rows) * self._first.outputs * size > numbers:
            size //= 2
        self._together = max(1, 2 * numbers // (self._first.outputs * size))
        norms = [_row_norm(rows, layer) for layer in model.linear_layers]
        self._norms, self._biases = [n for n, _ in norms], [b for _, b in norms]
        weight = rows[:, self._first.weight].reshape(-1, self._first.inputs)
        bias = rows[:, self._first.bias].reshape(-1, 1)
        with torch.no_grad():
            self._blocks = [self._block(weight, bias, *block, size) for block in blocks(x, y)]

    def _block(self, weight: Tensor, bias: Tensor, samples: Tensor, labels: Tensor, size: int) -> _Block:
        flat = samples.to(weight.dtype).reshape(len(labels), -1)
        outputs = [torch.addmm(bias, weight, piece.T).view(len(self._rows), -1) for piece in torch.split(flat, size)]
        return _Block(outputs, labels, flat.norm(dim=1))

    def accuracy(self, mix: FloatColumn) -> FloatColumn:
        return _joined([self._accuracy(some) for some in self._portions(mix)])

    def loss(self, mix: FloatColumn) -> FloatColumn:
        return _joined([self._loss(some) for some in self._portions(mix)])

    def _portions(self, mix: FloatColumn) -> Iterator[Tensor]:
        for begin in range(0, len(mix), MIXTURES_AT_ONCE):
            yield torch.from_numpy(mix[begin : begin + MIXTURES_AT_ONCE]).to(self._rows)

    def _accuracy(self, mix: Tensor) -> FloatColumn:
        with torch.no_grad():
            upper = self._upper(mix)
            right = torch.zeros(len(self._blocks), len(mix), dtype=torch.int64, device=mix.device)
            doubtful = torch.zeros_like(right, dtype=torch.bool)
            for number, block in enumerate(self._blocks):
                lead = _lead(self._logits(mix, upper, block), block.labels)
                right[number] = (lead > 0).sum(dim=1)
                bound = torch.addcmul(upper.offset[:, None], upper.slope[:, None], block.lengths[None, :])
                # Negated, so that a lead that is not a number is doubtful too.
                doubtful[number] = ~(lead.abs() > bound).all(dim=1)
            self._settle(mix, right, doubtful)
            counts: FloatColumn = right.sum(dim=0).cpu().numpy() / len(self._y)
        return counts

    def _settle(self, mix: Tensor, right: Tensor, doubtful: Tensor) -> None:
        """Put the plain way's counts into right [blocks, M] where doubtful [blocks, M]."""
        who = doubtful.any(dim=0).nonzero()[:, 0]
        at_once = max(1, NUMBERS_AT_ONCE // self._model.size)
        for begin in range(0, len(who), at_once):
            some = who[begin : begin + at_once]
            weights = mix[some] @ self._rows
            for number, (samples, labels) in enumerate(blocks(self._x, self._y)):
                here = doubtful[number, some].nonzero()[:, 0]
                if len(here) > 0:
                    right[number, some[here]] = hits(self._model, weights[here], samples, labels)

    def _loss(self, mix: Tensor) -> FloatColumn:
        total = torch.zeros(len(mix), dtype=torch.float64, device=mix.device)
        with torch.no_grad():
            upper = self._upper(mix)
            for block in self._blocks:
                logits = self._logits(mix, upper, block).double()
                labels = block.labels.expand(len(mix), -1)
                total += cross_entropy(logits, labels, reduction="none").sum(dim=1)
        mean: FloatColumn = total.cpu().numpy() / len(self._y)
        return mean

    def _upper(self, mix: Tensor) -> _Upper:
        begin = self._first.bias.stop
        weights = mix @ self._rows[:, begin:]
        layers = []
        slope, offset = mix @ self._norms[0], mix @ self._biases[0]
        for layer, norm, bias in zip(self._rest, self._norms[1:], self._biases[1:], strict=True):
            weight = weights[:, layer.weight.start - begin : layer.weight.stop - begin]
            shift = weights[:, layer.bias.start - begin : layer.bias.stop - begin]
            layers.append((weight.view(-1, layer.outputs, layer.inputs), shift.unsqueeze(2)))
            # Roundings of the units are independent enough to add up like the Euclidean norm.
            slope, offset = (mix @ norm) * slope, (mix @ norm) * offset + mix @ bias
        scale = CAUTION * torch.finfo(mix.dtype).eps
        return _Upper(layers, scale * slope, scale * offset)

    def _logits(self, mix: Tensor, upper: _Upper, block: _Block) -> Tensor:
        """Logits [M, C, S] of all samples of a block."""
        logits = mix.new_empty(len(mix), self._model.classes, len(block.labels))
        begin = 0
        for first in block.outputs:
            end = begin + first.shape[1] // self._first.outputs
            for least in range(0, len(mix), self._together):
                some = slice(least, least + self._together)
                outputs = (mix[some] @ first).view(-1, self._first.outputs, end - begin)
                for weight, bias in upper.layers:
                    outputs = torch.baddbmm(bias[some], weight[some], outputs.relu_())
                logits[some, :, begin:end] = outputs
            begin = end
        return logits


def _row_norm(rows: Tensor, layer: LinearLayer) -> tuple[Tensor, Tensor]:
    """Largest Euclidean norm [R] of a unit's weights, and largest bias [R] in size."""
    weight = rows[:, layer.weight].view(len(rows), layer.outputs, layer.inputs)
    return weight.norm(dim=2).amax(dim=1), rows[:, layer.bias].abs().amax(dim=1)


def _lead(logits: Tensor, labels: Tensor) -> Tensor:
    """By how much [M, S] the true class leads its best rival, of logits [M, C, S]."""
    true = labels.expand(len(logits), 1, -1)
    own = logits.gather(1, true)[:, 0]
    return own - logits.scatter_(1, true, -torch.inf).amax(dim=1)


def _joined(parts: list[FloatColumn]) -> FloatColumn:
    return np.concatenate([np.zeros(0), *parts])
