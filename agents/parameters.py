"""Parameters of the things a scenario names: bounds, one-line complaints, and building an entry from a mapping."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypeVar

from learning.registry import Registry, UnknownName

Entry = TypeVar("Entry")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """An interval of real numbers; an end that is None is open to infinity."""

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )

    def __str__(self) -> str:
        ends = dataclasses.asdict(self).items()
        return " and ".join(f"{name.replace('_', ' ')} {end:g}" for name, end in ends if end is not None)


ANY = Bounds()
POSITIVE = Bounds(above=0)
FACTOR = Bounds(above=0, at_most=1e6)
NOT_NEGATIVE = Bounds(at_least=0)
PROBABILITY = Bounds(at_least=0, at_most=1)
LARGEST_WHOLE = 10**9
"""Whole numbers are counts of rounds or persons: larger ones are mistakes, and would not fit into columns."""


def check_number(name: str, value: object, bounds: Bounds = ANY) -> None:
    """Raise a one-line ValueError unless ``value`` is a finite real number within ``bounds``."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or float(value) not in bounds:
        raise ValueError(f"{name} is {value!r}, expected a finite number {bounds}".rstrip())


def check_whole(name: str, value: object, bounds: Bounds = ANY) -> None:
    """Raise a one-line ValueError unless ``value`` is an integer within ``bounds``, at most ``LARGEST_WHOLE``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) not in bounds:
        raise ValueError(f"{name} is {value!r}, expected a whole number {bounds}".rstrip())
    if abs(int(value)) > LARGEST_WHOLE:
        raise ValueError(f"{name} is {value!r}, expected a whole number at most {LARGEST_WHOLE}")


def make(registry: Registry[type[Entry]], name: str, params: Mapping[str, Any]) -> Entry:
    """Build the dataclass that ``registry`` files under ``name``.

    Raises UnknownName for the name, and a one-line ValueError for an unknown parameter (with the nearest known one),
    a missing one, or one that the entry itself refuses.
    """
    entry: Any = registry[name]
    what = f"{registry.kind} '{name}'"
    fields = {field.name: field for field in dataclasses.fields(entry) if field.init}
    for key in params:
        if key not in fields:
            known = UnknownName(f"parameter of {what}", key, list(fields))
            raise ValueError(known.line if fields else f"{what} takes no parameters, got '{key}'")
    for key, field in fields.items():
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if key not in params and not has_default:
            raise ValueError(f"{what} needs the parameter '{key}'")
    try:
        built: Entry = entry(**params)
    except ValueError as problem:
        raise ValueError(f"{what}: {problem}") from problem
    return built
