"""The rewards that the paper compares with: a random one and a fixed one. Owners still answer with their best."""

from __future__ import annotations

FIXED_REWARD = 1.0
"""Money; what the authors' baseline FIXED announces whatever the market."""


def random_reward(best: float, draw: float) -> float:
    """The authors' baseline RANDOM: between half and all of the ``best`` reward (money); ``draw`` is from [0, 1)."""
    return (0.5 + 0.5 * draw) * best
