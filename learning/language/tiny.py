"""A small causal transformer that this project has trained itself, tuned by low-rank adapters: the offline model.

The weights are those of ``learning.language.pretrain``; they come with the package, in half precision.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from learning.data.answers import FILL, Answers
from learning.language.offline import WORDS
from learning.models.families import MODELS, sequence_length
from learning.models.transformer import EncoderLayer, LowRank, SelfAttention, correction, freeze

WIDTH, HEADS, FEED_FORWARD, LAYERS = 64, 4, 128, 3
READ = 35
"""Tokens of a text that the base was trained on, filled up on the left; it reads shorter ones filled up alike."""

WEIGHTS = Path(__file__).parent / "tiny_lm.npz"


class CausalAttention(SelfAttention):
    """Self-attention to earlier tokens only, with rotary positions (Su et al. 2021, equation 34)."""

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (self._split(part(x)) for part in (self.query, self.key, self.value))
        length, size = query.shape[-2:]
        angles = _angles(length, size // 2, x.device).to(x.dtype)
        query, key = _turned(query, angles), _turned(key, angles)
        later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(diagonal=1)
        scores = (query @ key.mT / size**0.5).masked_fill(later, -torch.inf)
        mixed: Tensor = self.output((scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(x.shape))
        return mixed


def _angles(length: int, pairs: int, device: torch.device) -> Tensor:
    """The angle [length, pairs] by which each pair of numbers is turned at each place."""
    rates = 100.0 ** -(torch.arange(pairs, device=device, dtype=torch.float64) / pairs)
    return torch.arange(length, device=device, dtype=torch.float64)[:, None] * rates


def _turned(x: Tensor, angles: Tensor) -> Tensor:
    """x [B, heads, T, 2 * pairs] with the pair of the numbers p and pairs + p turned by its angle."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], -1)


class TinyLM(nn.Module):
    """Token ids [B, T] (of any number type) to logits [B, T, V] of the next ones, by the embedding's own rows."""

    def __init__(self) -> None:
        super().__init__()
        self.vocabulary = len(WORDS)
        self.embedding = nn.Embedding(self.vocabulary + 1, WIDTH)  # the last row stands for no token
        self.layers = nn.Sequential(*(EncoderLayer(WIDTH, HEADS, FEED_FORWARD) for _ in range(LAYERS)))
        for layer in self.layers:
            layer.attention = CausalAttention(WIDTH, HEADS)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.read_out(self.states(x))

    def states(self, x: Tensor) -> Tensor:
        """The last states [B, T, width]."""
        ids = x.long()
        states: Tensor = self.norm(self.layers(self.embedding(torch.where(ids == FILL, self.vocabulary, ids))))
        return states

    def read_out(self, states: Tensor) -> Tensor:
        """Logits [.., V] of states [.., width]."""
        return states @ self.embedding.weight[: self.vocabulary].mT


class AdaptedTinyLM(TinyLM):
    """The pre-trained model, frozen, with trained adapters on all its matrices but the embedding.

    Those of attention alone learn too slowly in a model of three layers, whose last one decides on the word.
    """

    def __init__(self, answers: Answers, rank: int, alpha: float) -> None:
        super().__init__()
        self.load_state_dict(pretrained())
        freeze(self)
        for layer in self.layers:
            for part in ("query", "key", "value", "output"):
                setattr(layer.attention, part, LowRank(getattr(layer.attention, part), rank, alpha))
            for place in ("0", "2"):
                setattr(layer.feed, place, LowRank(getattr(layer.feed, place), rank, alpha))
        self.down = nn.Parameter(torch.empty(rank, WIDTH))
        self.up = nn.Parameter(torch.zeros(self.vocabulary, rank))
        self.scale = alpha / rank
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        self.frozen = frozenset(name for name, _ in self.named_buffers())
        self.length = answers.length

    def forward(self, x: Tensor) -> Tensor:
        # The token at each place of the answer is foretold one place before.
        before = nn.functional.pad(x[:, :-1], (max(0, READ - x.shape[1]), 0), value=FILL)
        states = self.states(before)[:, -self.length :]
        return self.read_out(states) + correction(states, self.down, self.up, self.scale)


@lru_cache(maxsize=1)
def pretrained() -> dict[str, Tensor]:
    """The base's weights by name, in float32."""
    with np.load(WEIGHTS, allow_pickle=False) as archive:
        return {name: torch.from_numpy(archive[name].astype(np.float32)) for name in archive}


@MODELS.register("tiny_lm_lora")
def tiny_lm_lora(
    shape: tuple[int, ...], classes: int, *, answers: Answers, rank: int = 8, alpha: float = 8.0
) -> nn.Module:
    """A causal language model of the offline instruction sets, pre-trained by this project, tuned by LoRA adapters.

    Raises ``ValueError`` unless the samples are rows of token ids, and for a rank below 1.
    """
    sequence_length("tiny_lm_lora", shape)
    if rank < 1:
        raise ValueError(f"the model 'tiny_lm_lora' needs a rank of at least 1, got {rank}")
    return AdaptedTinyLM(answers, rank, alpha)
