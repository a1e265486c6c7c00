"""A small transformer encoder over token ids, trained as a whole or by low-rank adapters on a frozen base."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from learning.models.families import MODELS, sequence_length
from learning.models.recurrent import CHARACTERS

WIDTH = 64
HEADS = 4
FEED_FORWARD = 128
LAYERS = 2
RANK = 4
ALPHA = 8.0


class SelfAttention(nn.Module):
    """Multi-head self-attention [B, T, width] to the same shape (Vaswani et al. 2017, section 3.2).

    Written with plain matrix products, because PyTorch's fused kernel has no batching rule.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (self._split(part(x)) for part in (self.query, self.key, self.value))
        shares = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(dim=-1)
        mixed: Tensor = self.output((shares @ value).transpose(1, 2).reshape(x.shape))
        return mixed

    def _split(self, x: Tensor) -> Tensor:
        """[B, T, width] to [B, heads, T, width / heads]."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


class EncoderLayer(nn.Module):
    """Attention and a rectified feed-forward layer, each normalised before and added to its input (pre-norm)."""

    def __init__(self, width: int, heads: int, feed_forward: int) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.before_feed = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, feed_forward), nn.ReLU(), nn.Linear(feed_forward, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.before_attention(x))
        fed: Tensor = x + self.feed(self.before_feed(x))
        return fed


class Transformer(nn.Module):
    """Token ids [B, length] (of any number type) to logits [B, classes] by the state at the last position."""

    vocabulary = CHARACTERS

    def __init__(self, length: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(self.vocabulary, WIDTH)
        self.position = nn.Parameter(torch.randn(length, WIDTH) / math.sqrt(WIDTH))
        self.layers = nn.Sequential(*(EncoderLayer(WIDTH, HEADS, FEED_FORWARD) for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.output = nn.Linear(WIDTH, classes)

    def forward(self, x: Tensor) -> Tensor:
        states = self.layers(self.embedding(x.long()) + self.position)
        logits: Tensor = self.output(self.norm(states[:, -1]))
        return logits


def correction(x: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
    """The low-rank correction scale * B A x [..., outputs] of x [..., inputs]: A is ``down``, B is ``up``."""
    return scale * (x @ down.mT @ up.mT)


class LowRank(nn.Module):
    """A linear layer W x + b plus a low-rank correction (alpha / rank) B A x (Hu et al. 2022, equation 3).

    A starts as PyTorch's linear layers do, B at zero, so that at first nothing is corrected.
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.empty(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        corrected: Tensor = self.base(x) + correction(x, self.down, self.up, self.scale)
        return corrected


class AdaptedTransformer(Transformer):
    """The transformer with frozen weights (now buffers), and trained adapters on queries and values and output."""

    def __init__(self, length: int, classes: int) -> None:
        super().__init__(length, classes)
        freeze(self, except_for=self.output)
        for layer in self.layers:
            attention = layer.attention
            for part in ("query", "value"):
                setattr(attention, part, LowRank(getattr(attention, part), RANK, ALPHA))
        self.frozen = frozenset(name for name, _ in self.named_buffers())


def freeze(module: nn.Module, except_for: nn.Module | None = None) -> None:
    """Turn the parameters of ``module`` and all below it into buffers, which training leaves alone."""
    for part in module.modules():
        if part is not except_for:
            for name, parameter in list(part.named_parameters(recurse=False)):
                delattr(part, name)
                part.register_buffer(name, parameter.detach())


@MODELS.register("transformer")
def transformer(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Transformer encoder of two layers (width 64, 4 heads) over token ids below 128 (Vaswani et al. 2017).

    Raises ``ValueError`` unless the samples are rows of token ids.
    """
    return Transformer(sequence_length("transformer", shape), classes)


@MODELS.register("transformer_lora")
def transformer_lora(shape: tuple[int, ...], classes: int) -> nn.Module:
    """The transformer with its base frozen: only rank-4 adapters and the output are trained (LoRA, Hu et al. 2022).

    Raises ``ValueError`` unless the samples are rows of token ids.
    """
    return AdaptedTransformer(sequence_length("transformer_lora", shape), classes)
