"""How long generation takes: declared or measured rates, put on a clock by pure functions."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from learning.columns import FloatColumn
from learning.device import finish
from learning.generation.generator import Generator
from learning.streams import Streams


@dataclass(frozen=True)
class GenerationSpeed:
    """What generation takes on a machine of speed 1.

    Attributes:
        fit_seconds: to train a generator once, whatever the number of samples trained on.
        seconds_per_sample: to make one synthetic sample.
    """

    fit_seconds: float = 0.0
    seconds_per_sample: float = 0.0

    def __post_init__(self) -> None:
        for name in ("fit_seconds", "seconds_per_sample"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a number of at least 0, got {value}")

    def seconds(self, volume: FloatColumn, speed: FloatColumn) -> FloatColumn:
        """Time [K] to generate volumes [K] on machines of relative speed [K]; nothing is trained for no samples.

        Raises ``ValueError`` for a negative volume or a speed that is not above 0.
        """
        if (np.asarray(volume) < 0).any() or not (np.asarray(speed) > 0).all():
            raise ValueError("volumes must be at least 0 and speeds above 0")
        return np.asarray(np.where(volume > 0, self.fit_seconds + volume * self.seconds_per_sample, 0.0) / speed)


def compute_energy(
    volume: FloatColumn,
    *,
    capacitance: float,
    frequency: FloatColumn,
    cycles_per_generated_sample: float,
    cycles_per_training_sample: float,
    local_epochs: int,
) -> FloatColumn:
    """Energy [K] in joules that volumes [K] of synthetic samples take to be made and trained on.

    capacitance * frequency^2 * (cycles to generate + epochs * cycles to train) per sample (the usual model of dynamic
    power; section 3.3 of CoCoGen+'s cost: times an energy price it is the unit cost). ``capacitance`` in farad,
    ``frequency`` [K] in hertz.
    """
    cycles = cycles_per_generated_sample + local_epochs * cycles_per_training_sample
    return np.asarray(volume * capacitance * np.square(frequency) * cycles)


def measured_speed(
    generator: Generator, x: Tensor, y: Tensor, classes: int, streams: Streams, samples: int = 256
) -> GenerationSpeed:
    """The speed on this machine, by the wall clock: for a declaration, never within a run, which it would vary.

    Use the generator once before: the first training of a process starts slowly.
    """
    begun = time.perf_counter()
    fitted = generator.fit(x, y, classes, 0, 0, streams)
    finish(x.device)
    trained = time.perf_counter()
    labels = np.resize(np.flatnonzero(fitted.known), samples)
    fitted.sample(labels, 0, 0, streams)
    finish(x.device)
    return GenerationSpeed(trained - begun, (time.perf_counter() - trained) / samples)
