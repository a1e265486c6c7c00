"""Random profiles of owners to train on: the priors of the reference scenarios, budgets from scarce to ample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learning.streams import Streams

Reports = NDArray[np.float64]


def uniform(chance: np.random.Generator, shape: tuple[int, int]) -> Reports:
    """v ~ U[0, 1], eps ~ U[0.1, 5]."""
    return np.stack([chance.uniform(0.0, 1.0, shape), chance.uniform(0.1, 5.0, shape)], axis=-1)


def bimodal(chance: np.random.Generator, shape: tuple[int, int]) -> Reports:
    """v ~ U[0, 1]; half of the caps in [0.1, 0.5], half in [2, 5]."""
    careful = chance.uniform(0.0, 1.0, shape) < 0.5
    cap = np.where(careful, chance.uniform(0.1, 0.5, shape), chance.uniform(2.0, 5.0, shape))
    return np.stack([chance.uniform(0.0, 1.0, shape), cap], axis=-1)


def realistic(chance: np.random.Generator, shape: tuple[int, int]) -> Reports:
    """v ~ LogNormal(0, 0.5), eps ~ U[0.1, 5]."""
    return np.stack([chance.lognormal(0.0, 0.5, shape), chance.uniform(0.1, 5.0, shape)], axis=-1)


POPULATIONS: Mapping[str, Callable[[np.random.Generator, tuple[int, int]], Reports]] = {
    "uniform": uniform,
    "bimodal": bimodal,
    "realistic": realistic,
}


class Drawn(NamedTuple):
    """``report`` [P, N, 2] and ``budget`` [P] in money."""

    report: Reports
    budget: NDArray[np.float64]


def draw(
    streams: Streams, counter: int, population: str, profiles: int, owners: int, factors: tuple[float, float]
) -> Drawn:
    """Profiles number ``counter``: budgets are log-uniform multiples of the profile's total cost."""
    chance = streams.generator("auction profile", owners, counter)
    report = POPULATIONS[population](chance, (profiles, owners))
    factor = np.exp(chance.uniform(np.log(factors[0]), np.log(factors[1]), profiles))
    return Drawn(report, factor * report.prod(axis=-1).sum(axis=-1))
