"""A small convolutional network that is told time and class, from images to images of the same size."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

SMALLEST = 8
"""Images are halved as long as both sides are at least this long, at most ``HALVINGS`` times."""
HALVINGS = 2
FREQUENCIES = 16
GROUPS = 4


def twice_as_large(x: Tensor, height: int, width: int) -> Tensor:
    """Every pixel four times, cut to height and width. Unlike ``interpolate``, its gradient repeats its bits."""
    count, channels, rows, columns = x.shape
    wide = x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2)
    return wide.reshape(count, channels, 2 * rows, 2 * columns)[:, :, :height, :width]


class Block(nn.Module):
    """Two convolutions with group normalisation, what is told added between them, and a way past both."""

    def __init__(self, inputs: int, outputs: int, told: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.GroupNorm(GROUPS, inputs), nn.GroupNorm(GROUPS, outputs)
        self.first, self.second = (nn.Conv2d(channels, outputs, 3, padding=1) for channels in (inputs, outputs))
        self.told = nn.Linear(told, 2 * outputs)
        self.past = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Images [B, outputs, h, w] from [B, inputs, h, w]."""
        hidden = self.first(silu(self.first_norm(x)))
        scale, shift = self.told(told)[:, :, None, None].chunk(2, dim=1)
        hidden = self.second_norm(hidden) * (1.0 + scale) + shift
        made: Tensor = self.past(x) + self.second(silu(hidden))
        return made


class UNet(nn.Module):
    """Down and up again with connections across (Ronneberger et al. 2015; told the time as in Ho et al. 2020)."""

    def __init__(self, channels: int, classes: int, side: int, width: int) -> None:
        super().__init__()
        told = 4 * width
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, told), nn.SiLU(), nn.Linear(told, told))
        self.label = nn.Linear(classes, told, bias=False)
        widths = [width] + [2 * width] * halvings(side)
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList(Block(*pair, told) for pair in zip([width, *widths[:-1]], widths, strict=True))
        self.shrink = nn.ModuleList(nn.Conv2d(after, after, 3, stride=2, padding=1) for after in widths[:-1])
        self.middle = Block(widths[-1], widths[-1], told)
        self.up = nn.ModuleList(
            Block(below + here, here, told)
            for below, here in zip([widths[-1], *widths[:0:-1]], widths[::-1], strict=True)
        )
        self.leave = nn.Sequential(nn.GroupNorm(GROUPS, width), nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1))

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """Images like x [B, C, h, w], told time [B] in [0, 1] and label [B, classes] (one-hot)."""
        told = silu(self.time(_waves(time)) + self.label(label))
        hidden: Tensor = self.enter(x)
        across = []
        for depth, block in enumerate(self.down):
            hidden = self.shrink[depth - 1](hidden) if depth > 0 else hidden
            hidden = block(hidden, told)
            across.append(hidden)
        hidden = self.middle(hidden, told)
        for depth, block in enumerate(self.up):
            beside = across[-1 - depth]
            hidden = twice_as_large(hidden, beside.shape[2], beside.shape[3]) if depth > 0 else hidden
            hidden = block(torch.cat([hidden, beside], dim=1), told)
        made: Tensor = self.leave(hidden)
        return made


def halvings(side: int) -> int:
    """How often images of this shorter side are halved."""
    number = 0
    while side >= SMALLEST and number < HALVINGS:
        side, number = (side + 1) // 2, number + 1
    return number


def _waves(time: Tensor) -> Tensor:
    """Sines and cosines [B, 2 FREQUENCIES] of time [B] at frequencies from 1 to 1000."""
    powers = torch.arange(FREQUENCIES, device=time.device, dtype=time.dtype) / (FREQUENCIES - 1)
    angles = time[:, None] * torch.exp(powers * math.log(1000.0))
    return torch.cat([angles.sin(), angles.cos()], dim=1)
