"""What instance schemas share: their base, bounds of numbers and lists, and errors that name a field."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError


class Instance(BaseModel):
    """Base of every instance and of its parts: unknown keys, wrong types, infinities and NaN are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BadInstance(ValueError):
    """A fault that only solving can find: the dotted ``field``, the ``value`` there, and what is wrong with it."""

    def __init__(self, field: str, value: Any, problem: str) -> None:
        super().__init__(field, value, problem)
        self.field = field
        self.value = value
        self.problem = problem


def field_error(field: str, value: Any, problem: str) -> PydanticCustomError:
    """The error for a validator to raise: ``field`` is a dotted path below the place of the validator, or empty."""
    return PydanticCustomError("named", "{expected}", {"field": field, "value": value, "expected": problem})


def check_length(field: str, values: Sequence[object], wanted: int, per: str) -> None:
    """Raise ``field_error`` unless there is one value ``per`` something, of which there are ``wanted``."""
    if len(values) != wanted:
        found = "1 value" if len(values) == 1 else f"{len(values)} values"
        raise field_error(field, found, f"expected {wanted}, one per {per}")


def bounded(low: float, high: float = math.inf) -> Callable[[float], float]:
    """A validator of numbers from ``low`` to ``high``, whose error reads alike for a number and inside a list."""
    wanted = f"of at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"

    def within(value: float) -> float:
        if not low <= value <= high:
            raise field_error("", value, f"expected a number {wanted}")
        return value

    return within


def _number_or_numbers(value: Any) -> Any:
    """One number of at least 0, or a list of them; pydantic's own union would name its branches in the path."""
    if value is None:
        return None
    for place, number in enumerate(value if isinstance(value, list) else [value]):
        if not _is_not_negative(number):
            where = f"at place {place}: " if isinstance(value, list) else ""
            shown = "null" if number is None else number
            raise field_error("", shown, f"{where}expected a finite number of at least 0, or a list of them")
    return [float(number) for number in value] if isinstance(value, list) else float(value)


def _is_not_negative(number: Any) -> bool:
    try:
        return type(number) in (int, float) and 0.0 <= float(number) < math.inf
    except OverflowError:  # a whole number beyond all floats
        return False


NumberOrNumbers = Annotated[float | list[float], BeforeValidator(_number_or_numbers)]
"""The same number of at least 0 for everybody, or a list with one for each."""
