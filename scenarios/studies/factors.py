"""What a study varies: dotted fields of a scenario, each with levels or with a range of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from learning.columns import FloatColumn
from scenarios.schema import Spec


class Range(Spec):
    """Numbers from ``low`` to ``high``, evenly or by ratio (``scale: log``), whole ones if asked for."""

    low: float = Field(description="smallest value")
    high: float = Field(description="largest value")
    scale: Literal["linear", "log"] = Field("linear", description="evenly spaced, or by equal ratios")
    whole: bool = Field(False, description="only whole numbers")
    steps: Annotated[int, Field(ge=2)] | None = Field(None, description="number of levels in a grid")

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.high <= self.low:
            raise problem("high", self.high, f"must be above low, which is {self.low:g}")
        if self.scale == "log" and self.low <= 0:
            raise problem("low", self.low, "must be above 0 where the scale is log")
        if self.whole and (self.low != round(self.low) or self.high != round(self.high)):
            raise problem("low", self.low, "low and high must be whole numbers where whole is true")
        return self


@dataclass(frozen=True)
class Factor:
    """A dotted scenario field and what it may be: levels as written in the study, or a range."""

    field: str
    levels: tuple[Any, ...] = ()
    range: Range | None = None

    @property
    def is_numeric(self) -> bool:
        """Whether every value is a number."""
        return self.range is not None or all(is_number(level) for level in self.levels)

    def value(self, unit: float) -> Any:
        """The value at a place in [0, 1]: evenly over the range, or over the levels."""
        if self.range is None:
            return self.levels[min(int(unit * len(self.levels)), len(self.levels) - 1)]
        low, high = self.range.low, self.range.high
        if self.range.whole:
            # Every whole number has an equal share (of the logarithm, on that scale) of [0, 1].
            low, high = low - 0.5, high + 0.5
        if self.range.scale == "log":
            value = math.exp(math.log(low) + unit * (math.log(high) - math.log(low)))
        else:
            value = low + unit * (high - low)
        # Rounding must not lead out of the range, where the scenario might refuse it.
        if self.range.whole:
            return int(min(max(round(value), self.range.low), self.range.high))
        return min(max(value, low), high)

    def grid(self) -> tuple[Any, ...]:
        """The levels of a grid: as written, or ``steps`` places of the range with both ends."""
        if self.range is None:
            return self.levels
        assert self.range.steps is not None
        if self.range.whole:
            low, high = self.range.low, self.range.high
            space = np.geomspace if self.range.scale == "log" else np.linspace
            return tuple(dict.fromkeys(int(value) for value in np.round(space(low, high, self.range.steps))))
        # As a person would write them: 14.0 and 0.3, not 13.999999999999998 and 0.30000000000000004.
        values = (float(f"{self.value(place):.15g}") for place in np.linspace(0.0, 1.0, self.range.steps).tolist())
        return tuple(min(max(value, self.range.low), self.range.high) for value in values)


def is_number(value: object) -> bool:
    """Whether it is a number and not a truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def values_at(factors: Sequence[Factor], places: FloatColumn) -> list[dict[str, Any]]:
    """Points of a design from places in the unit cube [points, factors]."""
    return [
        {factor.field: factor.value(place) for factor, place in zip(factors, row, strict=True)}
        for row in places.tolist()
    ]


def problem(field: str, value: Any, expected: str) -> PydanticCustomError:
    """An error below the place where it is raised, as in ``scenarios.schema``."""
    return PydanticCustomError("named", "{expected}", {"field": field, "value": value, "expected": expected})
