"""Owners' qualities as the authors draw them: noise in the images, reported, on the scale from 0.9 to 1."""

from __future__ import annotations

import numpy as np

from learning.columns import FloatColumn
from learning.streams import Streams
from market.qd_rdfl.quality import floored, self_report

LARGEST_NOISE = 0.1
"""Standard deviation of the noisiest pixels, in [0, 1]."""

STREAMS = Streams(1)
"""The luck of all draws. The first owners of a draw are the same whatever their number."""


def noise_levels(draws: int, owners: int) -> FloatColumn:
    """Standard deviations of the noise, [draws, owners], uniform from 0 to ``LARGEST_NOISE``."""
    uniform = STREAMS.uniform("quality", np.arange(owners), np.arange(draws)[:, None])
    return np.asarray(LARGEST_NOISE * uniform)


def qualities(draws: int, owners: int) -> FloatColumn:
    """Believed qualities of honest owners, [draws, owners], each draw on the scale from 0.9 to 1."""
    return np.array([floored(self_report(noise**2)) for noise in noise_levels(draws, owners)])


def number_of_draws(quick: bool) -> int:
    """How many populations a static study draws."""
    return 200 if quick else 2000
