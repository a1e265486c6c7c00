"""How much a late update still counts: one factor in (0, 1] per upload, from the age of the model it started from.

The three functions are those of FedAsync (Xie, Koyejo, Gupta 2019, "Asynchronous federated optimization").
All are 1 for a fresh upload and never grow with age.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.registry import Registry


class Staleness(ABC):
    """A staleness function; call it with ages [K] in global versions, get factors [K]."""

    def __call__(self, staleness: IntColumn) -> FloatColumn:
        """The factors. Raises ``ValueError`` for a negative age."""
        if (staleness < 0).any():
            raise ValueError("staleness cannot be negative")
        return self._factor(staleness)

    @abstractmethod
    def _factor(self, staleness: IntColumn) -> FloatColumn: ...


STALENESS: Registry[type[Staleness]] = Registry("staleness function")


@STALENESS.register("constant")
@dataclass(frozen=True)
class Constant(Staleness):
    """Late updates count in full."""

    def _factor(self, staleness: IntColumn) -> FloatColumn:
        return np.ones(len(staleness))


@STALENESS.register("polynomial")
@dataclass(frozen=True)
class Polynomial(Staleness):
    """(1 + age)^-exponent."""

    exponent: float = 0.5

    def __post_init__(self) -> None:
        if not (np.isfinite(self.exponent) and self.exponent >= 0):
            raise ValueError(f"exponent must be a number of at least 0, got {self.exponent}")

    def _factor(self, staleness: IntColumn) -> FloatColumn:
        return np.asarray((1.0 + staleness) ** -self.exponent)


@STALENESS.register("hinge")
@dataclass(frozen=True)
class Hinge(Staleness):
    """1 up to ``grace`` versions, then 1 / (1 + slope * (age - grace))."""

    slope: float = 10.0
    grace: int = 4

    def __post_init__(self) -> None:
        if not (np.isfinite(self.slope) and self.slope >= 0):
            raise ValueError(f"slope must be a number of at least 0, got {self.slope}")
        if self.grace < 0:
            raise ValueError(f"grace must be at least 0, got {self.grace}")

    def _factor(self, staleness: IntColumn) -> FloatColumn:
        return np.asarray(1.0 / (1.0 + self.slope * np.maximum(staleness - self.grace, 0)))
