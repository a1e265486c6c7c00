"""Data brought to mean 0 and deviation 1 for a network, and back."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Scaling:
    """Per feature of a table; per channel of images. Broadcast with samples. Constant features keep their scale."""

    centre: Tensor
    spread: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Scaling:
        """The scaling of samples x [n, *shape]."""
        axes = (0,) if x.ndim == 2 else (0, 2, 3)
        centre = x.mean(dim=axes, keepdim=True)
        spread = (x - centre).square().mean(dim=axes, keepdim=True).sqrt()
        return cls(centre, spread.where(spread > 1e-6, spread.new_ones(())))

    def scaled(self, x: Tensor) -> Tensor:
        """Samples in the network's units."""
        return (x - self.centre) / self.spread

    def restored(self, x: Tensor) -> Tensor:
        """Samples in the data's units."""
        return x * self.spread + self.centre
